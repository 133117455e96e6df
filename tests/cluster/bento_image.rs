//! Images made of an environment and a bento's layers: what is built once, what is uploaded, and what happens when
//! there is no environment.

use std::collections::BTreeSet;

use demo::{Event, Mode, Site};
use serde_json::{Value, json};

use crate::{
    bento::{self, Model},
    build::{self, Built, repository},
    canary::{assert_serves, restrict},
    namespace::in_namespace,
    pulled::pull,
    release::LIMIT,
    stand_ins,
};

/// Builds onto environments of this test alone, so that none is there at first.
async fn build(site: &Site, bento: &str, more: &[(&str, Value)]) -> Built {
    run(site, "bento-build", bento, more).await
}

async fn run(site: &Site, task: &str, bento: &str, more: &[(&str, Value)]) -> Built {
    let own = [("environments", json!(repository(site, "environments")))];
    let image = repository(site, "image");
    build::run(site, task, bento, &image, &[&own, more].concat()).await
}

/// A bento's usual lines on this base, and some before and after the copy of the bento.
fn dockerfile(base: &str, before: &str, after: &str) -> String {
    format!(
        "FROM {base}\nWORKDIR /home/bentoml/bento\nCOPY ./env/python ./env/python/\n\
         RUN pip install -r ./env/python/requirements.txt && date > /built\n{before}COPY . ./\n{after}\
         ENTRYPOINT [\"/bin/sh\", \"src/serve.sh\"]\n"
    )
}

/// Saves `NAME:VERSION` with this Dockerfile, code and requirements.
async fn save(
    site: &Site,
    (name, version): (&str, &str),
    dockerfile: &str,
    code: &str,
    requirements: &str,
) {
    let files = [
        ("env/python/requirements.txt", 0o644, requirements.as_bytes()),
        ("src/serve.sh", 0o755, code.as_bytes()),
    ];
    bento::save_version_with(site, name, version, dockerfile, &files).await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_second_release_adds_layers_to_the_environment_of_the_first() {
    in_namespace("second", async |site| {
        bento::save(&site, "second", "v1", Model::Good).await;
        bento::save(&site, "second", "v2", Model::Refusing).await;
        let first = build(&site, "second:v1", &[]).await;
        assert!(first.kaniko_built(), "{}", first.log);
        let first_image = pull(&site, &repository(&site, "image"), first.digest()).await;

        let second = build(&site, "second:v2", &[]).await;
        let second_image = pull(&site, &repository(&site, "image"), second.digest()).await;
        assert!(!second.kaniko_built(), "{}", second.log);
        assert_eq!(second.result("assembled"), "yes");
        assert_eq!(second.result("environment"), first.result("environment"));
        assert_eq!(second.result("IMAGE_URL"), format!("{}:v2", repository(&site, "image")));

        // All but the code's layer is what a node has from the first.
        let layers = second_image.layers();
        let (code, same) = layers.split_last().unwrap();
        assert!(first_image.layers().starts_with(same), "{same:?} {:?}", first_image.layers());
        assert!(!first_image.layers().contains(code));
        let plain = second_image.plain_layers();
        assert_eq!(plain.len(), 1, "{plain:?}");
        assert_eq!(plain[0]["annotations"]["kanaria.dev/model"], "server:m1");
        let size: u64 = layers_of(&second_image.manifest);
        assert_eq!(second.result("size"), size.to_string());

        let again = build(&site, "second:v2", &[]).await;
        assert_eq!((again.digest(), again.uploaded()), (second.digest(), 0));
        for built in [first, second, again] {
            assert_found_by_tekton_chains(&built);
        }
    })
    .await;
}

/// By the results of this form, and by `IMAGE_URL` and `IMAGE_DIGEST`.
fn assert_found_by_tekton_chains(built: &Built) {
    let results = built.results.as_array().unwrap();
    let object =
        |name: &str| &results.iter().find(|result| result["name"] == name).unwrap()["value"];
    let archive = object("ARTIFACT_INPUTS");
    assert_eq!(archive["digest"], format!("sha256:{}", built.result("sha256")));
    assert_eq!(archive["uri"], format!("s3://bentos/{}", built.result("bento").replace(':', "/")));
    let image = object("ARTIFACT_OUTPUTS");
    assert_eq!(
        (&image["digest"], &image["uri"]),
        (&json!(built.digest()), &json!(built.result("IMAGE_URL")))
    );
}

fn layers_of(manifest: &Value) -> u64 {
    let layers = manifest["layers"].as_array().unwrap().iter();
    layers.map(|layer| layer["size"].as_u64().unwrap()).sum()
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn an_unchanged_model_is_not_uploaded() {
    in_namespace("unchanged", async |site| {
        let base = stand_ins::push(&site, "unchanged").await;
        let dockerfile = dockerfile(&base, "", "");
        let weights = bento::noise(8 << 20);
        for version in ["v1", "v2"] {
            let code = format!("echo {version}\n");
            let files = [
                ("env/python/requirements.txt", 0o644, b"numpy==1.26.0\n".as_slice()),
                ("models/weights/m1/model.yaml", 0o644, bento::MODEL.as_bytes()),
                ("models/weights/m1/weights.bin", 0o644, &weights),
                ("src/serve.sh", 0o755, code.as_bytes()),
            ];
            bento::save_version_with(&site, "unchanged", version, &dockerfile, &files).await;
        }
        let first = build(&site, "unchanged:v1", &[]).await;
        assert!(first.uploaded() > 8 << 20, "{first:?}");
        let second = build(&site, "unchanged:v2", &[]).await;
        assert!(second.uploaded() < 1 << 20, "{second:?}");
        let [first, second] = [first.digest(), second.digest()];
        let first = pull(&site, &repository(&site, "image"), first).await;
        let second = pull(&site, &repository(&site, "image"), second).await;
        assert_eq!(first.plain_layers(), second.plain_layers());
        assert_ne!(first.layers(), second.layers());
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_base_image_that_is_pushed_again_under_its_tag_gives_a_new_environment() {
    in_namespace("moved", async |site| {
        let base = stand_ins::push_edition(&site, &site.namespace, "first").await;
        let dockerfile = dockerfile(&base, "", "");
        for version in ["v1", "v2"] {
            save(&site, ("moved", version), &dockerfile, version, "").await;
        }
        let first = build(&site, "moved:v1", &[]).await;
        let moved = stand_ins::push_edition(&site, &site.namespace, "second").await;
        assert_eq!(moved, base);
        let second = build(&site, "moved:v2", &[]).await;
        assert!(second.kaniko_built(), "{}", second.log);
        assert_ne!(second.result("environment"), first.result("environment"));
        for (built, edition) in [(&first, "first"), (&second, "second")] {
            let image = pull(&site, &repository(&site, "image"), built.digest()).await;
            assert_eq!(image.tree["etc/edition"].size, edition.len() as u64);
        }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn an_environment_that_is_too_old_or_not_wanted_is_built_again_and_not_from_a_cache() {
    in_namespace("old", async |site| {
        let dockerfile = dockerfile(&stand_ins::push(&site, "old").await, "", "");
        for version in ["v1", "v2"] {
            save(&site, ("old", version), &dockerfile, version, "").await;
        }
        let first = build(&site, "old:v1", &[]).await;
        let second = build(&site, "old:v2", &[("max-age", json!("1s"))]).await;
        let third = build(&site, "old:v2", &[("rebuild", json!("true"))]).await;
        let (mut environments, mut times) = (BTreeSet::new(), BTreeSet::new());
        for built in [&first, &second, &third] {
            assert!(built.kaniko_built(), "{}", built.log);
            environments.insert(built.result("environment"));
            let image = pull(&site, &repository(&site, "image"), built.digest()).await;
            times.insert(image.tree["built"].sha256.clone());
        }
        assert_eq!(environments.len(), 3, "{environments:?}");
        assert_eq!(times.len(), 3, "its commands ran again");
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn two_first_releases_at_once_stand_on_one_environment() {
    in_namespace("at-once", async |site| {
        let dockerfile = dockerfile(&stand_ins::push(&site, "at-once").await, "", "");
        for version in ["v1", "v2"] {
            save(&site, ("at-once", version), &dockerfile, version, "").await;
        }
        let all = ["at-once:v1", "at-once:v2", "at-once:v1"].map(|bento| build(&site, bento, &[]));
        let all = futures::future::join_all(all).await;
        for one in &all {
            one.digest();
            assert_eq!(one.result("environment"), all[0].result("environment"));
        }
        assert_eq!(all[0].digest(), all[2].digest(), "one bento is one image");
        assert_ne!(all[0].digest(), all[1].digest());
        let later = build(&site, "at-once:v2", &[]).await;
        assert_eq!(later.digest(), all[1].digest());
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_bento_whose_script_reads_it_is_built_whole_and_released() {
    in_namespace("scripted", async |site| {
        // What BentoML 1.1 writes for `setup_script`: it runs when the bento is there, and may read it.
        let dockerfile = "FROM kanaria-tests/busybox:1\nWORKDIR /home/bentoml/bento\nCOPY . ./\n\
            RUN chmod +x ./env/docker/setup_script\nRUN ./env/docker/setup_script\nUSER 1034:1034\n\
            ENTRYPOINT [\"/bin/sh\", \"/serve.sh\"]\n";
        let server = bento::server();
        let serve = "export MODEL_VERSION=v1\\nexec /home/bentoml/bento/src/model";
        let script = format!("#!/bin/sh\nprintf '{serve}' > /serve.sh\n");
        // Another archive at each run, as images stay in the registry.
        let files = [
            ("README.md", 0o644, site.namespace.as_bytes()),
            ("env/docker/setup_script", 0o644, script.as_bytes()),
            ("src/model", 0o755, &server),
        ];
        bento::save(&site, "scripted", "base", Model::Good).await; // pushes the base image
        bento::save_with(&site, "scripted", dockerfile, &files).await;
        let event = Event::requested("scripted-v1", "scripted", "v1");
        assert_eq!(site.send(&event, Mode::Structured).await.unwrap(), 202);
        let run = site.run_of("canary-release", &[]).await.unwrap();
        let reason = run.wait(LIMIT).await.unwrap();
        let described = run.describe().await.unwrap();
        assert_eq!(reason, "Completed", "{described}");
        let build = run.task("bento-build").await.unwrap().unwrap();
        assert_eq!(build.results["assembled"], "whole");
        assert!(build.results["reason"].contains("setup_script"), "{:?}", build.results);
        assert_serves(&site, "scripted", "v1").await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn an_environment_that_cannot_be_built_says_why_and_leaves_no_image() {
    in_namespace("unbuildable", async |site| {
        let base = stand_ins::push(&site, "unbuildable").await;
        let dockerfile = dockerfile(&base, "RUN echo no such package >&2 && false\n", "");
        save(&site, ("unbuildable", "v1"), &dockerfile, "", "").await;
        let failed = build(&site, "unbuildable:v1", &[]).await;
        failed.assert_failed();
        assert_eq!(failed.result("assembled"), "environment-missing");
        assert!(failed.run.message.contains("step-kaniko"), "{}", failed.run.message);
        assert!(failed.log.contains("no such package"), "{}", failed.log);
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn where_restricted_is_enforced_a_bento_is_put_onto_its_environment_and_the_rest_is_refused()
{
    in_namespace("without-root", async |site| {
        let base = stand_ins::push(&site, "without-root").await;
        let layered = dockerfile(&base, "", "");
        let whole = dockerfile(&base, "", "RUN cat src/serve.sh\n");
        save(&site, ("without-root", "v1"), &layered, "v1", "numpy==1.26.0\n").await;
        save(&site, ("without-root", "v2"), &layered, "v2", "numpy==1.26.0\n").await;
        save(&site, ("without-root", "v3"), &layered, "v3", "numpy==1.26.1\n").await;
        save(&site, ("without-root", "v4"), &whole, "v4", "numpy==1.26.0\n").await;
        let first = build(&site, "without-root:v1", &[]).await;
        restrict(&site);

        let second = run(&site, "bento-image", "without-root:v2", &[]).await;
        assert_eq!(second.result("assembled"), "yes", "{}", second.log);
        assert_eq!(second.result("environment"), first.result("environment"));
        second.digest();

        let missing = run(&site, "bento-image", "without-root:v3", &[]).await;
        assert_eq!(missing.result("assembled"), "environment-missing", "{}", missing.log);
        assert!(missing.result("reason").contains("numpy"), "{missing:?}");
        let must_be_whole = run(&site, "bento-image", "without-root:v4", &[]).await;
        assert_eq!(must_be_whole.result("assembled"), "whole", "{}", must_be_whole.log);
        assert!(must_be_whole.result("reason").contains("cat src/serve.sh"), "{must_be_whole:?}");
        for refused in [missing, must_be_whole] {
            refused.assert_failed();
            assert!(refused.log.contains("bento-build"), "{}", refused.log);
            assert_eq!(refused.exit_codes, [3], "the answer is no");
        }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_namespace_that_enforces_restricted_releases_onto_an_environment_made_elsewhere() {
    in_namespace("elsewhere", async |site| {
        bento::save(&site, "elsewhere", "v1", Model::Good).await;
        // In another namespace, as a site does; here it is this one before it enforces the standard.
        let settings = [("environments", json!("registry.local:5000/environments"))];
        let image = repository(&site, "image");
        build::run(&site, "bento-build", "elsewhere:v1", &image, &settings).await.digest();
        restrict(&site);
        let patch =
            r#"[{"op": "replace", "path": "/spec/tasks/0/taskRef/name", "value": "bento-image"}]"#;
        site.kubectl(["patch", "pipeline", "canary-release", "--type=json", "-p", patch]).unwrap();

        let event = Event::requested("elsewhere-v1", "elsewhere", "v1");
        assert_eq!(site.send(&event, Mode::Structured).await.unwrap(), 202);
        let run = site.run_of("canary-release", &[]).await.unwrap();
        let reason = run.wait(LIMIT).await.unwrap();
        assert_eq!(reason, "Completed", "{}", run.describe().await.unwrap());
        let build = run.task("bento-build").await.unwrap().unwrap();
        assert_eq!(build.results["assembled"], "yes");
        // containerd has pulled a layer that is not compressed.
        let image = format!("{}/models/elsewhere", site.cluster.registry.pod);
        let pulled = pull(&site, &image, &build.results["IMAGE_DIGEST"]).await;
        assert_eq!(pulled.plain_layers().len(), 1);
        assert_serves(&site, "elsewhere", "v1").await;
    })
    .await;
}

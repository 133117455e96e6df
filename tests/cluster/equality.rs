//! An assembled image is the one that kaniko builds whole: the same tree and the same configuration, apart from what
//! tasks/bento-build/README.md lists.
//!
//! Both builds share kaniko's cache of layers, so that commands with another outcome each time (`date`, an index of
//! packages) have one, and the comparison can be exact.

use std::{collections::BTreeSet, fmt::Write as _};

use demo::{Notebook, ReleaseRequest, Site};
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};

use crate::{
    bentoml::Release,
    build::{self, Built, repository},
    namespace::in_namespace,
    pulled::{Node, Pulled, Tree, pull},
    release::LIMIT,
    stand_ins,
    task_run::task_run,
};

#[tokio::test]
#[ignore = "needs the cluster"]
async fn bentos_of_1_4_are_assembled_as_kaniko_builds_them() {
    are_assembled_as_kaniko_builds_them("1.4.39-python3.11", 8).await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn bentos_of_1_3_with_the_first_specification_are_assembled_as_kaniko_builds_them() {
    are_assembled_as_kaniko_builds_them("1.3.22-python3.11", 1).await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn bentos_of_1_1_are_assembled_as_kaniko_builds_them() {
    are_assembled_as_kaniko_builds_them("1.1.11-python3.9", 1).await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn bundles_of_0_13_are_assembled_as_kaniko_builds_them() {
    are_assembled_as_kaniko_builds_them("0.13.1-python3.7", 1).await;
}

async fn are_assembled_as_kaniko_builds_them(release: &str, bentos: usize) {
    let Some(made_by) = Release::find(release) else { return };
    let (number, _) = release.split_once('-').unwrap();
    in_namespace(&format!("equal-{}", number.replace('.', "-")), async |site| {
        let base = stand_ins::push(&site, "equality").await;
        let saved = made_by.save_bentos(&site, &base).await;
        assert_eq!(saved.len(), bentos, "{saved:?}");
        // Builds of two bentos at a time: they wait more than they compute.
        let compared = stream::iter(&saved).map(|bento| compare(&site, bento)).buffered(2);
        let compared: Vec<_> = compared.collect().await;
        let mut differences = String::new();
        for (bento, found) in saved.iter().zip(compared) {
            if !found.is_empty() {
                write!(differences, "{bento}\n{found}\n").unwrap();
            }
        }
        assert!(differences.is_empty(), "\n{differences}");
    })
    .await;
}

/// Builds a bento in both ways, and says how the images differ beyond what is allowed.
async fn compare(site: &Site, bento: &str) -> String {
    let name = bento.split(':').next().unwrap().to_lowercase();
    // Of this bento alone: its environment is not there yet, and its cache is beside it.
    let more = |way: &str| {
        let environments = repository(site, &format!("{name}/environments"));
        let whole = (way == "whole").to_string();
        let image = repository(site, &format!("{name}/{way}"));
        (image, [("environments", json!(environments)), ("whole", json!(whole))])
    };
    let (image, params) = more("layered");
    let layered = build::run(site, "bento-build", bento, &image, &params).await;
    let assembled = pulled(site, &image, &layered).await;
    assert!(layered.result("environment").contains("/environments@sha256:"), "{layered:?}");

    let (image, params) = more("whole");
    let whole = build::run(site, "bento-build", bento, &image, &params).await;
    let built = pulled(site, &image, &whole).await;
    assert_eq!(whole.result("assembled"), "whole", "{whole:?}");

    let mut differences = differing_paths(&assembled.tree, &built.tree);
    let [assembled, built] = [&assembled, &built].map(|image| told(&image.config));
    if assembled != built {
        write!(differences, "configuration\n  assembled {assembled}\n  kaniko's  {built}\n")
            .unwrap();
    }
    differences
}

async fn pulled(site: &Site, image: &str, built: &Built) -> Pulled {
    let pulled = pull(site, image, built.digest()).await;
    // A comparison of two images that hold no bento would find them equal.
    let holds = |name: &str| pulled.tree.keys().any(|path| path.ends_with(name));
    assert!(holds("entrypoint.sh") && holds("README.md"), "{:?}", pulled.tree.keys());
    assert!(!holds(".kanaria-environment"), "the marker is hidden");
    pulled
}

fn differing_paths(assembled: &Tree, built: &Tree) -> String {
    let mut differences = String::new();
    for path in assembled.keys().chain(built.keys()).collect::<BTreeSet<_>>() {
        let [ours, theirs] = [assembled, built].map(|tree| tree.get(path).map(compared));
        if ours != theirs {
            write!(differences, "{path}\n  assembled {ours:?}\n  kaniko's  {theirs:?}\n").unwrap();
        }
    }
    differences
}

/// kaniko leaves symbolic links to root, Docker to the user that the COPY names, as we do.
fn compared(node: &Node) -> Node {
    let owner = if node.kind == "symbolic link" { (0, 0) } else { node.owner };
    Node { owner, ..node.clone() }
}

/// A configuration without what each image has of its own.
fn told(config: &Value) -> Value {
    let mut config = config.clone();
    for own in ["created", "history", "rootfs"] {
        config.as_object_mut().unwrap().remove(own);
    }
    if let Some(labels) = config["config"]["Labels"].as_object_mut() {
        labels.retain(|name, _| {
            !name.starts_with("kanaria.dev/") && !name.starts_with("org.opencontainers.image.")
        });
        if labels.is_empty() {
            config["config"].as_object_mut().unwrap().remove("Labels");
        }
    }
    config
}

/// The demo's bento, on the real Python and with its real requirements.
#[tokio::test]
#[ignore = "needs the cluster"]
async fn both_images_of_the_iris_bento_give_the_same_answers() {
    in_namespace("same-answers", async |site| {
        let notebook = Notebook::prepare().await.unwrap();
        let asked =
            ReleaseRequest { service: "iris", version: "equal", model: "first", id: "iris-equal" };
        notebook.execute(&site, asked).await.unwrap();
        let run = site.run_of("canary-release", &[]).await.unwrap();
        let reason = run.wait(LIMIT).await.unwrap();
        assert_eq!(reason, "Completed", "{}", run.describe().await.unwrap());
        let assembled = run.task("bento-build").await.unwrap().unwrap();
        assert!(!assembled.results["environment"].is_empty(), "{assembled:?}");

        let image = repository(&site, "iris-whole");
        let whole = [("whole", json!("true"))];
        let whole = build::run(&site, "bento-build", "iris:equal", &image, &whole).await;
        let image = format!("{image}@{}", whole.digest());
        let params = [("service", "iris-whole"), ("image", &image)];
        let created =
            site.create(task_run("canary-create", "canary-releaser", &params)).await.unwrap();
        let created = site.task_run(&created.metadata.name.unwrap(), LIMIT).await.unwrap();
        assert_eq!(created.results["outcome"], "first", "{created:?}");

        for flower in [[5.1, 3.5, 1.4, 0.2], [5.9, 2.8, 4.3, 1.3], [6.6, 3.0, 5.6, 2.1]] {
            let [assembled, whole] =
                [answer(&site, "iris", flower).await, answer(&site, "iris-whole", flower).await];
            assert!(assembled.contains("species"), "{assembled}");
            assert_eq!(assembled, whole);
        }
    })
    .await;
}

async fn answer(site: &Site, service: &str, flower: [f64; 4]) -> String {
    let [sepal_length, sepal_width, petal_length, petal_width] = flower;
    let body = json!({ "sepal_length": sepal_length, "sepal_width": sepal_width,
        "petal_length": petal_length, "petal_width": petal_width });
    let request = reqwest::Client::new()
        .post(format!("{}/classify", site.cluster.gateway))
        .header("host", site.host(service).await.unwrap())
        .json(&body);
    request.send().await.unwrap().error_for_status().unwrap().text().await.unwrap()
}

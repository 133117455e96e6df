//! The image of a bento, where its environment is there.

use std::collections::BTreeSet;

use insta::assert_snapshot;
use serde_json::Value;

use crate::{
    run::{IMAGE, World},
    support::{
        bentos::{Bento, HOME, Item, model, noise},
        kaniko::ENVIRONMENTS,
        registry::digest,
    },
};

#[test]
fn the_image_has_what_a_builder_s_copy_would_have_made() {
    let bento = Bento::new("v1")
        .with("src/run.sh", Item::Program(b"#!/bin/sh\n".to_vec()))
        .with("src/latest", Item::Symlink("service.py".into()))
        .with("src/same.py", Item::HardLink("src/run.sh".into()))
        .with("src/empty", Item::Directory)
        .with("models/iris_svm/latest", Item::File(b"m1".to_vec()))
        .with("models/iris_svm/m1/best.pkl", Item::Symlink("saved_model.pkl".into()))
        .with("models/iris_svm/m1/run.sh", Item::Program(b"#!/bin/sh\n".to_vec()));
    let world = World::with_environment(&[&bento]);
    world.made("v1");
    world.assert_image(&bento);
}

#[test]
fn the_configuration_is_the_environment_s_with_the_bento_s_labels() {
    let world = World::with_environment(&[&Bento::new("v1")]);
    world.made("v1");
    let (key, mut wanted) = {
        let contents = world.registry.contents(ENVIRONMENTS);
        let tag = contents.tags.keys().next().unwrap().clone();
        assert!(tag.starts_with("b1-"));
        (tag[3..].to_owned(), world.registry.config(ENVIRONMENTS, &tag))
    };
    let mut found = world.registry.config(IMAGE, "v1");
    let manifest = world.registry.manifest(IMAGE, "v1");
    let sha256 = digest(world.archive("v1"))[7..].to_owned();
    assert_eq!(found["config"]["Labels"]["kanaria.dev/bento"], "iris:v1");
    assert_eq!(found["config"]["Labels"]["kanaria.dev/bento-sha256"], sha256.as_str());
    assert_eq!(found["config"]["Labels"]["kanaria.dev/environment"], key.as_str());
    assert_eq!(found["created"], "2026-11-10T06:00:00Z");
    for config in [&mut found, &mut wanted] {
        for member in ["created", "history", "rootfs"] {
            config.as_object_mut().unwrap().remove(member);
        }
        config["config"]["Labels"] = Value::Null;
    }
    assert_eq!(found, wanted);
    assert_eq!(manifest["annotations"]["kanaria.dev/environment"], {
        let environment = world.registry.tag(ENVIRONMENTS, &format!("e1-{key}")).unwrap();
        format!("{}/{ENVIRONMENTS}@{environment}", world.registry.host)
    });
    assert_eq!(manifest["annotations"]["org.opencontainers.image.base.name"], "python:3.11-slim");
}

#[test]
fn the_results_say_what_was_made() {
    let world = World::with_environment(&[&Bento::new("v1")]);
    let digest = world.made("v1");
    let plan = world.plan("v1");
    let environment = plan["environment"].as_str().unwrap();
    let (_, environment) = environment.split_once('@').unwrap();
    let results = world.results().replace(&digest, "[digest]").replace(environment, "[other]");
    let results = results.replace(&world.result("uploaded"), "[uploaded]"); // the registry's port is in it
    assert_snapshot!(results);
    let manifest = world.registry.manifest(IMAGE, "v1");
    let sizes = manifest["layers"].as_array().unwrap().iter().map(|it| it["size"].as_u64());
    assert_eq!(world.result("size"), sizes.flatten().sum::<u64>().to_string());
}

#[test]
fn the_same_again_has_the_same_digest_and_nothing_is_uploaded() {
    let bento = Bento::new("v1").models([model("iris_svm:m1", noise(1, 3 << 19))]);
    let world = World::with_environment(&[&bento]);
    let digest = world.made("v1");
    assert!(world.registry.bytes_sent(IMAGE) > 3 << 19);
    let again = world.assemble_with("v1", &["--rebuild"]).assert_code(0);
    assert_eq!(world.result("image-digest"), digest);
    assert_eq!(world.registry.bytes_sent(IMAGE), 0, "{}", again.stderr);
    assert_eq!(world.result("uploaded"), "0");
}

#[test]
fn the_bytes_that_are_reported_as_uploaded_are_those_that_were_sent() {
    let bento = Bento::new("v1").models([model("iris_svm:m1", noise(1, 3 << 19))]);
    let world = World::with_environment(&[&bento]);
    world.made("v1");
    let seen = world.registry.seen();
    let sent = seen.iter().filter(|it| it.line.contains(IMAGE) && !it.line.contains("m1-"));
    let sent: usize = sent.map(|it| it.bytes).sum();
    assert_eq!(world.result("uploaded"), sent.to_string(), "{seen:#?}");
}

#[test]
fn a_second_version_uploads_its_own_layers_alone() {
    let models = [model("iris_svm:m1", noise(1, 3 << 19)), model("scaler:s1", noise(2, 5_000))];
    let retrained = [model("iris_svm:m2", noise(3, 3 << 19)), models[1].clone()];
    let [one, two] = [Bento::new("v1").models(models), Bento::new("v2").models(retrained)];
    let world = World::with_environment(&[&one, &two]);
    world.made("v1");
    let before: BTreeSet<_> = world.registry.contents(IMAGE).blobs.into_keys().collect();
    world.registry.seen();
    world.made("v2");
    world.assert_image(&two);
    let contents = world.registry.contents(IMAGE);
    let fresh = contents.blobs.iter().filter(|(digest, _)| !before.contains(*digest));
    let fresh: Vec<_> = fresh.map(|(_, bytes)| bytes.len()).collect();
    assert_eq!(fresh.len(), 3, "the model, the code and the configuration: {fresh:?}");
    assert_eq!(world.registry.bytes_sent(IMAGE), fresh.iter().sum::<usize>());
}

#[test]
fn the_environment_s_layers_are_mounted_and_not_sent() {
    let world = World::with_environment(&[&Bento::new("v1"), &Bento::new("v2")]);
    let layers_read = || {
        let seen = world.registry.seen();
        let mut reads = seen.iter().map(|it| &it.line).filter(|it| it.starts_with("GET"));
        let name = format!("{ENVIRONMENTS}/blobs/");
        let digests: BTreeSet<_> =
            reads.by_ref().filter(|it| it.contains(&name)).cloned().collect();
        digests.len()
    };
    world.made("v1");
    assert_eq!(layers_read(), 1 + 4, "the configuration and all layers, once");
    world.made("v2");
    assert_eq!(layers_read(), 1 + 2, "from the top down to the one that has the marker");
    let from = world.registry.contents(ENVIRONMENTS);
    let here = world.registry.contents(IMAGE);
    let shared = from.blobs.keys().filter(|digest| here.blobs.contains_key(*digest)).count();
    assert_eq!(shared, 4);
}

#[test]
fn directories_that_the_bento_lacks_are_not_in_the_image() {
    let mut bento = Bento::new("v1").models([]);
    bento.without = vec!["apis"];
    let world = World::with_environment(&[&bento]);
    world.made("v1");
    world.assert_image(&bento);
    let tree = world.registry.tree(IMAGE, "v1");
    for lacking in ["apis", "models", ".kanaria-environment"] {
        assert!(!tree.nodes.contains_key(&format!("{HOME}/{lacking}")), "{lacking}");
    }
}

#[test]
fn a_bento_with_other_requirements_has_another_environment() {
    let [one, mut two] = [Bento::new("v1"), Bento::new("v2")];
    two.requirements = "bentoml==1.4.39\nnumpy==2.3.5\n";
    let world = World::with_environment(&[&one, &two]);
    world.made("v1");
    let ended = world.assemble("v2").assert_code(3);
    ended.assert_says("numpy 2.3.4 → 2.3.5");
    assert_snapshot!(ended.stderr);
    assert_eq!(world.registry.tag(IMAGE, "v2"), None);
    assert_snapshot!(world.results());
}

#[test]
fn a_moved_base_image_has_another_environment() {
    let world = World::with_environment(&[&Bento::new("v1")]);
    let before = world.plan("v1");
    let mut base = crate::support::kaniko::base_image();
    base.config["created"] = "2026-02-02T00:00:00Z".into();
    world.registry.put("library/python", "3.11-slim", &base);
    let after = world.plan("v1");
    assert_ne!(before["key"], after["key"]);
    assert!(before["environment"].is_string() && after["environment"].is_null());
}

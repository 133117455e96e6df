//! Bentos that have to be built whole, and which line decides.

use insta::assert_snapshot;

use crate::{
    run::World,
    support::bentos::{Bento, DOCKERFILE, Item},
};

/// A bento whose Dockerfile runs its setup script after all was copied.
pub(crate) fn with_setup_script(version: &'static str) -> Bento {
    let runs = "RUN ./env/docker/setup_script\nUSER bentoml";
    let bento =
        Bento::new(version).with("env/docker/setup_script", Item::Program(b"#!/bin/sh\n".to_vec()));
    Bento { dockerfile: DOCKERFILE.replace("USER bentoml", runs), ..bento }
}

#[test]
fn a_command_that_may_read_the_bento_decides() {
    let world = World::new(&[&with_setup_script("v1")]);
    let ended = world.assemble("v1").assert_code(3);
    assert_snapshot!(ended.stderr);
    assert_snapshot!(world.results());
    world.assert_nothing();
    let mut plan = world.command("plan", "v1");
    plan.arg("--output=text");
    assert_snapshot!(world.run(plan).assert_code(0).stdout);
}

#[test]
fn a_dockerignore_decides() {
    let bento = Bento::new("v1").with(".dockerignore", Item::File(b"src\n".to_vec()));
    let world = World::new(&[&bento]);
    let ended = world.assemble("v1").assert_code(3);
    ended.assert_says("`.dockerignore` keeps files of the bento out of the image");
    world.assert_nothing();
}

#[test]
fn a_dockerignore_that_comes_last_in_the_archive_decides_all_the_same() {
    let bento = Bento::new("v1").with(".dockerignore", Item::File(b"src\n".to_vec()));
    let mut items = bento.items();
    let at = items.iter().position(|(path, _)| path == ".dockerignore").unwrap();
    let last = items.remove(at);
    items.push(last);
    let plain = Bento::new("v2");
    let archives = [("v1", crate::support::bentos::pack(&items)), ("v2", plain.archive())];
    let world = World::with_archives(archives);
    world.build_environment(&plain);
    world.assemble("v1").assert_code(3).assert_says("`.dockerignore` keeps files");
    world.assert_nothing();
}

#[test]
fn a_base_image_with_triggers_decides() {
    let world = World::new(&[&Bento::new("v1")]);
    let mut base = crate::support::kaniko::base_image();
    base.config["config"]["OnBuild"] = serde_json::json!(["COPY . /onbuild"]);
    world.registry.put("library/python", "3.11-slim", &base);
    let ended = world.assemble("v1").assert_code(3);
    ended.assert_says("`python:3.11-slim` has ONBUILD instructions, which may read the bento");
    world.assert_nothing();
}

#[test]
fn a_base_image_that_nobody_has_decides() {
    let bento = Bento::new("v1");
    let world = World::new(&[]);
    let here = format!("{}/library/python:3.99", world.registry.host);
    let bento = Bento { dockerfile: bento.dockerfile.replace("python:3.11-slim", &here), ..bento };
    let world = World::at(world.registry, [("v1", bento.archive())]);
    let ended = world.assemble("v1").assert_code(3);
    ended.assert_says("is not in [registry]");
}

#[test]
fn what_is_no_bento_is_an_error() {
    use crate::support::bentos::pack;
    let world = World::with_archives([
        ("v1", pack(&vec![("hello.txt".into(), Item::File(b"hello".to_vec()))])),
        ("v2", b"hello".to_vec()),
    ]);
    world.assemble("v1").assert_code(1).assert_says("neither a `bento.yaml` nor a `bentoml.yml`");
    world.assemble("v2").assert_code(1);
    world.assemble("v3").assert_code(1);
    world.assert_nothing();
}

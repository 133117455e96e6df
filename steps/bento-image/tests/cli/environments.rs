//! Which environment is taken, and which is none.

use insta::assert_snapshot;

use crate::{
    run::{IMAGE, World},
    support::{
        bentos::{Bento, Item},
        kaniko::{Builds, ENVIRONMENTS, skeleton},
    },
};

fn key(world: &World, version: &str) -> String {
    world.plan(version)["key"].as_str().unwrap().to_owned()
}

/// An environment under a tag `PREFIX-KEY`, built then, whose label says so; gives its digest.
fn build(world: &World, bento: &Bento, prefix: &str, created: &str, label: &str) -> String {
    let key = key(world, bento.version);
    let builds = Builds { created: created.into(), ..Builds::new(&world.registry) };
    let tag = format!("{prefix}-{key}");
    builds.environment(&skeleton(&bento.items()), &key, label, &tag)
}

fn now() -> String {
    jiff::Timestamp::now().to_string()
}

/// So many hours ago.
fn ago(hours: i64) -> String {
    (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(hours)).to_string()
}

#[test]
fn without_an_environment_no_image_is_made_and_it_is_said_what_makes_one() {
    let world = World::new(&[&Bento::new("v1")]);
    let ended = world.assemble("v1").assert_code(3);
    assert_snapshot!(ended.stderr);
    assert_snapshot!(world.results());
    world.assert_nothing();
}

#[test]
fn one_that_is_too_old_counts_as_missing() {
    let bento = Bento::new("v1");
    let world = World::new(&[&bento]);
    build(&world, &bento, "e1", &ago(14 * 24 + 1), &key(&world, "v1"));
    let ended = world.assemble("v1").assert_code(3);
    ended.assert_says("its environment is 14 days old");
    assert_eq!(world.result("assembled"), "environment-missing");
    world.assemble_with("v1", &["--max-age=15d"]).assert_code(0);
}

#[test]
fn none_is_young_enough_for_a_maximal_age_of_zero_though_the_builder_s_clock_is_ahead() {
    let bento = Bento::new("v1");
    let world = World::new(&[&bento]);
    build(&world, &bento, "e1", &ago(-1), &key(&world, "v1"));
    world.assemble_with("v1", &["--max-age=0s"]).assert_code(3);
    world.assemble("v1").assert_code(0);
}

#[test]
fn one_without_a_date_counts_as_missing() {
    let bento = Bento::new("v1");
    let world = World::new(&[&bento]);
    build(&world, &bento, "e1", "yesterday", &key(&world, "v1"));
    world.assemble("v1").assert_code(3).assert_says("is of unknown age");
}

#[test]
fn one_whose_label_says_another_key_is_not_taken() {
    let bento = Bento::new("v1");
    let world = World::new(&[&bento]);
    build(&world, &bento, "e1", &now(), &"0".repeat(64));
    let ended = world.assemble("v1").assert_code(3);
    ended.assert_says("is not the environment of its key: its label says 0000");
    world.assert_nothing();
}

#[test]
fn one_that_kaniko_pushed_is_adopted_under_its_own_tag() {
    let bento = Bento::new("v1");
    let world = World::new(&[&bento]);
    let key = key(&world, "v1");
    let built = build(&world, &bento, "b1", &now(), &key);
    world.made("v1");
    let adopted = world.registry.tag(ENVIRONMENTS, &format!("e1-{key}")).unwrap();
    assert!(world.result("environment").ends_with(&adopted));
    let config = |version: &str| world.registry.config(ENVIRONMENTS, version);
    assert_eq!(config(&adopted), config(&built));
    // Another one that was built meanwhile changes nothing.
    build(&world, &bento, "b1", &ago(1), &key);
    world.assemble_with("v1", &["--rebuild"]).assert_code(0);
    assert!(world.result("environment").ends_with(&adopted));
}

#[test]
fn one_may_be_kept_anywhere() {
    let bento = Bento::new("v1");
    let world = World::with_environment(&[&bento]);
    let elsewhere = format!("--environments={}/shared/bases", world.registry.host);
    world.assemble_with("v1", &[&elsewhere]).assert_code(3);
    let moved = world.registry.contents(ENVIRONMENTS);
    world.registry.state().repositories.insert("shared/bases".into(), moved);
    world.assemble_with("v1", &[&elsewhere]).assert_code(0);
    assert!(world.result("environment").starts_with("[registry]/shared/bases@sha256:"));
}

#[test]
fn flags_for_kaniko_count_for_the_key() {
    let world = World::with_environment(&[&Bento::new("v1")]);
    let ended = world.assemble_with("v1", &["--", "--build-arg=PIP_INDEX_URL=x"]).assert_code(3);
    ended.assert_says("its environment is not there");
    world.assert_nothing();
    assert_eq!(world.registry.tag(IMAGE, "v1"), None);
}

#[test]
fn the_bento_goes_wherever_its_environment_has_it() {
    let bento = Bento::new("v1");
    let world = World::new(&[&bento]);
    let key = key(&world, "v1");
    let builds = Builds { home: "srv/bento", ..Builds::new(&world.registry) };
    builds.environment(&skeleton(&bento.items()), &key, &key, &format!("e1-{key}"));
    world.made("v1");
    assert!(world.registry.tree(IMAGE, "v1").nodes.contains_key("srv/bento/src/service.py"));
}

#[test]
fn a_bento_whose_place_is_taken_in_its_environment_has_to_be_built_whole() {
    let bento = Bento::new("v1");
    let world = World::new(&[&bento]);
    let key = key(&world, "v1");
    let mut items = skeleton(&bento.items());
    items.push(("src".into(), Item::Symlink("/data/src".into()))); // as a command may leave it
    Builds::new(&world.registry).environment(&items, &key, &key, &format!("e1-{key}"));
    let ended = world.assemble("v1").assert_code(3);
    ended.assert_says("it has to be built whole: ");
    ended.assert_says("src");
    assert_eq!(world.result("assembled"), "whole");
    world.assert_nothing();
}

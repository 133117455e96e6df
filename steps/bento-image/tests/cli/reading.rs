//! Archives of all kinds, whole, wrong and cut.

use crate::{
    archives::server::Answer,
    run::{IMAGE, World},
    support::{
        bentos::{Bento, Item, model, noise, pack},
        registry::digest,
    },
};

fn large(version: &'static str) -> Bento {
    Bento::new(version).models([model("iris_svm:m1", noise(1, 3 << 19))])
}

#[test]
fn the_order_of_the_archive_changes_nothing_of_the_image() {
    let bento = large("v1");
    let sorted = World::with_environment(&[&bento]);
    sorted.made("v1");
    let breadth_first = World::with_archives([("v1", bento.breadth_first())]);
    breadth_first.build_environment(&bento);
    breadth_first.made("v1");
    breadth_first.assert_image(&bento);
    assert_eq!(breadth_first.registry.tree(IMAGE, "v1"), sorted.registry.tree(IMAGE, "v1"));
}

#[test]
fn an_archive_whose_models_come_first_is_read_twice() {
    let bento = large("v1");
    let mut items = bento.items();
    items.sort_by_key(|(path, _)| !path.starts_with("models"));
    let world = World::with_archives([("v1", pack(&items))]);
    world.build_environment(&bento);
    let ended = world.assemble("v1").assert_code(0);
    ended.assert_says("reading it once more");
    world.assert_image(&bento);
}

#[test]
fn a_hard_link_to_a_model_that_its_environment_needs_has_the_model_hashed() {
    let weights = noise(1, 3 << 19);
    let path = "env/python/weights";
    let bento = large("v1").with(path, Item::File(weights));
    let mut items = bento.items();
    items.retain(|(other, _)| other != path);
    items.push((path.into(), Item::HardLink("models/iris_svm/m1/saved_model.pkl".into())));
    let world = World::with_archives([("v1", pack(&items))]);
    world.build_environment(&bento);
    let ended = world.assemble("v1").assert_code(0);
    ended.assert_says("its environment needs a hard link's file: reading it once more");
    world.assert_image(&bento);
}

#[test]
fn a_bento_that_is_larger_than_allowed_leaves_nothing() {
    let world = World::with_environment(&[&large("v1")]);
    let ended = world.assemble_with("v1", &["--max-size=1Mi"]).assert_code(1);
    ended.assert_says("hint: ");
    world.assert_nothing();
}

#[test]
fn a_store_that_takes_longer_than_allowed_leaves_nothing() {
    let mut world = World::with_environment(&[&large("v1")]);
    world.store_answers([Answer::StallAfter(1 << 20), Answer::StallAfter(1 << 10)]);
    let mut command = world.command_for("assemble", "v1", &format!("--image={}", world.image()));
    command.args(["--timeout=3s"]);
    world.run(command).assert_code(1);
    world.assert_nothing();
}

#[test]
fn code_that_is_too_large_for_memory_is_streamed() {
    let mut bento = large("v1");
    bento.service = noise(2, 9 << 20);
    let world = World::with_environment(&[&bento]);
    let digest = world.made("v1");
    world.assert_image(&bento);
    let patched = world.registry.seen();
    assert_eq!(patched.iter().filter(|it| it.line.starts_with("PATCH")).count(), 2);
    world.assemble_with("v1", &["--rebuild"]).assert_code(0);
    assert_eq!(world.result("image-digest"), digest);
}

#[test]
fn of_an_archive_with_another_sha_256_nothing_is_ever_visible() {
    for bento in [Bento::new("v1"), large("v1")] {
        let world = World::with_environment(&[&bento]);
        let ended = world.assemble_with("v1", &[&format!("--sha256={}", "0".repeat(64))]);
        ended.assert_code(1).assert_says("SHA-256");
        world.assert_nothing();
        let seen = world.registry.seen();
        let puts = seen.iter().filter(|it| it.line.starts_with(&format!("PUT /v2/{IMAGE}/")));
        assert_eq!(puts.count(), 0, "{seen:#?}");
    }
}

#[test]
fn an_archive_with_the_sha_256_that_was_given_is_taken() {
    let world = World::with_environment(&[&large("v1")]);
    let sha256 = digest(world.archive("v1"))[7..].to_owned();
    world.assemble_with("v1", &[&format!("--sha256={sha256}")]).assert_code(0);
    assert_eq!(world.result("sha256"), sha256);
}

#[test]
fn an_archive_that_is_cut_is_read_on_where_it_was_cut() {
    let bento = large("v1");
    let mut world = World::with_environment(&[&bento]);
    let digest = world.made("v1");
    let half = world.archive("v1").len() / 2;
    let stalls = Answer::StallAfter(half / 4);
    world.store_answers([Answer::CutAfter(half), stalls, Answer::CutAfter(10), Answer::Hangup]);
    world.registry.state().repositories.remove(IMAGE);
    assert_eq!(world.made("v1"), digest);
    world.assert_image(&bento);
    assert!(world.store.seen().iter().any(|line| line.contains("bytes=")));
}

#[test]
fn an_archive_that_ends_early_leaves_nothing() {
    let bento = large("v1");
    let whole = Bento { version: "v2", ..bento.clone() };
    let archive = bento.archive();
    let cut = archive[..archive.len() / 2].to_vec();
    let world = World::with_archives([("v1", cut), ("v2", whole.archive())]);
    world.build_environment(&whole);
    world.assemble("v1").assert_code(1);
    world.assert_nothing();
}

#[test]
fn another_bento_than_was_asked_for_leaves_nothing() {
    let bento = large("v1");
    let world = World::with_archives([("v1", bento.archive()), ("v2", bento.archive())]);
    world.build_environment(&bento);
    world.assemble("v2").assert_code(1).assert_says("iris:v1");
    world.assert_nothing();
}

#[test]
fn a_zip_has_to_be_built_whole() {
    let world = World::with_archives([("v1", Bento::new("v1").zip())]);
    let ended = world.assemble("v1").assert_code(3);
    ended.assert_says("is a zip, whose table of contents comes last");
    assert_eq!(world.result("assembled"), "whole");
    assert_eq!(world.plan("v1")["plan"], "whole");
    world.assert_nothing();
}

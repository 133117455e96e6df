//! What the tag of an image holds already.

use serde_json::json;

use crate::{
    run::{IMAGE, World},
    support::{
        bentos::{Bento, model, noise},
        kaniko::base_image,
        registry::{Fault, What, digest},
    },
};

#[test]
fn the_image_of_this_archive_is_taken_without_reading_the_archive() {
    let bento = Bento::new("v1").models([model("iris_svm:m1", noise(1, 3 << 19))]);
    let mut world = World::with_environment(&[&bento]);
    let wanted = world.made("v1");
    let results = world.results();
    let sha256 = format!("--sha256={}", &digest(world.archive("v1"))[7..]);
    world.store_answers([]);
    let ended = world.assemble_with("v1", &[&sha256]).assert_code(0);
    ended.assert_says("holds the image of this archive");
    assert_eq!(world.store.seen(), Vec::<String>::new());
    let uploaded = results.lines().find(|line| line.starts_with("uploaded")).unwrap();
    assert_eq!(world.results(), results.replace(uploaded, "uploaded: 0"));
    assert_eq!(world.result("image-digest"), wanted);

    world.assemble_with("v1", &[&sha256, "--rebuild"]).assert_code(0);
    assert_ne!(world.store.seen(), Vec::<String>::new());
}

#[test]
fn the_image_of_this_archive_is_taken_once_the_archive_was_read() {
    let world = World::with_environment(&[&Bento::new("v1")]);
    let wanted = world.made("v1");
    world.registry.seen();
    let ended = world.assemble("v1").assert_code(0);
    ended.assert_says("holds the image of this archive");
    assert_eq!(world.result("image-digest"), wanted);
    let seen = world.registry.seen();
    assert!(seen.iter().all(|it| !it.line.starts_with("PUT")), "{seen:#?}");
}

#[test]
fn an_image_that_was_built_whole_of_this_archive_is_taken_too() {
    let world = World::with_environment(&[&Bento::new("v1")]);
    let sha256 = digest(world.archive("v1"))[7..].to_owned();
    let mut image = base_image();
    image.config["config"]["Labels"] =
        json!({"kanaria.dev/bento-sha256": sha256, "kanaria.dev/bento": "iris:v1"});
    let wanted = world.registry.put(IMAGE, "v1", &image);
    world.assemble("v1").assert_code(0);
    assert_eq!(world.result("image-digest"), wanted);
    assert_eq!(
        (world.result("assembled"), world.result("environment")),
        ("whole".into(), String::new())
    );
}

#[test]
fn the_image_of_another_archive_is_replaced_and_that_is_said() {
    let labels = [json!({"kanaria.dev/bento-sha256": "00\u{1b}[2J"}), json!({}), json!(null)];
    for labels in labels {
        let world = World::with_environment(&[&Bento::new("v1")]);
        let mut image = base_image();
        image.config["config"]["Labels"] = labels;
        let held = world.registry.put(IMAGE, "v1", &image);
        let ended = world.assemble("v1").assert_code(0);
        ended.assert_says("[registry]/models/iris:v1 holds another image, ");
        assert!(!ended.stderr.contains('\u{1b}'));
        assert_ne!(world.registry.tag(IMAGE, "v1"), Some(held));
    }
}

#[test]
fn a_tag_that_nobody_tells_about_is_made_as_if_it_were_not_there() {
    let world = World::with_environment(&[&Bento::new("v1")]);
    world.registry.fails(Fault::new(
        "GET",
        "models/iris/manifests/v1",
        What::Answers(0, 404, Vec::new()),
    ));
    world.made("v1");
    let denied =
        || Fault::new("GET", "models/iris/manifests/v1", What::Answers(0, 403, Vec::new()));
    world.registry.fails(denied());
    let ended = world.assemble("v1").assert_code(0);
    ended.assert_says("failed to look for [registry]/models/iris:v1");
}

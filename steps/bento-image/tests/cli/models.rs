//! Layers of models: one each, the same in the next release, and never taken for another.

use crate::{
    run::{IMAGE, World},
    support::{
        bentos::{Bento, Item, model, noise},
        registry::{Fault, What},
    },
};

/// The digests and models of the image's layers.
fn layers(world: &World, version: &str) -> Vec<(String, Option<String>)> {
    let manifest = world.registry.manifest(IMAGE, version);
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let layers = manifest["layers"].as_array().unwrap().iter();
    layers
        .map(|layer| {
            (text(&layer["digest"]).unwrap(), text(&layer["annotations"]["kanaria.dev/model"]))
        })
        .collect()
}

fn own_models(world: &World, version: &str) -> Vec<String> {
    layers(world, version).into_iter().filter_map(|(_, model)| model).collect()
}

#[test]
fn an_unchanged_model_is_not_uploaded() {
    let models = [model("iris_svm:m1", noise(1, 3 << 19))];
    let [one, two] = ["v1", "v2"].map(|version| Bento::new(version).models(models.clone()));
    let world = World::with_environment(&[&one, &two]);
    world.made("v1");
    world.registry.seen();
    world.made("v2");
    assert!(world.registry.bytes_sent(IMAGE) < 5_000);
    assert_eq!(own_models(&world, "v2"), ["iris_svm:m1"]);
    world.assert_image(&two);
    let model = |version| layers(&world, version).into_iter().find(|(_, it)| it.is_some());
    assert_eq!(model("v1"), model("v2"));
}

#[test]
fn a_model_s_tag_that_was_used_again_for_another_content_is_uploaded() {
    for size in [10_000, 3 << 19] {
        let of = |seed| [model("iris_svm:m1", noise(seed, size))];
        let [one, two] = [Bento::new("v1").models(of(1)), Bento::new("v2").models(of(2))];
        let world = World::with_environment(&[&one, &two]);
        world.made("v1");
        let ended = world.assemble("v2").assert_code(0);
        ended.assert_says("reading it once more");
        world.assert_image(&two);
        world.assert_image(&one);
    }
}

#[test]
fn a_model_s_tag_that_must_not_change_is_no_reason_to_fail() {
    let of = |seed| [model("iris_svm:m1", noise(seed, 10_000))];
    let [one, two] = [Bento::new("v1").models(of(1)), Bento::new("v2").models(of(2))];
    let world = World::with_environment(&[&one, &two]);
    world.made("v1");
    world.registry.state().keeps_tags = true;
    let ended = world.assemble("v2").assert_code(0);
    ended.assert_says("failed to tag the image as the one of the model `iris_svm:m1`");
    world.assert_image(&two);
}

#[test]
fn a_model_that_the_registry_has_lost_is_brought_again() {
    let models = [model("iris_svm:m1", noise(1, 3 << 19))];
    let [one, two] = ["v1", "v2"].map(|version| Bento::new(version).models(models.clone()));
    let world = World::with_environment(&[&one, &two]);
    world.made("v1");
    let (lost, _) = layers(&world, "v1").into_iter().find(|(_, it)| it.is_some()).unwrap();
    // Its manifest is there, its blob is not: what is named was collected behind its back.
    world.registry.fails(Fault::new("PUT", "manifests/v2", What::Loses(vec![lost])));
    world.made("v2");
    world.assert_image(&two);
}

#[test]
fn two_models_have_a_layer_each_in_whichever_order_their_files_come() {
    let models = [model("iris_svm:m1", noise(1, 3 << 19)), model("scaler:s1", noise(2, 3 << 19))];
    let bento = Bento::new("v1").models(models);
    let mut items = bento.items();
    // Each file of the one after a file of the other.
    items.sort_by_key(|(path, _)| {
        (path.starts_with("models"), path.rsplit('/').next().map(str::to_owned))
    });
    let interleaved = crate::support::bentos::pack(&items);
    let plain = World::with_environment(&[&bento]);
    plain.made("v1");
    let world = World::with_archives([("v1", interleaved)]);
    world.build_environment(&bento);
    world.made("v1");
    world.assert_image(&bento);
    assert_eq!(own_models(&world, "v1"), ["iris_svm:m1", "scaler:s1"]);
    world.assemble_with("v1", &["--rebuild"]).assert_code(0);
}

#[test]
fn the_ninth_model_and_those_after_it_are_in_the_layer_of_the_rest() {
    const TAGS: [&str; 9] = ["a:1", "b:1", "c:1", "d:1", "e:1", "f:1", "g:1", "h:1", "i:1"];
    let models = TAGS.iter().zip(1..).map(|(tag, seed)| model(tag, noise(seed, 20_000)));
    let bento = Bento::new("v1").models(models);
    let world = World::with_environment(&[&bento]);
    world.made("v1");
    world.assert_image(&bento);
    assert_eq!(own_models(&world, "v1"), TAGS[..8]);
}

#[test]
fn a_bento_without_models_is_one_layer() {
    let bento = Bento::new("v1").models([]);
    let world = World::with_environment(&[&bento]);
    world.made("v1");
    world.assert_image(&bento);
    assert_eq!(layers(&world, "v1").len(), 4 + 1);
}

#[test]
fn a_model_whose_time_is_only_in_its_own_description_has_the_same_layer_in_the_next_release() {
    let models = |says| {
        let mut model = model("iris_svm:m1", noise(1, 3 << 19));
        (model.created, model.says) = ("", says);
        [model]
    };
    let said = "2026-11-19T05:00:00+00:00";
    let [one, two] = ["v1", "v2"].map(|version| Bento::new(version).models(models(said)));
    let world = World::with_environment(&[&one, &two]);
    world.made("v1");
    world.registry.seen();
    world.made("v2");
    assert!(world.registry.bytes_sent(IMAGE) < 5_000);
    world.assert_image(&two);

    // Nowhere: all is read once to know.
    let unsaid = Bento::new("v1").models(models(""));
    let world = World::with_environment(&[&unsaid]);
    world.made("v1");
    world.assert_image(&unsaid);
}

#[test]
fn a_file_that_two_layers_share_by_a_hard_link_is_in_both() {
    let weights = "models/iris_svm/m1/saved_model.pkl";
    let bento = Bento::new("v1")
        .models([model("iris_svm:m1", noise(1, 3 << 19)), model("scaler:s1", noise(2, 9_000))])
        .with("models/scaler/s1/twin.pkl", Item::HardLink(weights.into()))
        .with("src/twin.pkl", Item::HardLink(weights.into()));
    let world = World::with_environment(&[&bento]);
    let ended = world.assemble("v1").assert_code(0);
    ended.assert_says("a hard link to `models/iris_svm/m1/saved_model.pkl`, lies in another layer: reading it once more");
    world.assert_image(&bento);
    let digest = world.result("image-digest");
    world.assemble_with("v1", &["--rebuild"]).assert_code(0);
    assert_eq!(world.result("image-digest"), digest);
}

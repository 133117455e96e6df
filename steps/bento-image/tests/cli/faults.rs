//! Registries that fail in the middle: the image is the same in the end.

use insta::assert_snapshot;

use crate::{
    run::{IMAGE, World},
    support::{
        bentos::{Bento, model, noise},
        kaniko::ENVIRONMENTS,
        registry::{Fault, Guard, Mounts, What},
    },
};

/// With a model that is streamed.
fn bento() -> Bento {
    Bento::new("v1").models([model("iris_svm:m1", noise(1, 3 << 19))])
}

/// The same image in spite of a fault as without it; gives what was said.
#[track_caller]
fn survives(fault: Fault) -> String {
    let bento = bento();
    let world = World::with_environment(&[&bento]);
    let wanted = world.made("v1");
    world.registry.state().repositories.remove(IMAGE);
    world.registry.fails(fault);
    let ended = world.assemble("v1").assert_code(0);
    assert!(world.registry.state().faults.is_empty(), "nothing went wrong");
    assert_eq!(world.result("image-digest"), wanted);
    assert_eq!(world.registry.tag(IMAGE, "v1"), Some(wanted));
    world.assert_image(&bento);
    ended.stderr
}

fn busy(after: usize, status: u16) -> What {
    What::Answers(after, status, vec![("Retry-After", "1".into())])
}

#[test]
fn a_registry_that_is_busy_for_a_moment_is_asked_again_at_each_kind_of_request() {
    // Each in a world of its own would take a minute: here one after the other, in one run.
    let bento = bento();
    let world = World::with_environment(&[&bento]);
    let wanted = world.made("v1");
    for status in [429, 503] {
        world.registry.state().repositories.remove(IMAGE);
        for (method, path) in [
            ("HEAD", "library/python/manifests/"),
            ("GET", "models/environments/manifests/"),
            ("GET", "models/environments/blobs/"),
            ("HEAD", "models/iris/manifests/"),
            ("HEAD", "models/iris/blobs/"),
            ("POST", "models/iris/blobs/uploads/"),
            ("PUT", "models/iris/blobs/uploads/"),
            ("PUT", "models/iris/manifests/v1"),
        ] {
            world.registry.fails(Fault::new(method, path, busy(0, status)));
        }
        world.assemble("v1").assert_code(0);
        assert!(world.registry.state().faults.is_empty());
        assert_eq!(world.result("image-digest"), wanted);
        world.assert_image(&bento);
    }
}

#[test]
fn a_model_is_sent_again_from_the_store_after_a_registry_that_was_busy_in_its_middle() {
    for status in [429, 500] {
        let said = survives(Fault::new("PATCH", IMAGE, busy(1 << 20, status)));
        assert!(said.contains("reading the archive again in 1s"), "{said}");
    }
}

#[test]
fn a_connection_that_is_cut_in_the_middle_of_a_model_begins_again() {
    let said = survives(Fault::new("PATCH", IMAGE, What::Cut(1 << 20)));
    assert!(said.contains("warning: [registry]: "), "{said}");
}

#[test]
fn a_registry_that_dies_and_comes_back_gets_the_model_again() {
    survives(Fault::new("PATCH", IMAGE, What::Dies(1 << 20, 6)));
}

#[test]
fn an_answer_that_gets_lost_does_no_harm() {
    survives(Fault::new("PUT", "models/iris/blobs/uploads/", What::AnswerLost));
    survives(Fault::new("PATCH", "models/iris/blobs/uploads/", What::AnswerLost));
    survives(Fault::new("PUT", "models/iris/manifests/v1", What::AnswerLost));
}

#[test]
fn an_environment_s_layer_that_is_cut_while_it_is_read_is_read_again() {
    survives(Fault::new("GET", "models/environments/blobs/", What::Cut(0)).after(1));
}

#[test]
fn what_was_collected_before_the_manifest_came_is_brought_again() {
    survives(Fault::new("PUT", "models/iris/manifests/v1", What::Collects));
}

#[test]
fn a_layer_of_the_environment_that_is_collected_is_mounted_again() {
    let world = World::with_environment(&[&bento()]);
    let digest = world.made("v1");
    world.registry.state().repositories.remove(IMAGE);
    world.registry.fails(Fault::new("PUT", "models/iris/manifests/v1", What::Collects));
    assert_eq!(world.made("v1"), digest);
    let mounted = world.registry.contents(IMAGE).blobs.len();
    assert_eq!(mounted, 4 + 2 + 1, "the environment's, ours and the configuration");
}

#[test]
fn a_registry_that_stays_away_fails_the_step_and_leaves_no_tag() {
    let world = World::with_environment(&[&bento()]);
    world.registry.fails(Fault::new("PATCH", IMAGE, What::Dies(1 << 20, usize::MAX)));
    let mut command = world.command("assemble", "v1");
    command.arg("--timeout=4s");
    let ended = world.run(command).assert_code(1);
    ended.assert_says("failed to make [registry]/models/iris:v1");
    ended.assert_says("hint: ");
    assert_eq!(world.registry.tag(IMAGE, "v1"), None);
}

#[test]
fn mounts_that_are_refused_become_copies() {
    for mounts in [Mounts::AskForBytes, Mounts::Deny] {
        let bento = bento();
        let world = World::with_environment(&[&bento]);
        let wanted = world.made("v1");
        world.registry.state().repositories.remove(IMAGE);
        world.registry.state().mounts = mounts;
        assert_eq!(world.made("v1"), wanted);
        world.assert_image(&bento);
        let left = world.registry.state().sessions.len();
        assert_eq!(left, 0, "no upload is left open");
    }
}

#[test]
fn tokens_that_expire_in_the_middle_of_an_upload_are_renewed() {
    let bento = bento();
    for (method, path, after) in [
        ("PATCH", "models/iris/blobs/uploads/", 1 << 20),
        ("PUT", "models/iris/blobs/uploads/", 0),
        ("POST", "models/iris/blobs/uploads/", 0),
        ("PUT", "models/iris/manifests/v1", 0),
    ] {
        let world = World::with_environment(&[&bento]);
        let wanted = world.made("v1");
        world.registry.state().repositories.remove(IMAGE);
        world.registry.state().guard = Guard::Tokens("puller", "s3cr3t");
        crate::credentials::log_in(&world, &world.registry.host, "puller", "s3cr3t");
        world.registry.fails(Fault::new(method, path, What::TokensExpire(after)));
        world.assemble_with("v1", &["--registry-auth=auth"]).assert_code(0);
        assert!(world.registry.state().faults.is_empty());
        assert_eq!(world.result("image-digest"), wanted);
        world.registry.state().guard = Guard::Nobody;
        world.assert_image(&bento);
    }
}

#[test]
fn a_tag_that_must_not_change_is_a_clear_error() {
    let [one, two] = [bento(), Bento { service: b"OTHER = 1\n".to_vec(), ..bento() }];
    let world = World::with_archives([("v1", one.archive()), ("v2", two.archive())]);
    world.build_environment(&one);
    let held = world.made("v1");
    world.registry.state().keeps_tags = true;

    // The same once more is none.
    world.assemble_with("v1", &["--rebuild"]).assert_code(0);

    let other = World::at_registry_of(world, [("v1", two.archive())]);
    let ended = other.assemble("v1").assert_code(1);
    ended.assert_says("hint: the tag holds the image of another archive and must not change: release another version");
    assert_snapshot!(said_without_digest(&ended.stderr));
    assert_eq!(other.registry.tag(IMAGE, "v1"), Some(held));
}

#[test]
fn an_environment_that_vanishes_while_it_is_used_counts_as_missing() {
    let world = World::with_environment(&[&bento()]);
    let layers: Vec<_> = world.registry.contents(ENVIRONMENTS).blobs.into_keys().collect();
    let gone = Fault::new("GET", "models/environments/blobs/", What::Loses(layers)).after(1);
    world.registry.fails(gone);
    let ended = world.assemble("v1").assert_code(3);
    ended.assert_says("lacks one of its layers: it counts as missing");
    world.assert_nothing();
}

/// Without what depends on the port of the registry.
fn said_without_digest(said: &str) -> String {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_hexdigit).count();
    let mut parts = said.split("sha256:");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| all + "[digest]" + &part[digits(part)..])
}

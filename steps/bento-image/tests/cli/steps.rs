//! The three steps of a build: prepare, build, finish.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::{
    run::{Ended, IMAGE, World, command},
    support::{
        bentos::{Bento, model, noise},
        kaniko::{Builds, ENVIRONMENTS},
        registry::{Fault, What},
    },
    whole::with_setup_script,
};

pub(crate) fn prepare(world: &World, version: &str, more: &[&str]) -> Ended {
    let mut command = world.command("prepare", version);
    world.run({
        command.arg("--into=work").args(more);
        command
    })
}

/// Builds with an executor that kaniko's part is played after.
pub(crate) fn played(world: &World) -> String {
    let digest = Builds::new(&world.registry).build(&world.file("work"));
    fs::write(world.file("digest"), format!("{digest}\n")).unwrap();
    digest
}

pub(crate) fn finishing(world: &World, version: &str) -> Command {
    let mut command = world.command("finish", version);
    let [work, digest] = ["work", "digest"].map(|name| world.file(name).display().to_string());
    command.args([format!("--from={work}"), format!("--digest-file={digest}")]);
    command
}

/// An executor that writes its arguments, and ends with a code.
fn executor(world: &World, code: i32) -> String {
    let path = world.file("executor");
    let script = format!("#!/bin/sh\nfor word; do echo \"$word\" >&2; done\nexit {code}\n");
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    format!("--executor={}", path.display())
}

fn build(world: &World, executor: &str) -> Ended {
    let mut command = command();
    command.current_dir(world.home.path());
    command.args(["build", "--from=work", "--digest-file=pushed/digest", executor]);
    command.args(["--", "--snapshot-mode=full", "--cache=true"]);
    world.run(command)
}

/// Without the time at which it was written.
fn prepared(world: &World) -> Value {
    let text = fs::read(world.file("work/prepared.json")).unwrap();
    let mut prepared: Value = serde_json::from_slice(&text).unwrap();
    if let Some(labels) = prepared.pointer_mut("/environment/build/labels") {
        let labels = labels.as_array_mut().unwrap();
        labels.retain(|label| !label.as_str().unwrap().starts_with(BUILT));
    }
    prepared
}

const BUILT: &str = "kanaria.dev/built=";

/// All below a folder, without what is in the files.
fn listed(folder: &Path) -> String {
    let output = Command::new("find")
        .current_dir(folder)
        .args(["-mindepth", "1", "-printf", "%P %y %m\\n"])
        .output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

#[test]
fn a_first_release_has_its_environment_built_and_the_second_none() {
    let models = [model("iris_svm:m1", noise(1, 3 << 19))];
    let [one, two] = ["v1", "v2"].map(|version| Bento::new(version).models(models.clone()));
    let world = World::new(&[&one, &two]);
    prepare(&world, "v1", &[]).assert_code(0).assert_says("kaniko builds it, once");
    assert_eq!(world.result("assembled"), "environment-missing");
    played(&world);
    let ended = world.run(finishing(&world, "v1")).assert_code(0);
    assert_eq!(world.result("assembled"), "environment-missing", "{}", ended.stderr);
    assert!(world.result("environment").starts_with("[registry]/models/environments@sha256:"));
    assert_eq!(world.registry.tag(IMAGE, "v1"), Some(world.result("image-digest")));
    world.assert_image(&one);

    world.assemble("v2").assert_code(0);
    world.assert_image(&two);
    fs::remove_dir_all(world.file("work")).unwrap();
    prepare(&world, "v2", &[]).assert_code(0);
    assert!(prepared(&world)["made"].is_object());
    build(&world, "--executor=/nonexistent")
        .assert_code(0)
        .assert_says("there is nothing to build");
    let digest = world.result("image-digest");
    world.run(finishing(&world, "v2")).assert_code(0);
    assert_eq!(world.result("image-digest"), digest);
}

#[test]
fn what_kaniko_gets_is_the_skeleton_and_a_base_by_digest() {
    let world = World::new(&[&Bento::new("v1")]);
    prepare(&world, "v1", &["--", "--build-arg=A=b"]).assert_code(0);
    assert_snapshot!(listed(&world.file("work/context")));
    let key = fs::read_to_string(world.file("work/context/.kanaria-environment")).unwrap();
    let dockerfile = fs::read_to_string(world.file("work/Dockerfile")).unwrap();
    let base = world.registry.tag("library/python", "3.11-slim").unwrap();
    assert_eq!(
        dockerfile,
        Bento::new("v1").dockerfile.replace("python:3.11-slim", &format!("python@{base}"))
    );
    let home = world.file("work").display().to_string();
    let wanted = json!({
        "context": format!("{home}/context"), "dockerfile": format!("{home}/Dockerfile"),
        "destination": format!("{}/{ENVIRONMENTS}:b1-{key}", world.registry.host),
        "labels": [format!("kanaria.dev/environment={key}")],
        "registry_mirror": world.registry.host, "flags": ["--build-arg=A=b"],
        "caching": [
            format!("--cache-repo={}/{ENVIRONMENTS}/cache", world.registry.host),
            "--cache-ttl=336h",
        ],
    });
    assert_eq!(prepared(&world)["environment"]["build"], wanted);
    assert!(world.file("work/bento-image").metadata().unwrap().permissions().mode() & 0o111 != 0);
}

#[test]
fn the_certificates_of_the_site_come_into_the_dockerfile_s_commands() {
    let world = World::new(&[&Bento::new("v1")]);
    fs::create_dir(world.file("ca")).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(["site.example".to_owned()]).unwrap();
    fs::write(world.file("ca/ca.crt"), params.self_signed(&key).unwrap().pem()).unwrap();
    prepare(&world, "v1", &["--build-credentials=ca"]).assert_code(0);
    let built = prepared(&world)["environment"]["build"]["dockerfile"].clone();
    let dockerfile = fs::read_to_string(built.as_str().unwrap()).unwrap();
    assert_ne!(dockerfile, fs::read_to_string(world.file("work/Dockerfile")).unwrap());
}

#[test]
fn an_environment_is_built_anew_without_a_cache_where_that_is_wanted() {
    let bento = Bento::new("v1");
    let world = World::with_environment(&[&bento]);
    world.made("v1");
    let before = world.result("environment");
    prepare(&world, "v1", &["--rebuild"]).assert_code(0);
    let build = prepared(&world)["environment"]["build"].clone();
    assert_eq!(build["caching"].as_array().unwrap().last().unwrap(), "--cache=false");
    played(&world);
    let mut finish = finishing(&world, "v1");
    finish.arg("--rebuild");
    world.run(finish).assert_code(0);
    assert_eq!(world.result("assembled"), "environment-missing");
    assert_ne!(world.result("environment"), before);
    // All who come later have the new one.
    let after = world.result("environment");
    world.assemble_with("v1", &["--rebuild"]).assert_code(0);
    assert_eq!(world.result("environment"), after);
    world.assert_image(&bento);
}

#[test]
fn kaniko_is_run_with_what_it_is_to_build() {
    let world = World::new(&[&Bento::new("v1")]);
    prepare(&world, "v1", &["--", "--build-arg=A=b"]).assert_code(0);
    let ended = build(&world, &executor(&world, 0)).assert_code(0);
    let key = fs::read_to_string(world.file("work/context/.kanaria-environment")).unwrap();
    let said = ended.stderr.replace(&key, "[key]");
    let lines = said.lines().filter(|line| !line.contains(BUILT));
    assert_snapshot!(lines.collect::<Vec<_>>().join("\n"));
    assert!(world.file("pushed").is_dir());
}

#[test]
fn the_code_that_kaniko_ends_with_is_the_step_s() {
    let world = World::new(&[&Bento::new("v1")]);
    prepare(&world, "v1", &[]).assert_code(0);
    for code in [1, 17] {
        build(&world, &executor(&world, code)).assert_code(code);
    }
    let ended = build(&world, "--executor=/nonexistent").assert_code(1);
    ended.assert_says("hint: this step runs in kaniko's image, as root");
}

#[test]
fn without_what_prepare_leaves_the_next_steps_say_so() {
    let world = World::new(&[&Bento::new("v1")]);
    let told = [build(&world, "--executor=x"), world.run(finishing(&world, "v1"))];
    assert_snapshot!(told.map(|ended| ended.assert_code(1).stderr).join("\n"));
    prepare(&world, "v1", &[]).assert_code(0);
    let ended = world.run(finishing(&world, "v1")).assert_code(1);
    ended.assert_says("hint: did kaniko end before it pushed? Its log says why");
}

#[test]
fn an_environment_that_is_gone_before_it_is_used_is_an_error() {
    let world = World::new(&[&Bento::new("v1")]);
    prepare(&world, "v1", &[]).assert_code(0);
    played(&world);
    world.registry.state().repositories.remove(ENVIRONMENTS);
    let ended = world.run(finishing(&world, "v1")).assert_code(1);
    ended.assert_says("failed to find the environment that was built");
    world.assert_nothing();
}

#[test]
fn an_environment_that_was_just_built_is_taken_whatever_its_date_says() {
    let world = World::new(&[&Bento::new("v1")]);
    prepare(&world, "v1", &[]).assert_code(0);
    let builds = Builds { created: "1970-01-01T00:00:00Z".into(), ..Builds::new(&world.registry) };
    let digest = builds.build(&world.file("work"));
    fs::write(world.file("digest"), digest).unwrap();
    world.run(finishing(&world, "v1")).assert_code(0);
    assert_eq!(world.result("assembled"), "environment-missing");
}

#[test]
fn the_base_image_that_was_prepared_with_counts_though_its_tag_has_moved_since() {
    let bento = Bento::new("v1");
    let world = World::new(&[&bento]);
    prepare(&world, "v1", &[]).assert_code(0);
    played(&world);
    let mut base = crate::support::kaniko::base_image();
    base.config["created"] = "2026-02-02T00:00:00Z".into();
    world.registry.put("library/python", "3.11-slim", &base);
    world.run(finishing(&world, "v1")).assert_code(0);
    assert_eq!(world.result("assembled"), "environment-missing");
}

#[test]
fn an_archive_that_is_another_one_after_the_build_leaves_no_image() {
    let [one, two] = [Bento::new("v1"), Bento { service: b"X = 1\n".to_vec(), ..Bento::new("v1") }];
    let world = World::new(&[&one]);
    prepare(&world, "v1", &[]).assert_code(0);
    played(&world);
    let home = world.home;
    let moved = World { home, ..World::at(world.registry, [("v1", two.archive())]) };
    moved.run(finishing(&moved, "v1")).assert_code(1).assert_says("SHA-256");
    moved.assert_nothing();
}

#[test]
fn a_bento_that_is_built_whole_is_laid_out_whole_and_taken_over() {
    let bento = with_setup_script("v1");
    let world = World::new(&[&bento]);
    let ended = prepare(&world, "v1", &[]).assert_code(0);
    ended.assert_says(
        "kaniko builds it whole: env/docker/Dockerfile:15: `RUN ./env/docker/setup_script`",
    );
    assert_snapshot!(listed(&world.file("work/context")));
    assert_eq!(world.result("assembled"), "whole");
    let build = &prepared(&world)["whole"]["build"];
    assert_eq!(build["destination"], format!("{}:v1", world.image()).as_str());
    assert_eq!(build["labels"].as_array().unwrap().len(), 2);
    let digest = played(&world);
    world.run(finishing(&world, "v1")).assert_code(0);
    assert_eq!(world.result("image-digest"), digest);
    assert_snapshot!(world.results().replace(&digest, "[digest]"));

    // The same again has nothing to build.
    fs::remove_dir_all(world.file("work")).unwrap();
    prepare(&world, "v1", &[]).assert_code(0);
    assert_eq!(prepared(&world)["made"]["digest"], digest.as_str());
}

#[test]
fn a_bento_that_layers_would_do_for_is_built_whole_where_that_is_wanted() {
    let world = World::with_environment(&[&Bento::new("v1")]);
    prepare(&world, "v1", &["--whole"]).assert_code(0);
    assert!(prepared(&world)["whole"].is_object());
}

#[test]
fn a_whole_image_that_the_registry_has_not_is_never_reported() {
    let world = World::new(&[&with_setup_script("v1")]);
    prepare(&world, "v1", &[]).assert_code(0);
    fs::write(world.file("digest"), format!("sha256:{}", "0".repeat(64))).unwrap();
    let ended = world.run(finishing(&world, "v1")).assert_code(1);
    assert_snapshot!(ended.stderr);
    assert!(!world.file("result.image-digest").exists());
}

#[test]
fn a_registry_that_does_not_tell_leaves_kaniko_s_word() {
    let world = World::new(&[&with_setup_script("v1")]);
    prepare(&world, "v1", &[]).assert_code(0);
    let digest = played(&world);
    let denied = What::Answers(0, 403, Vec::new());
    world.registry.fails(Fault::new("GET", "models/iris/manifests/sha256:", denied));
    let ended = world.run(finishing(&world, "v1")).assert_code(0);
    ended.assert_says("failed to ask for [registry]/models/iris:v1 by its digest");
    assert_eq!(world.result("image-digest"), digest);
}

#[test]
fn preparing_once_more_prepares_the_same() {
    for bento in [Bento::new("v1"), with_setup_script("v1")] {
        let world = World::new(&[&bento]);
        prepare(&world, "v1", &[]).assert_code(0);
        let first = (prepared(&world), listed(&world.file("work")));
        prepare(&world, "v1", &[]).assert_code(0);
        assert_eq!((prepared(&world), listed(&world.file("work"))), first);
    }
}

#[test]
fn two_that_finish_at_once_end_with_one_digest() {
    let bento = Bento::new("v1").models([model("iris_svm:m1", noise(1, 3 << 19))]);
    let world = World::new(&[&bento]);
    prepare(&world, "v1", &[]).assert_code(0);
    played(&world);
    let running = ["one", "other"].map(|name| {
        fs::create_dir(world.file(name)).unwrap();
        let mut command = finishing(&world, "v1");
        command.current_dir(world.file(name)).env("RUST_LOG", "off");
        command.spawn().unwrap()
    });
    for mut child in running {
        assert!(child.wait().unwrap().success());
    }
    let digests = ["one", "other"]
        .map(|name| fs::read_to_string(world.file(name).join("result.image-digest")).unwrap());
    assert_eq!(digests[0], digests[1]);
    assert_eq!(world.registry.tag(IMAGE, "v1").as_ref(), Some(&digests[0]));
    world.assert_image(&bento);
}

//! Steps that are ended at any moment, and run again.

use std::{
    process::{Child, Stdio},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    archives::server::Answer,
    run::{IMAGE, World},
    support::{
        bentos::{Bento, model, noise},
        registry::{Fault, What},
    },
};

fn large() -> Bento {
    Bento::new("v1").models([model("iris_svm:m1", noise(1, 3 << 19))])
}

/// Assembles until the registry has seen a request whose line has this in it, so many times.
fn until(world: &World, line: &str, times: usize) -> Child {
    world.registry.seen();
    let mut command = world.command("assemble", "v1");
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let is_there = || {
        let state = world.registry.state();
        state.seen.iter().filter(|seen| seen.line.contains(line)).count() >= times
    };
    while !is_there() && child.try_wait().unwrap().is_none() {
        thread::sleep(Duration::from_millis(1));
    }
    child
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

#[test]
fn a_step_that_is_stopped_in_the_middle_ends_with_143_and_leaves_no_tag() {
    let mut world = World::with_environment(&[&large()]);
    world.store_answers([Answer::Slow]);
    let child = until(&world, "POST /v2/models/iris/blobs/uploads/", 1);
    kill_process(pid(&child), Signal::TERM).unwrap();
    let ended = world.ended(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(143), "{}", ended.stderr);
    assert_eq!(world.registry.contents(IMAGE).tags.len(), 0);
    assert!(!world.file("result.image-digest").exists());
    world.made("v1");
}

#[test]
fn a_step_that_is_stopped_while_it_waits_for_a_registry_ends_at_once() {
    let world = World::with_environment(&[&large()]);
    let busy = vec![("Retry-After", "50".to_owned())];
    world.registry.fails(Fault::new("PATCH", IMAGE, What::Answers(1 << 20, 503, busy)));
    let child = until(&world, "PATCH", 1);
    thread::sleep(Duration::from_millis(300));
    kill_process(pid(&child), Signal::TERM).unwrap();
    let ended = world.ended(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(143), "{}", ended.stderr);
}

#[test]
fn a_step_that_is_killed_at_any_moment_and_run_again_makes_the_same_image() {
    let bento = large();
    let mut world = World::with_environment(&[&bento]);
    let wanted = world.made("v1");
    for (line, times) in [
        ("HEAD /v2/library/python", 1),
        ("GET /v2/models/environments/manifests", 1),
        ("GET /v2/models/environments/blobs", 2),
        ("POST /v2/models/iris/blobs/uploads/", 1),
        ("PATCH /v2/models/iris/blobs/uploads/", 1),
        ("PUT /v2/models/iris/blobs/uploads/", 1),
        ("PUT /v2/models/iris/blobs/uploads/", 2),
        ("HEAD /v2/models/iris/manifests/", 1),
        ("PUT /v2/models/iris/manifests/v1", 1),
        ("PUT /v2/models/iris/manifests/m1-", 1),
    ] {
        world.registry.state().repositories.remove(IMAGE);
        world.store_answers([Answer::Slow]);
        let child = until(&world, line, times);
        let _ = kill_process(pid(&child), Signal::KILL);
        child.wait_with_output().unwrap();
        world.assemble("v1").assert_code(0);
        assert_eq!(world.result("image-digest"), wanted, "killed at {line}");
        assert_eq!(world.registry.tag(IMAGE, "v1").as_ref(), Some(&wanted));
        world.assert_image(&bento);
    }
}

//! What lies at the destination, and beside it, however a run ends.

use std::{fs, process::Command};

use assert_cmd::cargo::cargo_bin;

use crate::{
    run::{KEY, served, sha256sum},
    support::{bento, listing, server::Answer},
};

#[test]
fn a_bento_is_unpacked_and_its_results_are_exact() {
    let run = served([]);
    let ended = run.retrieve();
    run.assert_whole(&ended);
    assert_eq!(run.result("bento").as_deref(), Some("iris:v1"));
    assert_eq!(run.result("sha256"), Some(sha256sum(&bento("iris", "v1"))));
    assert_eq!(run.result("context").as_deref(), Some("bento"));
    assert_eq!(run.result("dockerfile").as_deref(), Some("env/docker/Dockerfile"));
    assert_eq!(run.result("image-url").as_deref(), Some("registry.local:5000/models/iris:v1"));
    assert_eq!(run.server.seen(), [format!("/{KEY}")], "one request is all it takes");
    insta::assert_snapshot!(ended.stderr);
}

#[test]
fn everyone_may_read_it_whatever_the_umask() {
    use std::os::unix::fs::PermissionsExt;
    let run = served([]);
    let (command, mut strict) = (run.command(), Command::new("sh"));
    strict.args(["-c", "umask 077; exec \"$0\" \"$@\""]).arg(command.get_program());
    strict.args(command.get_args()).current_dir(run.home.path()).env("AWS_ACCESS_KEY_ID", "user");
    run.assert_whole(&run.ended(strict.env("AWS_SECRET_ACCESS_KEY", "secret").output().unwrap()));
    let mode = |name| fs::metadata(run.bento().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(["", "env", "bento.yaml"].map(mode), [0o755, 0o755, 0o644]);
}

#[test]
fn a_second_run_finds_it_there_and_asks_the_store_nothing() {
    let run = served([]);
    run.assert_whole(&run.retrieve());
    fs::remove_file(run.home.path().join("result.sha256")).unwrap();
    run.assert_whole(&run.retrieve());
    assert_eq!(run.result("sha256"), Some(sha256sum(&bento("iris", "v1"))));
    assert_eq!(run.server.seen().len(), 1);
}

#[test]
fn another_bento_at_the_place_is_left_alone() {
    let run = served([]);
    run.assert_whole(&run.retrieve());
    let before = listing(&run.bento());
    let ended = run.ended(run.command().arg("--sha256").arg("0".repeat(64)).output().unwrap());
    assert_eq!((ended.code, listing(&run.bento())), (Some(1), before));
    insta::assert_snapshot!(ended.stderr.replace(&sha256sum(&bento("iris", "v1")), "[sha256]"));
}

#[test]
fn a_place_that_cannot_be_is_told_before_anything_is_asked() {
    let run = served([]);
    let file = run.home.path().join("file");
    fs::write(&file, "mine").unwrap();
    let ended = run.ended(run.command_with("file/bento", "500ms").output().unwrap());
    assert_eq!(ended.code, Some(1));
    insta::assert_snapshot!(ended.stderr);
}

#[test]
fn sigterm_ends_it_with_nothing_left_behind() {
    let run = served([Answer::StallAfter(100_000)]);
    let mut child = run.command_with("bento", "1h").spawn().unwrap();
    let drafted = || {
        fs::read_dir(run.home.path()).unwrap().flatten().any(|entry| {
            let name = entry.file_name().into_string().unwrap();
            name.starts_with(".bento.partial-") && entry.path().join("env").exists()
        })
    };
    while !drafted() {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::yield_now();
    }
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert_eq!(run.left_over(), Vec::<String>::new());
    assert!(!run.bento().exists());
}

#[test]
fn what_a_killed_run_left_is_swept_and_the_next_one_succeeds() {
    let run = served([]);
    fs::create_dir_all(run.home.path().join(".bento.partial-abc/src")).unwrap();
    run.assert_whole(&run.retrieve());
}

#[test]
fn a_disk_that_is_full_leaves_nothing() {
    let run = served([]);
    // A limit on the size of files stands in for a full disk, which only root can make.
    let mut shell = Command::new("sh");
    let words: Vec<_> =
        run.command().get_args().map(|word| format!("'{}'", word.to_str().unwrap())).collect();
    let line = format!(
        "trap '' XFSZ; ulimit -f 100; exec '{}' {}",
        cargo_bin!("bento-retrieve").display(),
        words.join(" ")
    );
    shell.current_dir(run.home.path()).args(["-c", &line]).env_clear();
    shell.envs([
        ("AWS_ACCESS_KEY_ID", "user"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "us-east-1"),
        ("NO_PROXY", "*"),
    ]);
    let ended = run.ended(shell.output().unwrap());
    run.assert_nothing(&ended);
    insta::assert_snapshot!(ended.stderr);
}

#[test]
fn a_place_that_nothing_can_be_made_in_is_told() {
    let run = served([]);
    let ended = run.ended(run.command_with("/proc/bento", "500ms").output().unwrap());
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("failed to create a folder in `/proc`"), "{}", ended.stderr);
    assert_eq!(run.server.seen(), Vec::<String>::new(), "before anything is asked");
}

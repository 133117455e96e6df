//! Results that cannot be written, signals and kills: `verdict` never says more than the exit code.

use std::{
    fs,
    io::Read as _,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::Duration,
};

use crate::wire::{Answer, command, form, log, result, results, serve, sound, url};

/// A server that does something when it is asked its question, after the results have begun.
fn when_asked(act: impl Fn() + Send + Sync + 'static) -> String {
    let answer: Box<Answer> = Box::new(move |request| {
        if !form(request).starts_with("query=time") {
            act();
        }
        sound(request)
    });
    url(serve(answer, None))
}

/// A result is written beside its place first: a folder there makes that impossible, for root, too.
fn cannot_be_written(name: &str) -> (Output, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let beside = folder.path().join(format!("{name}.new"));
    let server = when_asked(move || fs::create_dir(&beside).unwrap());
    let output = command(&server).args(results(folder.path())).output().unwrap();
    (output, folder)
}

#[test]
fn a_verdict_that_cannot_be_written_is_no_pass_anywhere() {
    let (output, folder) = cannot_be_written("verdict");
    assert_eq!(output.status.code(), Some(1), "{}", log(&output));
    assert_eq!(result(folder.path(), "verdict"), "inconclusive");
    let reason = result(folder.path(), "reason");
    assert!(reason.starts_with("error: failed to write result"), "{reason}");
    assert!(log(&output).contains("error: failed to write result"), "{}", log(&output));
    assert!(!log(&output).contains("pass: "), "{}", log(&output));
}

#[test]
fn a_reason_that_cannot_be_written_is_no_pass_anywhere() {
    let (output, folder) = cannot_be_written("reason");
    assert_eq!(output.status.code(), Some(1), "{}", log(&output));
    assert_eq!(result(folder.path(), "verdict"), "inconclusive");
    assert!(result(folder.path(), "reason").starts_with("unfinished: "));
    assert!(!log(&output).contains("pass: "), "{}", log(&output));
}

#[test]
fn a_result_that_cannot_be_begun_ends_the_gate_before_it_asks() {
    let folder = tempfile::tempdir().unwrap();
    let [_, reason] = results(folder.path());
    let nobody = "http://127.0.0.1:1";
    let output = command(nobody).args(["--result-verdict=/dev/full", &reason]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", log(&output));
    assert!(result(folder.path(), "reason").contains("No space left on device"));
    let [verdict, _] = results(folder.path());
    let output = command(nobody).args([&verdict, "--result-reason=/dev/full"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", log(&output));
    assert_eq!(result(folder.path(), "verdict"), "inconclusive");
}

#[test]
fn a_log_that_cannot_be_written_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let status = command(&url(serve(Box::new(sound), None)))
        .args(results(folder.path()))
        .stderr(Stdio::from(full))
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(0));
    assert_eq!(result(folder.path(), "verdict"), "pass");
}

/// A gate that has its verdict and hangs while it writes it, and the pipe that it hangs at.
fn hanging(folder: &Path) -> (Child, PathBuf) {
    let pipe = folder.join("verdict.new");
    let made = pipe.clone();
    let server = when_asked(move || drop(Command::new("mkfifo").arg(&made).status()));
    let child = command(&server).args(results(folder)).stderr(Stdio::piped()).spawn().unwrap();
    let decided = || {
        fs::read_to_string(folder.join("reason")).is_ok_and(|reason| reason.starts_with("hold: "))
    };
    let mut looks = 0..6000;
    while !decided() {
        assert!(looks.next().is_some(), "the reason stands before the verdict is written");
        thread::sleep(Duration::from_millis(10));
    }
    assert!(pipe.exists(), "`mkfifo` is needed");
    (child, pipe)
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
}

#[test]
fn a_kill_before_the_verdict_stands_is_no_pass() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, _) = hanging(folder.path());
    signal(&child, "-KILL");
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    assert_eq!(result(folder.path(), "verdict"), "inconclusive");
}

#[test]
fn a_signal_after_the_decision_comes_too_late_for_all_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let (child, pipe) = hanging(folder.path());
    signal(&child, "-TERM");
    let mut verdict = String::new();
    fs::File::open(pipe).unwrap().read_to_string(&mut verdict).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), verdict.as_str()), (Some(0), "pass"), "{}", log(&output));
    assert!(log(&output).contains("\npass: hold: "), "{}", log(&output));
}

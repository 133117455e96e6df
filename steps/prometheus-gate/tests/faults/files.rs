//! Evidence is a courtesy: a file that cannot be written is a warning, and the verdict is the same.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::Path,
    process::Output,
};

use crate::wire::{command, gate, gate_with_results, log, result, results, serve, sound, url};

/// Asserts that the gate passed, and told once that there is no evidence, with this hint.
fn passed_without(output: &Output, results: &Path, what: &str, hint: &str) {
    let log = log(output);
    assert_eq!(output.status.code(), Some(0), "{log}");
    assert_eq!(result(results, "verdict"), "pass");
    assert!(result(results, "reason").starts_with("hold: "));
    let warnings: Vec<&str> = log.lines().filter(|line| line.starts_with("warning: ")).collect();
    let [warning] = warnings[..] else { panic!("one warning is wanted: {log}") };
    assert!(warning.contains(what), "{warning}");
    assert!(warning.contains("; the verdict does not depend on it; hint: "), "{warning}");
    assert!(warning.contains(hint), "{warning}");
}

fn sound_server() -> String {
    url(serve(Box::new(sound), None))
}

#[test]
fn a_record_on_a_full_volume_is_a_warning() {
    let (output, results) = gate_with_results(&sound_server(), &["--record=/dev/full"]);
    let what = "failed to write record `/dev/full`: No space left on device (os error 28); nothing more is recorded";
    passed_without(&output, results.path(), what, "make room on the volume");
}

#[test]
fn a_record_below_a_file_is_a_warning() {
    let (output, results) = gate_with_results(&sound_server(), &["--record=/dev/null/record"]);
    let what = "failed to create record `/dev/null/record`: ";
    passed_without(&output, results.path(), what, "fsGroup");
}

#[test]
fn a_report_below_a_file_is_one_warning_for_record_and_report() {
    let (output, results) = gate_with_results(&sound_server(), &["--report=/dev/null/evidence"]);
    let what = "failed to create record `/dev/null/evidence/record.ndjson`";
    passed_without(&output, results.path(), what, "fsGroup");
    assert!(log(&output).contains("\nfailed to write the evidence into `/dev/null/evidence`"));
}

#[test]
fn one_folder_that_cannot_be_written_takes_nothing_from_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let report = format!("--report={}", folder.path().display());
    let more = ["--report=/dev/null/evidence", "--report=", &report];
    let (output, results) = gate_with_results(&sound_server(), &more);
    let what = "failed to create record `/dev/null/evidence/record.ndjson`";
    passed_without(&output, results.path(), what, "fsGroup");
    for name in ["verdict.json", "report.html", "record.ndjson"] {
        assert!(folder.path().join(name).is_file(), "{name}");
    }
}

#[test]
fn all_folders_get_the_same() {
    let [one, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let reports = [&one, &other].map(|folder| format!("--report={}", folder.path().display()));
    let (output, _) = gate_with_results(&sound_server(), &reports.each_ref().map(String::as_str));
    assert_eq!(output.status.code(), Some(0), "{}", log(&output));
    for name in ["verdict.json", "report.html", "record.ndjson"] {
        let [one, other] = [&one, &other].map(|folder| fs::read(folder.path().join(name)).unwrap());
        assert!(!one.is_empty() && one == other, "{name}");
    }
}

#[test]
fn a_report_that_fails_at_the_end_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("report.html")).unwrap();
    let report = format!("--report={}", folder.path().display());
    let (output, results) = gate_with_results(&sound_server(), &[&report]);
    let what = "failed to write the evidence into";
    passed_without(&output, results.path(), what, "name a folder that can be written");
    assert!(folder.path().join("record.ndjson").is_file(), "the record is not touched by that");
}

#[test]
fn a_volume_of_another_user_is_a_warning_that_tells_of_fs_group() {
    let folder = tempfile::tempdir().unwrap();
    let (volume, writable) = (folder.path().join("volume"), folder.path().join("results"));
    for (path, mode) in [(folder.path(), 0o755), (&volume, 0o555), (&writable, 0o777)] {
        fs::create_dir_all(path).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    // A program that the other user can reach.
    let program = folder.path().join("gate");
    fs::copy(assert_cmd::cargo::cargo_bin("prometheus-gate"), &program).unwrap();
    let server = sound_server();
    let like = command(&server);
    let mut command = std::process::Command::new(program);
    command.env_clear().env("NO_PROXY", "*").args(like.get_args());
    command.args(results(&writable)).arg(format!("--report={}", volume.display()));
    if is_root() {
        command.uid(65532).gid(65532);
    }
    let output = command.output().unwrap();
    let what = "record.ndjson`: Permission denied";
    passed_without(&output, &writable, what, "set `fsGroup: 65532`");
}

/// Root may write everywhere.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").unwrap().uid() == 0
}

#[test]
fn a_record_of_a_volume_that_filled_up_does_not_pretend_to_be_whole() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record.ndjson");
    let flag = format!("--record={}", record.display());
    let (output, _) = gate_with_results(&sound_server(), &[&flag]);
    assert_eq!(output.status.code(), Some(0), "{}", log(&output));
    let whole = fs::read_to_string(&record).unwrap();
    let replay = || {
        let mut command = command("http://127.0.0.1:1");
        let program = command.get_program().to_owned();
        command = std::process::Command::new(program);
        command.arg("replay").arg(&record).output().unwrap()
    };
    assert_eq!(replay().status.code(), Some(0), "{}", log(&replay()));
    let lines: Vec<&str> = whole.lines().collect();
    let without_end = lines[..lines.len() - 1].join("\n") + "\n";
    for (cut, text) in
        [("between lines", without_end.clone()), ("in a line", without_end + "{\"end\":{\"no")]
    {
        fs::write(&record, text).unwrap();
        let output = replay();
        assert_eq!(output.status.code(), Some(2), "{cut}: {}", log(&output));
        assert!(log(&output).contains("has no end\n\nhint: "), "{cut}: {}", log(&output));
    }
}

#[test]
fn a_record_keeps_what_the_server_said_on_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record.ndjson");
    let pretty = |request: &str| {
        let text = String::from_utf8(sound(request)).unwrap();
        let (_, body) = text.split_once("\r\n\r\n").unwrap();
        crate::wire::ok(&body.replace(',', ",\n  "))
    };
    let flag = format!("--record={}", record.display());
    let output = gate(&url(serve(Box::new(pretty), None)), &[&flag]);
    assert_eq!(output.status.code(), Some(0), "{}", log(&output));
    let text = fs::read_to_string(&record).unwrap();
    assert!(
        text.contains(r#""status":"success",   "data":"#),
        "verbatim but for line breaks: {text}"
    );
    for line in text.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
}

#[test]
fn where_files_are_the_purpose_they_have_to_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record.ndjson");
    let flag = format!("--record={}", record.display());
    gate(&sound_server(), &[&flag]);
    let program = command("http://127.0.0.1:1").get_program().to_owned();
    let output = std::process::Command::new(&program)
        .args(["replay", "--report=/dev/null/evidence"])
        .arg(&record)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", log(&output));
    assert_eq!(output.stdout, b"", "no verdict where the exit code says that there is none");
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tasks/prometheus-gate/samples");
    let output = std::process::Command::new(&program)
        .args(["simulate", "--report=/dev/null/evidence"])
        .arg(format!("{samples}/gate-tests.yaml"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", log(&output));
}

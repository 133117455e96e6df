//! Help, and what is said of a wrong command line.

use super::*;

#[test]
fn help_teaches_by_example() {
    insta::assert_snapshot!(stdout(&step().arg("--help").assert().success()));
}

/// The error of a valid command line with these arguments in place of its own.
fn usage_error(args: &[&str]) -> String {
    let name = |arg: &str| arg.split('=').next().unwrap_or_default().to_owned();
    let given: Vec<String> = args.iter().map(|arg| name(arg)).collect();
    let base = ["--dry-run", "--sink=http://sink", "--type=t.v1", "--source=/s"];
    let base = base.into_iter().filter(|arg| !given.contains(&name(arg)));
    let assert = step().args(base).args(args).assert().code(2);
    format!("$ cloudevent-send {}\n{}\n", args.join(" "), stderr(&assert))
}

#[test]
fn a_wrong_argument_is_named_with_what_to_write_instead() {
    let cases: &[&[&str]] = &[
        &["--type="],
        &["--source=my notebook"],
        &["--field", "serviceName"],
        &["--field", "canary.weight:int=ten"],
        &["--field", "a=1", "a.b=2"],
        &["--field", "a=1", "--data={}"],
        &["--data={"],
        &["--extension", "Team=iris"],
        &["--extension", "id=7"],
        &["--extension", "chainhops:int=7"],
        &["--correlation-id=a b"],
        &["--time=yesterday"],
        &["--dataschema=requested"],
        &["--datacontenttype=json"],
        &["--sink=el-canary:8080"],
        &["--sink=http://ada:secret@sink"],
        &["--header", "ce-id=7"],
        &["--overrides=[]"],
        &["--await-run=Promotion"],
    ];
    insta::assert_snapshot!(cases.iter().map(|args| usage_error(args)).collect::<String>());
}

#[test]
fn outside_of_a_pod_someone_has_to_say_who_sends() {
    let run = step().args(["--dry-run", "--sink=http://sink", "--type=t.v1"]).assert().code(2);
    assert!(stderr(&run).starts_with("error: the event has no source\n"), "{}", stderr(&run));
}

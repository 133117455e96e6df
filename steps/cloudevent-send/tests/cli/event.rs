//! The event that flags, files and the pod describe, as a dry run prints it.

use super::*;

#[test]
fn a_dry_run_prints_the_exact_request() {
    insta::assert_snapshot!(dry_run(&[
        "--subject=team/iris",
        "--causation-id=c-1",
        "--chainhops=2",
        "--extension",
        "attempt:int=2"
    ]));
    insta::assert_snapshot!(dry_run(&[
        "--mode=binary",
        "--subject=Euro € 😀",
        "--header",
        "X-Team=iris"
    ]));
}

#[test]
fn curl_is_told_the_same_without_the_secret() {
    let folder = TempDir::new().unwrap();
    let token = file(&folder, "it's a token", b"s3cr3t\n");
    let printed = dry_run(&[
        "--print=curl",
        "--insecure-http",
        &flag("token-file", &token),
        "--field=note=it's @home",
    ]);
    let shown = printed.replace(&*folder.path().to_string_lossy(), "/secret");
    insta::assert_snapshot!(shown);
    assert!(!printed.contains("s3cr3t"));
}

#[test]
fn the_id_follows_from_what_the_event_is_about() {
    let id = |args: &[&str]| {
        let results = Results::new();
        step()
            .args([
                "--dry-run",
                "--sink=http://sink",
                "--type=t.v1",
                "--source=/s",
                "--subject=team/iris",
            ])
            .args(args)
            .args(results.flags())
            .assert()
            .success();
        results.read()
    };
    // printf '%s' '/s|t.v1|team/iris|r-1|||' | sha256sum | cut -c-32
    assert_eq!(id(&["--correlation-id=r-1"]), ["99b3a490c7171ece7ae79d9f838dd537", "r-1", "", ""]);
    // printf '%s' '/s|t.v1|team/iris|r-1|p-1|iris-predictor-00002|10' | sha256sum | cut -c-32
    let canary = ["--correlation-id=r-1", "--pipeline-run-uid=p-1", "--field"];
    let fields = ["canary.revision=iris-predictor-00002", "canary.weight:int=10"];
    assert_eq!(id(&[&canary[..], &fields].concat())[0], "aa8f2e2bf0799f67561d87e1084bfab8");
    assert_ne!(id(&["--correlation-id=r-1"])[0], id(&["--correlation-id=r-2"])[0]);
    let [first, correlation, ..] = id(&[]);
    assert_eq!(first, correlation);
    assert_ne!(first, id(&[])[0]);
}

/// What Tekton's pod tells the step, some of it empty where there is no such label.
fn in_a_pod(step: &mut Command, tells: &[(&str, &str)]) -> Value {
    step.args(["--dry-run", "--sink=http://sink", "--type=t.v1", "--field=a=1"]);
    step.envs(tells.iter().copied());
    let printed = stdout(&step.assert().success());
    serde_json::from_str(printed.split_once("\n\n").unwrap().1).unwrap()
}

const POD: [(&str, &str); 8] = [
    ("NAMESPACE", "team"),
    ("PIPELINE", "canary-release"),
    ("PIPELINE_RUN", "release-1"),
    ("PIPELINE_RUN_UID", "p-1"),
    ("TASK_RUN_UID", "t-1"),
    ("CORRELATION_ID", "r-1"),
    ("CAUSATION_ID", "größe 7"),
    ("CHAINHOPS", "2"),
];

#[test]
fn a_pod_of_a_pipeline_tells_run_and_chain() {
    let event = in_a_pod(&mut step(), &POD);
    assert_eq!(event["source"], "/tekton/team/pipelines/canary-release");
    assert_eq!(event["correlationid"], "r-1");
    assert_eq!(event["causationid"], "größe 7");
    assert_eq!(event["chainhops"], 3);
    assert_eq!(
        event["data"],
        json!({"a": "1", "namespace": "team", "run": {"uid": "p-1", "name": "release-1", "pipeline": "canary-release"}})
    );
}

#[test]
fn without_labels_the_uid_of_the_run_is_the_correlation() {
    let without = |names: &[&str]| {
        let tells = POD.map(|(name, value)| (name, if names.contains(&name) { "" } else { value }));
        in_a_pod(&mut step(), &tells)
    };
    let chain = ["CORRELATION_ID", "CAUSATION_ID", "CHAINHOPS"];
    let of_a_pipeline = without(&chain);
    assert_eq!(
        (&of_a_pipeline["correlationid"], &of_a_pipeline["chainhops"]),
        (&json!("p-1"), &json!(0))
    );
    let alone = without(&[&chain[..], &["PIPELINE", "PIPELINE_RUN", "PIPELINE_RUN_UID"]].concat());
    assert_eq!(alone["correlationid"], "t-1");
    assert_eq!(alone["source"], "/tekton/team/tasks/cloudevent-send");
    assert_eq!(alone["data"], json!({"a": "1", "namespace": "team"}));
}

#[test]
fn a_flag_wins_over_the_pod() {
    let mut step = step();
    step.args(["--correlation-id=mine", "--causation-id=c-1", "--chainhops=0", "--source=/s"]);
    let event = in_a_pod(&mut step, &POD);
    assert_eq!((&event["correlationid"], &event["causationid"]), (&json!("mine"), &json!("c-1")));
    assert_eq!((&event["chainhops"], &event["source"]), (&json!(1), &json!("/s")));
}

#[test]
fn an_event_that_nothing_led_to_begins_its_chain() {
    let hops = |args: &[&str]| {
        let printed = dry_run(args);
        let event: Value = serde_json::from_str(printed.split_once("\n\n").unwrap().1).unwrap();
        event["chainhops"].clone()
    };
    assert_eq!(hops(&["--chainhops=", "--causation-id="]), 0);
    assert_eq!(hops(&["--causation-id=c-1"]), 1);
    assert_eq!(hops(&["--causation-id=c-1", "--chainhops=3"]), 4);
}

#[test]
fn an_event_file_goes_out_as_it_is() {
    let folder = TempDir::new().unwrap();
    let text = br#"{ "specversion": "1.0", "id": "7", "source": "/s", "type": "t.v1", "data": {"z": 1.10, "a": 1e400} }"#;
    let event = flag("event-file", &file(&folder, "event.json", text));
    let print = |args: &[&str]| {
        stdout(
            &step().args(["--dry-run", "--sink=http://sink", &event]).args(args).assert().success(),
        )
    };
    let body = |printed: String| printed.split_once("\n\n").unwrap().1.to_owned();

    assert_eq!(body(print(&[])), format!("{}\n", String::from_utf8_lossy(text)));
    assert_eq!(body(print(&["--mode=binary"])), "{\"z\": 1.10, \"a\": 1e400}\n");
    assert!(print(&["--mode=binary"]).contains("\nce-id: 7\n"));
    assert!(
        body(print(&[r#"--overrides={"extensions":{"team":"iris"}}"#]))
            .ends_with("\"team\":\"iris\",\"data\":{\"z\": 1.10, \"a\": 1e400}}\n")
    );

    let stdin = step()
        .args(["--dry-run", "--sink=http://sink", "--event-file=-"])
        .write_stdin(text.as_slice())
        .assert()
        .success();
    assert_eq!(stdout(&stdin), print(&[]));
    let broken = flag("event-file", &file(&folder, "broken.json", b"{}"));
    step().args(["--dry-run", "--sink=http://sink", &broken]).assert().code(2);
}

#[test]
fn data_goes_out_as_it_is() {
    let folder = TempDir::new().unwrap();
    let json = br#"{"z":1.10,"a":12345678901234567890123}"#;
    let body = |args: &[&str], stdin: &[u8]| {
        let run = step()
            .args([
                "--dry-run",
                "--mode=binary",
                "--sink=http://sink",
                "--type=t.v1",
                "--source=/s",
            ])
            .args(args)
            .write_stdin(stdin)
            .assert();
        stdout(&run.success())
            .split_once("\n\n")
            .unwrap()
            .1
            .trim_end_matches('\n')
            .as_bytes()
            .to_vec()
    };
    assert_eq!(body(&[&flag("data-file", &file(&folder, "data.json", json))], b""), json);
    assert_eq!(body(&["--data=-"], json), json);
    assert_eq!(body(&[&format!("--data={}", String::from_utf8_lossy(json))], b""), json);
    assert_eq!(body(&["--datacontenttype=text/plain", "--data=-1"], b""), b"-1");
}

#[test]
fn a_large_event_is_sent_only_on_demand() {
    let folder = TempDir::new().unwrap();
    let large = flag(
        "data-file",
        &file(&folder, "data.json", format!("\"{}\"", "a".repeat(300_000)).as_bytes()),
    );
    let mut step = step();
    step.args(["--dry-run", "--sink=http://sink", "--type=t.v1", "--source=/s", &large]);
    step.assert().code(2);
    step.arg("--allow-large").assert().success();
}

#[test]
fn knative_s_overrides_come_from_the_environment_and_win() {
    let run = to("http://unused")
        .env("K_CE_OVERRIDES", r#"{"extensions":{"team":"iris","correlationid":"r-9"}}"#)
        .args(["--dry-run", "--extension", "team=other"])
        .assert()
        .success();
    assert!(stdout(&run).contains(r#""correlationid":"r-9","team":"iris""#));
}

#[test]
fn an_event_that_is_not_sent_leaves_its_results_empty() {
    let results = Results::new();
    to("http://sink").arg("--subject=a\tb").args(results.flags()).assert().code(2);
    assert_eq!(results.read(), ["", "", "", ""]);
}

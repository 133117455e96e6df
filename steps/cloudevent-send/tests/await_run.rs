//! The wait for the run that an event should start, against an API server that follows a script.

#![allow(clippy::unwrap_used, reason = "the helpers below belong to tests, too")]

use std::{
    fs,
    sync::Arc,
    sync::atomic::{AtomicUsize, Ordering},
};

use assert_cmd::{Command, assert::Assert};
use cloudevent::id::object_name;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::spawn_blocking;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate, matchers::method};

/// An event sink and an API server, in one namespace.
struct Site {
    sink: MockServer,
    api: MockServer,
    folder: TempDir,
}

impl Site {
    async fn new(api: impl Respond + 'static) -> Self {
        Self::with_sink(ResponseTemplate::new(202), api).await
    }

    async fn with_sink(sink: impl Respond + 'static, api: impl Respond + 'static) -> Self {
        let site = Self {
            sink: MockServer::start().await,
            api: MockServer::start().await,
            folder: TempDir::new().unwrap(),
        };
        Mock::given(method("POST")).respond_with(sink).mount(&site.sink).await;
        Mock::given(method("GET")).respond_with(api).mount(&site.api).await;
        fs::write(site.folder.path().join("kubeconfig"), kubeconfig(&site.api.uri())).unwrap();
        site
    }

    /// Sends an event and waits; the pauses are short, so that a test is.
    async fn send(&self, flags: &[&str]) -> Assert {
        let mut step = Command::cargo_bin("cloudevent-send").unwrap();
        step.env("KUBECONFIG", self.folder.path().join("kubeconfig"))
            .env_remove("NAMESPACE")
            .args([
                "--type=t.v1",
                "--source=/s",
                "--id=e-1",
                "--field=a=1",
                "--await-run=promotion",
            ])
            .args(["--resend-after=50ms", "--namespace=team"])
            .arg(format!("--sink={}", self.sink.uri()))
            .args(flags);
        spawn_blocking(move || step.assert()).await.unwrap()
    }

    async fn sent(&self) -> Vec<Request> {
        self.sink.received_requests().await.unwrap()
    }

    fn log(&self, run: &Assert) -> String {
        let text = String::from_utf8(run.get_output().stderr.clone()).unwrap();
        text.replace(&self.sink.uri(), "http://sink").replace(&self.api.uri(), "http://api")
    }
}

fn kubeconfig(server: &str) -> String {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": server}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": "other"}}],
        "users": [{"name": "test", "user": {}}],
    })
    .to_string()
}

fn run_name() -> String {
    format!("promotion-{}", object_name("/s", "e-1"))
}

fn there() -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({
        "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
        "metadata": {"name": run_name(), "namespace": "team"},
    }))
}

fn status(code: u16, reason: &str, message: &str) -> ResponseTemplate {
    ResponseTemplate::new(code).set_body_json(json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure",
        "code": code, "reason": reason, "message": message,
    }))
}

fn not_there() -> ResponseTemplate {
    status(404, "NotFound", &format!("pipelineruns.tekton.dev \"{}\" not found", run_name()))
}

fn broken() -> ResponseTemplate {
    status(500, "InternalError", "etcdserver: request timed out")
}

/// One answer for a while, then another for good.
fn first(times: usize, early: ResponseTemplate, later: ResponseTemplate) -> impl Respond {
    let asked = AtomicUsize::new(0);
    move |_: &Request| {
        if asked.fetch_add(1, Ordering::SeqCst) < times { early.clone() } else { later.clone() }
    }
}

#[tokio::test]
async fn a_run_that_is_there_ends_the_wait() {
    let site = Site::new(there()).await;
    let run = site.send(&[]).await.success();
    assert_eq!(site.sent().await.len(), 1);
    let asked = site.api.received_requests().await.unwrap();
    let path = format!("/apis/tekton.dev/v1/namespaces/team/pipelineruns/{}", run_name());
    assert_eq!(asked[0].url.path(), path);
    insta::assert_snapshot!(site.log(&run));
}

#[tokio::test]
async fn a_run_that_is_not_there_is_asked_for_again_with_the_same_bytes() {
    // The listener starts it when it gets the event for the second time.
    let events = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&events);
    let sink = move |_: &Request| {
        count.fetch_add(1, Ordering::SeqCst);
        ResponseTemplate::new(202)
    };
    let api = move |_: &Request| {
        if events.load(Ordering::SeqCst) < 2 { not_there() } else { there() }
    };
    let site = Site::with_sink(sink, api).await;
    site.send(&[]).await.success();
    let sent = site.sent().await;
    assert_eq!(sent.len(), 2);
    assert_eq!((&sent[0].headers, &sent[0].body), (&sent[1].headers, &sent[1].body));
}

#[tokio::test]
async fn a_run_that_never_appears_is_an_error() {
    let site = Site::new(not_there()).await;
    let run = site.send(&["--await-timeout=300ms", "--resend-after=1m"]).await.code(1);
    assert_eq!(site.sent().await.len(), 1);
    insta::assert_snapshot!(site.log(&run));
}

#[tokio::test]
async fn what_the_sink_says_to_a_repetition_does_not_end_the_wait() {
    let sink = first(1, ResponseTemplate::new(202), ResponseTemplate::new(503));
    let site = Site::with_sink(sink, first(3, not_there(), there())).await;
    let run = site.send(&[]).await.success();
    assert!(site.log(&run).contains("this time it answered 503"), "{}", site.log(&run));
}

#[tokio::test]
async fn an_event_that_is_refused_is_not_waited_for() {
    let site = Site::with_sink(ResponseTemplate::new(400), there()).await;
    site.send(&[]).await.code(3);
    assert!(site.api.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_missing_right_is_told_at_once_with_the_role() {
    let message = "pipelineruns.tekton.dev is forbidden: User \"team:default\" cannot get resource";
    let site = Site::new(status(403, "Forbidden", message)).await;
    let run = site.send(&[]).await.code(1);
    assert_eq!(site.api.received_requests().await.unwrap().len(), 1);
    insta::assert_snapshot!(site.log(&run));
}

#[tokio::test]
async fn trouble_of_the_api_server_is_waited_out() {
    let site = Site::new(first(2, broken(), there())).await;
    let run = site.send(&[]).await.success();
    assert!(site.log(&run).contains("etcdserver: request timed out; trying again"));
    assert_eq!(site.sent().await.len(), 1, "nobody knows that the run is missing");
}

#[tokio::test]
async fn an_api_server_that_stays_away_is_an_error() {
    let site = Site::new(broken()).await;
    let run = site.send(&["--await-timeout=200ms"]).await.code(1);
    insta::assert_snapshot!(site.log(&run));

    fs::write(site.folder.path().join("kubeconfig"), kubeconfig("http://127.0.0.1:9")).unwrap();
    let run = site.send(&["--await-timeout=200ms"]).await.code(1);
    insta::assert_snapshot!(site.log(&run));
}

#[tokio::test]
async fn without_a_cluster_nothing_is_sent() {
    let site = Site::new(there()).await;
    fs::remove_file(site.folder.path().join("kubeconfig")).unwrap();
    site.send(&[]).await.code(1);
    assert!(site.sent().await.is_empty());
}

#[tokio::test]
async fn the_events_of_a_folder_have_runs_of_their_own() {
    let site = Site::new(there()).await;
    let events = site.folder.path().join("events");
    fs::create_dir(&events).unwrap();
    for id in ["e-1", "e-2"] {
        let event: Value = json!({"specversion": "1.0", "id": id, "source": "/s", "type": "t.v1"});
        fs::write(events.join(format!("{id}.json")), event.to_string()).unwrap();
    }
    let mut step = Command::cargo_bin("cloudevent-send").unwrap();
    step.env("KUBECONFIG", site.folder.path().join("kubeconfig"))
        .args(["--namespace=team", "--await-run=promotion"])
        .arg(format!("--sink={}", site.sink.uri()))
        .arg(format!("--event-file={}", events.display()));
    spawn_blocking(move || step.assert().success()).await.unwrap();
    let asked = site.api.received_requests().await.unwrap();
    let names: Vec<_> =
        asked.iter().map(|request| request.url.path().rsplit('/').next().unwrap()).collect();
    let wanted = ["e-1", "e-2"].map(|id| format!("promotion-{}", object_name("/s", id)));
    assert_eq!(names, wanted);
}

//! What is kept of a cluster's runs, before a scripted API server and a scripted store.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;

use assert_cmd::Command;
use release_record::run::{RunRecord, State};
use serde_json::{Value, json};
use tempfile::TempDir;
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{method, path, query_param},
};

const RUNS: &str = "/apis/tekton.dev/v1/namespaces/models/pipelineruns";
const TASKS: &str = "/apis/tekton.dev/v1/namespaces/models/taskruns";

/// The objects of a kind that the fixture has
fn recorded(kind: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_json::from_str(include_str!("fixtures/release.json")).unwrap();
    all.into_iter().filter(|object| object["kind"] == kind).collect()
}

fn list(kind: &str, items: &[Value], next: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({
        "apiVersion": "tekton.dev/v1", "kind": format!("{kind}List"), "metadata": {"continue": next}, "items": items,
    }))
}

/// Tekton with the runs of a release, one a page
async fn cluster() -> MockServer {
    let server = MockServer::start().await;
    let [first, second] = recorded("PipelineRun").try_into().unwrap();
    let next = query_param("continue", "next");
    Mock::given(path(RUNS))
        .and(next)
        .respond_with(list("PipelineRun", &[second], ""))
        .mount(&server)
        .await;
    Mock::given(path(RUNS))
        .respond_with(list("PipelineRun", &[first], "next"))
        .mount(&server)
        .await;
    for run in recorded("PipelineRun") {
        let name = run["metadata"]["name"].as_str().unwrap().to_owned();
        let tasks = recorded("TaskRun").into_iter();
        let tasks: Vec<_> = tasks
            .filter(|task| task["metadata"]["labels"]["tekton.dev/pipelineRun"] == name)
            .collect();
        Mock::given(path(TASKS))
            .and(query_param("labelSelector", format!("tekton.dev/pipelineRun={name}")))
            .respond_with(list("TaskRun", &tasks, ""))
            .mount(&server)
            .await;
    }
    server
}

/// A store with these keys of long ago, that takes and deletes
async fn store(keys: &[&str]) -> MockServer {
    let server = MockServer::start().await;
    let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
    let entry = |key: &String| {
        let modified = "2020-01-01T00:00:00.000Z";
        format!(
            "<Contents><Key>{key}</Key><LastModified>{modified}</LastModified><Size>2</Size></Contents>"
        )
    };
    let all = move |request: &Request| {
        let asked = request.url.query_pairs().find(|(name, _)| name == "prefix");
        let prefix = asked.map(|(_, prefix)| prefix.into_owned()).unwrap_or_default();
        let below = keys.iter().filter(|key| key.starts_with(&prefix));
        let listed: String = below.map(entry).collect();
        ResponseTemplate::new(200)
            .set_body_string(format!("<ListBucketResult>{listed}</ListBucketResult>"))
    };
    Mock::given(method("GET")).and(path("/bentos/")).respond_with(all).mount(&server).await;
    Mock::given(method("PUT")).respond_with(ResponseTemplate::new(200)).mount(&server).await;
    Mock::given(method("DELETE")).respond_with(ResponseTemplate::new(204)).mount(&server).await;
    server
}

/// How it ended, what it printed, and what it said
fn keep(cluster: &MockServer, store: &MockServer, more: &[&str]) -> (i32, String, String) {
    let home = TempDir::new().unwrap();
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "models"}}],
        "clusters": [{"name": "c", "cluster": {"server": cluster.uri()}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    });
    let file = home.path().join("kubeconfig");
    fs::write(&file, kubeconfig.to_string()).unwrap();
    let mut command = Command::cargo_bin("release-record").unwrap();
    command.env_clear().env("KUBECONFIG", file).env("AWS_EC2_METADATA_DISABLED", "true");
    command.envs([("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret")]);
    let endpoint = format!("--s3-endpoint={}", store.uri());
    let fixed = ["runs", "--releases=s3://bentos/releases", &endpoint, "--retries=0"];
    let output = command.args(fixed).args(more).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// `VERB KEY` of each write
async fn writes(store: &MockServer) -> Vec<(String, Vec<u8>)> {
    let requests = store.received_requests().await.unwrap();
    let is_write = |request: &Request| request.method.as_str() != "GET";
    let line =
        |request: Request| (format!("{} {}", request.method, request.url.path()), request.body);
    requests.into_iter().filter(is_write).map(line).collect()
}

const RELEASE: &str = "iris/v2/models.release-iris-v2-a298029bc6b8ba63314e";

#[tokio::test(flavor = "multi_thread")]
async fn each_run_that_has_ended_is_kept_with_its_tasks_unless_it_is_there() {
    let (cluster, store) =
        (cluster().await, store(&[&format!("releases/{RELEASE}/run.json")]).await);
    let (code, _, said) = keep(&cluster, &store, &[]);
    assert_eq!(code, 0, "{said}");
    let [(write, body)] = writes(&store).await.try_into().unwrap();
    assert!(write.starts_with("PUT /bentos/releases/iris/v2/models.promotion-"), "{write}");
    assert!(write.ends_with("/run.json"), "{write}");
    let kept = RunRecord::from_json(&body).unwrap();
    assert_eq!((kept.state, kept.tasks.len()), (State::Failed, 2));
    assert_eq!(kept.tasks[0].result("verdict"), "inconclusive");
    let requests = cluster.received_requests().await.unwrap();
    let selector = "labelSelector=tekton.dev%2Fpipeline+in+";
    assert!(requests[0].url.query().unwrap().contains(selector), "{}", requests[0].url);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_older_than_the_retention_is_deleted_as_a_whole_and_nothing_of_others() {
    let cluster = MockServer::start().await;
    Mock::given(path(RUNS)).respond_with(list("PipelineRun", &[], "")).mount(&cluster).await;
    let store = store(&[
        "releases/iris/v1/models.old/report.html",
        "releases/iris/v1/models.old/run.json",
        "releases/iris/v1/models.older/run.json",
        "releases/iris/v1/others.old/run.json",
        "releases/notes.txt",
    ])
    .await;
    let (code, _, said) = keep(&cluster, &store, &["--retention=30d"]);
    assert_eq!(code, 0, "{said}");
    let writes: Vec<_> = writes(&store).await.into_iter().map(|(line, _)| line).collect();
    assert_eq!(
        writes,
        [
            "DELETE /bentos/releases/iris/v1/models.old/report.html",
            "DELETE /bentos/releases/iris/v1/models.old/run.json",
            "DELETE /bentos/releases/iris/v1/models.older/run.json",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_prints_what_it_would_do_and_writes_nothing() {
    let (cluster, store) =
        (cluster().await, store(&["releases/iris/v1/models.old/run.json"]).await);
    let (code, printed, said) = keep(&cluster, &store, &["--retention=36500d", "--dry-run"]);
    assert_eq!(code, 0, "{said}");
    assert!(printed.contains(&format!("would keep   {RELEASE}\n")), "{printed}");
    let (_, printed, _) = keep(&cluster, &store, &["--retention=0s", "--dry-run"]);
    assert_eq!(printed, "would delete iris/v1/models.old\n");
    assert_eq!(writes(&store).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_takes_no_run_and_rights_that_are_missing_are_told_with_what_helps() {
    let refused = MockServer::start().await;
    let empty = ResponseTemplate::new(200).set_body_string("<ListBucketResult></ListBucketResult>");
    Mock::given(method("GET")).respond_with(empty).mount(&refused).await;
    let denied = ResponseTemplate::new(403)
        .set_body_string("<Error><Code>AccessDenied</Code><Message>No.</Message></Error>");
    Mock::given(method("PUT")).respond_with(denied).mount(&refused).await;
    let (code, _, said) = keep(&cluster().await, &refused, &[]);
    assert_eq!(code, 1);
    assert!(said.contains("failed to write `s3://bentos/releases/iris/v2/models."), "{said}");
    assert!(said.contains("need s3:PutObject on `arn:aws:s3:::bentos/releases/iris/v2/"), "{said}");
    assert_eq!(writes(&refused).await.len(), 2, "one that is refused holds up no other");

    let forbidden = MockServer::start().await;
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 403, "reason": "Forbidden",
                        "message": "pipelineruns.tekton.dev is forbidden: User \"u\" cannot list"});
    Mock::given(path(RUNS))
        .respond_with(ResponseTemplate::new(403).set_body_json(status))
        .mount(&forbidden)
        .await;
    let (code, _, said) = keep(&forbidden, &store(&[]).await, &[]);
    assert_eq!(code, 1);
    assert!(
        said.contains(
            "failed to list PipelineRuns of `models`: pipelineruns.tekton.dev is forbidden"
        ),
        "{said}"
    );
    assert!(
        said.contains("hint: give the ServiceAccount the Role in triggers/records.yaml"),
        "{said}"
    );
}

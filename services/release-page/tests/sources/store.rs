//! What is known of the store.

use std::sync::Arc;

use release_page::{
    known::{Bento, Known, Source},
    sources::Sources,
};
use release_record::{
    key::{KeptFile, RunKey},
    run::{RunRecord, State},
};
use wiremock::MockServer;

use crate::{
    api::Api,
    bucket::{Bucket, bento},
    objects::{NAMESPACE, release_run},
    start, until,
};

async fn start_with(api: &Api, server: &MockServer) -> Sources {
    let endpoint = format!("--s3-endpoint={}", server.uri());
    start(api.client(), &["--store=s3://bentos", "--anonymous", &endpoint]).await
}

fn is_current(known: &Known) -> bool {
    known.store == Source::Current
}

fn names(known: &Known) -> Vec<String> {
    let name = |bento: &Arc<Bento>| format!("{}:{}", bento.name, bento.version);
    known.bentos.iter().map(name).collect()
}

fn key(version: &str) -> RunKey {
    RunKey {
        namespace: NAMESPACE.into(),
        service: "iris".into(),
        version: version.into(),
        run: format!("release-{version}"),
    }
}

/// A run that has ended, as the store keeps it
fn keep(bucket: &Bucket, version: &str) {
    let at = |time: &str| Some(time.parse().unwrap());
    let key = key(version);
    let record = RunRecord {
        namespace: key.namespace.clone(),
        name: key.run.clone(),
        uid: "u".into(),
        pipeline: "canary-release".into(),
        service: key.service.clone(),
        version: version.into(),
        correlation: format!("c-{version}"),
        created: at("2026-11-24T06:00:00Z"),
        ended: at("2026-11-24T06:05:00Z"),
        state: State::Failed,
        ..RunRecord::default()
    };
    let folder = format!("releases/{}", key.folder());
    bucket.put(&format!("{folder}/run.json"), record.to_json().unwrap());
    bucket.put(&format!("{folder}/report.html"), b"<p>pass</p>".to_vec());
}

#[tokio::test]
async fn bentos_are_known_newest_first_and_a_broken_one_says_why() {
    let bucket = Bucket::default();
    bucket.put("iris/v1.tar.gz", bento("iris", "v1", "2026-11-20T06:00:00", "<script>"));
    bucket.put("iris/v2.tar.gz", bento("iris", "v2", "2026-11-22T06:00:00", "lea"));
    bucket.put("wine/v1.tar.gz", b"<html>".to_vec());
    bucket.put("wine/gone.tar.gz", bento("wine", "gone", "2026-11-23T06:00:00", ""));
    bucket.vanish("wine/gone.tar.gz");
    let server = bucket.serve().await;
    let sources = start_with(&Api::default(), &server).await;
    let known = until(&sources, "current", is_current).await;
    assert_eq!(names(&known), ["wine:v1", "iris:v2", "iris:v1"]);
    let [wine, _, iris] = known.bentos.as_slice() else { panic!("{:?}", known.bentos) };
    assert!(wine.error.as_ref().is_some_and(|error| error.contains("wine/v1.tar.gz")), "{wine:?}");
    assert_eq!((iris.framework.as_str(), iris.labels["owner"].as_str()), ("sklearn", "<script>"));
    assert_eq!(iris.url, "s3://bentos/iris/v1.tar.gz");
}

#[tokio::test]
async fn a_manifest_is_read_when_it_is_asked_for_and_not_again_at_once() {
    let bucket = Bucket::default();
    bucket.put("iris/v1.tar.gz", bento("iris", "v1", "2026-11-20T06:00:00", "lea"));
    let server = bucket.serve().await;
    let sources = start_with(&Api::default(), &server).await;
    until(&sources, "current", is_current).await;
    let reader = sources.store.as_ref().unwrap();
    let before = bucket.asked_for("iris/v1.tar.gz");
    for _ in 0..2 {
        let details = reader.details("iris", "v1").await.unwrap().unwrap();
        assert_eq!(details.models[0].tag, "svm:m1");
    }
    assert_eq!(bucket.asked_for("iris/v1.tar.gz"), before + 1);
    bucket.put("iris/v2.tar.gz", bento("iris", "v2", "2026-11-22T06:00:00", ""));
    assert!(reader.details("iris", "v2").await.unwrap().is_some(), "it is not listed yet");
    bucket.remove("iris/v2.tar.gz");
    for (name, version) in [("iris", "v3"), ("wine", "v1"), ("../iris", "v1"), ("", "")] {
        assert!(reader.details(name, version).await.unwrap().is_none(), "{name}:{version}");
    }
}

#[tokio::test]
async fn a_version_that_is_deleted_after_it_was_listed_is_not_there() {
    let bucket = Bucket::default();
    bucket.put("iris/v1.tar.gz", bento("iris", "v1", "2026-11-20T06:00:00", ""));
    let server = bucket.serve().await;
    let sources = start_with(&Api::default(), &server).await;
    until(&sources, "current", is_current).await;
    bucket.remove("iris/v1.tar.gz");
    assert!(sources.store.unwrap().details("iris", "v1").await.unwrap().is_none());
}

#[tokio::test]
async fn a_store_that_is_away_holds_up_nothing_and_is_seen_when_it_is_back() {
    let bucket = Bucket::default();
    bucket.put("iris/v1.tar.gz", bento("iris", "v1", "2026-11-20T06:00:00", ""));
    bucket.set_away(true);
    let server = bucket.serve().await;
    let api = Api::default();
    api.put("pipelineruns", &release_run("release-v1", "v1", "Unknown"));
    let sources = start_with(&api, &server).await;
    let known = until(&sources, "away", |known| {
        matches!(known.store, Source::Away { .. }) && known.releases.len() == 1
    })
    .await;
    assert_eq!((known.api_server.clone(), known.bentos.len()), (Source::Current, 0));
    let error = sources.store.as_ref().unwrap().details("iris", "v1").await.unwrap_err();
    assert!(!format!("{error:#}").is_empty());
    bucket.set_away(false);
    let known = until(&sources, "back", is_current).await;
    assert_eq!(names(&known), ["iris:v1"]);
}

#[tokio::test]
async fn a_release_whose_runs_are_gone_is_known_from_the_store() {
    let bucket = Bucket::default();
    keep(&bucket, "v1");
    keep(&bucket, "v2");
    bucket.put("releases/iris/v3/models.release-v3/run.json", b"{".to_vec());
    bucket.put("releases/iris/v4/other.release-v4/run.json", b"{}".to_vec());
    let server = bucket.serve().await;
    let api = Api::default();
    let live = release_run("release-v2", "v2", "True");
    api.put("pipelineruns", &live);
    let sources = start_with(&api, &server).await;
    let known = until(&sources, "current", |known| {
        is_current(known) && known.api_server == Source::Current && known.releases.len() == 2
    })
    .await;
    let reports: Vec<_> = known.reports.iter().map(|(_, run)| run.as_str()).collect();
    assert_eq!(reports, ["release-v1", "release-v2"]);
    assert_eq!(bucket.asked_for("releases/iris/v4/other.release-v4/run.json"), 0, "another's");
    let reader = sources.store.as_ref().unwrap();
    let report = reader.evidence(&key("v1"), KeptFile::Report).await.unwrap();
    assert_eq!(report.as_deref(), Some(b"<p>pass</p>".as_slice()));
    assert_eq!(reader.evidence(&key("v1"), KeptFile::Verdict).await.unwrap(), None);
    assert_eq!(reader.evidence(&key("v9"), KeptFile::Report).await.unwrap(), None);
    // The cluster's own goes, and the store's stays.
    api.delete("pipelineruns", &live);
    api.put("pipelineruns", &release_run("release-v5", "v5", "Unknown"));
    let known = until(&sources, "the new one", |known| known.releases.len() == 3).await;
    assert!(known.releases.iter().any(|release| release.version == "v2"));
}

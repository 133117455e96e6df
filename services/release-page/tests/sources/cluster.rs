//! What is known of the cluster.

use std::collections::BTreeSet;

use release_page::known::{Known, Source};
use release_record::release::Outcome;
use serde_json::json;

use crate::{
    api::Api,
    objects::{NAMESPACE, image, lease, release_run, revision, service, stop_switch, task_run},
    start, until,
};

const CREATED: [(&str, &str); 5] = [
    ("outcome", "canary"),
    ("percent", "10"),
    ("canary-revision", "iris-2"),
    ("baseline-revision", "iris-1"),
    ("started-at", "2026-11-24T06:01:00Z"),
];

/// A service whose version v2 is out as a canary at 10 %
fn with_canary() -> Api {
    let api = Api::default();
    let traffic = [("iris-2", 10, "latest"), ("iris-1", 90, "prev")];
    api.put("inferenceservices", &service("iris", Some(10), "v2", &traffic));
    api.put("revisions", &revision("iris-1", "v1"));
    api.put("revisions", &revision("iris-2", "v2"));
    let mark = json!({
        "liveSince": "2026-11-24T06:01:00Z", "baselineRevision": "iris-1",
        "release": {"version": "v2", "run": "release-v2"},
    });
    let mark = json!({"kanaria.dev/mark": mark.to_string()});
    api.put("leases", &lease("iris-canary", "iris", &image("v2"), &mark));
    let hold = json!({"kanaria.dev/hold": "v2 ada: p99 is up"});
    api.put("leases", &lease("iris-canary-decision", "iris", "", &hold));
    api.put("configmaps", &stop_switch("bob: all night"));
    for (version, succeeded) in [("v1", "True"), ("v2", "Unknown")] {
        let run = format!("release-{version}");
        api.put("pipelineruns", &release_run(&run, version, succeeded));
        let digest = format!("sha256:{}", version.repeat(32));
        let built = [("IMAGE_DIGEST", digest.as_str()), ("sha256", "5d41")];
        api.put("taskruns", &task_run(&run, "bento-build", "True", &built));
    }
    let first = [("outcome", "first"), ("canary-revision", "iris-1")];
    api.put("taskruns", &task_run("release-v1", "canary-create", "True", &first));
    api.put("taskruns", &task_run("release-v2", "canary-create", "True", &CREATED));
    api
}

fn is_current(known: &Known) -> bool {
    known.api_server == Source::Current
}

#[tokio::test]
async fn all_that_a_cluster_says_of_a_release_is_known() {
    let api = with_canary();
    let sources = start(api.client(), &[]).await;
    let known =
        until(&sources, "current", |known| is_current(known) && known.releases.len() == 2).await;
    let iris = known.service(NAMESPACE, "iris").unwrap();
    let split = iris.split.iter().map(|share| {
        (share.revision.as_str(), share.version.as_str(), share.percent, share.is_canary)
    });
    let split: Vec<_> = split.collect();
    assert_eq!(split, [("iris-1", "v1", 90, false), ("iris-2", "v2", 10, true)]);
    let canary = iris.canary.as_ref().unwrap();
    assert_eq!((canary.version.as_str(), canary.revision.as_str()), ("v2", "iris-2"));
    assert_eq!((canary.percent, canary.run.as_str()), (10, "release-v2"));
    assert_eq!(canary.since.unwrap().to_string(), "2026-11-24T06:01:00Z");
    assert_eq!(iris.decisions, [("hold".to_owned(), "v2 ada: p99 is up".to_owned())]);
    assert_eq!(iris.stopped.as_deref(), Some("bob: all night"));
    assert!(iris.is_ready && known.missing.is_empty(), "{iris:?}");
    let releases = known.releases_of(NAMESPACE, "iris");
    let mut releases: Vec<_> = releases.map(|one| (one.version.as_str(), one.outcome)).collect();
    releases.sort_unstable();
    assert_eq!(releases, [("v1", Outcome::Promoted), ("v2", Outcome::Underway)]);
    let asked: BTreeSet<_> = api.asked().into_iter().collect();
    let resources =
        ["configmaps", "inferenceservices", "leases", "pipelineruns", "revisions", "taskruns"];
    let verbs = ["list", "watch"];
    let only = verbs.iter().flat_map(|verb| resources.map(|of| format!("{verb} {of}")));
    assert_eq!(asked, only.collect(), "nothing but lists and watches");
}

#[tokio::test]
async fn changes_come_by_watches_and_what_is_deleted_goes() {
    let api = with_canary();
    let sources = start(api.client(), &[]).await;
    until(&sources, "current", |known| is_current(known) && known.releases.len() == 2).await;
    let lists = || api.asked().iter().filter(|asked| asked.starts_with("list")).count();
    let before = lists();
    let rolled_back = service("iris", None, "v1", &[("iris-3", 100, "latest")]);
    api.put("inferenceservices", &rolled_back);
    api.put("revisions", &revision("iris-3", "v1"));
    let known = until(&sources, "rolled back", |known| {
        known.services.iter().any(|iris| iris.split.len() == 1 && !iris.split[0].version.is_empty())
    })
    .await;
    let share = &known.services[0].split[0];
    assert_eq!((share.revision.as_str(), share.version.as_str()), ("iris-3", "v1"), "by its image");
    api.put("pipelineruns", &release_run("release-v2", "v2", "True"));
    api.delete("configmaps", &stop_switch(""));
    api.delete("pipelineruns", &release_run("release-v1", "v1", "True"));
    until(&sources, "v1 and the stop are gone", |known| {
        let versions: Vec<_> = known.releases.iter().map(|one| one.version.as_str()).collect();
        versions == ["v2"] && known.services[0].stopped.is_none()
    })
    .await;
    api.delete("inferenceservices", &rolled_back);
    until(&sources, "no service", |known| known.services.is_empty()).await;
    assert_eq!(lists(), before, "nothing is listed again");
}

#[tokio::test]
async fn a_list_of_many_pages_is_known_as_a_whole() {
    let api = Api::default();
    for run in 0..120 {
        let (name, version) = (format!("release-{run:03}"), format!("v{run}"));
        api.put("pipelineruns", &release_run(&name, &version, "True"));
        for task in ["bento-build", "canary-create"] {
            api.put("taskruns", &task_run(&name, task, "True", &[("outcome", "first")]));
        }
    }
    let sources = start(api.client(), &[]).await;
    let known = until(&sources, "current", |known| known.releases.len() == 120).await;
    let stages: usize = known.releases.iter().map(|release| release.stages.len()).sum();
    assert_eq!(stages, 240);
    let pages = api.asked().iter().filter(|asked| *asked == "list taskruns").count();
    assert_eq!(pages, 5);
}

#[tokio::test]
async fn a_watch_whose_place_is_forgotten_begins_anew_and_finds_what_went_meanwhile() {
    let api = with_canary();
    let sources = start(api.client(), &[]).await;
    until(&sources, "current", |known| is_current(known) && known.releases.len() == 2).await;
    api.lose("pipelineruns", &release_run("release-v1", "v1", "True"));
    api.forget("pipelineruns");
    api.cut();
    let known = until(&sources, "v1 is gone", |known| known.releases.len() == 1).await;
    assert_eq!(known.releases[0].version, "v2");
    assert_eq!(known.releases[0].stages.len(), 2, "its tasks are known still");
    until(&sources, "current", is_current).await;
}

#[tokio::test]
async fn a_server_that_is_away_leaves_what_was_known_and_is_seen_when_it_is_back() {
    let api = with_canary();
    let sources = start(api.client(), &[]).await;
    until(&sources, "current", |known| is_current(known) && known.releases.len() == 2).await;
    api.set_away(true);
    let away = |known: &Known| matches!(known.api_server, Source::Away { .. });
    let known = until(&sources, "away", away).await;
    let Source::Away { error, .. } = &known.api_server else { panic!("{:?}", known.api_server) };
    assert!(error.contains("connection refused"), "{error}");
    assert_eq!((known.services.len(), known.releases.len()), (1, 2));
    api.set_away(false);
    until(&sources, "back", is_current).await;
    api.put("inferenceservices", &service("wine", None, "v1", &[("wine-1", 100, "latest")]));
    until(&sources, "what is new since", |known| known.services.len() == 2).await;
}

#[tokio::test]
async fn a_server_that_is_away_from_the_beginning_holds_up_nothing() {
    let api = with_canary();
    api.set_away(true);
    let sources = start(api.client(), &[]).await;
    until(&sources, "away", |known| matches!(known.api_server, Source::Away { .. })).await;
    api.set_away(false);
    until(&sources, "current", |known| is_current(known) && known.releases.len() == 2).await;
}

#[tokio::test]
async fn what_may_not_be_read_is_told_and_the_rest_works() {
    let api = with_canary();
    api.refuse("leases", 403);
    api.refuse("revisions", 404);
    let sources = start(api.client(), &["--namespace=models"]).await;
    let known =
        until(&sources, "current", |known| is_current(known) && known.releases.len() == 2).await;
    assert_eq!(
        known.missing,
        [
            "leases of namespace `models` are not shown: leases is forbidden",
            "revisions of namespace `models` are not shown: the cluster has no such resource",
        ]
    );
    let iris = known.service(NAMESPACE, "iris").unwrap();
    assert_eq!((iris.split[1].version.as_str(), iris.decisions.len()), ("v2", 0));
    api.allow("leases");
    let known = until(&sources, "decisions", |known| known.missing.len() == 1).await;
    until(&sources, "decisions", |known| !known.services[0].decisions.is_empty()).await;
    assert!(known.missing[0].starts_with("revisions"), "{:?}", known.missing);
}

#[tokio::test]
async fn all_namespaces_are_one_watch_each_resource() {
    let api = with_canary();
    let sources = start(api.client(), &["--all-namespaces", "--namespace=other"]).await;
    let known =
        until(&sources, "current", |known| is_current(known) && known.releases.len() == 2).await;
    assert!(known.service(NAMESPACE, "iris").is_some());
    let watches = api.asked().iter().filter(|asked| *asked == "watch taskruns").count();
    assert_eq!(watches, 1);
}

//! What models answer, counted by version and judged: a release that answers every request, and wrongly, is taken
//! back; a counter that is away, or that strangers write to, spoils nothing.

use demo::{Site, Traffic, within};
use serde_json::{Value, json};

use crate::{
    answer_counter::{COUNTER, Counter},
    bento::Model,
    canary::{Canary, named},
    interrupted_releases::{STARTS, TAKEN_BACK, ask, quicken, run_of, settles_on, watch},
    namespace::in_namespace,
    release::LIMIT,
    sink::{Accepted, Sink},
};

/// As many of each.
pub(crate) const EVEN: Model = Model::Naming("setosa:1,versicolor:1,virginica:1");
/// Setosa twice as often, and the others half as often.
const SKEWED: Model = Model::Naming("setosa:4,versicolor:1,virginica:1");

/// A service on v1, counted, with traffic; a gate that asks for errors and answers.
pub(crate) async fn counted(site: &mut Site, service: &str) -> (Sink, Traffic) {
    quicken(site).await;
    let settings = [("criteria", "errors,answers"), ("ladder", "50"), ("deadline", "5m")];
    for (name, value) in settings {
        site.set(name, value).await.unwrap();
    }
    let sink = watch(site).await;
    ask(site, service, "v1", EVEN).await;
    run_of(site, "canary-release", service, "v1").await.wait(LIMIT).await.unwrap();
    settles_on(site, service, "v1", LIMIT).await;
    let host = site.host(service).await.unwrap();
    let traffic = Traffic::start(site, &host, 40).unwrap();
    (sink, traffic)
}

/// Asks for a release and waits for the event that ends it.
pub(crate) async fn ends(
    site: &Site,
    sink: &Sink,
    service: &str,
    version: &str,
    model: Model,
) -> Accepted {
    ask(site, service, version, model).await;
    run_of(site, "canary-promotion", service, version).await;
    over(sink, service, version).await
}

async fn over(sink: &Sink, service: &str, version: &str) -> Accepted {
    let ends = ["canary.promoted", "canary.rolledback", "failed"];
    sink.event(LIMIT, (service, version), &ends).await
}

/// It was taken back for its answers, and no request of a user has failed.
async fn assert_taken_back(
    site: &Site,
    (sink, traffic): &(Sink, Traffic),
    service: &str,
    (version, serves): (&str, &str),
) {
    let end = over(sink, service, version).await;
    assert_eq!(end.brief(), "canary.rolledback(gate-failed)", "{end:?}");
    let why = end.data.to_string();
    assert!(why.contains("answers: ") && why.contains("setosa"), "{why}");
    settles_on(site, service, serves, TAKEN_BACK).await;
    let answers = traffic.take();
    assert_eq!(answers.errors(), 0, "{answers}: {:?}", answers.by_error);
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_release_without_a_fault_that_names_one_class_twice_as_often_is_taken_back() {
    in_namespace("answers", async |mut site| {
        let service = "answers";
        let watched = counted(&mut site, service).await;
        let (sink, _) = &watched;
        // The same model once more is no other one.
        let end = ends(&site, sink, service, "v2", EVEN).await;
        assert!(end.is("canary.promoted"), "{end:?}");
        settles_on(&site, service, "v2", STARTS).await;
        let created = sink.event(STARTS, (service, "v2"), &["canary.created"]).await;
        assert_eq!(created.data["canary"]["answers"], "compared", "{created:?}");

        ends(&site, sink, service, "v3", SKEWED).await;
        assert_taken_back(&site, &watched, service, ("v3", "v2")).await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_counter_that_is_killed_while_a_gate_looks_makes_no_verdict_wrong() {
    in_namespace("uncounted", async |mut site| {
        let service = "uncounted";
        let watched = counted(&mut site, service).await;
        let (sink, _) = &watched;
        for (version, model) in [("v2", EVEN), ("v3", SKEWED)] {
            ask(&site, service, version, model).await;
            run_of(&site, "canary-promotion", service, version).await;
            // Some of both versions has been counted.
            let counter = Counter::of(&site).await;
            within(LIMIT, "counted answers", async || {
                let metrics = counter.metrics().await?;
                Ok((metrics.answers(service, version) > 40).then_some(()))
            })
            .await
            .unwrap();
            let now = ["--grace-period=0", "--force", "--wait=false"];
            site.kubectl([&["delete", "pod", "-l", COUNTER][..], &now].concat()).unwrap();
            if model == EVEN {
                let end = over(sink, service, version).await;
                assert!(end.is("canary.promoted"), "{end:?}");
                settles_on(&site, service, version, STARTS).await;
            } else {
                assert_taken_back(&site, &watched, service, (version, "v2")).await;
            }
        }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn what_strangers_send_to_the_counter_costs_no_memory_and_no_count_of_others() {
    in_namespace("strangers", async |site| {
        let counter = Counter::of(&site).await;
        for number in 0..60 {
            let species = ["setosa", "virginica"][number % 2];
            counter.send("iris", "v1", &json!({"species": species}).to_string()).await;
        }
        let metrics = async || counter.metrics().await.unwrap();
        within(STARTS, "the answers of iris", async || {
            let known = [("setosa".to_owned(), 30), ("virginica".to_owned(), 30)];
            Ok((metrics().await.of("iris", "v1") == known.into()).then_some(()))
        })
        .await
        .unwrap();

        let distinct: Vec<_> = (0..1_000_000).map(|number| format!("a{number}")).collect();
        let stranger = async |service: &str, version: &str, answer: &str| {
            counter.send_from("strangers", service, version, answer).await;
        };
        // At once, which is too large to be read, and in parts.
        for part in [1_000_000, 50_000] {
            for answers in distinct.chunks(part) {
                let body = json!({"predictions": answers}).to_string();
                stranger("stranger", "v1", &body).await;
            }
        }
        let large = "x".repeat(5 << 20);
        stranger("large", "v1", &json!({"species": large, "text": [large]}).to_string()).await;
        for number in 0..2_000 {
            let answer = json!({"species": format!("s{number}")}).to_string();
            stranger("nobody", &format!("v{}", number % 200), &answer).await;
            stranger(&format!("nobody-{number}"), "v1", &answer).await;
        }
        counter.send("iris", "v2", "{\"species\": ").await;

        // All that has been queued is counted or dropped when one that comes after it is counted.
        let (last, mut sent) = (json!({"species": "setosa"}).to_string(), 0);
        let counts = within(STARTS, "an answer that comes after all these", async || {
            counter.send("iris", "v1", &last).await;
            sent += 1;
            let counts = metrics().await.of("iris", "v1");
            Ok((counts["setosa"] > 30).then_some(counts))
        });
        let counts = counts.await.unwrap();
        assert_eq!(counts["virginica"], 30, "{counts:?}");
        assert!(counts["setosa"] <= 30 + sent && counts.len() == 2, "{counts:?}");
        let metrics = metrics().await;
        assert!(metrics.of("stranger", "v1").len() <= 51, "the first fifty, and `other`");
        assert!(metrics.series() < 10_000, "{} series", metrics.series());
        counter.is_scraped().await;
        counter.assert_unharmed(32 << 20).await;
    })
    .await;
}

/// Where answers go, as the service and the revision have it.
async fn urls(canary: &Canary) -> [Value; 2] {
    let spec = canary.predictor().await["logger"]["url"].clone();
    let service = canary.site.service("iris").await.unwrap().unwrap();
    let revision = &service.data["status"]["components"]["predictor"]["latestReadyRevision"];
    let revision = canary.site.objects("Revision").get(revision.as_str().unwrap()).await.unwrap();
    let sink = "internal.serving.kserve.io/logger-sink-url";
    let sink = revision.metadata.annotations.and_then(|all| all.get(sink).cloned());
    [spec, sink.map_or(Value::Null, Value::from)]
}

/// By the whole name, with its dot: one question to the resolver while no counter is there.
fn assert_of(namespace: &str, version: &str, urls: &[Value; 2]) {
    let (host, path) = (
        format!("http://answer-counter.{namespace}.svc."),
        format!(".:8080/{namespace}/iris/{version}"),
    );
    let is = |url: &Value| {
        url.as_str().is_some_and(|url| url.starts_with(&host) && url.ends_with(&path))
    };
    assert!(urls.iter().all(is), "{urls:?} for {version}");
}

/// Starts the counter anew, with this config or none.
fn count(site: &Site, config: Option<&str>) {
    let config = config.map(|config| format!("--from-literal=config.yaml={config}"));
    match &config {
        Some(config) => site.kubectl(["create", "configmap", "answer-counter", config]),
        None => site.kubectl(["delete", "configmap", "answer-counter"]),
    }
    .unwrap();
    let deployment = "deployment/answer-counter";
    site.kubectl(["rollout", "restart", deployment]).unwrap();
    site.kubectl(["rollout", "status", deployment, "--timeout=3m"]).unwrap();
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_version_brings_its_own_address_for_answers_and_an_owners_logger_stays() {
    in_namespace("logger", async |site| {
        let canary = Canary { site };
        let answers = ("answers", "http://answer-counter:8080");
        let both = |url: Value| [url.clone(), url];
        let are = |version: &str, urls: &[Value; 2]| {
            assert_of(&canary.site.namespace, version, urls);
        };
        let live = async |version: &str, more: &[(&str, &str)]| {
            let params = [&[answers, ("service-version", version)], more].concat();
            canary.create_live(version, Model::Good, &params).await
        };
        let small = [("memory", "64Mi"), ("cpu", "10m")];
        count(&canary.site, Some("{others: refuse}"));
        let first = [&[answers, ("service-version", "v1")], &small[..]].concat();
        let first = canary.create("v1", Model::Good, &first).await;
        assert_eq!(first.result("outcome"), "first", "{first:?}");
        assert!(first.result("answers").contains(" does not count this service, so "), "{first:?}");
        assert_eq!(urls(&canary).await, both(Value::Null), "nothing would count them");

        // From then on it is as if the counter had always counted it.
        count(&canary.site, None);
        let v2 = live("v2", &[]).await;
        assert!(v2.result("answers").ends_with(" from the next release on"), "{v2:?}");
        are("v2", &urls(&canary).await);
        canary.assert_rolls_back(&named(v2.result("canary-revision"))).await;
        assert_eq!(urls(&canary).await, both(Value::Null));

        let v3 = live("v3", &[]).await;
        canary.promote(&named(v3.result("canary-revision"))).await;
        canary.assert_serves("v3").await;
        are("v3", &urls(&canary).await);

        let v4 = live("v4", &[("expect-answer-shift", "true")]).await;
        assert_eq!(v4.result("answers"), "observed", "{v4:?}");
        are("v4", &urls(&canary).await);
        let back = canary.rollback(&named(v4.result("canary-revision"))).await;
        assert_eq!(back.result("outcome"), "rolled-back", "{back:?}");
        are("v3", &urls(&canary).await);

        let own = json!("http://broker.example.test/iris");
        let logger = json!({"spec": {"predictor": {"logger": {"url": own, "mode": "all"}}}});
        let patch = logger.to_string();
        canary.kubectl(&["patch", "isvc", "iris", "--type=merge", "-p", &patch]).unwrap();
        canary
            .when("the owner's logger", async || {
                let traffic = canary.traffic().await;
                let is_there = urls(&canary).await == both(own.clone());
                (is_there && matches!(&traffic[..], [(_, 100)])).then_some(())
            })
            .await;
        let v5 = live("v5", &[]).await;
        assert!(v5.result("answers").contains("logger of its own"), "{v5:?}");
        assert_eq!(urls(&canary).await, both(own.clone()));
        let back = canary.rollback(&named(v5.result("canary-revision"))).await;
        assert_eq!(back.result("outcome"), "rolled-back", "{back:?}");
        assert_eq!(urls(&canary).await, both(own));
        assert_eq!(canary.predictor().await["logger"]["mode"], "all");
    })
    .await;
}

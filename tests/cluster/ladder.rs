//! Releases that climb a ladder: each rung is a run, with a gate that has seen the rungs before it.

use std::time::Duration;

use demo::{Event, Mode, Run, Site, Traffic, within};
use kube::{
    ResourceExt,
    api::{DynamicObject, ListParams},
};
use serde_json::{Value, json};

use crate::{
    bento::Model,
    canary::Canary,
    image,
    interrupted_releases::{
        STARTS, TAKEN_BACK, ask, ends_well, first, quicken, run_of, settles_on, watch,
    },
    namespace::in_namespace,
    release::LIMIT,
    sink::Sink,
};

/// A service on v1 with traffic, whose releases climb these percents.
pub(crate) async fn climbing(site: &mut Site, service: &str, ladder: &str) -> (Sink, Traffic) {
    quicken(site).await;
    site.set("ladder", ladder).await.unwrap();
    let sink = watch(site).await;
    first(site, service).await;
    let host = site.host(service).await.unwrap();
    let traffic = Traffic::start(site, &host, 20).unwrap();
    (sink, traffic)
}

/// The run that decides about this percent of a version, as soon as there is one.
pub(crate) async fn rung(site: &Site, service: &str, version: &str, percent: u8) -> Run {
    let labels = format!(
        "tekton.dev/pipeline=canary-promotion,kanaria.dev/service={service},kanaria.dev/version={version}"
    );
    let what = format!("a run for {service} {version} at {percent} %");
    let name = within(LIMIT, &what, async || {
        let runs = site.objects("PipelineRun").list(&ListParams::default().labels(&labels)).await?;
        let percent = json!({"name": "percent", "value": percent.to_string()});
        let is_of = |run: &&DynamicObject| {
            run.data["spec"]["params"].as_array().is_some_and(|params| params.contains(&percent))
        };
        Ok(runs.items.iter().find(is_of).map(ResourceExt::name_any))
    })
    .await
    .unwrap();
    site.run(&name)
}

/// The types of all events about a version, and for those that have one, the weight.
fn told(sink: &Sink, service: &str, version: &str) -> Vec<String> {
    let weight = |event: &crate::sink::Accepted| event.data["canary"]["weight"].as_u64();
    let brief = |event: crate::sink::Accepted| match weight(&event) {
        Some(weight) => format!("{} {weight}", event.brief()),
        None => event.brief(),
    };
    sink.about(service, version).into_iter().map(brief).collect()
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_good_release_climbs_its_ladder_rung_by_rung_to_all_requests() {
    in_namespace("climbs", async |mut site| {
        let (sink, traffic) = climbing(&mut site, "climbs", "10,25,50,100").await;
        ask(&site, "climbs", "v2", Model::Good).await;
        ends_well(&run_of(&site, "canary-release", "climbs", "v2").await).await;
        traffic.take();
        for percent in [10, 25, 50] {
            ends_well(&rung(&site, "climbs", "v2", percent).await).await;
        }
        settles_on(&site, "climbs", "v2", STARTS).await;
        sink.event(STARTS, ("climbs", "v2"), &["canary.promoted"]).await;
        let events = told(&sink, "climbs", "v2");
        let expected = [
            "requested",
            "canary.created 10",
            "canary.advanced 25",
            "canary.advanced 50",
            "canary.promoted 100",
        ];
        assert_eq!(events, expected);
        let answers = traffic.take();
        assert_eq!(answers.errors(), 0, "{answers}");

        // What the earlier rungs have shown counts on the later ones.
        let last = rung(&site, "climbs", "v2", 50).await;
        let climbed = &last.params().await.unwrap()["climbed"];
        let weights: Vec<_> =
            climbed.split(',').filter_map(|rung| rung.split('@').next()).collect();
        assert_eq!(weights, ["10", "25"], "{climbed}");
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_release_that_does_not_bear_a_quarter_of_the_load_is_taken_back_from_there() {
    in_namespace("overloaded", async |mut site| {
        let (sink, _traffic) = climbing(&mut site, "overloaded", "10,25,50").await;
        ask(&site, "overloaded", "v2", Model::Overloaded).await;
        ends_well(&rung(&site, "overloaded", "v2", 10).await).await;
        rung(&site, "overloaded", "v2", 25).await.wait(LIMIT).await.unwrap();
        settles_on(&site, "overloaded", "v1", TAKEN_BACK).await;
        let end = sink.event(STARTS, ("overloaded", "v2"), &["canary.rolledback"]).await;
        assert_eq!(end.data["reason"], "gate-failed", "{end:?}");
        let events = told(&sink, "overloaded", "v2");
        assert!(events.contains(&"canary.advanced 25".to_owned()), "{events:?}");
        assert!(!events.contains(&"canary.advanced 50".to_owned()), "{events:?}");
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_release_goes_on_when_the_listener_was_away_between_two_rungs() {
    in_namespace("unheard", async |mut site| {
        let (sink, _traffic) = climbing(&mut site, "unheard", "10,50").await;
        ask(&site, "unheard", "v2", Model::Good).await;
        let run = rung(&site, "unheard", "v2", 10).await;
        let listener = |replicas: &str| {
            site.kubectl(["scale", "deployment/el-canary", &format!("--replicas={replicas}")])
        };
        listener("0").unwrap();
        within(LIMIT, "the climb to 50 %", async || {
            let split = site.traffic("unheard").await?;
            Ok(split.iter().any(|(_, percent)| *percent == 50).then_some(()))
        })
        .await
        .unwrap();
        tokio::time::sleep(Duration::from_secs(20)).await;
        listener("1").unwrap();
        ends_well(&run).await;
        ends_well(&rung(&site, "unheard", "v2", 50).await).await;
        settles_on(&site, "unheard", "v2", STARTS).await;
        sink.event(STARTS, ("unheard", "v2"), &["canary.promoted"]).await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_person_undoes_a_release_that_has_all_requests() {
    in_namespace("undone", async |mut site| {
        let (sink, _traffic) = climbing(&mut site, "undone", "50").await;
        ask(&site, "undone", "v2", Model::Good).await;
        sink.event(LIMIT, ("undone", "v2"), &["canary.promoted"]).await;
        settles_on(&site, "undone", "v2", STARTS).await;

        let undo = Event {
            id: "undo-v2".into(),
            r#type: "build.canary.release.rollback.requested.v1".into(),
            subject: format!("{}/undone", site.namespace),
            data: json!({"serviceName": "undone", "serviceVersion": "v2", "by": "ada", "reason": "wrong labels"}),
        };
        assert_eq!(site.send(&undo, Mode::Structured).await.unwrap(), 202);
        let end = sink.event(LIMIT, ("undone", "v2"), &["canary.rolledback"]).await;
        assert_eq!(end.data["reason"], "manual", "{end:?}");
        let message = end.data["message"].as_str().unwrap_or_default();
        assert!(message.contains("ada") && message.contains("wrong labels"), "{end:?}");
        settles_on(&site, "undone", "v1", TAKEN_BACK).await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_release_that_is_watched_after_its_last_rung_is_promoted_when_nothing_has_failed() {
    in_namespace("baked", async |mut site| {
        site.set("bake", "20s").await.unwrap();
        let (sink, _traffic) = climbing(&mut site, "baked", "50").await;
        ask(&site, "baked", "v2", Model::Good).await;
        ends_well(&rung(&site, "baked", "v2", 100).await).await;
        sink.event(STARTS, ("baked", "v2"), &["canary.promoted"]).await;
        let expected =
            ["requested", "canary.created 50", "canary.advanced 100", "canary.promoted 100"];
        assert_eq!(told(&sink, "baked", "v2"), expected);
        settles_on(&site, "baked", "v2", STARTS).await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_blue_green_release_has_its_users_after_its_tests() {
    in_namespace("blue-green", async |site| {
        let canary = Canary::of(site).await;
        let sample = include_str!("../../pipelines/canary-release/samples/blue-green.yaml");
        for (version, model, ended, serves) in
            [("v2", Model::Failing, "Failed", "v1"), ("v3", Model::Good, "Completed", "v3")]
        {
            let mut run: Value = serde_saphyr::from_str(sample).unwrap();
            run["metadata"] = json!({"name": format!("blue-green-{version}")});
            let image = image::push(&canary.site, version, model).await;
            for param in run["spec"]["params"].as_array_mut().unwrap() {
                match param["name"].as_str() {
                    Some("version") => param["value"] = version.into(),
                    Some("image") => param["value"] = image.clone().into(),
                    _ => {}
                }
            }
            let created = canary.site.create(run).await.unwrap();
            let run = canary.site.run(&created.name_any());
            let reason = run.wait(LIMIT).await.unwrap();
            assert_eq!(reason, ended, "{}", run.describe().await.unwrap());
            canary.assert_serves(serves).await;
        }
    })
    .await;
}

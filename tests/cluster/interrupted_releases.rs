//! What can come between the runs of a release: whatever it is, the canary gets all requests or none
//! within five minutes, and an event says what happened.

use std::time::Duration;

use demo::{Event, Mode, Run, Site, Traffic, within};
use kube::{
    ResourceExt as _,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{
    bento::{self, Model},
    canary::assert_serves,
    namespace::in_namespace,
    release::{LIMIT, without_an_event},
    sink::{Accepted, Sink},
};

/// The longest that a canary may be left which no run will end.
pub(crate) const TAKEN_BACK: Duration = Duration::from_mins(5);

/// A run starts within seconds of its event; on two busy cores that takes its time.
pub(crate) const STARTS: Duration = Duration::from_mins(2);

/// A sink before the site's listener, and models that ask for little of a node that many tests share.
pub(crate) async fn watch(site: &mut Site) -> Sink {
    for (name, value) in [("cpu", "10m"), ("memory", "64Mi")] {
        site.set(name, value).await.unwrap();
    }
    Sink::before(site).await
}

/// A gate that says yes after a little traffic.
pub(crate) async fn quicken(site: &Site) {
    let quick =
        [("criteria", "errors"), ("hold", "20s"), ("min-requests", "20"), ("deadline", "3m")];
    for (name, value) in quick {
        site.set(name, value).await.unwrap();
    }
}

/// Saves a model and asks for its release.
pub(crate) async fn ask(site: &Site, service: &str, version: &str, model: Model) {
    bento::save(site, service, version, model).await;
    ask_again(site, &format!("{service}-{version}"), service, version).await;
}

async fn ask_again(site: &Site, id: &str, service: &str, version: &str) {
    let event = Event::requested(id, service, version);
    assert_eq!(site.send(&event, Mode::Structured).await.unwrap(), 202);
}

/// The newest run of a Pipeline for a version of a service, as soon as there is one.
pub(crate) async fn run_of(site: &Site, pipeline: &str, service: &str, version: &str) -> Run {
    let labels = format!(
        "tekton.dev/pipeline={pipeline},kanaria.dev/service={service},kanaria.dev/version={version}"
    );
    let runs = site.objects("PipelineRun");
    let name =
        within(LIMIT, &format!("a run of `{pipeline}` for {service} {version}"), async || {
            let found = runs.list(&ListParams::default().labels(&labels)).await?;
            let newest =
                found.items.into_iter().max_by_key(|run| run.metadata.creation_timestamp.clone());
            Ok(newest.and_then(|run| run.metadata.name))
        })
        .await
        .unwrap();
    site.run(&name)
}

/// A run whose every task did what it is for, or was not needed.
pub(crate) async fn ends_well(run: &Run) {
    let ended = run.wait(LIMIT).await.unwrap();
    assert!(
        ["Succeeded", "Completed"].contains(&&ended[..]),
        "{ended}: {}",
        run.describe().await.unwrap()
    );
}

/// A service on v1.
pub(crate) async fn first(site: &Site, service: &str) {
    ask(site, service, "v1", Model::Good).await;
    let run = run_of(site, "canary-release", service, "v1").await;
    run.wait(LIMIT).await.unwrap();
    settles_on(site, service, "v1", LIMIT).await;
}

/// Waits until the spec has no percent and the route one revision, and then this version serves all requests.
pub(crate) async fn settles_on(site: &Site, service: &str, version: &str, limit: Duration) {
    within(limit, &format!("{service} at 100 % of one revision"), async || {
        let Some(found) = site.service(service).await? else { return Ok(None) };
        let predictor = &found.data["spec"]["predictor"];
        let split = site.traffic(service).await?;
        let mut conditions = found.data["status"]["conditions"].as_array().into_iter().flatten();
        let is_settled = predictor["canaryTrafficPercent"].is_null()
            && matches!(&split[..], [(_, 100)])
            && conditions
                .any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
        Ok(is_settled.then_some(()))
    })
    .await
    .unwrap();
    assert_serves(site, service, version).await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn releases_that_share_a_correlation_id_each_get_a_gate_and_an_end() {
    in_namespace("shared", async |mut site| {
        quicken(&site).await;
        let sink = watch(&mut site).await;
        first(&site, "shared").await;
        let host = site.host("shared").await.unwrap();
        let _traffic = Traffic::start(&site, &host, 20).unwrap();
        for (version, model, end, serves) in [
            ("v2", Model::Good, "canary.promoted", "v2"),
            ("v3", Model::Failing, "canary.rolledback", "v2"),
        ] {
            bento::save(&site, "shared", version, model).await;
            let mut run = without_an_event("shared", version, &[]);
            run["metadata"]["labels"] =
                json!({"kanaria.dev/correlation-id": "one-for-both", "kanaria.dev/service": "shared",
                       "kanaria.dev/version": version});
            let params = run["spec"]["params"].as_array_mut().unwrap();
            params.retain(|param| param["name"] != "event-sink");
            params.push(json!({"name": "event-sink", "value": site.listener}));
            site.create(run).await.unwrap();
            let release = run_of(&site, "canary-release", "shared", version).await;
            ends_well(&release).await;
            run_of(&site, "canary-promotion", "shared", version).await.wait(LIMIT).await.unwrap();
            sink.event(STARTS, ("shared", version), &[end]).await;
            settles_on(&site, "shared", serves, TAKEN_BACK).await;
        }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_canary_that_no_promotion_can_be_started_for_is_taken_back_by_its_release() {
    in_namespace("alone", async |mut site| {
        let sink = watch(&mut site).await;
        first(&site, "alone").await;
        let kubectl = |line: &[&str]| site.kubectl(line.iter().copied()).unwrap();
        let none_more = ["create", "quota", "runs", "--hard=count/pipelineruns.tekton.dev=2"];
        let no_right = ["delete", "rolebinding", "canary-listener"];
        for (version, take_away) in [("v2", &none_more[..]), ("v3", &no_right[..])] {
            ask(&site, "alone", version, Model::Good).await;
            let release = run_of(&site, "canary-release", "alone", version).await;
            kubectl(take_away);
            release.wait(LIMIT).await.unwrap();
            let event = sink.event(STARTS, ("alone", version), &["canary.rolledback"]).await;
            assert_eq!(event.data["reason"], "error", "{event:?}");
            let message = event.data["message"].as_str().unwrap_or_default();
            assert!(message.contains("promotion-"), "it names the run that is missing: {event:?}");
            settles_on(&site, "alone", "v1", TAKEN_BACK).await;
            kubectl(&["delete", "quota", "runs", "--ignore-not-found"]);
        }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn what_no_run_will_end_is_swept_with_an_event_and_nothing_else() {
    in_namespace("swept", async |mut site| {
        let sink = watch(&mut site).await;
        let services = ["cancelled", "deleted", "release-cancelled", "by-hand"];
        futures::future::join_all(services.map(|service| first(&site, service))).await;
        for service in services {
            ask(&site, service, "v2", Model::Good).await;
        }
        let release = run_of(&site, "canary-release", "release-cancelled", "v2").await;
        at_percent(&site, "release-cancelled").await;
        // One that was faster has handed its canary over, to a run that is deleted below.
        let _ = site.cancel(&release.name).await;
        let cancelled = run_of(&site, "canary-promotion", "cancelled", "v2").await;
        site.cancel(&cancelled.name).await.unwrap();
        // Until then a release sees to it that a run has its canary, and starts another one.
        for service in ["deleted", "by-hand"] {
            let release = run_of(&site, "canary-release", service, "v2").await;
            release.wait(LIMIT).await.unwrap();
        }
        let deleted = run_of(&site, "canary-promotion", "deleted", "v2").await;
        site.delete_run(&deleted.name).await.unwrap();
        // A person's canary, without any mark of ours.
        run_of(&site, "canary-promotion", "by-hand", "v2").await;
        site.kubectl(["delete", "lease", "by-hand-canary"]).unwrap();
        for run in site.runs("canary-promotion").await.unwrap() {
            if run != cancelled.name {
                site.delete_run(&run).await.unwrap_or_default();
            }
        }

        assert!(site.sweep_every_minute().await.unwrap(), "the catalog has a sweep");
        for service in ["cancelled", "deleted", "release-cancelled"] {
            settles_on(&site, service, "v1", TAKEN_BACK).await;
            // One that was cancelled before its canary had requests has failed.
            let ends = ["canary.rolledback", "failed"];
            let end = sink.event(STARTS, (service, "v2"), &ends).await;
            assert_eq!(end.data["reason"], "cancelled", "{end:?}");
        }
        let percent = &site.service("by-hand").await.unwrap().unwrap().data["spec"]["predictor"]["canaryTrafficPercent"];
        assert!(!percent.is_null(), "a canary that is not ours is left alone");
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_run_whose_gate_is_killed_whole_is_cancelled_once_its_canary_is_taken_back_and_one_event_tells_it()
 {
    in_namespace("killed", async |mut site| {
        let sink = watch(&mut site).await;
        first(&site, "killed").await;
        ask(&site, "killed", "v2", Model::Good).await;
        let run = run_of(&site, "canary-promotion", "killed", "v2").await;
        kill_gate(&site, &run).await;

        assert!(site.sweep_every_minute().await.unwrap(), "the catalog has a sweep");
        settles_on(&site, "killed", "v1", TAKEN_BACK).await;
        let ended = run.wait(STARTS).await.unwrap();
        assert_eq!(ended, "Cancelled", "{}", run.describe().await.unwrap());
        let found = site.objects("PipelineRun").get(&run.name).await.unwrap();
        let why = &found.annotations()["kanaria.dev/cannot-go-on"];
        assert!(why.contains("container `step-prometheus-gate` of pod"), "{why}");
        let ends = ["canary.rolledback", "failed"];
        let told = sink.event(STARTS, ("killed", "v2"), &ends).await;
        assert_eq!(told.brief(), "canary.rolledback(error)");
        assert_eq!(told.data["message"], why.as_str(), "{told:?}");

        site.kubectl(["create", "job", "again", "--from=cronjob/canary-sweep"]).unwrap();
        site.kubectl(["wait", "job/again", "--for=condition=complete", "--timeout=3m"]).unwrap();
        let told = sink.about("killed", "v2");
        let told = told.iter().filter(|event| ends.iter().any(|end| event.is(end)));
        assert_eq!(told.count(), 1, "{:?}", sink.about("killed", "v2"));
    })
    .await;
}

/// Kills the container of a run's gate, as soon as it runs, with Tekton's own process in it: the step behind it waits
/// for word of that one.
async fn kill_gate(site: &Site, run: &Run) {
    let pods =
        format!("tekton.dev/pipelineRun={},tekton.dev/pipelineTask=prometheus-gate", run.name);
    let id = "jsonpath={.items[*].status.containerStatuses[?(@.name=='step-prometheus-gate')].containerID}";
    within(LIMIT, "the gate's container", async || {
        let id = site.kubectl(["get", "pods", "-l", &pods, "-o", id])?;
        Ok((!id.is_empty() && site.cluster.kill_container(&id)? > 0).then_some(()))
    })
    .await
    .unwrap();
}

/// Waits until the service's spec has a canary.
async fn at_percent(site: &Site, service: &str) {
    let canary = site.until(LIMIT, "a canary", ("InferenceService", service), |service| {
        service.is_some_and(|service| {
            !service.data["spec"]["predictor"]["canaryTrafficPercent"].is_null()
        })
    });
    canary.await.unwrap();
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_service_that_a_person_changes_while_the_gate_runs_ends_at_nothing_and_keeps_the_change()
{
    in_namespace("changed", async |mut site| {
        quicken(&site).await;
        let sink = watch(&mut site).await;
        first(&site, "changed").await;
        let host = site.host("changed").await.unwrap();
        let _traffic = Traffic::start(&site, &host, 20).unwrap();
        ask(&site, "changed", "v2", Model::Good).await;
        let promotion = run_of(&site, "canary-promotion", "changed", "v2").await;
        let services = site.objects("InferenceService");
        let variable = json!([{"op": "add", "path": "/spec/predictor/containers/0/env",
                               "value": [{"name": "LOG_LEVEL", "value": "debug"}]}]);
        let patch: Patch<Value> = Patch::Json(serde_json::from_value(variable).unwrap());
        services.patch("changed", &PatchParams::default(), &patch).await.unwrap();

        promotion.wait(LIMIT).await.unwrap();
        settles_on(&site, "changed", "v1", TAKEN_BACK).await;
        sink.event(STARTS, ("changed", "v2"), &["canary.rolledback"]).await;
        let service = site.service("changed").await.unwrap().unwrap();
        let container = &service.data["spec"]["predictor"]["containers"][0];
        assert_eq!(
            container["env"][0]["name"], "LOG_LEVEL",
            "a person's change stays: {container}"
        );
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn two_releases_of_a_service_take_their_turns_and_each_ends() {
    in_namespace("turns", async |mut site| {
        quicken(&site).await;
        let sink = watch(&mut site).await;
        first(&site, "turns").await;
        let host = site.host("turns").await.unwrap();
        let _traffic = Traffic::start(&site, &host, 20).unwrap();
        for (version, model) in [("v2", Model::Failing), ("v3", Model::Good)] {
            ask(&site, "turns", version, model).await;
            run_of(&site, "canary-release", "turns", version).await;
        }
        sink.event(STARTS, ("turns", "v2"), &["canary.created"]).await;
        let second = run_of(&site, "canary-release", "turns", "v3").await;
        ends_well(&second).await;
        run_of(&site, "canary-promotion", "turns", "v3").await.wait(LIMIT).await.unwrap();
        settles_on(&site, "turns", "v3", TAKEN_BACK).await;
        let ends: Vec<String> = sink.accepted().iter().map(Accepted::brief).collect();
        let at = |end: &str| ends.iter().position(|brief| brief == end);
        let rolled_back = at("canary.rolledback(gate-failed)");
        let created = sink.accepted().iter().rposition(|event| event.is("canary.created"));
        assert!(
            rolled_back.is_some() && rolled_back < created,
            "v2 has ended before v3 began: {ends:?}"
        );

        // The same bento again: another event, another image, the same archive.
        ask_again(&site, "turns-v2-again", "turns", "v2").await;
        let again = within(STARTS, "the release of v2 again", async || {
            let run = run_of(&site, "canary-release", "turns", "v2").await;
            Ok(run.ended().await?.is_none().then_some(run))
        })
        .await
        .unwrap();
        again.wait(LIMIT).await.unwrap();
        let failed = sink.event(STARTS, ("turns", "v2"), &["failed"]).await;
        let message = failed.data["message"].as_str().unwrap_or_default();
        assert!(message.contains("was rolled back before"), "{failed:?}");
        settles_on(&site, "turns", "v3", TAKEN_BACK).await;
    })
    .await;
}

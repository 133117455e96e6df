//! People in a release: they approve, hold, hurry and stop it, by one line of kubectl or by an event; who may is RBAC.

use demo::{Event, Mode, Site, Traffic, within};
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::{
    bento::Model,
    interrupted_releases::{STARTS, TAKEN_BACK, ask, ends_well, settles_on},
    ladder::{climbing, rung},
    namespace::in_namespace,
    release::LIMIT,
    sink::Sink,
};

/// Annotates the Lease of decisions as an account of the namespace.
fn decide(site: &Site, account: &str, service: &str, annotation: &str) -> anyhow::Result<String> {
    let account = format!("--as=system:serviceaccount:{}:{account}", site.namespace);
    let lease = format!("{service}-canary-decision");
    site.kubectl(["annotate", "lease", &lease, "--overwrite", annotation, &account])
}

/// An account that may decide about one service, and one that may only look.
fn accounts(site: &Site, service: &str) {
    let kubectl = |line: &[&str]| site.kubectl(line.iter().copied()).unwrap();
    let lease = format!("--resource-name={service}-canary-decision");
    for account in ["approver", "visitor"] {
        kubectl(&["create", "serviceaccount", account]);
    }
    kubectl(&["create", "role", "approver", "--verb=get,patch", "--resource=leases", &lease]);
    kubectl(&["create", "role", "visitor", "--verb=get", "--resource=leases"]);
    for account in ["approver", "visitor"] {
        let (role, subject) =
            (format!("--role={account}"), format!("--serviceaccount={}:{account}", site.namespace));
        kubectl(&["create", "rolebinding", account, &role, &subject]);
    }
}

/// Waits until the gate of a rung logs this.
async fn gate_says(site: &Site, service: &str, percent: u8, words: &str) {
    let run = rung(site, service, "v2", percent).await;
    within(LIMIT, &format!("the gate to say `{words}`"), async || {
        let Some(gate) = run.task("prometheus-gate").await? else { return Ok(None) };
        Ok(run.log(&gate, 100).await?.contains(words).then_some(()))
    })
    .await
    .unwrap();
}

async fn send(site: &Site, id: &str, service: &str, decision: Value) {
    let mut data =
        json!({"serviceName": service, "serviceVersion": "v2", "by": "ada", "reason": "as agreed"});
    data.as_object_mut().unwrap().extend(decision.as_object().unwrap().clone());
    let event = Event {
        id: id.into(),
        r#type: "build.canary.release.decision.requested.v1".into(),
        subject: format!("{}/{service}", site.namespace),
        data,
    };
    assert_eq!(site.send(&event, Mode::Structured).await.unwrap(), 202);
}

/// A canary of 10 % that has no requests yet: people come before its verdict, however slow the node is.
async fn unjudged(site: &mut Site, service: &str) -> Sink {
    let (sink, traffic) = climbing(site, service, "10").await;
    drop(traffic);
    site.set("deadline", "10m").await.unwrap();
    ask(site, service, "v2", Model::Good).await;
    rung(site, service, "v2", 10).await;
    sink
}

async fn requests(site: &Site, service: &str) -> Traffic {
    Traffic::start(site, &site.host(service).await.unwrap(), 20).unwrap()
}

/// What the route gives the canary.
async fn has_percent(site: &Site, service: &str, percent: i64) -> bool {
    site.traffic(service).await.unwrap().iter().any(|(_, share)| *share == percent)
}

async fn promoted(sink: &Sink, site: &Site, service: &str) -> String {
    let end = sink.event(LIMIT, (service, "v2"), &["canary.promoted"]).await;
    settles_on(site, service, "v2", STARTS).await;
    end.data["gate"]["reason"].as_str().unwrap_or_default().to_owned()
}

async fn taken_back(sink: &Sink, site: &Site, service: &str) -> String {
    let end = sink.event(LIMIT, (service, "v2"), &["canary.rolledback"]).await;
    assert_eq!(end.data["reason"], "manual", "{end:?}");
    settles_on(site, service, "v1", TAKEN_BACK).await;
    end.data["message"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_rung_that_wants_approval_is_climbed_when_somebody_who_may_has_approved() {
    in_namespace("approved", async |mut site| {
        site.set("approval", "last").await.unwrap();
        let (sink, _traffic) = climbing(&mut site, "approved", "10,25").await;
        accounts(&site, "approved");
        ask(&site, "approved", "v2", Model::Good).await;
        ends_well(&rung(&site, "approved", "v2", 10).await).await;
        gate_says(&site, "approved", 25, "waiting for approval").await;

        let approval = "kanaria.dev/approve=v2@100 ada: looks good";
        let refused = decide(&site, "visitor", "approved", approval).unwrap_err();
        assert!(format!("{refused:#}").contains("Forbidden"), "{refused:#}");
        assert!(has_percent(&site, "approved", 25).await, "nobody has approved yet");
        decide(&site, "approver", "approved", approval).unwrap();
        let reason = promoted(&sink, &site, "approved").await;
        assert!(reason.contains("ada: looks good"), "{reason}");
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn an_approval_that_nobody_gives_in_time_is_a_no() {
    in_namespace("expired", async |mut site| {
        site.set("approval", "every").await.unwrap();
        site.set("approval-timeout", "10s").await.unwrap();
        let (sink, _traffic) = climbing(&mut site, "expired", "10").await;
        ask(&site, "expired", "v2", Model::Good).await;
        let message = taken_back(&sink, &site, "expired").await;
        assert!(message.contains("approved"), "{message}");
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_release_that_is_held_stays_where_it_is_until_it_is_resumed() {
    in_namespace("held", async |mut site| {
        let sink = unjudged(&mut site, "held").await;
        accounts(&site, "held");
        decide(&site, "approver", "held", "kanaria.dev/hold=v2 ada: I look at it").unwrap();
        let _traffic = requests(&site, "held").await;
        gate_says(&site, "held", 10, "held by ada").await;
        assert!(has_percent(&site, "held", 10).await);
        decide(&site, "approver", "held", "kanaria.dev/hold-").unwrap();
        promoted(&sink, &site, "held").await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn signed_events_hold_a_release_and_abort_it() {
    in_namespace("aborted", async |mut site| {
        let sink = unjudged(&mut site, "aborted").await;
        send(&site, "hold-it", "aborted", json!({"decision": "hold"})).await;
        within(LIMIT, "the hold on the Lease", async || {
            let lease = site.objects("Lease").get("aborted-canary-decision").await?;
            Ok(lease.annotations().contains_key("kanaria.dev/hold").then_some(()))
        })
        .await
        .unwrap();
        let _traffic = requests(&site, "aborted").await;
        gate_says(&site, "aborted", 10, "held by ada").await;
        send(&site, "abort-it", "aborted", json!({"decision": "abort"})).await;
        let message = taken_back(&sink, &site, "aborted").await;
        assert!(message.contains("ada: as agreed"), "{message}");
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_person_promotes_a_canary_that_has_no_requests_to_be_judged_by() {
    in_namespace("hurried", async |mut site| {
        let (sink, traffic) = climbing(&mut site, "hurried", "10,50").await;
        drop(traffic);
        accounts(&site, "hurried");
        ask(&site, "hurried", "v2", Model::Good).await;
        rung(&site, "hurried", "v2", 10).await;
        decide(&site, "approver", "hurried", "kanaria.dev/promote=v2 ada: a quiet service")
            .unwrap();
        let reason = promoted(&sink, &site, "hurried").await;
        assert!(reason.contains("ada: a quiet service"), "{reason}");
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_stop_of_all_releases_holds_them_or_takes_them_back_as_it_says() {
    in_namespace("stopped", async |mut site| {
        let sink = unjudged(&mut site, "stopped").await;
        let stop = |releases: &str| {
            let releases = format!("--from-literal=releases={releases}");
            let by = "--from-literal=by=ada: incident 42";
            site.kubectl(["create", "configmap", "canary-stop", &releases, by]).unwrap();
        };
        stop("hold");
        let _traffic = requests(&site, "stopped").await;
        gate_says(&site, "stopped", 10, "incident 42").await;
        site.kubectl(["delete", "configmap", "canary-stop"]).unwrap();
        stop("rollback");
        let message = taken_back(&sink, &site, "stopped").await;
        assert!(message.contains("incident 42"), "{message}");
    })
    .await;
}

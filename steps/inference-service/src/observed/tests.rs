//! What follows from an `InferenceService`, its revisions and its route, one row a state of a release.

use serde_json::{Value, json};

use super::*;
use crate::route::Live;

const A: &str = "r/iris@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "r/iris@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const C: &str = "r/iris@sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc";

/// Revision, percent, and whether the entry follows the latest ready revision
type Share = (&'static str, i64, bool);

/// One look: what the spec asks for, KServe's record and the route, and how ready it all is.
#[derive(Clone, Copy)]
struct Look {
    image: &'static str,
    percent: Option<i64>,
    /// Latest created, latest ready, latest rolled out, previous rolled out
    record: [&'static str; 4],
    traffic: &'static [Share],
    /// Conditions of the service that are not true
    failing: &'static [&'static str],
    /// Revisions that are not ready
    unready: &'static [&'static str],
}

/// B serves all requests, and A did before.
const STABLE: Look = Look {
    image: B,
    percent: None,
    record: ["b", "b", "b", "a"],
    traffic: &[("b", 100, true)],
    failing: &[],
    unready: &[],
};

/// C is ready beside B, and the route has followed.
const LIVE: Look = Look {
    image: C,
    percent: Some(10),
    record: ["c", "c", "b", "a"],
    traffic: &[("c", 10, true), ("b", 90, false)],
    failing: &[],
    unready: &[],
};

/// C does not start: KServe reports its percent, but the revision beside it is the baseline.
const STARTING: Look = Look {
    record: ["c", "b", "b", "a"],
    traffic: &[("b", 10, true), ("b", 90, false)],
    failing: &["PredictorConfigurationReady", "Ready"],
    unready: &["c"],
    ..LIVE
};

const PROMOTED: Look =
    Look { percent: None, record: ["c", "c", "c", "b"], traffic: &[("c", 100, true)], ..LIVE };

fn condition(kind: &str, is_true: bool) -> Value {
    json!({"type": kind, "status": if is_true { "True" } else { "False" }})
}

fn observed(look: &Look) -> Observed {
    let Look { image, percent, record, traffic, failing, unready } = *look;
    let kinds = ["PredictorConfigurationReady", "PredictorRouteReady", "Ready"];
    let conditions: Vec<_> =
        kinds.iter().map(|kind| condition(kind, !failing.contains(kind))).collect();
    let traffic: Vec<_> = traffic
        .iter()
        .map(|(revision, percent, is_latest)| {
            let tag = if *is_latest { "latest" } else { "prev" };
            json!({"revisionName": revision, "percent": percent, "latestRevision": is_latest,
                   "tag": tag, "url": format!("http://{tag}-iris.test")})
        })
        .collect();
    let [created, ready, rolled_out, previous] = record;
    let service = json!({
        "metadata": {"name": "iris", "uid": "u"},
        "spec": {"predictor": {
            "containers": [{"name": CONTAINER, "image": image}], "canaryTrafficPercent": percent,
        }},
        "status": {"conditions": conditions, "components": {"predictor": {
            "latestCreatedRevision": created, "latestReadyRevision": ready,
            "latestRolledoutRevision": rolled_out, "previousRolledoutRevision": previous, "traffic": traffic,
        }}},
    });
    let revision = |(name, image): (&str, &str)| {
        let revision = json!({
            "metadata": {"name": name}, "spec": {"containers": [{"name": CONTAINER, "image": image}]},
            "status": {"conditions": [condition("Ready", !unready.contains(&name))]},
        });
        (name.to_owned(), serde_json::from_value(revision).unwrap())
    };
    Observed {
        service: Some(serde_json::from_value(service).unwrap()),
        revisions: [("a", A), ("b", B), ("c", C)].map(revision).into(),
        ..Observed::nothing_of("models", "iris")
    }
}

#[test]
fn a_release_is_stable_or_live_only_when_spec_record_route_and_readiness_agree() {
    let live = Some(Live { canary: "c", baseline: "b", percent: 10 });
    let at_zero = Some(Live { canary: "c", baseline: "b", percent: 0 });
    for (state, look, stable, expected) in [
        ("stable", STABLE, Some("b"), None),
        ("100 % is as good as none", Look { percent: Some(100), ..STABLE }, Some("b"), None),
        ("not ready", Look { failing: &["Ready"], ..STABLE }, None, None),
        ("a new image that KServe has not seen", Look { image: C, ..STABLE }, None, None),
        (
            "its percent, before KServe has seen it",
            Look { percent: Some(10), ..STABLE },
            None,
            None,
        ),
        ("starting", STARTING, None, None),
        ("live", LIVE, None, live),
        (
            "at 0 %",
            Look { percent: Some(0), traffic: &[("c", 0, true), ("b", 100, false)], ..LIVE },
            None,
            at_zero,
        ),
        ("asked for more than the route has", Look { percent: Some(50), ..LIVE }, None, None),
        ("the route is behind", Look { traffic: &[("b", 100, true)], ..LIVE }, None, None),
        (
            "the route is stuck",
            Look { failing: &["PredictorRouteReady", "Ready"], ..LIVE },
            None,
            None,
        ),
        ("it was ready and crashes", Look { unready: &["c"], ..LIVE }, None, None),
        (
            "another revision is the latest",
            Look { record: ["d", "c", "b", "a"], ..LIVE },
            None,
            None,
        ),
        ("nothing was rolled out before", Look { record: ["c", "c", "", ""], ..LIVE }, None, None),
        ("promoted", PROMOTED, Some("c"), None),
        (
            "the promotion is not recorded yet",
            Look { record: ["c", "c", "b", "a"], ..PROMOTED },
            None,
            None,
        ),
        (
            "the percent is gone, the route is behind",
            Look { traffic: LIVE.traffic, ..PROMOTED },
            None,
            None,
        ),
    ] {
        let observed = observed(&look);
        assert_eq!(observed.stable(), stable, "{state}");
        assert_eq!(observed.live(), expected, "{state}");
    }
}

#[test]
fn a_service_that_is_not_there_says_nothing() {
    let nothing = Observed::nothing_of("models", "iris");
    assert_eq!(nothing.full_name(), "models/iris");
    assert_eq!((nothing.image(), nothing.percent(), nothing.stable()), (None, None, None));
    assert_eq!((nothing.latest(), nothing.rolled_out(), nothing.uid()), ("", "", ""));
    assert_eq!((nothing.live(), nothing.route().as_str()), (None, "no route yet"));
}

#[test]
fn a_percent_of_zero_is_not_none() {
    assert_eq!(observed(&Look { percent: Some(0), ..LIVE }).percent(), Some(0));
    assert_eq!(observed(&STABLE).percent(), None);
}

#[test]
fn a_revision_s_image_is_known_by_digest_from_its_spec_or_from_what_was_pulled() {
    let mut observed = observed(&LIVE);
    assert_eq!(observed.image_of("c"), Some(C));
    assert!(observed.runs_image("c", &C.replace("r/", "mirror/")), "the same digest elsewhere");
    assert!(!observed.runs_image("c", B) && !observed.runs_image("gone", C));
    let tagged = json!({
        "metadata": {"name": "c"}, "spec": {"containers": [{"name": CONTAINER, "image": "r/iris:v3"}]},
        "status": {"containerStatuses": [{"name": CONTAINER, "imageDigest": C}]},
    });
    observed.revisions.insert("c".into(), serde_json::from_value(tagged).unwrap());
    assert_eq!(observed.image_of("c"), Some(C));
    assert!(observed.runs_image("c", C) && observed.runs_image("c", "r/iris:v3"));
    assert!(observed.is_latest_of_spec());
    observed.revisions.remove("c");
    assert_eq!(observed.image_of("c"), None);
    assert!(!observed.is_latest_of_spec());
}

#[test]
fn revisions_of_an_image_are_left_over_when_nothing_is_served_by_them() {
    let of_c = |look: &Look| observed(look).leftovers(C).map(String::from).collect::<Vec<_>>();
    let restored = Look { image: B, record: ["b", "b", "b", "a"], ..LIVE };
    assert_eq!(of_c(&LIVE), [""; 0], "it is the latest one");
    assert_eq!(of_c(&PROMOTED), [""; 0], "it serves");
    assert_eq!(of_c(&restored), [""; 0], "it still has requests");
    assert_eq!(of_c(&Look { unready: &["c"], ..restored }), ["c"], "its route is stuck");
    assert_eq!(of_c(&Look { traffic: &[("b", 100, true)], ..restored }), ["c"]);
}

#[test]
fn a_ready_revision_is_drained_after_a_while_and_another_one_at_once() {
    let mut observed = observed(&STARTING);
    assert!(observed.is_drained("c") && !observed.is_drained("b"));
    observed.waited = Duration::from_mins(1);
    assert!(observed.is_drained("b"));
}

#[test]
fn the_route_and_the_address_of_the_latest_revision_are_for_people() {
    let observed = observed(&LIVE);
    assert_eq!(observed.route(), "c 10 %, b 90 %");
    assert_eq!(observed.canary_url(), Some("http://latest-iris.test"));
    assert!(observed.has_traffic("c") && observed.has_traffic("b") && !observed.has_traffic("a"));
}

#[test]
fn whoever_else_changed_the_spec_last_is_named() {
    let mut observed = observed(&STABLE);
    assert_eq!(observed.last_changed_by(), "");
    let entry = |manager: &str, time: &str, field: &str| json!({"manager": manager, "operation": "Update", "time": time, "fieldsType": "FieldsV1", "fieldsV1": {field: {}}});
    let entries = json!([
        entry("argocd", "2026-11-24T06:07:00Z", "f:spec"),
        entry("kubectl", "2026-11-24T06:06:00Z", "f:spec"),
        entry("kserve", "2026-11-24T06:08:00Z", "f:status"),
        entry(FIELD_MANAGER, "2026-11-24T06:09:00Z", "f:spec"),
    ]);
    let metadata = &mut observed.service.as_mut().unwrap().metadata;
    metadata.managed_fields = serde_json::from_value(entries).unwrap();
    assert_eq!(observed.last_changed_by(), ", last changed by `argocd`");
}

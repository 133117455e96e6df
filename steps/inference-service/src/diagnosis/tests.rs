//! Conditions, pods and events as Kubernetes, Knative and registries write them.

use serde_json::{Value, json};

use super::{known_causes::*, *};

const LATER: Duration = Duration::from_mins(2);

/// A revision with these conditions and this pod.
fn observed(conditions: &Value, pod: Value) -> Observed {
    let service = json!({
        "metadata": {"name": "iris"}, "spec": {"predictor": {}},
        "status": {"components": {"predictor": {"latestCreatedRevision": "r"}}},
    });
    let revision =
        json!({"metadata": {"name": "r"}, "spec": {}, "status": {"conditions": conditions}});
    Observed {
        service: Some(serde_json::from_value(service).unwrap()),
        revisions: [("r".to_owned(), serde_json::from_value(revision).unwrap())].into(),
        pods: vec![serde_json::from_value(pod).unwrap()],
        ..Observed::default()
    }
}

fn with_container(container: &Value) -> Value {
    let mut status =
        json!({"name": CONTAINER, "image": "", "imageID": "", "ready": false, "restartCount": 0});
    status.as_object_mut().unwrap().extend(container.as_object().unwrap().clone());
    let queue_proxy = json!({"name": "queue-proxy", "image": "", "imageID": "", "ready": false, "restartCount": 0});
    json!({"metadata": {}, "status": {"containerStatuses": [queue_proxy, status]}})
}

fn diagnosis(conditions: &Value, container: &Value) -> Option<Diagnosis> {
    observed(conditions, with_container(container)).diagnosis()
}

/// At first, and when all that may be on its way should have come
fn is_final(mut observed: Observed) -> (bool, bool) {
    let now = observed.diagnosis().unwrap().is_final;
    observed.waited = LATER;
    (now, observed.diagnosis().unwrap().is_final)
}

fn exits(restarts: i32) -> Value {
    let ended =
        json!({"terminated": {"exitCode": 1, "message": "loading\n\nno such file: model.pkl\n"}});
    json!({"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": ended, "restartCount": restarts})
}

#[test]
fn a_model_s_last_words_are_one_line_that_acts_on_no_terminal() {
    let text = format!("{}\r\nloading\x1b[2J\n\nhint: \u{202e}give up\n", "x".repeat(20_000));
    let text = clean_message("its container exits with code 1", &text);
    assert!(text.ends_with(r"| loading\u{1b}[2J | hint: \u{202e}give up"), "{text}");
    assert!(text.contains(": … ") && text.len() < 2 * LOG_BYTES, "{text}");
}

#[test]
fn of_pods_that_are_missing_the_reason_is_told_and_not_of_those_that_are_ready() {
    let mut restarted = with_container(&exits(2));
    restarted["status"]["conditions"] = json!([{"type": "Ready", "status": "True"}]);
    let waits = json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                       "message": "0/1 nodes are available: 1 Insufficient cpu."});
    let waiting = json!({"metadata": {}, "status": {"conditions": [waits]}});
    let mut observed = observed(&json!([{"type": "Ready", "status": "True"}]), restarted);
    assert_eq!(observed.missing_pods(), None);
    observed.pods.push(serde_json::from_value(waiting).unwrap());
    let why = "no node has room for it: 0/1 nodes are available: 1 Insufficient cpu.";
    assert_eq!(observed.missing_pods().unwrap().why, why);
    assert_eq!(observed.diagnosis(), None, "the revision serves");
}

#[test]
fn a_ready_revision_has_no_diagnosis() {
    assert_eq!(diagnosis(&json!([{"type": "Ready", "status": "True"}]), &exits(9)), None);
}

#[test]
fn a_crash_is_reported_by_code_and_last_lines_and_is_hopeless_after_three_restarts() {
    for (restarts, is_final) in [(2, false), (3, true)] {
        let why = "its container exits with code 1: loading | no such file: model.pkl".into();
        let found = diagnosis(&json!([]), &exits(restarts));
        assert_eq!(found, Some(Diagnosis { why, is_final, hint: "" }));
    }
}

#[test]
fn what_keeps_the_agent_from_running_is_not_taken_for_the_model_s_fault() {
    let pod = |container: &Value, agent: &Value| {
        let mut pod = with_container(container);
        let statuses = pod["status"]["containerStatuses"].as_array_mut().unwrap();
        let mut status =
            json!({"name": "agent", "image": "", "imageID": "", "ready": false, "restartCount": 0});
        status.as_object_mut().unwrap().extend(agent.as_object().unwrap().clone());
        statuses.insert(0, status);
        observed(&json!([]), pod).diagnosis().unwrap()
    };
    let runs = json!({"state": {"running": {}}, "ready": true});
    let missing = json!({"state": {"waiting": {"reason": "ImagePullBackOff", "message": "kserve/agent:latest: not found"}}});
    let why = "container `agent`, which KServe adds for a logger: its image cannot be pulled: kserve/agent:latest: not found";
    let wanted = Diagnosis { why: why.into(), is_final: true, hint: AGENT_HINT };
    assert_eq!(pod(&runs, &missing), wanted);
    assert!(pod(&runs, &exits(2)).why.starts_with(
        "container `agent`, which KServe adds for a logger: its container exits with code 1"
    ));
    assert!(
        pod(&exits(1), &missing).why.starts_with("its container exits"),
        "the model's comes first"
    );
    let starts = json!({"state": {"running": {}}});
    assert_eq!(
        pod(&runs, &starts).why,
        "its container runs, but its readiness probe does not pass yet"
    );
}

/// As Kubernetes 1.34, Knative Serving 1.21, containerd and registries write it
const TEXTS: &[(Reporter, &str, GracePeriod, &str)] = &[
    (
        Reporter::Admission,
        "pods \"iris-predictor-00002-deployment-6c9-x2x\" is forbidden: failed quota: limits: must specify limits.cpu for: queue-proxy",
        FINAL,
        LIMITS,
    ),
    (
        Reporter::Admission,
        "pods \"iris-predictor-00002-deployment-6c9-x2x\" is forbidden: exceeded quota: small, requested: pods=1, used: pods=3, limited: pods=3",
        HEALS,
        QUOTA,
    ),
    (
        Reporter::Admission,
        "pods \"iris-predictor-00002-deployment-6c9-x2x\" is forbidden: maximum memory usage per Container is 64Mi, but limit is 512Mi",
        FINAL,
        WITHIN_LIMITS,
    ),
    (
        Reporter::Admission,
        "pods \"iris-predictor-00002-deployment-6c9-x2x\" is forbidden: error looking up service account models/reader: serviceaccount \"reader\" not found",
        MAY_BE_ON_ITS_WAY,
        ACCOUNT,
    ),
    (
        Reporter::Admission,
        "admission webhook \"validation.webhook.serving.knative.dev\" denied the request: validation failed: must not set the field(s): spec.template.spec.nodeSelector",
        FINAL,
        FIELDS,
    ),
    (
        Reporter::Admission,
        "admission webhook \"validate.kyverno.svc-fail\" denied the request: resource Pod/models/iris was blocked due to the following policies",
        FINAL,
        POLICY,
    ),
    (
        Reporter::Admission,
        "services.serving.knative.dev \"iris-predictor\" is forbidden: ValidatingAdmissionPolicy 'limits' with binding 'limits' denied request: no team label",
        FINAL,
        POLICY,
    ),
    (
        Reporter::Admission,
        "Internal error occurred: failed calling webhook \"validation.webhook.serving.knative.dev\": failed to call webhook: Post \"https://webhook.knative-serving.svc:443\": dial tcp 10.96.0.9:443: connect: connection refused",
        HEALS,
        "",
    ),
    (
        Reporter::Admission,
        "Operation cannot be fulfilled on services.serving.knative.dev \"iris-predictor\": the object has been modified; please apply your changes to the latest version and try again",
        HEALS,
        "",
    ),
    (Reporter::Admission, "etcdserver: request timed out", HEALS, ""),
    (Reporter::Registry, "dial tcp 10.0.0.7:443: connect: connection refused", HEALS, ""),
    (
        Reporter::Runtime,
        "container has runAsNonRoot and image has non-numeric user (bentoml), cannot verify user is non-root",
        FINAL,
        USER,
    ),
    (Reporter::Runtime, "secret \"db\" not found", MAY_BE_ON_ITS_WAY, OBJECT),
    (
        Reporter::Runtime,
        "couldn't find key password in Secret models/db",
        MAY_BE_ON_ITS_WAY,
        OBJECT,
    ),
    (
        Reporter::Runtime,
        "failed to sync secret cache: timed out waiting for the condition",
        HEALS,
        "",
    ),
];

#[test]
fn what_heals_by_itself_and_what_does_not_is_known_by_its_words() {
    for (by, text, grace_period, hint) in TEXTS {
        let found = Finding::new(*by, "", text);
        assert_eq!((found.grace_period, found.hint), (*grace_period, *hint), "{text}");
    }
}

#[test]
fn an_image_that_does_not_exist_is_hopeless_and_a_registry_that_is_down_is_not() {
    let pull = |message: &str| json!({"state": {"waiting": {"reason": "ImagePullBackOff", "message": message}}});
    let why = "its image cannot be pulled: ErrImagePull: iris@sha256:0: not found".into();
    assert_eq!(
        diagnosis(&json!([]), &pull("ErrImagePull: iris@sha256:0: not found")),
        Some(Diagnosis { why, is_final: true, hint: NO_IMAGE })
    );
    assert!(!diagnosis(&json!([]), &pull("dial tcp: connection refused")).unwrap().is_final);
}

#[test]
fn a_program_that_cannot_be_started_is_not_tried_again() {
    let ended = |reason: &str, code: i32, message: &str| json!({"state": {"terminated": {"reason": reason, "exitCode": code, "message": message}}});
    for container in [
        ended("Error", 255, "exec /serve: exec format error"),
        ended(
            "StartError",
            128,
            "failed to create containerd task: OCI runtime create failed: runc create failed: exec: \"serve\": executable file not found in $PATH: unknown",
        ),
    ] {
        let found = diagnosis(&json!([]), &container).unwrap();
        assert_eq!((found.is_final, found.hint), (true, COMMAND), "{}", found.why);
    }
}

#[test]
fn a_secret_may_be_on_its_way_for_a_while() {
    let variable = json!({"state": {"waiting": {"reason": "CreateContainerConfigError", "message": "secret \"db\" not found"}}});
    assert_eq!(is_final(observed(&json!([]), with_container(&variable))), (false, true));

    let volume = json!({"state": {"waiting": {"reason": "ContainerCreating"}}});
    let mut mounting = observed(&json!([]), with_container(&volume));
    assert_eq!(mounting.diagnosis(), None, "it may take its time");
    let event = |reason: &str, message: &str| json!({"metadata": {}, "involvedObject": {}, "reason": reason, "message": message});
    let failed = event(
        "FailedMount",
        "MountVolume.SetUp failed for volume \"db\" : secret \"db\" not found",
    );
    mounting.events = Some(vec![serde_json::from_value(failed).unwrap()]);
    let found = mounting.diagnosis().unwrap();
    assert!(found.why.starts_with("its volumes cannot be mounted: "), "{}", found.why);
    assert_eq!(is_final(mounting.clone()), (false, true));
    let slow = event("FailedAttachVolume", "Multi-Attach error for volume \"pvc-1\"");
    mounting.events = Some(vec![serde_json::from_value(slow).unwrap()]);
    assert_eq!(is_final(mounting), (false, false));
}

#[test]
fn a_node_that_is_full_may_have_room_again_and_one_that_is_none_stays_none() {
    let unscheduled = |message: &str| {
        let condition = json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message});
        let mut observed =
            observed(&json!([]), json!({"metadata": {}, "status": {"conditions": [condition]}}));
        let failed = json!({"metadata": {}, "involvedObject": {}, "reason": "FailedScheduling", "message": message});
        observed.events = Some(vec![serde_json::from_value(failed).unwrap()]);
        observed
    };
    let no_room = "0/2 nodes are available: 1 Insufficient memory, 1 node(s) didn't match Pod's node affinity/selector. preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling.";
    assert_eq!(is_final(unscheduled(no_room)), (false, false));
    let ill = "0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.";
    assert_eq!(is_final(unscheduled(ill)), (false, false));

    let no_node = "0/3 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, 2 node(s) didn't match Pod's node affinity/selector. no new claims to deallocate, preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.";
    let mut observed = unscheduled(no_node);
    assert_eq!(is_final(observed.clone()), (false, true));
    observed.events = None;
    assert_eq!(is_final(observed.clone()), (false, false), "nobody knows");
    let scales_up = json!({"metadata": {}, "involvedObject": {}, "reason": "TriggeredScaleUp", "message": "pod triggered scale-up: [{gpu 0->1 (max: 4)}]"});
    observed.events = Some(vec![serde_json::from_value(scales_up).unwrap()]);
    assert_eq!(is_final(observed), (false, false), "one is on its way");
}

#[test]
fn a_refusal_of_pods_is_known_at_once_and_one_of_the_spec_once_kserve_has_seen_it() {
    let message = "pods is forbidden: violates PodSecurity \"restricted:latest\"";
    let refused = json!([{"type": "ResourcesAvailable", "status": "False", "reason": "FailedCreate", "message": message}]);
    assert_eq!(is_final(observed(&refused, json!({"metadata": {}}))), (true, true));

    let mut denied = observed(&json!([]), json!({"metadata": {}}));
    let condition = json!({"type": "PredictorReady", "status": "False", "reason": "ReconcileFailed", "message": "denied the request: no"});
    denied.service.as_mut().unwrap().status.as_mut().unwrap().conditions =
        vec![serde_json::from_value(condition).unwrap()];
    assert!(!denied.refusal().unwrap().is_final, "it may be about the spec before");
    denied.waited = LATER;
    assert!(denied.refusal().unwrap().is_final);
}

#[test]
fn the_progress_deadline_is_final_and_keeps_the_better_reason() {
    let late = json!([{"type": "ResourcesAvailable", "status": "False", "reason": "ProgressDeadlineExceeded"}]);
    let running = json!({"state": {"running": {}}, "ready": true});
    let why = "its container runs, but its readiness probe does not pass yet (gave up at its progress deadline)".into();
    assert_eq!(diagnosis(&late, &running), Some(Diagnosis { why, is_final: true, hint: SLOW }));
}

#[test]
fn a_long_log_keeps_its_end_on_character_borders() {
    let text = clean_message("it fails", &"é".repeat(1000));
    assert_eq!(text, format!("it fails: … {}", "é".repeat(LOG_BYTES / 2)));
}

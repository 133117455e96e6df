//! Why a revision does not start, from its conditions, its pods and their events, and whether
//! waiting helps.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Event, Pod};
use step::text::clean;

use crate::{CONTAINER, Condition, Seen, objects};

/// Restarts after which a container that exits is not expected to heal. One may be bad luck,
/// such as a database that came up late; Kubernetes takes about a minute for three.
const HOPELESS_RESTARTS: i32 = 3;

/// The end of a log says what went wrong; a Tekton pod's log should not repeat all of it.
const LOG_BYTES: usize = 600;

/// Why a revision is not ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// `its container exits with code 1: …`
    pub why: String,
    /// Whether waiting is useless
    pub hopeless: bool,
    /// What would help, where that is known; else empty
    pub hint: &'static str,
}

/// Who says it
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// The API server, of a pod or of what KServe hands on
    Admission,
    /// The scheduler, of a pod
    Scheduler,
    /// The registry, of an image
    Registry,
    /// The kubelet, of a container that it cannot start
    Runtime,
    /// The kubelet, of a volume that it cannot mount
    Volume,
}

/// How long to wait for what somebody says to pass; none: as long as the release itself.
type Patience = Option<Duration>;

const HEALS: Patience = None;
const FINAL: Patience = Some(Duration::ZERO);
/// What a site installs together comes in any order.
const MAY_BE_ON_ITS_WAY: Patience = Some(Duration::from_secs(30));
/// An autoscaler says within seconds whether a node of its pools would do.
const MAY_BE_SCALED_UP: Patience = Some(Duration::from_mins(1));

const LIMITS: &str = "give the namespace a LimitRange with default limits of CPU and memory: it covers the containers that Knative and Tekton add, too";
const WITHIN_LIMITS: &str =
    "ask for CPU and memory that the namespace's LimitRange allows: `kubectl describe limitrange`";
const QUOTA: &str = "make room in the namespace's ResourceQuota: `kubectl describe quota` shows what it counts; a canary needs room beside what serves";
const ACCOUNT: &str = "create the ServiceAccount in the service's namespace";
const FIELDS: &str = "allow the field in ConfigMap `config-features` of namespace `knative-serving`, or leave it out of the service";
const POLICY: &str =
    "let the service satisfy the policy that is named, or have the policy exempt its namespace";
const USER: &str = "set `run-as-user` to the numeric user of the image, or to `none` where the platform gives each namespace its own";
const NO_IMAGE: &str = "push the image, for the platform of the nodes; a registry that cleans up must keep what services run";
const PULL: &str = "let `pull-secret` name a Secret of the service's namespace that may pull it: `kubectl create secret docker-registry`";
const OBJECT: &str = "create the Secret or ConfigMap, with that key, in the service's namespace";
const MEMORY: &str = "let `container` bring it more memory";
const SLOW: &str = "a model that needs longer wants a longer `start-timeout`";
const COMMAND: &str = "repair the image's command: it must be there, be executable, and be built for the platform of the nodes";
const NODES: &str =
    "correct the service's node selector, affinity or tolerations, or give the cluster such a node";

/// KServe takes up a change at once; its conditions are about the past until then.
const KSERVE_LOOKS_WITHIN: Duration = Duration::from_secs(15);

/// What heals by itself and what does not, by what it says, in lower case. The first that fits counts;
/// what none fits may heal.
#[rustfmt::skip]
const SIGNS: &[(By, &str, Patience, &str)] = &[
    (By::Admission, "failed calling webhook", HEALS, ""), // it restarts
    (By::Admission, "the object has been modified", HEALS, ""),
    (By::Admission, "exceeded quota", HEALS, QUOTA), // other pods end
    (By::Admission, "must specify", FINAL, LIMITS),
    (By::Admission, " usage per ", FINAL, WITHIN_LIMITS),
    (By::Admission, "limit to request ratio", FINAL, WITHIN_LIMITS),
    (By::Admission, "violates podsecurity", FINAL, "let the service's security context satisfy the standard that the namespace enforces"),
    (By::Admission, "security context constraint", FINAL, USER),
    (By::Admission, "error looking up service account", MAY_BE_ON_ITS_WAY, ACCOUNT),
    (By::Admission, "no priorityclass", MAY_BE_ON_ITS_WAY, "create the PriorityClass, or leave it out of the service"),
    (By::Admission, "must not set the field", FINAL, FIELDS),
    (By::Admission, "denied the request", FINAL, POLICY),
    (By::Admission, "denied request", FINAL, POLICY), // ValidatingAdmissionPolicy
    (By::Admission, "is invalid", FINAL, "correct the field that is named"),
    (By::Scheduler, "persistentvolumeclaim", MAY_BE_ON_ITS_WAY, "create the PersistentVolumeClaim in the service's namespace"),
    (By::Registry, "not found", FINAL, NO_IMAGE),
    (By::Registry, "manifest unknown", FINAL, NO_IMAGE),
    (By::Registry, "no match for platform", FINAL, NO_IMAGE),
    (By::Registry, "unauthorized", FINAL, PULL),
    (By::Registry, "authorization failed", FINAL, PULL),
    (By::Registry, "authentication required", FINAL, PULL),
    (By::Registry, "no basic auth credentials", FINAL, PULL),
    (By::Registry, "forbidden", FINAL, PULL),
    (By::Registry, "denied", FINAL, PULL),
    (By::Registry, "401", FINAL, PULL),
    (By::Registry, "403", FINAL, PULL),
    (By::Runtime, "deadline exceeded", HEALS, ""), // a busy node
    (By::Runtime, "timed out", HEALS, ""),
    (By::Runtime, "is reserved for", HEALS, ""),
    (By::Runtime, "runasnonroot", FINAL, USER),
    (By::Runtime, "exec: ", FINAL, COMMAND), // of a command that is not there
    (By::Runtime, "exec format error", FINAL, COMMAND),
    (By::Runtime, "not found", MAY_BE_ON_ITS_WAY, OBJECT),
    (By::Runtime, "couldn't find key", MAY_BE_ON_ITS_WAY, OBJECT),
    (By::Runtime, "", MAY_BE_ON_ITS_WAY, ""),
    (By::Volume, "secret \"", MAY_BE_ON_ITS_WAY, OBJECT),
    (By::Volume, "configmap \"", MAY_BE_ON_ITS_WAY, OBJECT),
    (By::Volume, "references non-existent", MAY_BE_ON_ITS_WAY, OBJECT), // a key
];

/// What keeps a revision from being ready, before it is known how long it has been so.
struct Finding {
    why: String,
    patience: Patience,
    hint: &'static str,
}

impl Finding {
    fn new(by: By, what: &str, message: &str) -> Self {
        let lower = message.to_lowercase();
        let sign = SIGNS.iter().find(|(who, says, ..)| *who == by && lower.contains(says));
        let (patience, hint) = sign.map_or((HEALS, ""), |(.., patience, hint)| (*patience, *hint));
        Self { why: said(what, message), patience, hint }
    }

    fn heals(why: String) -> Self {
        Self { why, patience: HEALS, hint: "" }
    }

    fn after(self, waited: Duration) -> Diagnosis {
        let hopeless = self.patience.is_some_and(|patience| waited >= patience);
        Diagnosis { why: self.why, hopeless, hint: self.hint }
    }
}

impl Seen {
    /// Why the latest revision is not ready; none when it is, or when nothing is known yet.
    #[must_use]
    pub fn diagnosis(&self) -> Option<Diagnosis> {
        let conditions = self
            .revisions
            .get(self.latest())?
            .status
            .as_ref()
            .map_or(&[][..], |status| &status.conditions);
        if objects::is_true(conditions, "Ready") {
            return None;
        }
        let container =
            self.pods.iter().filter_map(container_of).max_by_key(|status| status.restart_count);
        let found = container
            .and_then(of_container)
            .or_else(|| self.of_events())
            .or_else(|| self.of_scheduler(conditions))
            .or_else(|| of_conditions(conditions))
            .or_else(|| of_pods(&self.pods));
        match objects::condition(conditions, "ResourcesAvailable") {
            Some(Condition { reason, .. }) if reason == "ProgressDeadlineExceeded" => {
                let (why, hint) = found.map_or_else(
                    || ("no pod became ready".into(), ""),
                    |seen| (seen.why, seen.hint),
                );
                let hint = if hint.is_empty() { SLOW } else { hint };
                let why = format!("{why} (gave up at its progress deadline)");
                Some(Diagnosis { why, hopeless: true, hint })
            }
            _ => found.map(|found| found.after(self.waited)),
        }
    }

    /// Why KServe could not hand the spec on, so that no revision will come of it. Just after a change
    /// it says so of the spec before, and its own troubles pass.
    #[must_use]
    pub fn refusal(&self) -> Option<Diagnosis> {
        let Condition { message, .. } =
            self.condition("PredictorReady").filter(|_| self.is_refused_by_kserve())?;
        let found = Finding::new(By::Admission, "KServe cannot hand it on", message);
        let patience = found.patience.map(|patience| patience.max(KSERVE_LOOKS_WITHIN));
        Some(Finding { patience, ..found }.after(self.waited))
    }

    /// Events tell of a volume that cannot be mounted, and nothing else does.
    fn of_events(&self) -> Option<Finding> {
        let failed = self.events.iter().flatten().rev().find(|event| {
            matches!(event.reason.as_deref(), Some("FailedMount" | "FailedAttachVolume"))
        })?;
        let message = failed.message.as_deref().unwrap_or_default();
        Some(Finding::new(By::Volume, "its volumes cannot be mounted", message))
    }

    /// No node, for now or for good: an autoscaler may still bring one, and says so by an event.
    fn of_scheduler(&self, conditions: &[Condition]) -> Option<Finding> {
        let pod = self.pods.iter().find_map(unscheduled);
        let message = pod.or_else(|| {
            let condition = objects::condition(conditions, "ResourcesAvailable")?;
            let is_it = condition.status == "False" && condition.reason == "Unschedulable";
            is_it.then_some(condition.message.as_str())
        })?;
        if !rules_out_every_node(message) {
            return Some(Finding::new(By::Scheduler, "no node has room for it", message));
        }
        let scales_up = |event: &Event| {
            matches!(event.reason.as_deref(), Some("TriggeredScaleUp" | "Nominated"))
        };
        // Without the right to read events nobody knows.
        let is_final = self.events.as_ref().is_some_and(|events| !events.iter().any(scales_up));
        let patience = if is_final { MAY_BE_SCALED_UP } else { HEALS };
        Some(Finding { why: said("no node is meant for it", message), patience, hint: NODES })
    }
}

fn container_of(pod: &Pod) -> Option<&ContainerStatus> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    statuses.iter().find(|status| status.name == CONTAINER)
}

/// What the container's own state says: it exits, or cannot be started.
fn of_container(status: &ContainerStatus) -> Option<Finding> {
    let ended = [&status.state, &status.last_state]
        .into_iter()
        .find_map(|state: &Option<ContainerState>| state.as_ref()?.terminated.as_ref());
    if let Some(ended) = ended {
        let message = ended.message.as_deref().unwrap_or_default();
        let found = match ended.reason.as_deref() {
            Some("OOMKilled") => Finding {
                hint: MEMORY,
                ..Finding::heals(said(
                    "its container was killed, because it used more memory than its limit",
                    message,
                ))
            },
            Some("StartError" | "ContainerCannotRun") => {
                Finding::new(By::Runtime, "its container cannot be started", message)
            }
            _ => {
                let what = format!("its container exits with code {}", ended.exit_code);
                // A program that was built for other processors starts, as far as Kubernetes can tell.
                if message.contains("exec format error") {
                    Finding::new(By::Runtime, &what, message)
                } else {
                    Finding::heals(said(&what, message))
                }
            }
        };
        let is_hopeless = status.restart_count >= HOPELESS_RESTARTS;
        return Some(if is_hopeless { Finding { patience: FINAL, ..found } } else { found });
    }
    let waiting = status.state.as_ref()?.waiting.as_ref()?;
    let message = waiting.message.as_deref().unwrap_or_default();
    match waiting.reason.as_deref()? {
        "ErrImagePull" | "ImagePullBackOff" => {
            Some(Finding::new(By::Registry, "its image cannot be pulled", message))
        }
        "InvalidImageName" => Some(Finding {
            patience: FINAL,
            ..Finding::heals(said("its image has a name that is none", message))
        }),
        reason @ ("CreateContainerConfigError" | "CreateContainerError" | "RunContainerError") => {
            let what = format!("its container cannot be started ({reason})");
            Some(Finding::new(By::Runtime, &what, message))
        }
        _ => None,
    }
}

/// What the scheduler says of a pod that has no node
fn unscheduled(pod: &Pod) -> Option<&str> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let scheduled = conditions.iter().find(|condition| condition.type_ == "PodScheduled")?;
    let is_it = scheduled.status == "False" && scheduled.reason.as_deref() == Some("Unschedulable");
    scheduled.message.as_deref().filter(|_| is_it)
}

/// Whether each node is ruled out by what it is, and none by what it has left: `0/3 nodes are available:
/// 1 node(s) had untolerated taint {gpu: true}, 2 node(s) didn't match Pod's node affinity/selector. …`
fn rules_out_every_node(message: &str) -> bool {
    let reasons = message.split_once("nodes are available: ").and_then(|(_, reasons)| {
        reasons.split(". ").next() // what comes after it is about preemption
    });
    let is_lasting = |reason: &str| {
        reason.contains("node affinity/selector")
            // Kubernetes' taints `node.kubernetes.io/…` come and go with a node's health.
            || reason.contains("untolerated taint") && !reason.contains("{node.")
    };
    reasons.is_some_and(|reasons| reasons.split(", ").all(is_lasting))
}

/// What the revision says, which is all there is when pods cannot be made or read.
fn of_conditions(conditions: &[Condition]) -> Option<Finding> {
    let failed =
        |kind| objects::condition(conditions, kind).filter(|condition| condition.status == "False");
    if let Some(Condition { reason, message, .. }) =
        failed("ContainerHealthy").filter(|found| found.reason.starts_with("ExitCode"))
    {
        let code = reason.trim_start_matches("ExitCode");
        let last_lines = message.trim_start_matches("Container failed with:");
        return Some(Finding::heals(said(
            &format!("its container exits with code {code}"),
            last_lines,
        )));
    }
    let Condition { reason, message, .. } = failed("ResourcesAvailable")?;
    (reason == "FailedCreate").then(|| Finding::new(By::Admission, "its pods are refused", message))
}

/// A container runs in a pod that is not ready. The probe is the queue-proxy's: the model's own
/// container counts as ready from its start.
fn of_pods(pods: &[Pod]) -> Option<Finding> {
    let is_slow = |pod: &Pod| {
        let runs = container_of(pod)
            .and_then(|status| status.state.as_ref())
            .is_some_and(|state| state.running.is_some());
        let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
        runs && statuses.is_some_and(|statuses| statuses.iter().any(|status| !status.ready))
    };
    let why = "its container runs, but its readiness probe does not pass yet";
    pods.iter().any(is_slow).then(|| Finding::heals(why.into()))
}

/// `what: the last lines`, on one line and not too long.
fn said(what: &str, text: &str) -> String {
    let text = text.trim_end();
    let start = text.ceil_char_boundary(text.len().saturating_sub(LOG_BYTES));
    match (clean(&text[start..]).as_str(), start) {
        ("", _) => what.to_owned(),
        (end, 0) => format!("{what}: {end}"),
        (end, _) => format!("{what}: … {end}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const LATER: Duration = Duration::from_mins(2);

    /// A revision with these conditions and this pod.
    fn seen(conditions: &Value, pod: Value) -> Seen {
        let service = json!({
            "metadata": {"name": "iris"}, "spec": {"predictor": {}},
            "status": {"components": {"predictor": {"latestCreatedRevision": "r"}}},
        });
        let revision =
            json!({"metadata": {"name": "r"}, "spec": {}, "status": {"conditions": conditions}});
        Seen {
            service: Some(serde_json::from_value(service).unwrap()),
            revisions: [("r".to_owned(), serde_json::from_value(revision).unwrap())].into(),
            pods: vec![serde_json::from_value(pod).unwrap()],
            ..Seen::default()
        }
    }

    fn with_container(container: &Value) -> Value {
        let mut status = json!({"name": CONTAINER, "image": "", "imageID": "", "ready": false, "restartCount": 0});
        status.as_object_mut().unwrap().extend(container.as_object().unwrap().clone());
        let queue_proxy = json!({"name": "queue-proxy", "image": "", "imageID": "", "ready": false, "restartCount": 0});
        json!({"metadata": {}, "status": {"containerStatuses": [queue_proxy, status]}})
    }

    fn diagnosis(conditions: &Value, container: &Value) -> Option<Diagnosis> {
        seen(conditions, with_container(container)).diagnosis()
    }

    /// At first, and when all that may be on its way should have come
    fn hopeless(mut seen: Seen) -> (bool, bool) {
        let now = seen.diagnosis().unwrap().hopeless;
        seen.waited = LATER;
        (now, seen.diagnosis().unwrap().hopeless)
    }

    fn exits(restarts: i32) -> Value {
        let ended = json!({"terminated": {"exitCode": 1, "message": "loading\n\nno such file: model.pkl\n"}});
        json!({"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": ended, "restartCount": restarts})
    }

    #[test]
    fn a_model_s_last_words_are_one_line_that_acts_on_no_terminal() {
        let text = format!("{}\r\nloading\x1b[2J\n\nhint: \u{202e}give up\n", "x".repeat(20_000));
        let told = said("its container exits with code 1", &text);
        assert!(told.ends_with(r"| loading\u{1b}[2J | hint: \u{202e}give up"), "{told}");
        assert!(told.contains(": … ") && told.len() < 2 * LOG_BYTES, "{told}");
    }

    #[test]
    fn a_ready_revision_has_no_diagnosis() {
        assert_eq!(diagnosis(&json!([{"type": "Ready", "status": "True"}]), &exits(9)), None);
    }

    #[test]
    fn a_crash_is_told_by_code_and_last_lines_and_is_hopeless_after_three_restarts() {
        for (restarts, hopeless) in [(2, false), (3, true)] {
            let why = "its container exits with code 1: loading | no such file: model.pkl".into();
            let found = diagnosis(&json!([]), &exits(restarts));
            assert_eq!(found, Some(Diagnosis { why, hopeless, hint: "" }));
        }
    }

    /// As Kubernetes 1.34, Knative Serving 1.21, containerd and registries write it
    const TEXTS: &[(By, &str, Patience, &str)] = &[
        (
            By::Admission,
            "pods \"iris-predictor-00002-deployment-6c9-x2x\" is forbidden: failed quota: limits: must specify limits.cpu for: queue-proxy",
            FINAL,
            LIMITS,
        ),
        (
            By::Admission,
            "pods \"iris-predictor-00002-deployment-6c9-x2x\" is forbidden: exceeded quota: small, requested: pods=1, used: pods=3, limited: pods=3",
            HEALS,
            QUOTA,
        ),
        (
            By::Admission,
            "pods \"iris-predictor-00002-deployment-6c9-x2x\" is forbidden: maximum memory usage per Container is 64Mi, but limit is 512Mi",
            FINAL,
            WITHIN_LIMITS,
        ),
        (
            By::Admission,
            "pods \"iris-predictor-00002-deployment-6c9-x2x\" is forbidden: error looking up service account models/reader: serviceaccount \"reader\" not found",
            MAY_BE_ON_ITS_WAY,
            ACCOUNT,
        ),
        (
            By::Admission,
            "admission webhook \"validation.webhook.serving.knative.dev\" denied the request: validation failed: must not set the field(s): spec.template.spec.nodeSelector",
            FINAL,
            FIELDS,
        ),
        (
            By::Admission,
            "admission webhook \"validate.kyverno.svc-fail\" denied the request: resource Pod/models/iris was blocked due to the following policies",
            FINAL,
            POLICY,
        ),
        (
            By::Admission,
            "services.serving.knative.dev \"iris-predictor\" is forbidden: ValidatingAdmissionPolicy 'limits' with binding 'limits' denied request: no team label",
            FINAL,
            POLICY,
        ),
        (
            By::Admission,
            "Internal error occurred: failed calling webhook \"validation.webhook.serving.knative.dev\": failed to call webhook: Post \"https://webhook.knative-serving.svc:443\": dial tcp 10.96.0.9:443: connect: connection refused",
            HEALS,
            "",
        ),
        (
            By::Admission,
            "Operation cannot be fulfilled on services.serving.knative.dev \"iris-predictor\": the object has been modified; please apply your changes to the latest version and try again",
            HEALS,
            "",
        ),
        (By::Admission, "etcdserver: request timed out", HEALS, ""),
        (By::Registry, "dial tcp 10.0.0.7:443: connect: connection refused", HEALS, ""),
        (
            By::Runtime,
            "container has runAsNonRoot and image has non-numeric user (bentoml), cannot verify user is non-root",
            FINAL,
            USER,
        ),
        (By::Runtime, "secret \"db\" not found", MAY_BE_ON_ITS_WAY, OBJECT),
        (By::Runtime, "couldn't find key password in Secret models/db", MAY_BE_ON_ITS_WAY, OBJECT),
        (
            By::Runtime,
            "failed to sync secret cache: timed out waiting for the condition",
            HEALS,
            "",
        ),
    ];

    #[test]
    fn what_heals_by_itself_and_what_does_not_is_known_by_its_words() {
        for (by, text, patience, hint) in TEXTS {
            let found = Finding::new(*by, "", text);
            assert_eq!((found.patience, found.hint), (*patience, *hint), "{text}");
        }
    }

    #[test]
    fn an_image_that_does_not_exist_is_hopeless_and_a_registry_that_is_down_is_not() {
        let pull = |message: &str| json!({"state": {"waiting": {"reason": "ImagePullBackOff", "message": message}}});
        let why = "its image cannot be pulled: ErrImagePull: iris@sha256:0: not found".into();
        assert_eq!(
            diagnosis(&json!([]), &pull("ErrImagePull: iris@sha256:0: not found")),
            Some(Diagnosis { why, hopeless: true, hint: NO_IMAGE })
        );
        assert!(!diagnosis(&json!([]), &pull("dial tcp: connection refused")).unwrap().hopeless);
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
            assert_eq!((found.hopeless, found.hint), (true, COMMAND), "{}", found.why);
        }
    }

    #[test]
    fn a_secret_may_be_on_its_way_for_a_while() {
        let variable = json!({"state": {"waiting": {"reason": "CreateContainerConfigError", "message": "secret \"db\" not found"}}});
        assert_eq!(hopeless(seen(&json!([]), with_container(&variable))), (false, true));

        let volume = json!({"state": {"waiting": {"reason": "ContainerCreating"}}});
        let mut mounting = seen(&json!([]), with_container(&volume));
        assert_eq!(mounting.diagnosis(), None, "it may take its time");
        let event = |reason: &str, message: &str| json!({"metadata": {}, "involvedObject": {}, "reason": reason, "message": message});
        let failed = event(
            "FailedMount",
            "MountVolume.SetUp failed for volume \"db\" : secret \"db\" not found",
        );
        mounting.events = Some(vec![serde_json::from_value(failed).unwrap()]);
        let found = mounting.diagnosis().unwrap();
        assert!(found.why.starts_with("its volumes cannot be mounted: "), "{}", found.why);
        assert_eq!(hopeless(mounting.clone()), (false, true));
        let slow = event("FailedAttachVolume", "Multi-Attach error for volume \"pvc-1\"");
        mounting.events = Some(vec![serde_json::from_value(slow).unwrap()]);
        assert_eq!(hopeless(mounting), (false, false));
    }

    #[test]
    fn a_node_that_is_full_may_have_room_again_and_one_that_is_none_stays_none() {
        let unscheduled = |message: &str| {
            let condition = json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message});
            let mut seen =
                seen(&json!([]), json!({"metadata": {}, "status": {"conditions": [condition]}}));
            let failed = json!({"metadata": {}, "involvedObject": {}, "reason": "FailedScheduling", "message": message});
            seen.events = Some(vec![serde_json::from_value(failed).unwrap()]);
            seen
        };
        let no_room = "0/2 nodes are available: 1 Insufficient memory, 1 node(s) didn't match Pod's node affinity/selector. preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling.";
        assert_eq!(hopeless(unscheduled(no_room)), (false, false));
        let ill = "0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.";
        assert_eq!(hopeless(unscheduled(ill)), (false, false));

        let no_node = "0/3 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, 2 node(s) didn't match Pod's node affinity/selector. no new claims to deallocate, preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.";
        let mut seen = unscheduled(no_node);
        assert_eq!(hopeless(seen.clone()), (false, true));
        seen.events = None;
        assert_eq!(hopeless(seen.clone()), (false, false), "nobody knows");
        let scales_up = json!({"metadata": {}, "involvedObject": {}, "reason": "TriggeredScaleUp", "message": "pod triggered scale-up: [{gpu 0->1 (max: 4)}]"});
        seen.events = Some(vec![serde_json::from_value(scales_up).unwrap()]);
        assert_eq!(hopeless(seen), (false, false), "one is on its way");
    }

    #[test]
    fn a_refusal_of_pods_is_known_at_once_and_one_of_the_spec_once_kserve_has_seen_it() {
        let message = "pods is forbidden: violates PodSecurity \"restricted:latest\"";
        let refused = json!([{"type": "ResourcesAvailable", "status": "False", "reason": "FailedCreate", "message": message}]);
        assert_eq!(hopeless(seen(&refused, json!({"metadata": {}}))), (true, true));

        let mut denied = seen(&json!([]), json!({"metadata": {}}));
        let condition = json!({"type": "PredictorReady", "status": "False", "reason": "ReconcileFailed", "message": "denied the request: no"});
        denied.service.as_mut().unwrap().status.as_mut().unwrap().conditions =
            vec![serde_json::from_value(condition).unwrap()];
        assert!(!denied.refusal().unwrap().hopeless, "it may be about the spec before");
        denied.waited = LATER;
        assert!(denied.refusal().unwrap().hopeless);
    }

    #[test]
    fn the_progress_deadline_is_final_and_keeps_the_better_reason() {
        let late = json!([{"type": "ResourcesAvailable", "status": "False", "reason": "ProgressDeadlineExceeded"}]);
        let running = json!({"state": {"running": {}}, "ready": true});
        let why = "its container runs, but its readiness probe does not pass yet (gave up at its progress deadline)".into();
        assert_eq!(diagnosis(&late, &running), Some(Diagnosis { why, hopeless: true, hint: SLOW }));
    }

    #[test]
    fn a_long_log_keeps_its_end_on_character_borders() {
        let text = said("it fails", &"é".repeat(1000));
        assert_eq!(text, format!("it fails: … {}", "é".repeat(LOG_BYTES / 2)));
    }
}

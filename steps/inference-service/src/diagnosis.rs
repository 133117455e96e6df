//! Why a revision does not start, from its conditions and its pods.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod};
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
}

impl Diagnosis {
    fn heals(why: String) -> Self {
        Self { why, hopeless: false }
    }

    fn hopeless(why: String) -> Self {
        Self { why, hopeless: true }
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
        let seen = container
            .and_then(of_container)
            .or_else(|| of_conditions(conditions))
            .or_else(|| of_pods(&self.pods));
        match objects::condition(conditions, "ResourcesAvailable") {
            Some(Condition { reason, .. }) if reason == "ProgressDeadlineExceeded" => {
                let why = seen.map_or_else(|| "no pod became ready".into(), |seen| seen.why);
                Some(Diagnosis::hopeless(format!("{why} (gave up at its progress deadline)")))
            }
            _ => seen,
        }
    }
}

fn container_of(pod: &Pod) -> Option<&ContainerStatus> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    statuses.iter().find(|status| status.name == CONTAINER)
}

/// What the container's own state says: it exits, or cannot be started.
fn of_container(status: &ContainerStatus) -> Option<Diagnosis> {
    let ended = [&status.state, &status.last_state]
        .into_iter()
        .find_map(|state: &Option<ContainerState>| state.as_ref()?.terminated.as_ref());
    if let Some(ended) = ended {
        let what = match ended.reason.as_deref() {
            Some("OOMKilled") => {
                "its container was killed, because it used more memory than its limit".into()
            }
            _ => format!("its container exits with code {}", ended.exit_code),
        };
        let why = said(&what, ended.message.as_deref().unwrap_or_default());
        return Some(Diagnosis { why, hopeless: status.restart_count >= HOPELESS_RESTARTS });
    }
    let waiting = status.state.as_ref()?.waiting.as_ref()?;
    let message = waiting.message.as_deref().unwrap_or_default();
    match waiting.reason.as_deref()? {
        "ErrImagePull" | "ImagePullBackOff" => {
            // The first back-off says that the pull was tried and failed; the registry's answer, whether it can heal.
            let final_answers = [
                "not found",
                "manifest unknown",
                "unauthorized",
                "forbidden",
                "denied",
                "401",
                "403",
            ];
            let lower = message.to_lowercase();
            let hopeless = final_answers.iter().any(|answer| lower.contains(answer));
            Some(Diagnosis { why: said("its image cannot be pulled", message), hopeless })
        }
        reason @ ("InvalidImageName"
        | "CreateContainerConfigError"
        | "CreateContainerError"
        | "RunContainerError") => Some(Diagnosis::hopeless(said(
            &format!("its container cannot be started ({reason})"),
            message,
        ))),
        _ => None,
    }
}

/// What the revision says, which is all there is when pods cannot be made or read.
fn of_conditions(conditions: &[Condition]) -> Option<Diagnosis> {
    let failed =
        |kind| objects::condition(conditions, kind).filter(|condition| condition.status == "False");
    if let Some(Condition { reason, message, .. }) =
        failed("ContainerHealthy").filter(|found| found.reason.starts_with("ExitCode"))
    {
        let code = reason.trim_start_matches("ExitCode");
        let last_lines = message.trim_start_matches("Container failed with:");
        return Some(Diagnosis::heals(said(
            &format!("its container exits with code {code}"),
            last_lines,
        )));
    }
    let Condition { reason, message, .. } = failed("ResourcesAvailable")?;
    match reason.as_str() {
        "Unschedulable" => Some(Diagnosis::heals(said("no node has room for it", message))),
        "FailedCreate" => Some(Diagnosis {
            why: said("its pods are refused", message),
            hopeless: message.contains("violates PodSecurity"),
        }),
        _ => None,
    }
}

/// A container runs in a pod that is not ready. The probe is the queue-proxy's: the model's own
/// container counts as ready from its start.
fn of_pods(pods: &[Pod]) -> Option<Diagnosis> {
    let is_slow = |pod: &Pod| {
        let runs = container_of(pod)
            .and_then(|status| status.state.as_ref())
            .is_some_and(|state| state.running.is_some());
        let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
        runs && statuses.is_some_and(|statuses| statuses.iter().any(|status| !status.ready))
    };
    let why = "its container runs, but its readiness probe does not pass yet";
    pods.iter().any(is_slow).then(|| Diagnosis::heals(why.into()))
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

    fn diagnosis(conditions: &Value, container: &Value) -> Option<Diagnosis> {
        let service = json!({
            "metadata": {"name": "iris"}, "spec": {"predictor": {}},
            "status": {"components": {"predictor": {"latestCreatedRevision": "r"}}},
        });
        let revision =
            json!({"metadata": {"name": "r"}, "spec": {}, "status": {"conditions": conditions}});
        let mut status = json!({"name": CONTAINER, "image": "", "imageID": "", "ready": false, "restartCount": 0});
        status.as_object_mut().unwrap().extend(container.as_object().unwrap().clone());
        let queue_proxy = json!({"name": "queue-proxy", "image": "", "imageID": "", "ready": false, "restartCount": 0});
        let pod = json!({"metadata": {}, "status": {"containerStatuses": [queue_proxy, status]}});
        let seen = Seen {
            service: Some(serde_json::from_value(service).unwrap()),
            revisions: [("r".to_owned(), serde_json::from_value(revision).unwrap())].into(),
            pods: vec![serde_json::from_value(pod).unwrap()],
            ..Seen::default()
        };
        seen.diagnosis()
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
        let why = "its container exits with code 1: loading | no such file: model.pkl";
        assert_eq!(diagnosis(&json!([]), &exits(2)), Some(Diagnosis::heals(why.into())));
        assert_eq!(diagnosis(&json!([]), &exits(3)), Some(Diagnosis::hopeless(why.into())));
    }

    #[test]
    fn an_image_that_does_not_exist_is_hopeless_and_a_registry_that_is_down_is_not() {
        let pull = |message: &str| json!({"state": {"waiting": {"reason": "ImagePullBackOff", "message": message}}});
        assert_eq!(
            diagnosis(&json!([]), &pull("ErrImagePull: iris@sha256:0: not found")),
            Some(Diagnosis::hopeless(
                "its image cannot be pulled: ErrImagePull: iris@sha256:0: not found".into()
            ))
        );
        assert!(!diagnosis(&json!([]), &pull("dial tcp: connection refused")).unwrap().hopeless);
    }

    #[test]
    fn no_room_may_heal_and_a_pod_security_refusal_does_not() {
        let condition = |reason: &str, message: &str| json!([{"type": "ResourcesAvailable", "status": "False", "reason": reason, "message": message}]);
        let no_room =
            diagnosis(&condition("Unschedulable", "0/1 nodes: insufficient memory"), &json!({}));
        assert_eq!(
            no_room,
            Some(Diagnosis::heals(
                "no node has room for it: 0/1 nodes: insufficient memory".into()
            ))
        );
        let refused = diagnosis(
            &condition("FailedCreate", "forbidden: violates PodSecurity \"restricted\""),
            &json!({}),
        );
        assert!(refused.unwrap().hopeless);
    }

    #[test]
    fn the_progress_deadline_is_final_and_keeps_the_better_reason() {
        let late = json!([{"type": "ResourcesAvailable", "status": "False", "reason": "ProgressDeadlineExceeded"}]);
        let running = json!({"state": {"running": {}}, "ready": true});
        assert_eq!(
            diagnosis(&late, &running),
            Some(Diagnosis::hopeless(
                "its container runs, but its readiness probe does not pass yet (gave up at its progress deadline)".into()
            ))
        );
    }

    #[test]
    fn a_long_log_keeps_its_end_on_character_borders() {
        let text = said("it fails", &"é".repeat(1000));
        assert_eq!(text, format!("it fails: … {}", "é".repeat(LOG_BYTES / 2)));
    }
}

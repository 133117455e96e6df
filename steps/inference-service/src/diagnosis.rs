//! Why a revision does not start, from its conditions, its pods and their events, and whether
//! waiting helps.

mod known_causes;

use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Event, Pod};
use step::text::clean;

use self::known_causes::{
    AGENT_HINT, FINAL, GracePeriod, HEALS, MAY_BE_SCALED_UP, MEMORY, NODES, Reporter, SLOW, known,
};
use crate::{
    objects::{AGENT, CONTAINER, Condition, condition, is_true},
    observed::Observed,
};

/// Restarts after which a container that exits is not expected to heal. One may be bad luck,
/// such as a database that came up late; Kubernetes takes about a minute for three.
const FINAL_RESTARTS: i32 = 3;

/// The end of a log says what went wrong; a Tekton pod's log should not repeat all of it.
const LOG_BYTES: usize = 600;

/// Why a revision is not ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// `its container exits with code 1: …`
    pub why: String,
    /// Whether waiting is of no use
    pub is_final: bool,
    /// What would help, where that is known; else empty
    pub hint: &'static str,
}

/// KServe takes up a change at once; its conditions are about the past until then.
const KSERVE_LOOKS_WITHIN: Duration = Duration::from_secs(15);

/// What keeps a revision from being ready, before it is known how long it has been so.
struct Finding {
    why: String,
    grace_period: GracePeriod,
    hint: &'static str,
}

impl Finding {
    fn new(reporter: Reporter, what: &str, message: &str) -> Self {
        let (grace_period, hint) = known(reporter, message);
        Self { why: clean_message(what, message), grace_period, hint }
    }

    fn heals(what: &str, message: &str) -> Self {
        Self { why: clean_message(what, message), grace_period: HEALS, hint: "" }
    }

    fn after(self, waited: Duration) -> Diagnosis {
        let is_final = self.grace_period.is_some_and(|grace| waited >= grace);
        Diagnosis { why: self.why, is_final, hint: self.hint }
    }
}

impl Observed {
    /// Why the latest revision is not ready; none when it is, or when nothing is known yet.
    pub fn diagnosis(&self) -> Option<Diagnosis> {
        let conditions = self.conditions_of_latest()?;
        if is_true(conditions, "Ready") {
            return None;
        }
        let found = self.finding(conditions);
        match condition(conditions, "ResourcesAvailable") {
            Some(Condition { reason, .. }) if reason == "ProgressDeadlineExceeded" => {
                let (why, hint) = found.map_or_else(
                    || ("no pod became ready".into(), ""),
                    |observed| (observed.why, observed.hint),
                );
                let hint = if hint.is_empty() { SLOW } else { hint };
                let why = format!("{why} (gave up at its progress deadline)");
                Some(Diagnosis { why, is_final: true, hint })
            }
            _ => found.map(|found| found.after(self.waited)),
        }
    }

    /// Why the latest revision, which is ready, has not all pods that it was asked for; none when nothing
    /// is known of it.
    pub fn missing_pods(&self) -> Option<Diagnosis> {
        Some(self.finding(self.conditions_of_latest()?)?.after(self.waited))
    }

    fn conditions_of_latest(&self) -> Option<&[Condition]> {
        let status = self.revisions.get(self.latest())?.status.as_ref();
        Some(status.map_or(&[][..], |status| &status.conditions))
    }

    /// What keeps pods of the latest revision from being ready
    fn finding(&self, conditions: &[Condition]) -> Option<Finding> {
        let unready = || self.pods.iter().filter(|pod| !is_ready(pod));
        let container = |name| {
            let statuses = unready().filter_map(|pod| container_of(pod, name));
            statuses.max_by_key(|status| status.restart_count).and_then(of_container)
        };
        container(CONTAINER)
            .or_else(|| container(AGENT).map(of_agent))
            .or_else(|| self.of_events())
            .or_else(|| self.of_scheduler(conditions))
            .or_else(|| of_conditions(conditions))
            .or_else(|| of_pods(&self.pods))
    }

    /// Why KServe could not hand the spec on, so that no revision will come of it. Just after a change
    /// it says so of the spec before, and its own troubles pass.
    pub fn refusal(&self) -> Option<Diagnosis> {
        let found =
            Finding::new(Reporter::Admission, "KServe cannot hand it on", self.kserve_refuses()?);
        let grace_period = found.grace_period.map(|grace| grace.max(KSERVE_LOOKS_WITHIN));
        Some(Finding { grace_period, ..found }.after(self.waited))
    }

    /// Why the service is not ready, in the words of its own conditions
    pub fn unready(&self) -> Option<String> {
        let kinds = [
            "PredictorConfigurationReady",
            "PredictorRouteReady",
            "PredictorReady",
            "IngressReady",
            "Ready",
        ];
        let failing = kinds
            .iter()
            .filter_map(|kind| self.condition(kind))
            .filter(|condition| condition.status != "True");
        let texts = failing.map(|Condition { reason, message, .. }| {
            match (reason.as_str(), message.as_str()) {
                (reason, "") => reason.to_owned(),
                ("", message) => message.to_owned(),
                (reason, message) => format!("{reason}: {message}"),
            }
        });
        texts.into_iter().find(|text| !text.is_empty())
    }

    /// Why the latest revision of the spec is not serving yet, as one line for people; an error
    /// when waiting is useless.
    pub fn waiting_for(&self, who: &str) -> Result<String, Diagnosis> {
        if !self.is_latest_of_spec() {
            let what = format!(
                "wait for KServe to make a revision of `{}`",
                self.image().unwrap_or_default()
            );
            return match self.refusal() {
                Some(diagnosis) if diagnosis.is_final => Err(diagnosis),
                Some(Diagnosis { why, .. }) => Ok(format!("{what}: {why}")),
                None => Ok(what),
            };
        }
        let latest = self.latest();
        // Where KServe cannot hand on a change that makes no other image, only it says so.
        let refusal = || self.refusal().filter(|refusal| refusal.is_final);
        match self.diagnosis().or_else(refusal) {
            Some(diagnosis) if diagnosis.is_final => Err(diagnosis),
            Some(Diagnosis { why, .. }) => {
                Ok(format!("wait for {who} `{latest}` to become ready: {why}"))
            }
            None if !self.is_ready(latest) => {
                Ok(format!("wait for {who} `{latest}` to become ready"))
            }
            None => {
                let why = self.unready().map_or_else(String::new, |why| format!(" ({why})"));
                Ok(format!("wait for the route of {who} `{latest}`; now {}{why}", self.route()))
            }
        }
    }

    /// Whether KServe could not even hand the spec on, so that no revision will come of it
    pub fn is_refused_by_kserve(&self) -> bool {
        self.kserve_refuses().is_some()
    }

    /// Whether KServe could not hand the spec on because a quota has no room for one more pod. It
    /// tries the pods of the new spec first, also when only the percent changes.
    pub fn is_refused_by_quota(&self) -> bool {
        self.kserve_refuses().is_some_and(|message| message.contains("exceeded quota"))
    }

    /// The message with which KServe gives up to hand the spec on
    fn kserve_refuses(&self) -> Option<&str> {
        let Condition { status, reason, message, .. } = self.condition("PredictorReady")?;
        (status == "False" && reason == "ReconcileFailed").then_some(message)
    }

    /// Events report a volume that cannot be mounted, and nothing else does.
    fn of_events(&self) -> Option<Finding> {
        let failed = self.events.iter().flatten().rev().find(|event| {
            matches!(event.reason.as_deref(), Some("FailedMount" | "FailedAttachVolume"))
        })?;
        let message = failed.message.as_deref().unwrap_or_default();
        Some(Finding::new(Reporter::Volume, "its volumes cannot be mounted", message))
    }

    /// No node, for now or for good: an autoscaler may still bring one, and says so by an event.
    fn of_scheduler(&self, conditions: &[Condition]) -> Option<Finding> {
        let pod = self.pods.iter().find_map(unscheduled);
        let message = pod.or_else(|| {
            let condition = condition(conditions, "ResourcesAvailable")?;
            let is_it = condition.status == "False" && condition.reason == "Unschedulable";
            is_it.then_some(condition.message.as_str())
        })?;
        if !rules_out_every_node(message) {
            return Some(Finding::new(Reporter::Scheduler, "no node has room for it", message));
        }
        let scales_up = |event: &Event| {
            matches!(event.reason.as_deref(), Some("TriggeredScaleUp" | "Nominated"))
        };
        // Without the right to read events nobody knows.
        let is_final = self.events.as_ref().is_some_and(|events| !events.iter().any(scales_up));
        let grace_period = if is_final { MAY_BE_SCALED_UP } else { HEALS };
        let found = Finding::heals("no node is meant for it", message);
        Some(Finding { grace_period, hint: NODES, ..found })
    }
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn container_of<'a>(pod: &'a Pod, name: &str) -> Option<&'a ContainerStatus> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    statuses.iter().find(|status| status.name == name)
}

/// The model may be well, and its pod is not ready all the same.
fn of_agent(Finding { why, grace_period, .. }: Finding) -> Finding {
    let why = format!("container `{AGENT}`, which KServe adds for a logger: {why}");
    Finding { why, grace_period, hint: AGENT_HINT }
}

/// What the container's own state says: it exits, or cannot be started.
fn of_container(status: &ContainerStatus) -> Option<Finding> {
    let ended = [&status.state, &status.last_state]
        .into_iter()
        .find_map(|state: &Option<ContainerState>| state.as_ref()?.terminated.as_ref());
    if let Some(ended) = ended {
        let message = ended.message.as_deref().unwrap_or_default();
        let found = match ended.reason.as_deref() {
            Some("OOMKilled") => {
                let what = "its container was killed, because it used more memory than its limit";
                Finding { hint: MEMORY, ..Finding::heals(what, message) }
            }
            Some("StartError" | "ContainerCannotRun") => {
                Finding::new(Reporter::Runtime, "its container cannot be started", message)
            }
            _ => {
                let what = format!("its container exits with code {}", ended.exit_code);
                // A program that was built for other processors starts, as far as Kubernetes can tell.
                if message.contains("exec format error") {
                    Finding::new(Reporter::Runtime, &what, message)
                } else {
                    Finding::heals(&what, message)
                }
            }
        };
        let is_final = status.restart_count >= FINAL_RESTARTS;
        return Some(if is_final { Finding { grace_period: FINAL, ..found } } else { found });
    }
    let waiting = status.state.as_ref()?.waiting.as_ref()?;
    let message = waiting.message.as_deref().unwrap_or_default();
    match waiting.reason.as_deref()? {
        "ErrImagePull" | "ImagePullBackOff" => {
            Some(Finding::new(Reporter::Registry, "its image cannot be pulled", message))
        }
        "InvalidImageName" => {
            let found = Finding::heals("its image has a name that is not valid", message);
            Some(Finding { grace_period: FINAL, ..found })
        }
        reason @ ("CreateContainerConfigError" | "CreateContainerError" | "RunContainerError") => {
            let what = format!("its container cannot be started ({reason})");
            Some(Finding::new(Reporter::Runtime, &what, message))
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
    let failed = |kind| condition(conditions, kind).filter(|condition| condition.status == "False");
    if let Some(Condition { reason, message, .. }) =
        failed("ContainerHealthy").filter(|found| found.reason.starts_with("ExitCode"))
    {
        let code = reason.trim_start_matches("ExitCode");
        let last_lines = message.trim_start_matches("Container failed with:");
        return Some(Finding::heals(&format!("its container exits with code {code}"), last_lines));
    }
    let Condition { reason, message, .. } = failed("ResourcesAvailable")?;
    (reason == "FailedCreate")
        .then(|| Finding::new(Reporter::Admission, "its pods are refused", message))
}

/// A container runs in a pod that is not ready. The probe is the queue-proxy's: the model's own
/// container counts as ready from its start.
fn of_pods(pods: &[Pod]) -> Option<Finding> {
    let is_slow = |pod: &Pod| {
        let runs = container_of(pod, CONTAINER)
            .and_then(|status| status.state.as_ref())
            .is_some_and(|state| state.running.is_some());
        let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
        runs && statuses.is_some_and(|statuses| statuses.iter().any(|status| !status.ready))
    };
    let why = "its container runs, but its readiness probe does not pass yet";
    pods.iter().any(is_slow).then(|| Finding::heals(why, ""))
}

/// `what: the last lines`, on one line and not too long.
fn clean_message(what: &str, text: &str) -> String {
    let text = text.trim_end();
    let start = text.ceil_char_boundary(text.len().saturating_sub(LOG_BYTES));
    match (clean(&text[start..]).as_str(), start) {
        ("", _) => what.to_owned(),
        (end, 0) => format!("{what}: {end}"),
        (end, _) => format!("{what}: … {end}"),
    }
}

#[cfg(test)]
mod tests;

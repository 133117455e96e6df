//! What heals by itself and what does not, and what helps, by the words in which it is reported.

use std::time::Duration;

/// Who reports it
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reporter {
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

/// How long to wait for what is reported to pass; none: as long as the release itself.
pub(crate) type GracePeriod = Option<Duration>;

pub(crate) const HEALS: GracePeriod = None;
pub(crate) const FINAL: GracePeriod = Some(Duration::ZERO);
/// What a site installs together comes in any order.
pub(crate) const MAY_BE_ON_ITS_WAY: GracePeriod = Some(Duration::from_secs(30));
/// An autoscaler says within seconds whether a node of its pools would do.
pub(crate) const MAY_BE_SCALED_UP: GracePeriod = Some(Duration::from_mins(1));

pub(crate) const LIMITS: &str = "give the namespace a LimitRange with default limits of CPU and memory: it covers the containers that Knative and Tekton add, too";
pub(crate) const WITHIN_LIMITS: &str =
    "ask for CPU and memory that the namespace's LimitRange allows: `kubectl describe limitrange`";
pub(crate) const QUOTA: &str = "make room in the namespace's ResourceQuota: `kubectl describe quota` shows what it counts; a canary needs room beside what serves";
pub(crate) const ACCOUNT: &str = "create the ServiceAccount in the service's namespace";
pub(crate) const FIELDS: &str = "allow the field in ConfigMap `config-features` of namespace `knative-serving`, or leave it out of the service";
pub(crate) const POLICY: &str =
    "let the service satisfy the policy that is named, or have the policy exempt its namespace";
pub(crate) const USER: &str = "set `run-as-user` to the numeric user of the image, or to `none` where the platform gives each namespace its own";
pub(crate) const NO_IMAGE: &str = "push the image, for the platform of the nodes; a registry that cleans up must keep what services run";
pub(crate) const PULL: &str = "let `pull-secret` name a Secret of the service's namespace that may pull it: `kubectl create secret docker-registry`";
pub(crate) const OBJECT: &str =
    "create the Secret or ConfigMap, with that key, in the service's namespace";
pub(crate) const MEMORY: &str = "let `container` bring it more memory";
pub(crate) const SLOW: &str = "a model that needs longer wants a longer `start-timeout`";
pub(crate) const COMMAND: &str = "repair the image's command: it must be there, be executable, and be built for the platform of the nodes";
pub(crate) const AGENT_HINT: &str = "KServe's ConfigMap `inferenceservice-config` has its image and resources, under `agent` and `logger`; without `answers` no release adds it";
pub(crate) const NODES: &str =
    "correct the service's node selector, affinity or tolerations, or give the cluster such a node";

/// Words in lower case. The first that fits counts; what none fits may heal.
#[rustfmt::skip]
const CAUSES: &[(Reporter, &str, GracePeriod, &str)] = &[
    (Reporter::Admission, "failed calling webhook", HEALS, ""), // it restarts
    (Reporter::Admission, "the object has been modified", HEALS, ""),
    (Reporter::Admission, "exceeded quota", HEALS, QUOTA), // other pods end
    (Reporter::Admission, "must specify", FINAL, LIMITS),
    (Reporter::Admission, " usage per ", FINAL, WITHIN_LIMITS),
    (Reporter::Admission, "limit to request ratio", FINAL, WITHIN_LIMITS),
    (Reporter::Admission, "violates podsecurity", FINAL, "let the service's security context satisfy the standard that the namespace enforces"),
    (Reporter::Admission, "security context constraint", FINAL, USER),
    (Reporter::Admission, "error looking up service account", MAY_BE_ON_ITS_WAY, ACCOUNT),
    (Reporter::Admission, "no priorityclass", MAY_BE_ON_ITS_WAY, "create the PriorityClass, or leave it out of the service"),
    (Reporter::Admission, "must not set the field", FINAL, FIELDS),
    (Reporter::Admission, "denied the request", FINAL, POLICY),
    (Reporter::Admission, "denied request", FINAL, POLICY), // ValidatingAdmissionPolicy
    (Reporter::Admission, "is invalid", FINAL, "correct the field that is named"),
    (Reporter::Scheduler, "persistentvolumeclaim", MAY_BE_ON_ITS_WAY, "create the PersistentVolumeClaim in the service's namespace"),
    (Reporter::Registry, "not found", FINAL, NO_IMAGE),
    (Reporter::Registry, "manifest unknown", FINAL, NO_IMAGE),
    (Reporter::Registry, "no match for platform", FINAL, NO_IMAGE),
    (Reporter::Registry, "unauthorized", FINAL, PULL),
    (Reporter::Registry, "authorization failed", FINAL, PULL),
    (Reporter::Registry, "authentication required", FINAL, PULL),
    (Reporter::Registry, "no basic auth credentials", FINAL, PULL),
    (Reporter::Registry, "forbidden", FINAL, PULL),
    (Reporter::Registry, "denied", FINAL, PULL),
    (Reporter::Registry, "401", FINAL, PULL),
    (Reporter::Registry, "403", FINAL, PULL),
    (Reporter::Runtime, "deadline exceeded", HEALS, ""), // a busy node
    (Reporter::Runtime, "timed out", HEALS, ""),
    (Reporter::Runtime, "is reserved for", HEALS, ""),
    (Reporter::Runtime, "runasnonroot", FINAL, USER),
    (Reporter::Runtime, "exec: ", FINAL, COMMAND), // of a command that is not there
    (Reporter::Runtime, "exec format error", FINAL, COMMAND),
    (Reporter::Runtime, "not found", MAY_BE_ON_ITS_WAY, OBJECT),
    (Reporter::Runtime, "couldn't find key", MAY_BE_ON_ITS_WAY, OBJECT),
    (Reporter::Runtime, "", MAY_BE_ON_ITS_WAY, ""),
    (Reporter::Volume, "secret \"", MAY_BE_ON_ITS_WAY, OBJECT),
    (Reporter::Volume, "configmap \"", MAY_BE_ON_ITS_WAY, OBJECT),
    (Reporter::Volume, "references non-existent", MAY_BE_ON_ITS_WAY, OBJECT), // a key
];

/// How long to wait for what is reported to pass, and what helps against it.
pub(crate) fn known(reporter: Reporter, message: &str) -> (GracePeriod, &'static str) {
    let message = message.to_lowercase();
    let cause = CAUSES.iter().find(|(by, words, ..)| *by == reporter && message.contains(words));
    cause.map_or((HEALS, ""), |(.., grace_period, hint)| (*grace_period, *hint))
}

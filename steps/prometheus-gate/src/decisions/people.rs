//! Listens to people: what they have decided by now, as far as it is known.

use std::collections::BTreeSet;

use reqwest::Client;

use crate::decisions::api_server::{ApiError, ApiServer, Object};
use crate::decisions::decision::{Decision, of_annotations, of_stop_switch};
use crate::spec::rollout::Subject;

/// So many times in a row without an answer, and nobody is taken to have decided: a gate whose API
/// server is out of reach has to end, too.
const MOST_FAILURES: u32 = 3;

/// The object that stops all releases of a namespace.
const STOP_SWITCH: &str = "canary-stop";

pub(crate) struct People {
    /// None outside of a pod.
    server: Option<ApiServer>,
    namespace: String,
    /// The Lease of the release; none where its service is not known.
    lease: Option<String>,
    version: Option<String>,
    of_lease: Known,
    of_stop: Known,
    /// What was said already: each thing once.
    said: BTreeSet<String>,
}

/// What one object said when it was read last.
#[derive(Default)]
struct Known {
    decisions: Option<Vec<Decision>>,
    failures: u32,
}

impl People {
    pub(crate) fn new(server: Option<ApiServer>, subject: &Subject) -> Self {
        Self {
            server,
            namespace: subject.namespace.clone().unwrap_or_default(),
            lease: subject.service.as_deref().map(lease),
            version: subject.canary.version.clone(),
            of_lease: Known::default(),
            of_stop: Known::default(),
            said: BTreeSet::new(),
        }
    }

    /// What has been decided by now; nothing while that is not known. An API server that refuses or is
    /// away is a warning, once: what was known before counts on.
    pub(crate) async fn read(&mut self) -> Option<Vec<Decision>> {
        let Some(server) = &mut self.server else {
            self.say_once(
                "no person is heeded: this is no pod, and `--decisions` reads from the API server of a pod's cluster",
            );
            return Some(Vec::new());
        };
        let client = server.client();
        let (lease, stop) = match &client {
            Ok(client) => self.ask(client).await,
            Err(error) => (Err(again(error)), Err(again(error))),
        };
        if lease.is_ok() && stop.is_ok() {
            self.said.remove(UNREACHABLE);
        }
        self.hear_lease(lease);
        self.hear_stop_switch(stop);
        let mut all = self.of_lease.decisions.clone()?;
        all.extend(self.of_stop.decisions.clone()?);
        all.sort_unstable();
        Some(all)
    }

    async fn ask(&self, client: &Client) -> (Answer, Answer) {
        let Some(server) = &self.server else { return (Ok(None), Ok(None)) };
        let namespace = self.namespace.as_str();
        let lease = async {
            let Some(name) = &self.lease else { return Ok(None) };
            let api =
                ["apis", "coordination.k8s.io", "v1", "namespaces", namespace, "leases", name];
            server.get(client, &api).await
        };
        let stop = ["api", "v1", "namespaces", namespace, "configmaps", STOP_SWITCH];
        tokio::join!(lease, server.get(client, &stop))
    }

    fn hear_lease(&mut self, answer: Answer) {
        match answer {
            Ok(object) => {
                let annotations = object.unwrap_or_default().metadata.annotations;
                let (decisions, remarks) = of_annotations(&annotations, self.version.as_deref());
                self.of_lease = Known::of(decisions);
                for remark in &remarks {
                    self.say_once(remark);
                }
            }
            Err(error) => {
                self.of_lease.failed(&error);
                self.complain(&error, "leases.coordination.k8s.io");
            }
        }
    }

    fn hear_stop_switch(&mut self, answer: Answer) {
        match answer {
            Ok(object) => {
                let found = object.map(|object| of_stop_switch(&object.data));
                let (decision, remark) = found.unzip();
                self.of_stop = Known::of(decision.into_iter().collect());
                if let Some(remark) = remark.flatten() {
                    self.say_once(&remark);
                }
            }
            Err(error) => {
                self.of_stop.failed(&error);
                self.complain(&error, "configmaps");
            }
        }
    }

    fn complain(&mut self, error: &ApiError, what: &str) {
        match error {
            ApiError::Refused(_) => {
                let hint = "hint: the Role of the run's ServiceAccount needs `get` on leases.coordination.k8s.io, and \
                            on configmaps with the resourceName canary-stop";
                self.say_once(&format!(
                    "failed to read what people decided, from {what}: {error}; the gate goes on without; {hint}"
                ));
            }
            ApiError::Away(_) => {
                if self.said.insert(UNREACHABLE.to_owned()) {
                    tracing::warn!(
                        "failed to read what people decided: {error}; what was known before counts on"
                    );
                }
            }
        }
    }

    fn say_once(&mut self, text: &str) {
        if self.said.insert(text.to_owned()) {
            tracing::warn!("{text}");
        }
    }
}

type Answer = Result<Option<Object>, ApiError>;

/// Stands for all causes: one that changes between two tries is not told twice.
const UNREACHABLE: &str = "unreachable";

/// The name of the Lease that has people's decisions about a service's canary.
pub(crate) fn lease(service: &str) -> String {
    format!("{service}-canary-decision")
}

fn again(error: &ApiError) -> ApiError {
    ApiError::Away(error.to_string())
}

impl Known {
    fn of(decisions: Vec<Decision>) -> Self {
        Self { decisions: Some(decisions), failures: 0 }
    }

    /// What was known counts on; where nothing was, nobody has decided.
    fn failed(&mut self, error: &ApiError) {
        self.failures += 1;
        if matches!(error, ApiError::Refused(_)) || self.failures >= MOST_FAILURES {
            self.decisions.get_or_insert_default();
        }
    }
}

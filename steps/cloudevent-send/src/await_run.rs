//! Whether the run that an event should start is there, which a listener's 202 does not say.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use kube::{
    Api, Client,
    api::DynamicObject,
    core::{ApiResource, GroupVersionKind},
};
use step::{
    Failure,
    api_server::{self, cause},
};
use tokio::time::{Instant, sleep, timeout};

use crate::args::AwaitArgs;

/// A listener creates a run within a second of its 202.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A server that lives answers a read of one object at once.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Where to look, and how long.
pub(crate) struct Awaited {
    runs: Api<DynamicObject>,
    namespace: String,
    prefix: String,
    args: AwaitArgs,
}

impl Awaited {
    /// None when nobody asked to wait. Without a namespace: the pod's own, or the kubeconfig's.
    pub(crate) async fn new(args: AwaitArgs, namespace: Option<String>) -> Result<Option<Self>> {
        let Some(prefix) = args.await_run.clone() else { return Ok(None) };
        let client = connect().await?;
        let namespace = namespace.unwrap_or_else(|| client.default_namespace().to_owned());
        let kind = GroupVersionKind::gvk("tekton.dev", "v1", "PipelineRun");
        let runs = Api::namespaced_with(client, &namespace, &ApiResource::from_gvk(&kind));
        Ok(Some(Self { runs, namespace, prefix, args }))
    }

    /// Waits for the run of the event of this name, and calls `again` each time that the event had
    /// better be sent once more; it returns whether the sink accepted it.
    pub(crate) async fn wait(
        &self,
        name: &str,
        mut again: impl AsyncFnMut() -> bool,
    ) -> Result<()> {
        let name = format!("{}-{name}", self.prefix);
        let full = format!("{}/{name}", self.namespace);
        let deadline = Instant::now() + self.args.await_timeout;
        let mut resend_at = Instant::now() + self.args.resend_after;
        let mut accepted = 1;
        let mut warned = false;
        loop {
            let looked = self.look(&name).await;
            let is_late = Instant::now() >= deadline;
            match looked {
                Ok(true) => {
                    tracing::info!("PipelineRun `{full}` is there");
                    return Ok(());
                }
                Ok(false) if is_late => return Err(self.not_started(&full, accepted)),
                Ok(false) if Instant::now() >= resend_at => {
                    tracing::info!(
                        "PipelineRun `{full}` is not there yet; sending the event again"
                    );
                    accepted += u32::from(again().await);
                    resend_at = Instant::now() + self.args.resend_after;
                }
                Ok(false) => {}
                Err(error) if error.is_retryable() && !is_late => {
                    if !warned {
                        tracing::warn!(
                            "failed to read PipelineRun `{full}`: {error}; trying again"
                        );
                    }
                    warned = true;
                }
                Err(error) => return Err(error.into_failure(&full)),
            }
            let left = deadline.saturating_duration_since(Instant::now());
            sleep(LOOK_EVERY.min(self.args.resend_after).min(left)).await;
        }
    }

    /// A run in whatever state counts: also one that is over by now.
    async fn look(&self, name: &str) -> Result<bool, LookupError> {
        let found = timeout(ANSWER_WITHIN, self.runs.get_metadata_opt(name)).await;
        Ok(found.map_err(|_elapsed| LookupError::Silent)??.is_some())
    }

    fn not_started(&self, full: &str, accepted: u32) -> anyhow::Error {
        let within = humantime::format_duration(self.args.await_timeout);
        let times = if accepted == 1 { "once".to_owned() } else { format!("{accepted} times") };
        anyhow!(Failure {
            what: format!(
                "failed to find PipelineRun `{full}` within {within}: the sink accepted the event {times}, and nothing started"
            ),
            hint: format!(
                "does a quota on PipelineRuns forbid it, or the listener's Role? `kubectl get events -n {} --field-selector involvedObject.kind=EventListener` and the listener's log tell why",
                self.namespace
            ),
        })
    }
}

/// A client for the cluster of the pod, or of the kubeconfig.
async fn connect() -> Result<Client> {
    let failure = || {
        Failure {
        what: "failed to find a Kubernetes cluster, which `await-run` asks for the run".into(),
        hint: "in a pod, let the serviceAccount mount its token; at a terminal, let KUBECONFIG name a file that `kubectl` can use".into(),
    }
    };
    // One provider for the process; a second call finds it there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    api_server::client(ANSWER_WITHIN).await.with_context(failure)
}

/// Why the API server did not say whether the run is there.
#[derive(Debug, thiserror::Error)]
enum LookupError {
    #[error("{}", cause(.0))]
    Kube(#[from] kube::Error),
    #[error("no answer within {} s", ANSWER_WITHIN.as_secs())]
    Silent,
}

impl LookupError {
    fn is_retryable(&self) -> bool {
        match self {
            Self::Kube(kube::Error::Api(status)) => matches!(status.code, 408 | 429 | 500..),
            Self::Kube(kube::Error::Service(_) | kube::Error::HyperError(_)) | Self::Silent => true,
            Self::Kube(_) => false,
        }
    }

    fn into_failure(self, full: &str) -> anyhow::Error {
        let hint = match &self {
            Self::Kube(kube::Error::Api(status)) if matches!(status.code, 401 | 403) => {
                "`await-run` needs the right to get pipelineruns: give the serviceAccount the Role in the Task's README, under `Rights`"
            }
            _ if self.is_retryable() => {
                "run it again when the API server answers; the event keeps its id"
            }
            _ => "does `kubectl get pipelineruns` work with this serviceAccount or kubeconfig?",
        };
        let what = format!("failed to read PipelineRun `{full}`");
        anyhow!(self.to_string()).context(Failure { what, hint: hint.into() })
    }
}

//! What the three canary steps know of KServe: a partial view, guarded patches, and waiting.
//!
//! A step is a pure function from what is [`Seen`] to what is [`Next`]. [`Service::drive`] looks,
//! asks that function, does the one thing it says, and looks again. All state lives in the
//! cluster, so a step that is killed between any two of these and run again ends in the same place.

mod client;
mod diagnosis;
mod image;
mod objects;
mod observed;
mod owner_lease;
mod patch;
#[cfg(any(test, feature = "simulator"))]
pub mod simulator;
mod tekton_runs;

pub use client::{Next, Service, connect, services};
pub use diagnosis::Diagnosis;
pub use image::{has_digest, same_image};
pub use model_container::Fields;
pub use objects::{Component, Condition, InferenceService, Revision, Target};
pub use observed::{Live, Seen};
pub use owner_lease::{Mark, Release};
pub use patch::{Change, Guarded};
pub use tekton_runs::Run;

/// The container that carries the model. KServe gives a single container this name.
pub const CONTAINER: &str = "kserve-container";

/// Gives the routes `latest` and `prev` addresses of their own.
pub const TAG_ROUTING: &str = "serving.kserve.io/enable-tag-routing";

/// The only mode in which `KServe` splits requests, whatever its default is.
pub const DEPLOYMENT_MODE: &str = "serving.kserve.io/deploymentMode";

/// `Knative` by the name that every release of `KServe` takes. Newer ones write `Knative` instead; older
/// ones do not know that name, fall back to their default, and then refuse every change of the service.
pub const KNATIVE: &str = "Serverless";

/// How long Knative waits for a revision to become ready, as a duration of Go.
pub const PROGRESS_DEADLINE: &str = "serving.knative.dev/progress-deadline";

/// A tag's host is `latest-NAME-predictor.…`, and a DNS label has at most 63 characters.
pub const LONGEST_NAME: usize = 46;

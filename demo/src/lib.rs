//! What a user of kanaria does, as functions: the demo is a scenario made of them, and the cluster tests prove it.
//!
//! - `paths`: where this tree is, and what was built in it
//! - `wait`: waiting for what no object shows by itself
//! - `site`: the catalog installed in a namespace, its settings and its services
//! - `notebook`: a model trained, saved and asked to be released
//! - `run`: the runs that an event starts
//! - `flowers`: what users ask about
//! - `answer`: what a request to a model brought, counted by version
//! - `traffic`: requests to a service, at a steady rate

mod answer;
mod flowers;
mod notebook;
mod paths;
mod run;
mod site;
mod traffic;
mod wait;

pub use answer::{Answer, Answers, FailedRequest};
pub use notebook::{Notebook, ReleaseRequest};
pub use paths::{built, tree};
pub use run::{Run, TaskRun};
pub use site::{Event, Mode, Site};
pub use traffic::Traffic;
pub use wait::within;

//! What a user of kanaria does, as functions: install the catalog in a namespace, send an event,
//! follow a run, ask the model. The demo tells a story with it and the cluster tests prove it.

mod notebook;
mod run;
mod site;
mod users;

pub use notebook::{Notebook, Wish};
pub use run::{Run, TaskRun};
pub use site::{Event, Mode, Site};
pub use users::{Answers, Traffic};

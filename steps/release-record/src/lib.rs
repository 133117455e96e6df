//! How releases went: what their runs show, and what of it outlives them in the store.
//!
//! - `tekton`: `PipelineRuns` and `TaskRuns` of releases, as the API server has them
//! - `run`: one PipelineRun with its `TaskRuns`, as it is kept
//! - `release`: the runs of one release in the order of its time line, and how it ended
//! - `key`: under which keys a store has what is kept
//! - `kept`: what a store has, and reads and writes of it

pub mod kept;
pub mod key;
pub mod release;
pub mod run;
pub mod tekton;

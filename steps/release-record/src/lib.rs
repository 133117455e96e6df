//! How releases went: what their runs show, and what of it outlives them in the store.
//!
//! - `run`: one PipelineRun with its `TaskRuns`, as it is kept
//! - `release`: the runs of one release in the order of its time line, and how it ended

pub mod release;
pub mod run;

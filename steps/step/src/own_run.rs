//! The run that a step is part of.

/// What a step's pod knows of its run. A Task passes it by environment variables from the labels that
/// Tekton gives each pod; at a terminal there is none.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Run (a Task passes these from its pod's labels)")]
pub struct OwnRun {
    /// Pipeline that this step belongs to
    #[arg(long, value_name = "NAME", env = "PIPELINE")]
    pub pipeline: Option<String>,
    /// PipelineRun that this step belongs to
    #[arg(long, value_name = "NAME", env = "PIPELINE_RUN")]
    pub pipeline_run: Option<String>,
    /// Its uid
    #[arg(long, value_name = "UID", env = "PIPELINE_RUN_UID")]
    pub pipeline_run_uid: Option<String>,
    /// TaskRun that this step belongs to
    #[arg(long, value_name = "NAME", env = "TASK_RUN")]
    pub task_run: Option<String>,
    /// Its uid, which stays the same when Tekton tries again
    #[arg(long, value_name = "UID", env = "TASK_RUN_UID")]
    pub task_run_uid: Option<String>,
}

impl OwnRun {
    /// Name of the PipelineRun, or of the TaskRun that has none; empty outside a cluster
    pub fn name(&self) -> &str {
        self.pipeline_run.as_deref().or(self.task_run.as_deref()).unwrap_or_default()
    }

    /// Uid of the PipelineRun, or of the TaskRun that has none; empty outside a cluster
    pub fn uid(&self) -> &str {
        self.pipeline_run_uid.as_deref().or(self.task_run_uid.as_deref()).unwrap_or_default()
    }
}

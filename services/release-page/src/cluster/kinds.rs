//! What becomes of the objects of each kind: a small value at once, and the object is dropped.

use inference_service::{InferenceService, Revision, StopSwitch};
use k8s_openapi::api::{coordination::v1::Lease, core::v1::ConfigMap};
use kube::ResourceExt as _;
use release_record::{
    run::{RunRecord, TaskRecord},
    tekton::{PipelineRun, TaskRun, pipeline_run_of},
};

use super::services::Services;
use crate::{runs::Runs, shared::Shared};

/// Takes the objects of one kind.
pub(super) trait Kind {
    type Object;

    fn put(&self, object: Self::Object);
    fn remove(&self, object: Self::Object);
    /// Removes those of a namespace, or of all, that are not to be kept: `keep(NAMESPACE, NAME)`
    fn retain(&self, namespace: Option<&str>, keep: &dyn Fn(&str, &str) -> bool);
}

pub(super) struct PipelineRuns(pub(super) Shared<Runs>);
/// None is removed: they go with their PipelineRun, or before it, and tell how it went all the same.
pub(super) struct TaskRuns(pub(super) Shared<Runs>);
pub(super) struct InferenceServices(pub(super) Shared<Services>);
pub(super) struct Revisions(pub(super) Shared<Services>);
pub(super) struct Leases(pub(super) Shared<Services>);
pub(super) struct StopSwitches(pub(super) Shared<Services>);

impl Kind for PipelineRuns {
    type Object = PipelineRun;

    fn put(&self, run: PipelineRun) {
        if let Some(record) = RunRecord::of(&run).filter(|record| !record.service.is_empty()) {
            self.0.change(|runs| runs.put_run(record));
        }
    }

    fn remove(&self, run: PipelineRun) {
        let namespace = run.namespace().unwrap_or_default();
        self.0.change(|runs| runs.remove_run(&namespace, &run.name_any()));
    }

    fn retain(&self, namespace: Option<&str>, keep: &dyn Fn(&str, &str) -> bool) {
        self.0.change(|runs| runs.retain_runs(namespace, keep));
    }
}

impl Kind for TaskRuns {
    type Object = TaskRun;

    fn put(&self, run: TaskRun) {
        let namespace = run.namespace().unwrap_or_default();
        let task = TaskRecord::of(&run);
        self.0.change(|runs| runs.put_task(&namespace, pipeline_run_of(&run), task));
    }

    fn remove(&self, _: TaskRun) {}

    fn retain(&self, _: Option<&str>, _: &dyn Fn(&str, &str) -> bool) {}
}

impl Kind for InferenceServices {
    type Object = InferenceService;

    fn put(&self, service: InferenceService) {
        self.0.change(|services| services.put(&service));
    }

    fn remove(&self, service: InferenceService) {
        let namespace = service.namespace().unwrap_or_default();
        self.0.change(|services| services.remove(&namespace, &service.name_any()));
    }

    fn retain(&self, namespace: Option<&str>, keep: &dyn Fn(&str, &str) -> bool) {
        self.0.change(|services| services.retain(namespace, keep));
    }
}

impl Kind for Revisions {
    type Object = Revision;

    fn put(&self, revision: Revision) {
        self.0.change(|services| services.put_revision(&revision));
    }

    fn remove(&self, revision: Revision) {
        let namespace = revision.namespace().unwrap_or_default();
        self.0.change(|services| services.remove_revision(&namespace, &revision.name_any()));
    }

    fn retain(&self, namespace: Option<&str>, keep: &dyn Fn(&str, &str) -> bool) {
        self.0.change(|services| services.retain_revisions(namespace, keep));
    }
}

impl Kind for Leases {
    type Object = Lease;

    fn put(&self, lease: Lease) {
        self.0.change(|services| services.put_lease(&lease));
    }

    fn remove(&self, lease: Lease) {
        let namespace = lease.namespace().unwrap_or_default();
        self.0.change(|services| services.remove_lease(&namespace, &lease.name_any()));
    }

    fn retain(&self, namespace: Option<&str>, keep: &dyn Fn(&str, &str) -> bool) {
        self.0.change(|services| services.retain_leases(namespace, keep));
    }
}

impl Kind for StopSwitches {
    type Object = ConfigMap;

    fn put(&self, switch: ConfigMap) {
        let namespace = switch.namespace().unwrap_or_default();
        self.0.change(|services| services.stop(&namespace, Some(StopSwitch::of(&switch).by)));
    }

    fn remove(&self, switch: ConfigMap) {
        let namespace = switch.namespace().unwrap_or_default();
        self.0.change(|services| services.stop(&namespace, None));
    }

    fn retain(&self, namespace: Option<&str>, keep: &dyn Fn(&str, &str) -> bool) {
        self.0.change(|services| services.retain_stopped(namespace, keep));
    }
}

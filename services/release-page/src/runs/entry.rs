//! A run, packed or not, and where it is.

use release_record::run::{RunRecord, TaskRecord};

use super::packed::Packed;

#[derive(Debug)]
pub(super) struct Entry {
    form: Form,
    pub(super) is_in_cluster: bool,
    /// The last round in which the store had it
    pub(super) kept_in: Option<u32>,
}

#[derive(Debug)]
enum Form {
    Open(Box<RunRecord>),
    Packed(Packed),
}

impl Entry {
    pub(super) fn of_cluster(record: RunRecord) -> Self {
        Self { form: Form::Open(Box::new(record)), is_in_cluster: true, kept_in: None }
    }

    pub(super) fn of_store(record: RunRecord, round: u32) -> Self {
        Self { form: Form::Open(Box::new(record)), is_in_cluster: false, kept_in: Some(round) }
    }

    /// Takes what a PipelineRun says anew; says whether it is anything new.
    pub(super) fn put_run(&mut self, record: RunRecord) -> bool {
        self.is_in_cluster = true;
        let Some(before) = self.open() else {
            self.form = Form::Open(Box::new(record));
            return true;
        };
        let early = record.tasks;
        let record = RunRecord { tasks: std::mem::take(&mut before.tasks), ..record };
        let unchanged = RunRecord { tasks: Vec::new(), ..record.clone() } == *before;
        *before = record;
        let tasks = early.into_iter().map(|task| put_task(before, task));
        tasks.fold(!unchanged, |changed, task| changed | task)
    }

    /// The same of one of its `TaskRuns`.
    pub(super) fn put_task(&mut self, task: TaskRecord) -> bool {
        self.open().is_some_and(|record| put_task(record, task))
    }

    pub(super) fn record(&self) -> Option<RunRecord> {
        match &self.form {
            Form::Open(record) => Some((**record).clone()),
            Form::Packed(packed) => packed.record(),
        }
    }

    /// The run if it has not ended
    pub(super) fn unended(&self) -> Option<&RunRecord> {
        match &self.form {
            Form::Open(record) if record.ended.is_none() => Some(record),
            _ => None,
        }
    }

    /// Of a run that has ended, a TaskRun may still change, which opens it again.
    pub(super) fn pack(&mut self) {
        if let Form::Open(record) = &self.form
            && record.ended.is_some()
            && let Some(packed) = Packed::new(record)
        {
            self.form = Form::Packed(packed);
        }
    }

    fn open(&mut self) -> Option<&mut RunRecord> {
        if let Form::Packed(packed) = &self.form {
            self.form = Form::Open(Box::new(packed.record()?));
        }
        match &mut self.form {
            Form::Open(record) => Some(record),
            Form::Packed(_) => None,
        }
    }
}

/// In the order in which they started
fn put_task(record: &mut RunRecord, task: TaskRecord) -> bool {
    match record.tasks.iter_mut().find(|before| before.name == task.name) {
        Some(before) if *before == task => return false,
        Some(before) => *before = task,
        None => record.tasks.push(task),
    }
    record.tasks.sort_by(|a, b| {
        let order = |task: &TaskRecord| (task.started.is_none(), task.started);
        order(a).cmp(&order(b)).then_with(|| a.name.cmp(&b.name))
    });
    true
}

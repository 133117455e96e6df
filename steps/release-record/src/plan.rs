//! Which runs are kept now, and what has been kept for long enough.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use release_record::{
    kept::KeptRun,
    key::{KeptFile, RunKey},
    run::{RunRecord, State},
};

/// How long a run that has ended is waited for where a task of it has not: one that was cancelled ends a moment later.
const SETTLES_WITHIN: Duration = Duration::from_mins(10);

/// What is kept, how long it is to be, and now.
pub(crate) struct Plan<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) kept: &'a BTreeMap<RunKey, KeptRun>,
    /// For ever without
    pub(crate) retention: Option<Duration>,
    pub(crate) now: SystemTime,
}

impl Plan<'_> {
    /// Whether a run that has ended is still to be kept. One that is older than the retention is not: it would be
    /// written again each time that it was deleted, as long as the cluster has it.
    pub(crate) fn is_missing(&self, run: &RunRecord) -> bool {
        let is_there =
            self.kept.get(&RunKey::of(run)).is_some_and(|kept| kept.files.contains(&KeptFile::Run));
        !is_there && !self.is_too_old(run.ended.map(SystemTime::from))
    }

    /// Runs of the namespace whose last file is older than the retention
    pub(crate) fn too_old(&self) -> impl Iterator<Item = &RunKey> {
        let ours = self.kept.iter().filter(|(key, _)| key.namespace == self.namespace);
        ours.filter(|(_, kept)| self.is_too_old(kept.newest)).map(|(key, _)| key)
    }

    /// Whether all of it is known that will be.
    pub(crate) fn is_settled(&self, run: &RunRecord) -> bool {
        let goes_on = run.tasks.iter().any(|task| task.state == State::Running);
        !goes_on || self.age(run.ended.map(SystemTime::from)).is_none_or(|age| age > SETTLES_WITHIN)
    }

    fn is_too_old(&self, time: Option<SystemTime>) -> bool {
        let retention = self.retention.zip(self.age(time));
        retention.is_some_and(|(retention, age)| age >= retention)
    }

    /// What is of later than now is new.
    fn age(&self, time: Option<SystemTime>) -> Option<Duration> {
        time.map(|time| self.now.duration_since(time).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use jiff::Timestamp;
    use release_record::run::TaskRecord;

    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn day(number: u32) -> SystemTime {
        UNIX_EPOCH + number * DAY
    }

    fn run(name: &str, ended: u32) -> RunRecord {
        let ended = Timestamp::from_second(i64::from(ended) * 86_400).ok();
        RunRecord {
            namespace: "models".into(),
            service: "iris".into(),
            version: "v2".into(),
            name: name.into(),
            ended,
            ..RunRecord::default()
        }
    }

    fn kept(namespace: &str, name: &str, newest: u32, files: &[KeptFile]) -> (RunKey, KeptRun) {
        let key = RunKey { namespace: namespace.into(), ..RunKey::of(&run(name, 0)) };
        (key, KeptRun { files: files.iter().copied().collect(), newest: Some(day(newest)) })
    }

    #[test]
    fn a_run_is_kept_once_and_not_again_when_it_was_deleted() {
        let kept = BTreeMap::from([
            kept("models", "there", 10, &[KeptFile::Run]),
            kept("models", "evidence-alone", 10, &KeptFile::EVIDENCE),
            kept("others", "of-another", 10, &[KeptFile::Run]),
        ]);
        let missing = |retention: Option<Duration>, name, ended| {
            Plan { namespace: "models", kept: &kept, retention, now: day(10) }
                .is_missing(&run(name, ended))
        };
        assert!(!missing(None, "there", 9));
        for name in ["new", "evidence-alone", "of-another"] {
            assert!(missing(None, name, 1) && missing(Some(5 * DAY), name, 6), "{name}");
            assert!(!missing(Some(5 * DAY), name, 5), "{name}");
        }
        assert!(missing(Some(DAY), "new", 11), "a clock that is behind");
    }

    #[test]
    fn what_is_older_than_the_retention_goes_and_nothing_of_other_namespaces() {
        let kept = BTreeMap::from([
            kept("models", "old", 5, &KeptFile::ALL),
            kept("models", "without-a-run", 5, &[KeptFile::Report]),
            kept("models", "new", 6, &KeptFile::ALL),
            kept("others", "old", 5, &KeptFile::ALL),
        ]);
        let too_old = |retention: Option<Duration>| {
            let plan = Plan { namespace: "models", kept: &kept, retention, now: day(10) };
            plan.too_old().map(|key| key.run.clone()).collect::<Vec<_>>()
        };
        assert_eq!(too_old(Some(5 * DAY)), ["old", "without-a-run"]);
        assert_eq!(too_old(None), Vec::<String>::new());
        assert_eq!(too_old(Some(Duration::ZERO)), ["new", "old", "without-a-run"]);
    }

    #[test]
    fn a_run_waits_for_its_last_task_but_not_for_long() {
        let kept = BTreeMap::new();
        let settled = |minutes: u64| {
            let now = day(1) + Duration::from_mins(minutes);
            let task = TaskRecord { state: State::Running, ..TaskRecord::default() };
            let plan = Plan { namespace: "models", kept: &kept, retention: None, now };
            plan.is_settled(&run("a", 1).with_tasks([task]))
        };
        assert!(!settled(1));
        assert!(settled(11));
    }
}

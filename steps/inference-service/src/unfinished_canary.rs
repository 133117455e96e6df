//! A canary that has not ended, and the runs that will end it.

use crate::{image::same_image, observed::Observed, tekton_runs::Run};

impl Observed {
    /// The image of a canary that the mark names and that has not ended: it is in the spec at less
    /// than 100 %, or the old image is back and its rollback was not finished.
    pub fn unfinished_canary(&self) -> Option<&str> {
        let image = self.image().filter(|_| self.percent().is_some_and(|percent| percent < 100))?;
        let mark = &self.mark;
        let is_canary = mark.is_of(image) || same_image(&mark.replaced, image);
        let is_half_restored = mark.is_rejected()
            && same_image(&mark.baseline_image, image)
            && self.percent() == Some(0);
        if is_canary { Some(image) } else { is_half_restored.then_some(mark.image.as_str()) }
    }

    /// Whether the release that the mark is of goes on: its canary has not ended, or a run has still to decide
    /// about it, be it before the canary is there or when it has all requests already.
    pub fn is_in_release(&self) -> bool {
        let has_begun = !self.mark.image.is_empty();
        has_begun && (self.unfinished_canary().is_some() || self.ending_run("").is_some())
    }

    /// The unfinished run, other than `ours`, that will give the unfinished canary all requests or none
    pub fn ending_run(&self, ours: &str) -> Option<&Run> {
        self.runs().find(|run| run.uid() != ours && self.is_ended_by(run))
    }

    /// Whether a run ends the canary that has not ended: the one that made it, until it has handed
    /// it over or taken it back, or one that has it among its params. An undo names nothing, and is of what
    /// it has marked as rejected.
    fn is_ended_by(&self, run: &Run) -> bool {
        let image = self.unfinished_canary().or(self.image()).unwrap_or_default();
        let revision = run.param("canary-revision");
        let has_it = same_image(run.param("canary-image"), image)
            || !revision.is_empty() && self.runs_image(revision, image);
        let has_made_it = !run.uid().is_empty() && run.uid() == self.mark.release.run_uid;
        let undoes_it = self.mark.is_rejected() && is_undo(run);
        run.param("service") == self.name && (has_it || has_made_it || undoes_it)
    }

    /// Whether the canary that a run was to end is taken back, to the end: by whom is all the same
    pub fn has_taken_back_from(&self, run: &Run) -> bool {
        let mark = &self.mark;
        let given = run.param("canary-image");
        let has_made_it = !run.uid().is_empty() && run.uid() == mark.release.run_uid;
        let (image, is_rejected) = match given {
            "" if has_made_it => (mark.image.as_str(), mark.is_rejected()),
            "" => ("", false),
            given => (given, mark.has_rejected(given)),
        };
        let is_there = self.unfinished_canary().is_some_and(|canary| same_image(canary, image))
            || self.image().is_some_and(|serves| same_image(serves, image));
        run.param("service") == self.name && is_rejected && !is_there
    }

    /// Unfinished runs of the same Pipeline for the same service that are older than `ours`, oldest first
    pub fn runs_before(&self, ours: &str) -> Vec<&Run> {
        let Some(own) = self.runs().find(|run| run.uid() == ours) else {
            return Vec::new();
        };
        let order = |run: &Run| (run.created(), run.name().to_owned());
        let is_before = |run: &&Run| {
            run.param("service") == own.param("service")
                && !run.pipeline().is_empty()
                && run.pipeline() == own.pipeline()
                && order(run) < order(own)
        };
        let mut before: Vec<&Run> = self.runs().filter(is_before).collect();
        before.sort_by_key(|run| order(run));
        before
    }

    fn runs(&self) -> impl Iterator<Item = &Run> {
        self.unfinished_runs.iter().flatten()
    }
}

/// Whether a run takes back what serves all requests
fn is_undo(run: &Run) -> bool {
    run.pipeline() == "canary-rollback-now" || run.param("undo") == "true"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run(name: &str) -> Run {
        let run = json!({
            "apiVersion": "tekton.dev/v1", "kind": "PipelineRun",
            "metadata": {"name": name, "uid": name, "creationTimestamp": "2026-11-24T06:07:00Z",
                         "labels": {"tekton.dev/pipeline": "canary-release"}},
            "spec": {"params": [{"name": "service", "value": "iris"}]},
        });
        serde_json::from_value(run).unwrap()
    }

    #[test]
    fn of_two_runs_of_one_second_the_one_with_the_lesser_name_comes_first() {
        let unfinished: Vec<Run> = ["b", "a", "c"].iter().map(|name| run(name)).collect();
        let observed = Observed {
            unfinished_runs: Some(unfinished),
            name: "iris".into(),
            ..Observed::default()
        };
        let names =
            |ours| observed.runs_before(ours).iter().map(|run| run.name()).collect::<Vec<_>>();
        assert_eq!(names("c"), ["a", "b"]);
        assert_eq!(names("a"), [""; 0]);
        assert_eq!(names("of nobody"), [""; 0]);
    }
}

//! The event of a canary that has its next percent and is to be judged there, as a file for
//! `cloudevent-send`: it starts the run that judges.

use std::path::Path;

use anyhow::Result;
use cloudevent::{
    event::Draft,
    run_event::{self, RunEvent, first, known, run_of, source_of},
};
use inference_service::{Mark, Observed, has_digest};
use ladder::{Climbed, Rung};
use serde_json::{Value, json};
use step::{
    OwnRun,
    text::{from_trigger, short},
};

use crate::{args::EventArgs, desired::Desired};

const ADVANCED: &str = "build.canary.release.canary.advanced.v1";

/// As the schema has it.
const LONGEST_REASON: usize = 1024;
const LONGEST_OF_ANSWERS: usize = 200;

pub(crate) struct AdvanceEvent<'a> {
    pub(crate) desired: &'a Desired,
    /// As the last look found it
    pub(crate) observed: &'a Observed,
    /// Of which release it is, and what led to it
    pub(crate) context: &'a EventArgs,
    pub(crate) run: &'a OwnRun,
    /// Percent that the canary has now
    pub(crate) weight: u8,
}

impl AdvanceEvent<'_> {
    /// Writes the event as `SERVICE.json`, in CloudEvents' JSON format.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        run_event::write(self.draft(), folder, &self.observed.name)
    }

    fn draft(&self) -> Draft {
        let (observed, chain, run) = (self.observed, &self.context.chain, self.run);
        let release = &observed.mark.release;
        let uid = first(&[run.uid(), &release.run_uid]);
        let given = chain.correlation_id.as_deref().unwrap_or_default();
        let event = RunEvent {
            source: &source_of(&observed.namespace, run, "canary-promote"),
            ty: ADVANCED,
            subject: observed.full_name(),
            correlation: first(&[given, &release.correlation, uid, &observed.name]),
            causation: chain.causation_id.as_deref(),
            // Not one more than the cause has: the weights of these events ascend, so that a ladder ends by
            // itself, and a long one is no chain that runs in circles.
            hops: chain.hops_of_cause().unwrap_or(0),
            run: uid,
            revision: &self.desired.canary,
            weight: self.weight,
            data: self.data(),
        };
        event.draft()
    }

    fn data(&self) -> Value {
        let (observed, context, mark) = (self.observed, self.context, self.mark());
        let noted = mark.map_or("", |mark| mark.release.version.as_str());
        let version = context.service_version.as_deref().unwrap_or_default();
        let reason = context.reason.as_deref().map(|reason| {
            // For people; what a gate says may quote a server.
            json!({"reason": short(reason, LONGEST_REASON)})
        });
        known(json!({
            "serviceName": observed.name,
            "serviceVersion": first(&[version, noted, "unknown"]),
            "namespace": observed.namespace,
            "run": run_of(self.run),
            "canary": self.canary(),
            "gate": reason,
        }))
    }

    fn canary(&self) -> Value {
        let (desired, observed, context) = (self.desired, self.observed, self.context);
        let mark = self.mark();
        let noted = mark.map_or("", |mark| mark.baseline_revision.as_str());
        let given = context.baseline_revision.as_deref().unwrap_or_default();
        let recorded = match observed.live() {
            Some(live) => live.baseline,
            None => &observed.component().previous_rolledout_revision,
        };
        let image = mark.map_or("", |mark| mark.baseline_image.as_str());
        let baseline_image = first(&[context.baseline_image.as_deref().unwrap_or_default(), image]);
        let climbed = self.climbed();
        let weights = climbed
            .0
            .iter()
            .map(|rung| json!({"weight": rung.percent, "startedAt": rung.started_at.to_string()}));
        let ladder = desired.ladder.as_ref();
        let rung = ladder.map_or(climbed.0.len() + 1, |ladder| ladder.number(self.weight));
        known(json!({
            "image": self.image(),
            "weight": self.weight,
            "rung": rung,
            "ladder": ladder.map(ToString::to_string),
            "climbed": weights.collect::<Value>(),
            "startedAt": desired.started_at(),
            "revision": desired.canary,
            "baselineRevision": first(&[given, noted, recorded]),
            "baselineImage": Some(baseline_image).filter(|image| has_digest(image)),
            "answers": context.answers.as_deref().map(answers),
        }))
    }

    /// By digest, as far as anybody knows it
    fn image(&self) -> Option<&str> {
        let (given, spec) = (self.context.canary_image.as_deref(), self.observed.image());
        let resolved = self.observed.image_of(&self.desired.canary);
        [given, spec, resolved].into_iter().flatten().find(|image| has_digest(image))
    }

    /// Of this canary
    fn mark(&self) -> Option<&Mark> {
        Some(&self.observed.mark)
            .filter(|mark| mark.is_of(self.observed.image().unwrap_or_default()))
    }

    /// The rungs below the one that it stands on now: those that were given, and the one that was judged.
    /// Weights and times ascend, also where somebody has lowered the canary meanwhile.
    fn climbed(&self) -> Climbed {
        let given = self.context.climbed.clone().unwrap_or_default().0;
        let noted = || {
            // The mark knows the first rung's.
            let since = self.mark().filter(|_| given.is_empty())?.live_since.as_str();
            since.parse().ok()
        };
        let started_at = self.context.started_at.or_else(noted);
        let judged = self.desired.judged.zip(started_at);
        let judged = judged.map(|(percent, started_at)| Rung { percent, started_at });
        let mut climbed = Climbed::default();
        for rung in given.iter().copied().chain(judged) {
            let ascends = climbed.0.last().is_none_or(|last| {
                last.percent < rung.percent && last.started_at <= rung.started_at
            });
            if ascends && rung.percent < self.weight {
                climbed.0.push(rung);
            }
        }
        climbed
    }
}

/// As the event before it had it, which a Trigger has handed over.
fn answers(text: &str) -> String {
    short(&from_trigger(text), LONGEST_OF_ANSWERS)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use cloudevent::run_event::ChainArgs;
    use inference_service::{Release, simulator::Simulator};
    use proptest::prelude::*;

    use super::*;

    const B: &str =
        "r/iris@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
    const C: &str =
        "r/iris@sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc";
    const EARLY: &str = "2026-11-24T09:30:00Z";
    const LATE: &str = "2026-11-24T09:41:00Z";

    fn context(climbed: &str, started_at: &str) -> EventArgs {
        EventArgs {
            started_at: started_at.parse().ok(),
            climbed: climbed.parse().ok(),
            answers: Some("compared".into()),
            reason: Some("errors: 0.2 %\nof at most 1 %".into()),
            chain: ChainArgs {
                causation_id: Some("created 7".into()),
                chainhops: Some(1),
                ..ChainArgs::default()
            },
            ..EventArgs::default()
        }
    }

    fn desired(judged: u8) -> Desired {
        let ladder = Some("10,25,50,100".parse().unwrap());
        let judged = Some(judged);
        Desired { canary: "iris-predictor-00002".into(), ladder, judged, ..Desired::default() }
    }

    /// A canary at that weight, as the cluster and the mark show it
    async fn observed(weight: u8) -> Observed {
        let simulator = Simulator::new();
        simulator.serve(B);
        simulator.ask(C, Some(weight.into()).filter(|weight| *weight < 100));
        let service = inference_service::Service::new(simulator.client(), None, "iris");
        let mut observed = service.observe().await.unwrap();
        let release = Release {
            version: "v3".into(),
            correlation: "r-1".into(),
            run_uid: "u-1".into(),
            ..Release::default()
        };
        let mark = Mark::default().begin(C, "iris-predictor-00001", B);
        observed.mark = mark.of(&release).go_live(EARLY);
        observed
    }

    fn run() -> OwnRun {
        OwnRun {
            pipeline: Some("canary-promotion".into()),
            pipeline_run: Some("promotion-1".into()),
            pipeline_run_uid: Some("u-2".into()),
            ..OwnRun::default()
        }
    }

    async fn draft(mut desired: Desired, context: &EventArgs, weight: u8) -> (Draft, Value) {
        let observed = observed(weight).await;
        desired.learn(&observed);
        let event =
            AdvanceEvent { desired: &desired, observed: &observed, context, run: &run(), weight };
        let draft = event.draft();
        let data = serde_json::from_slice(&draft.data).unwrap();
        (draft, data)
    }

    #[tokio::test]
    async fn it_says_what_the_next_gate_has_to_know() {
        let climbed = format!("10@{EARLY}");
        let (draft, mut data) = draft(desired(25), &context(&climbed, LATE), 50).await;
        let started_at = data["canary"]["startedAt"].take();
        assert!(started_at.as_str().is_some_and(|at| at.ends_with('Z')), "{started_at}");
        assert_eq!(
            data,
            json!({
                "serviceName": "iris", "serviceVersion": "v3", "namespace": "models",
                "run": {"uid": "u-2", "name": "promotion-1", "pipeline": "canary-promotion"},
                "canary": {
                    "image": C, "weight": 50, "rung": 3, "ladder": "10,25,50,100",
                    "climbed": [{"weight": 10, "startedAt": EARLY}, {"weight": 25, "startedAt": LATE}],
                    "startedAt": null,
                    "revision": "iris-predictor-00002", "baselineRevision": "iris-predictor-00001", "baselineImage": B,
                    "answers": "compared",
                },
                "gate": {"reason": "errors: 0.2 % | of at most 1 %"},
            })
        );
        let extension = |name: &str| {
            draft.extensions.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        };
        assert_eq!(extension("chainhops"), Some(1.into()), "that of its cause");
        assert_eq!(extension("correlationid"), Some("r-1".into()));
        assert_eq!(extension("causationid"), Some("created 7".into()));
        assert_eq!(draft.source, "/tekton/models/pipelines/canary-promotion");
    }

    #[tokio::test]
    async fn what_is_said_of_answers_is_repeated_as_it_was_and_nothing_where_it_was_not_said() {
        let said = |text: &str| EventArgs { answers: Some(text.into()), ..context("", EARLY) };
        let (_, data) = draft(desired(10), &said("at $$(HOST), no"), 25).await;
        assert_eq!(data["canary"]["answers"], "at $(HOST), no");
        let (_, data) = draft(desired(10), &EventArgs::default(), 25).await;
        assert_eq!(data["canary"].get("answers"), None);
    }

    #[tokio::test]
    async fn a_run_that_was_not_told_when_the_first_rung_began_asks_the_mark() {
        let (_, data) = draft(desired(10), &context("", ""), 25).await;
        assert_eq!(data["canary"]["climbed"], json!([{"weight": 10, "startedAt": EARLY}]));
    }

    #[tokio::test]
    async fn without_a_ladder_the_rungs_are_counted() {
        let desired = Desired { ladder: None, ..desired(10) };
        let (_, data) = draft(desired, &context("", EARLY), 100).await;
        assert_eq!((&data["canary"]["rung"], data["canary"].get("ladder")), (&json!(2), None));
    }

    #[tokio::test]
    async fn every_event_keeps_to_the_schema_of_its_type() {
        let schema = schema();
        let text = || Some("é\n".repeat(3000));
        let long = EventArgs { reason: text(), answers: text(), ..context("", "") };
        let climbed = format!("0@{EARLY},10@{EARLY}");
        for context in [long, context(&climbed, LATE), EventArgs::default()] {
            for (judged, weight) in [(0, 10), (10, 25), (25, 50), (50, 100), (50, 10)] {
                let (draft, data) = draft(desired(judged), &context, weight).await;
                let errors: Vec<_> =
                    schema.iter_errors(&data).map(|error| error.to_string()).collect();
                assert!(errors.is_empty(), "{data}: {errors:?}");
                draft.build().unwrap();
            }
        }
    }

    fn schema() -> jsonschema::Validator {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../triggers/schemas");
        let read = |name: &str| -> Value {
            let file = folder.join(format!("{name}.schema.json"));
            serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
        };
        let (common, schema) = (read("common"), read("canary-advanced"));
        assert_eq!(schema["title"], ADVANCED);
        let registry =
            jsonschema::Registry::new().add(common["$id"].as_str().unwrap(), common.clone());
        let registry = registry.unwrap().prepare().unwrap();
        let options = jsonschema::options().with_registry(&registry).should_validate_formats(true);
        options.build(&schema).unwrap()
    }

    proptest! {
        /// The interceptor refuses others.
        #[test]
        fn what_was_climbed_ascends_and_is_below_the_weight(
            given in proptest::collection::btree_map(0..100_u8, Just(()), 0..5), judged in 0..=100_u8, weight in 0..=100_u8,
            late in any::<bool>(),
        ) {
            let rungs: Vec<String> = given.keys().map(|percent| format!("{percent}@{EARLY}")).collect();
            let context = context(&rungs.join(","), if late { LATE } else { "2026-11-24T09:00:00Z" });
            let event = AdvanceEvent {
                desired: &desired(judged), observed: &Observed::default(), context: &context, run: &run(), weight,
            };
            let climbed = event.climbed();
            prop_assert!(climbed.0.iter().all(|rung| rung.percent < weight));
            prop_assert_eq!(climbed.to_string().parse::<Climbed>().unwrap(), climbed);
        }
    }
}

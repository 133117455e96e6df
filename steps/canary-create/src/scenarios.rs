//! Whole releases on the simulator.

mod answers;
mod blue_green;
mod container;
mod decisions;
mod failure;
mod queue;
mod rejection;
mod release;
mod stop;

use inference_service::{
    PROGRESS_DEADLINE, ScalePatch, TAG_ROUTING,
    simulator::{Behaviour, Simulator},
};
use proptest::prelude::*;
use serde_json::json;

use super::*;

const B: &str = "r/iris@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const C: &str = "r/iris@sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc";
const D: &str = "r/iris@sha256:dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd";

fn serving(image: &str) -> Simulator {
    let simulator = Simulator::new();
    simulator.serve(image);
    simulator
}

fn desired(image: &str) -> Desired {
    let Args { image, ladder, retry_rejected, start_timeout, first, .. } =
        step::parse(["canary-create", "--service=iris", "--image", image]).unwrap();
    Desired {
        image,
        percent: ladder.first(),
        retry_rejected,
        start_timeout,
        first: first.read("iris").unwrap(),
        brings: Fields::default(),
        pull_secret: None,
        answers: Answers::default(),
        release: Release::default(),
        when_busy: WhenBusy::Refuse,
        is_first: false,
        has_begun: false,
        has_tried: false,
        outdated: String::new(),
    }
}

async fn run(simulator: &Simulator, desired: Desired) -> Result<Released> {
    let service = Service::new(simulator.client(), None, "iris").with_stop_switch();
    Box::pin(release(&service, desired, Duration::from_hours(1), &Results::default())).await
}

/// What a rollback leaves in the mark, without a rollback.
async fn reject(simulator: &Simulator, image: &str) {
    let service = Service::new(simulator.client(), None, "iris");
    let rejected = |observed: &Observed| {
        let mark =
            observed.mark.begin(image, observed.rolled_out(), B).reject(image, observed.latest());
        let is_there = observed.mark.has_rejected(image);
        Ok(if is_there { Action::Done(()) } else { Action::Mark(Box::new(mark)) })
    };
    service.reconcile(Duration::from_secs(10), rejected).await.unwrap();
}

fn traffic(simulator: &Simulator) -> Vec<(String, i64)> {
    simulator.settle();
    simulator.traffic().into_iter().collect()
}

/// A release by this run, which waits for its turn.
fn by_run(image: &str, run: &str) -> Desired {
    let release = Release {
        run: run.into(),
        run_uid: run.into(),
        version: "v3".into(),
        ..Release::default()
    };
    Desired { release, when_busy: WhenBusy::Wait, ..desired(image) }
}

fn replacing(image: &str) -> Desired {
    Desired { when_busy: WhenBusy::Replace, ..by_run(image, "release-2") }
}

fn fields(value: serde_json::Value) -> Fields {
    serde_json::from_value(value).unwrap()
}

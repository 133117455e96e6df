//! What is released, and what befalls it: drawn from a seed, so that it can be repeated.

use std::{fmt, time::Duration};

use crate::bento::Model;

/// What a release brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Good,
    Failing,
    Crashing,
    Unready,
}

/// What befalls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Nothing,
    StepKilled,
    PodDeleted,
    RunCancelled,
    RunDeleted,
    ListenerRestarted,
    ApiServerKilled,
    PrometheusAway,
}

impl Fault {
    pub(crate) const ALL: [Self; 8] = [
        Self::Nothing,
        Self::StepKilled,
        Self::PodDeleted,
        Self::RunCancelled,
        Self::RunDeleted,
        Self::ListenerRestarted,
        Self::ApiServerKilled,
        Self::PrometheusAway,
    ];

    /// Whether it befalls what several releases share, so that it disturbs others than its own.
    pub(crate) fn is_shared(self) -> bool {
        matches!(self, Self::ListenerRestarted | Self::ApiServerKilled | Self::PrometheusAway)
    }

    /// Whether it takes the machine's own parts and processes, which only the embedded cluster has.
    pub(crate) fn needs_the_machine(self) -> bool {
        matches!(self, Self::StepKilled | Self::ApiServerKilled | Self::PrometheusAway)
    }
}

/// The run that a fault waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Release,
    Promotion,
}

/// One release, as it is meant to go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) kind: Kind,
    pub(crate) fault: Fault,
    pub(crate) stage: Stage,
    /// How long that run has gone on when the fault comes
    pub(crate) after: Duration,
}

/// Half of the releases are good, because only they can be lost.
const KINDS: [Kind; 6] =
    [Kind::Good, Kind::Failing, Kind::Good, Kind::Crashing, Kind::Good, Kind::Unready];

/// Each kind and each fault as often as any other, in random order and company.
pub(crate) fn draw(seed: u64, releases: usize, faults: &[Fault]) -> Vec<Plan> {
    let mut dice = Dice(seed);
    let mut kinds: Vec<_> = KINDS.into_iter().cycle().take(releases).collect();
    let mut faults: Vec<_> = dice.shuffled(faults).into_iter().cycle().take(releases).collect();
    kinds = dice.shuffled(&kinds);
    faults = dice.shuffled(&faults);
    let mut plan = |(kind, fault)| {
        // Nobody promotes what never gets ready.
        let stage = match dice.below(2) {
            0 if kind != Kind::Unready => Stage::Promotion,
            _ => Stage::Release,
        };
        // What a release of these small models and a gate of 20 s take on two busy cores.
        let seconds = dice.below(if stage == Stage::Release { 25 } else { 45 });
        Plan { kind, fault, stage, after: Duration::from_secs(seconds) }
    };
    kinds.into_iter().zip(faults).map(&mut plan).collect()
}

/// `SplitMix64` (Steele, Lea, Flood 2014): ten lines that give the same numbers for ever, which no crate promises.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn shuffled<T: Copy>(&mut self, these: &[T]) -> Vec<T> {
        let mut left = these.to_vec();
        let mut drawn = Vec::with_capacity(left.len());
        while !left.is_empty() {
            let at = self.below(left.len() as u64);
            drawn.push(left.swap_remove(usize::try_from(at).unwrap_or(0)));
        }
        drawn
    }
}

impl Kind {
    pub(crate) fn model(self) -> Model {
        match self {
            Self::Good => Model::Good,
            Self::Failing => Model::Failing,
            Self::Crashing => Model::Crashing(10),
            Self::Unready => Model::Unready,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Good => "good",
            Self::Failing => "failing",
            Self::Crashing => "crashing",
            Self::Unready => "unready",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Nothing => "nothing",
            Self::StepKilled => "step killed -9",
            Self::PodDeleted => "pod deleted by force",
            Self::RunCancelled => "run cancelled",
            Self::RunDeleted => "run deleted",
            Self::ListenerRestarted => "listener restarted",
            Self::ApiServerKilled => "API server killed",
            Self::PrometheusAway => "Prometheus away",
        })
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Release => "release",
            Self::Promotion => "promotion",
        })
    }
}

#[test]
fn a_seed_deals_the_same_again_and_every_fault_comes_up() {
    let drawn = format!("{:?}", draw(7, 20, &Fault::ALL));
    assert_eq!(drawn, format!("{:?}", draw(7, 20, &Fault::ALL)));
    assert_ne!(drawn, format!("{:?}", draw(8, 20, &Fault::ALL)));
    for fault in Fault::ALL {
        assert!(drawn.contains(&format!("{fault:?}")), "{fault} in {drawn}");
    }
    // The first number of the reference implementation for seed 0.
    assert_eq!(Dice(0).next(), 0xe220_a839_7b1d_cdaf);
}

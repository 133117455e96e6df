//! The rungs that a release has climbed, as far as a verdict depends on them.

use std::fmt::Display;

use jiff::{SignedDuration, Timestamp};
use ladder::{Climbed, Ladder};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Where on a ladder a gate stands. Its own rung's start is the gate's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Rungs {
    /// The rungs below, from the first on.
    #[serde(serialize_with = "as_text", deserialize_with = "from_text")]
    climbed: Climbed,
    /// How many gates share the chance of a false alarm, this one included.
    gates: usize,
    /// How long nothing may fail once the canary has all traffic; only there.
    pub(crate) bake: Option<SignedDuration>,
}

impl Default for Rungs {
    /// A release with one gate.
    fn default() -> Self {
        Self { climbed: Climbed::default(), gates: 1, bake: None }
    }
}

impl Rungs {
    /// Without a ladder only the rungs that were climbed are known. A time to bake has a gate of its
    /// own; `bake` is given where that is this gate, or is to come.
    pub(crate) fn new(
        climbed: Climbed,
        ladder: Option<&Ladder>,
        bake: Option<SignedDuration>,
    ) -> Self {
        let known = climbed.0.len() + 1;
        let planned = ladder.map_or(0, |ladder| ladder.gates() + usize::from(bake.is_some()));
        Self { climbed, gates: known.max(planned), bake }
    }

    /// The same for a gate at this percent of the traffic: it bakes at 100 alone.
    pub(crate) fn at(self, percent: Option<f64>) -> Self {
        Self { bake: self.bake.filter(|_| percent.is_some_and(|percent| percent >= 100.0)), ..self }
    }

    pub(crate) const fn gates(&self) -> usize {
        self.gates
    }

    pub(crate) const fn climbed(&self) -> &Climbed {
        &self.climbed
    }

    /// The start of each rung up to the gate's own, which began at `t0`.
    pub(crate) fn starts(&self, t0: Timestamp) -> Vec<Timestamp> {
        self.climbed.0.iter().map(|rung| rung.started_at).chain([t0]).collect()
    }

    /// Where evidence begins: with the first rung.
    pub(crate) fn first_start(&self, t0: Timestamp) -> Timestamp {
        self.climbed.0.first().map_or(t0, |rung| rung.started_at)
    }

    /// The canary's part of the traffic on each rung, 0 to 1, where it is known.
    pub(crate) fn weights(&self, own: Option<f64>) -> Vec<Option<f64>> {
        let climbed = self.climbed.0.iter().map(|rung| Some(f64::from(rung.percent) / 100.0));
        climbed.chain([own]).collect()
    }

    /// One gate, as all were before there were ladders: older records have nothing else.
    pub(crate) fn is_single(&self) -> bool {
        *self == Self::default()
    }
}

fn as_text<S: Serializer>(climbed: &Climbed, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(climbed)
}

fn from_text<'de, D: Deserializer<'de>>(from: D) -> Result<Climbed, D::Error> {
    parsed(&String::deserialize(from)?)
}

/// A ladder, or what was climbed of it, as a spec has it.
pub(crate) fn optional_from_text<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: std::str::FromStr<Err: Display>,
{
    Option::<String>::deserialize(from)?.map(|text| parsed(&text)).transpose()
}

fn parsed<T: std::str::FromStr<Err: Display>, E: serde::de::Error>(text: &str) -> Result<T, E> {
    text.parse().map_err(E::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIMBED: &str = "10@2026-11-24T09:30:00Z,25@2026-11-24T09:41:00.5Z";
    const BAKE: SignedDuration = SignedDuration::from_mins(10);

    fn rungs(climbed: &str, ladder: &str, bake: Option<SignedDuration>) -> Rungs {
        Rungs::new(climbed.parse().unwrap(), ladder.parse().ok().as_ref(), bake)
    }

    #[test]
    fn the_gates_of_a_ladder_share_the_chance_and_without_one_those_that_are_known() {
        let gates = |climbed, ladder, bake| rungs(climbed, ladder, bake).gates();
        assert_eq!(gates("", "", None), 1);
        assert_eq!(gates("", "", Some(BAKE)), 1);
        assert_eq!(gates(CLIMBED, "", None), 3);
        assert_eq!(gates("", "10,25,50,100", None), 3);
        assert_eq!(gates(CLIMBED, "10,25,50,100", Some(BAKE)), 4);
        assert_eq!(gates(CLIMBED, "50", None), 3, "a ladder that was changed meanwhile");
    }

    #[test]
    fn it_bakes_at_all_traffic_only() {
        let bakes = |percent| rungs(CLIMBED, "", Some(BAKE)).at(percent).bake;
        assert_eq!([None, Some(50.0), Some(100.0)].map(bakes), [None, None, Some(BAKE)]);
    }

    #[test]
    fn what_is_written_is_read_as_it_was_and_of_older_records_nothing_is_missed() {
        let written = serde_json::to_string(&rungs(CLIMBED, "", Some(BAKE))).unwrap();
        assert!(written.contains(CLIMBED), "{written}");
        assert_eq!(
            serde_json::from_str::<Rungs>(&written).unwrap(),
            rungs(CLIMBED, "", Some(BAKE))
        );
        assert!(serde_json::from_str::<Rungs>("{}").unwrap().is_single());
    }

    #[test]
    fn each_rung_has_its_start_and_its_weight() {
        let t0 = "2026-11-24T09:52:00Z".parse().unwrap();
        let three = rungs(CLIMBED, "", None);
        assert_eq!(three.starts(t0).len(), 3);
        assert_eq!(three.first_start(t0), "2026-11-24T09:30:00Z".parse().unwrap());
        assert_eq!(three.weights(Some(0.5)), [Some(0.1), Some(0.25), Some(0.5)]);
        assert_eq!(rungs("", "", None).first_start(t0), t0);
    }
}

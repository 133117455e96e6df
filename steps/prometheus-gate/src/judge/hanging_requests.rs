//! Requests to the canary that do not end.
//!
//! Counters of answers move when a request ends, so a canary that never answers looks like one that
//! is never asked. Where starts are counted too, what is under way tells; where only ends are, the
//! canary's part of them is held against its part of the traffic.
//!
//! Both are about one weight: what is under way is held against what has begun beside it, and ends
//! against the canary's part. So each rung has a test of its own, which ends with the rung, and keeps
//! its K-th of the stake as it is then: a mean of evidence, too.

use jiff::Timestamp;

use crate::judge::counter_increase::Growth;
use crate::judge::counts::{Counts, percent};
use crate::judge::restarted::mean_over_gates;
use crate::judge::{shortfall::Shortfall, under_way::UnderWay};
use crate::series::{Measure, Revision};

/// What there is to tell, on all rungs.
#[derive(Clone, Debug)]
pub(crate) struct Unended {
    /// The canary's part of the traffic on each rung, 0 to 1, where it is known.
    weights: Vec<Option<f64>>,
    /// The rungs that have begun; at least one.
    begun: Vec<Signs>,
    /// How many share the stake.
    gates: usize,
}

/// What there is to tell on one rung that requests do not end.
#[derive(Clone, Debug)]
enum Signs {
    UnderWay(Box<UnderWay>),
    Shortfall(Box<Shortfall>),
    /// Only ends are counted, and the canary's part of the traffic is not known.
    Unseen,
}

impl Unended {
    /// On the first rung. There is a weight for each up to the one that is judged.
    pub(crate) fn new(counts_starts: bool, weights: Vec<Option<f64>>, gates: usize) -> Self {
        let first = if counts_starts {
            Signs::UnderWay(Box::default())
        } else {
            weights.first().copied().flatten().map_or(Signs::Unseen, Signs::missed_at)
        };
        Self { weights, begun: vec![first], gates }
    }

    /// Where no failures are counted.
    pub(crate) fn unseen() -> Self {
        Self::new(false, Vec::new(), 1)
    }

    /// The next rung.
    pub(crate) fn begin(&mut self) {
        let weight = self.weights.get(self.begun.len()).copied().flatten();
        let next = match (self.newest(), weight.map(Signs::missed_at)) {
            (Signs::UnderWay(_), _) => Signs::UnderWay(Box::default()),
            (Signs::Shortfall(before), Some(Signs::Shortfall(next))) => {
                Signs::Shortfall(Box::new(before.at(next.weight)))
            }
            (_, next) => next.unwrap_or(Signs::Unseen),
        };
        self.begun.push(next);
    }

    /// Takes in a look, and says how many requests were given up since the last one.
    pub(crate) fn look(&mut self, point: Timestamp, growth: &Growth) -> Counts {
        let sides =
            |measure| [Revision::Canary, Revision::Baseline].map(|side| growth.of(side, measure));
        match self.begun.last_mut() {
            Some(Signs::UnderWay(under_way)) if growth.since.is_some() => {
                let active = [Revision::Canary, Revision::Baseline]
                    .map(|side| growth.active(side).unwrap_or_default());
                under_way.look(point, sides(Measure::Starts), sides(Measure::Total), active)
            }
            Some(Signs::Shortfall(shortfall)) if growth.since.is_some() && !growth.gap => {
                shortfall.look(point, sides(Measure::Total));
                Counts::default()
            }
            _ => Counts::default(),
        }
    }

    /// Natural logarithm of the evidence that the canary leaves more requests without an end.
    pub(crate) fn log_e(&self) -> Option<f64> {
        let is_seen = |weight: &Option<f64>| weight.is_some_and(is_a_part);
        match self.newest() {
            // A mean over looks, which is 0 before the first: rungs to come have nothing to show.
            Signs::UnderWay(_) => {
                let to_begin = self.gates.saturating_sub(self.begun.len());
                let nothing = std::iter::repeat_n(f64::NEG_INFINITY, to_begin);
                let logs = self.begun.iter().map(Signs::log_e).chain(nothing);
                Some(mean_over_gates(logs.collect(), self.gates))
            }
            _ if self.weights.iter().any(is_seen) => {
                Some(mean_over_gates(self.begun.iter().map(Signs::log_e).collect(), self.gates))
            }
            _ => None,
        }
    }

    /// Whether it looks so now, on this rung. That is no proof, and it is enough to wait.
    pub(crate) fn is_in_doubt(&self) -> bool {
        match self.newest() {
            Signs::UnderWay(under_way) => under_way.is_in_doubt(),
            Signs::Shortfall(shortfall) => shortfall.is_in_doubt(),
            Signs::Unseen => false,
        }
    }

    /// What there is to see on this rung, as a clause; nothing where all requests end.
    pub(crate) fn describe(&self) -> Option<String> {
        match self.newest() {
            Signs::UnderWay(under_way) => {
                let [canary, baseline] = under_way.floor();
                (canary > 0.0 && self.is_in_doubt()).then(|| {
                    format!(
                        "{canary} of {} requests to the canary have not ended, {baseline} of {} to the baseline",
                        under_way.started[0], under_way.started[1]
                    )
                })
            }
            Signs::Shortfall(shortfall) => {
                let Shortfall { weight, ended: [canary, baseline], .. } = shortfall.as_ref();
                self.is_in_doubt().then(|| {
                    format!(
                        "only {canary} of {} ended requests are the canary's, whose part of the traffic is {}",
                        canary + baseline,
                        percent(*weight)
                    )
                })
            }
            Signs::Unseen => None,
        }
    }

    fn newest(&self) -> &Signs {
        self.begun.last().unwrap_or(&Signs::Unseen)
    }
}

impl Signs {
    /// Where only ends are counted.
    fn missed_at(weight: f64) -> Self {
        if is_a_part(weight) {
            Self::Shortfall(Box::new(Shortfall::new(weight)))
        } else {
            Self::Unseen
        }
    }

    fn log_e(&self) -> f64 {
        match self {
            Self::UnderWay(under_way) => under_way.log_e,
            Self::Shortfall(shortfall) => shortfall.log_e(),
            Self::Unseen => 0.0,
        }
    }
}

/// Whether there is a rest of the traffic to hold a part against.
fn is_a_part(weight: f64) -> bool {
    weight > 0.0 && weight < 1.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::counters::Counters;
    use crate::series::{ROLE, Series};
    use crate::time::{Grid, after};
    use jiff::SignedDuration;

    /// What the counters of a minute show at each look: a tenth of 20 requests/s is the canary's, of
    /// which this part never ends.
    fn minute(hanging: f64) -> Vec<(Timestamp, Growth)> {
        let at = |look: i64| after(look * 5000);
        let series = |role: &str, each: f64| Series {
            labels: [(ROLE.to_owned(), role.to_owned())].into(),
            values: (0..13_u32).map(|look| (at(look.into()), each * f64::from(look))).collect(),
        };
        let mut counters = Counters::new(at(0), SignedDuration::from_secs(60));
        let grid = Grid { from: at(0), to: at(12), step: SignedDuration::from_secs(5) };
        counters.add(
            grid,
            &[
                series("canary_starts", 10.0),
                series("canary_total", 10.0 * (1.0 - hanging)),
                series("canary_active", 10.0 * hanging),
                series("baseline_starts", 90.0),
                series("baseline_total", 90.0),
                series("baseline_active", 0.0),
            ],
        );
        (1..13).map(|look| (at(look), counters.at(at(look)).unwrap().clone())).collect()
    }

    fn watch(unended: &mut Unended, hanging: f64) {
        for (point, growth) in minute(hanging) {
            unended.look(point, &growth);
        }
    }

    const WEIGHTS: [Option<f64>; 2] = [Some(0.1), Some(0.1)];

    #[test]
    fn requests_that_hang_are_told() {
        let mut unended = Unended::new(true, vec![None], 1);
        watch(&mut unended, 0.5);
        let told = unended.describe().unwrap();
        assert!(told.contains("requests to the canary have not ended"), "{told}");
        assert!(unended.log_e().unwrap() > 5.0, "{unended:?}");
    }

    #[test]
    fn a_rung_has_its_part_of_the_stake_and_a_doubt_of_its_own() {
        for counts_starts in [true, false] {
            let bad_from = |first: f64, second: f64| {
                let mut unended = Unended::new(counts_starts, WEIGHTS.to_vec(), 2);
                watch(&mut unended, first);
                unended.begin();
                watch(&mut unended, second);
                unended
            };
            let late = bad_from(0.0, 0.9);
            assert!(late.is_in_doubt() && late.log_e().unwrap() > 3.0, "{late:?}");
            let early = bad_from(0.9, 0.0);
            assert!(!early.is_in_doubt(), "on this rung all end: {early:?}");
            assert!(early.log_e().unwrap() > 3.0, "and what was seen stays");
        }
    }

    #[test]
    fn without_a_weight_and_without_starts_nothing_is_seen() {
        for weights in [vec![], vec![None], vec![Some(0.0)], vec![Some(1.0)]] {
            let mut unended = Unended::new(false, weights, 1);
            watch(&mut unended, 0.9);
            assert_eq!((unended.log_e(), unended.is_in_doubt()), (None, false));
        }
    }

    #[test]
    fn a_rung_without_traffic_by_the_route_is_no_evidence() {
        let mut unended = Unended::new(false, vec![Some(0.0), Some(0.1)], 2);
        assert!(unended.log_e().unwrap().abs() < 1e-12);
        unended.begin();
        assert!(unended.log_e().unwrap().abs() < 1e-12);
        watch(&mut unended, 0.9);
        assert!(unended.log_e().unwrap() > 3.0);
    }
}

//! Which rung of a ladder a point belongs to, and which looks are evidence there.

use jiff::{SignedDuration, Timestamp};

use crate::spec::resolved::Spec;

/// The rungs of a release up to the one that is judged, in time.
#[derive(Clone, Debug)]
pub(crate) struct RungTimes {
    /// At least one.
    rungs: Vec<RungTime>,
    skew: SignedDuration,
}

#[derive(Clone, Copy, Debug)]
struct RungTime {
    start: Timestamp,
    /// From here on no window reaches back to another weight, or to a warm-up.
    judged_from: Timestamp,
}

impl RungTimes {
    /// For values that reach so far back; `t0` is the start of the rung that is judged.
    pub(crate) fn new(spec: &Spec, t0: Timestamp, window: SignedDuration) -> Self {
        let timing = &spec.timing;
        let rung = |start: Timestamp| RungTime {
            start,
            judged_from: start + timing.skew + timing.warmup + window,
        };
        let starts = spec.rungs.starts(t0);
        Self { rungs: starts.into_iter().map(rung).collect(), skew: timing.skew }
    }

    /// The rung of a point, counted from 0.
    pub(crate) fn rung(&self, point: Timestamp) -> usize {
        self.rungs.iter().skip(1).take_while(|rung| rung.start <= point).count()
    }

    /// The rung that the gate decides about, counted from 0.
    pub(crate) const fn last(&self) -> usize {
        self.rungs.len() - 1
    }

    /// From when on anything is judged.
    pub(crate) fn judged_from(&self) -> Timestamp {
        self.rungs[0].judged_from
    }

    /// From when on a run of good points may begin: on the rung that the gate decides about.
    pub(crate) fn run_from(&self) -> Timestamp {
        self.rungs[self.last()].judged_from
    }

    /// Whether a point is in the warm-up of its rung.
    pub(crate) fn warms_up(&self, point: Timestamp) -> bool {
        point < self.rungs[self.rung(point)].judged_from
    }

    /// Whether what grew from one moment to another is evidence: all of it on one rung, and after
    /// the rung's warm-up. Over a change of the weight nobody knows which part of the traffic the canary
    /// had; and after one, requests still end that began before, and new pods give their first answers.
    ///
    /// Only final points decide, so a rung is not climbed because of what this leaves out.
    pub(crate) fn judges(&self, since: Timestamp, to: Timestamp) -> bool {
        let apart = |rung: &RungTime| since >= rung.judged_from || to <= rung.start - self.skew;
        since >= self.judged_from() && self.rungs.iter().skip(1).all(apart)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::expression::Combine;
    use crate::spec::permission::Permission;
    use crate::spec::resolved::{Policy, Timing};
    use crate::spec::rungs::Rungs;

    const STEP: SignedDuration = SignedDuration::from_secs(5);

    fn second(at: i64) -> Timestamp {
        Timestamp::from_second(at).unwrap()
    }

    /// Rungs from 0 s, 1000 s and 2000 s on; 2 s of skew and 15 s of warm-up.
    fn times() -> RungTimes {
        let timing = Timing {
            step: STEP,
            hold: STEP,
            warmup: STEP * 3,
            skew: SignedDuration::from_secs(2),
            settle: STEP * 2,
            deadline: STEP * 60,
            max_outage: STEP * 12,
        };
        let climbed = format!("10@{},25@{}", second(0), second(1000)).parse().unwrap();
        let spec = Spec {
            timing,
            rungs: Rungs::new(climbed, None, None),
            criteria: Vec::new(),
            combine: Combine::All,
            policy: Policy::default(),
            permission: Permission::default(),
        };
        RungTimes::new(&spec, second(2000), SignedDuration::ZERO)
    }

    #[test]
    fn a_point_belongs_to_the_newest_rung_that_has_begun() {
        let rung = |at| times().rung(second(at));
        assert_eq!([-5, 0, 999, 1000, 1999, 2000, 9000].map(rung), [0, 0, 0, 1, 1, 2, 2]);
        assert_eq!((times().judged_from(), times().run_from()), (second(17), second(2017)));
    }

    #[test]
    fn what_spans_a_change_of_the_weight_or_a_warm_up_is_no_evidence() {
        let judges = |since, to| times().judges(second(since), second(to));
        assert!(judges(17, 22) && judges(900, 998) && judges(1017, 1022) && judges(2017, 2080));
        assert!(!judges(16, 21), "the first warm-up");
        assert!(!judges(990, 999), "clocks may differ by the skew");
        assert!(!judges(995, 1005) && !judges(1005, 1010) && !judges(1016, 1021));
        assert!(!judges(900, 1100) && !judges(17, 2100), "over one rung, and over two");
        assert!(times().warms_up(second(1016)) && !times().warms_up(second(1017)));
    }
}

//! Ends that are missing: what does not end where only ends are counted.

use jiff::{SignedDuration, Timestamp};

use crate::judge::e_process::{ALTERNATIVES, mean, spread};

/// A canary may have fewer ends than its part of the traffic, because it is a little behind.
const TOLERATED: f64 = 1.25;

/// The canary's part of what has ended, against its part of the traffic.
#[derive(Clone, Debug)]
pub(crate) struct Shortfall {
    /// The canary's part of the traffic, 0 to 1.
    pub(super) weight: f64,
    /// The first look, and from when on ends are counted: a canary of a model that takes a minute for
    /// an answer has its first end a minute after its first request.
    first: Option<Timestamp>,
    counts_from: Option<Timestamp>,
    /// How long after the first look that is, where an earlier rung has shown it.
    lag: Option<SignedDuration>,
    pub(super) ended: [f64; 2],
    bets: [f64; ALTERNATIVES],
}

impl Shortfall {
    pub(super) const fn new(weight: f64) -> Self {
        let bets = [0.0; ALTERNATIVES];
        Self { weight, first: None, counts_from: None, lag: None, ended: [0.0; 2], bets }
    }

    /// The same on the next rung: there, too, ends of the new part of the traffic come as late.
    pub(super) fn at(&self, weight: f64) -> Self {
        let seen = self.counts_from.zip(self.first).map(|(from, first)| from.duration_since(first));
        Self { lag: seen.or(self.lag), ..Self::new(weight) }
    }

    pub(super) fn look(&mut self, point: Timestamp, [canary, baseline]: [f64; 2]) {
        let first = *self.first.get_or_insert(point);
        if self.counts_from.is_none() {
            // As long again as the first end took, so that slower answers have come as well.
            let seen = (canary > 0.0).then(|| point.duration_since(first) * 2);
            self.counts_from = self.lag.or(seen).map(|lag| first + lag);
        }
        if self.counts_from.is_none_or(|from| point < from) {
            return;
        }
        self.ended[0] += canary;
        self.ended[1] += baseline;
        let part = |ratio: f64| self.weight / (self.weight + ratio * (1.0 - self.weight));
        let fair = part(TOLERATED);
        let alternatives = spread::<ALTERNATIVES>(1.1 * TOLERATED, 30.0 * TOLERATED);
        for (bet, ratio) in self.bets.iter_mut().zip(alternatives) {
            *bet += canary * (part(ratio) / fair).ln()
                + baseline * ((1.0 - part(ratio)) / (1.0 - fair)).ln();
        }
    }

    pub(super) fn log_e(&self) -> f64 {
        mean(self.bets.into_iter())
    }

    /// Whether it looks so now, short of a proof.
    pub(super) fn is_in_doubt(&self) -> bool {
        let [canary, baseline] = self.ended;
        let all = canary + baseline;
        let expected = all * self.weight;
        let spread = (expected * (1.0 - self.weight)).sqrt();
        canary * TOLERATED < expected && expected - canary > 2.6 * spread
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::after;

    fn seconds(count: i64) -> Timestamp {
        after(count * 1000)
    }

    /// Looks 5 s apart, with so many ends of the canary in each.
    fn looks(mut state: Shortfall, count: i64, canary: impl Fn(i64) -> f64) -> Shortfall {
        for look in 0..count {
            state.look(seconds(look * 5), [canary(look), 90.0]);
        }
        state
    }

    #[test]
    fn a_model_that_takes_a_minute_for_an_answer_is_not_behind() {
        let mut slow = Shortfall::new(0.1);
        for look in 0..60 {
            let canary = if look < 12 { 0.0 } else { 10.0 };
            slow.look(seconds(look * 5), [canary, 90.0]);
            assert!(!slow.is_in_doubt(), "{look}: {slow:?}");
        }
        assert!(slow.log_e() < 0.0, "{slow:?}");
    }

    #[test]
    fn where_only_ends_are_counted_those_that_the_weight_promises_are_missed() {
        let half = |count| looks(Shortfall::new(0.1), count, |_| 5.0);
        assert!(half(12).is_in_doubt(), "after a minute there is no pass");
        assert!(half(20).log_e() > 6.4, "{}", half(20).log_e());
        let whole = looks(Shortfall::new(0.1), 20, |look| if look % 2 == 0 { 9.0 } else { 11.0 });
        assert!(whole.log_e() < 0.0 && !whole.is_in_doubt());
    }

    #[test]
    fn on_the_next_rung_the_ends_of_a_slow_model_are_waited_for_as_long_as_on_the_first() {
        let first = looks(Shortfall::new(0.1), 60, |look| if look < 12 { 0.0 } else { 10.0 });
        // For a minute only what began at 10 % ends.
        let late = |look| if look < 12 { 10.0 } else { 30.0 };
        let next = looks(first.at(0.25), 40, late);
        assert!(!next.is_in_doubt() && next.log_e() < 0.0, "{next:?}");
        let hasty = looks(Shortfall::new(0.25), 40, late);
        assert!(hasty.log_e() > next.log_e(), "as without that knowledge");
    }

    #[test]
    fn a_canary_that_answers_nothing_from_the_second_rung_on_is_found_there() {
        let first = looks(Shortfall::new(0.1), 60, |_| 10.0);
        assert!(looks(first.at(0.25), 12, |_| 0.0).log_e() > 6.4);
    }
}

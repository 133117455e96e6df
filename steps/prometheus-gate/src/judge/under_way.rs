//! Requests under way: what does not end where starts are counted too.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use crate::judge::counts::{Counts, Side};
use crate::judge::e_process::{ALTERNATIVES, mean, spread};

/// What has been under way at every look for so long is called not ended: longer than the scrapes
/// between which ordinary requests come and go.
const PATIENCE: SignedDuration = SignedDuration::from_secs(10);

/// More requests may be under way to a canary than to its baseline, in proportion, because it is
/// somewhat slower, which is for `latency` to judge.
const TOLERATED: f64 = 3.0;

/// Requests under way at several looks in a row.
#[derive(Clone, Debug)]
pub(crate) struct UnderWay {
    levels: VecDeque<(Timestamp, [f64; 2])>,
    /// Requests that began since the first look.
    pub(super) started: [f64; 2],
    /// Of these the ones that neither ended nor are under way, now and at the look before.
    gone: [f64; 2],
    gone_before: [f64; 2],
    first: Option<[f64; 2]>,
    /// Requests that were given up by their clients, by a reset or a timeout, and counted so.
    given_up: [f64; 2],
    looks: f64,
    /// Logarithm of the evidence from all looks, and from the newest alone.
    pub(super) log_e: f64,
    newest: f64,
}

impl Default for UnderWay {
    /// Before the first look: there is nothing yet that evidence could be a mean of.
    fn default() -> Self {
        Self {
            levels: VecDeque::new(),
            started: [0.0; 2],
            gone: [0.0; 2],
            gone_before: [0.0; 2],
            first: None,
            given_up: [0.0; 2],
            looks: 0.0,
            log_e: f64::NEG_INFINITY,
            newest: 0.0,
        }
    }
}

impl UnderWay {
    /// Takes in a look, and says how many requests were given up since the last one.
    pub(super) fn look(
        &mut self,
        point: Timestamp,
        started: [f64; 2],
        ended: [f64; 2],
        active: [f64; 2],
    ) -> Counts {
        let mut more = Counts::default();
        let Some(first) = self.first else {
            self.first = Some(active); // what began before is under way now, and is not counted
            return more;
        };
        for (side, more) in [&mut more.canary, &mut more.baseline].into_iter().enumerate() {
            self.started[side] += started[side];
            // Counters and gauge are read one after the other, so a single look may be off by a
            // few; what two looks in a row show is there.
            let gone = self.gone_before[side] + started[side] - ended[side];
            let left = gone - (active[side] - first[side]);
            let sure = left.min(self.gone[side]).max(self.given_up[side]);
            let given_up = sure - self.given_up[side];
            *more = Side { errors: given_up, total: given_up };
            self.given_up[side] = sure;
            self.gone_before[side] = gone;
            self.gone[side] = left;
        }
        self.levels.push_back((point, active));
        while self.levels.len() > 2
            && self.levels.get(1).is_some_and(|(at, _)| point.duration_since(*at) >= PATIENCE)
        {
            self.levels.pop_front();
        }
        self.update();
        more
    }

    /// What has been under way at every look of the last seconds.
    pub(super) fn floor(&self) -> [f64; 2] {
        let ends = self.levels.front().zip(self.levels.back());
        let is_long =
            ends.is_some_and(|((first, _), (last, _))| last.duration_since(*first) >= PATIENCE);
        if !is_long {
            return [0.0; 2];
        }
        let least = |side: usize| {
            self.levels.iter().map(|(_, level)| level[side]).fold(f64::INFINITY, f64::min)
        };
        [least(0), least(1)]
    }

    /// Whether it looks so now. That is no proof, because one looks often, and it is enough to wait.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.newest >= 20_f64.ln()
    }

    /// The same requests are seen at look after look, so looks are not independent. A mean of what
    /// each of them says, with weights 1/(k(k+1)) that were fixed before, is evidence all the same.
    fn update(&mut self) {
        let [x, y] = self.floor();
        let [n, m] = self.started;
        self.looks += 1.0;
        self.newest = 0.0;
        if n <= 0.0 || m <= 0.0 {
            return;
        }
        let part = |ratio: f64| ratio * n / (ratio * n + m);
        let fair = part(TOLERATED);
        let logs = spread::<ALTERNATIVES>(1.1 * TOLERATED, 30.0 * TOLERATED).map(|ratio| {
            x * (part(ratio) / fair).ln() + y * ((1.0 - part(ratio)) / (1.0 - fair)).ln()
        });
        self.newest = mean(logs.into_iter());
        let more = self.newest - (self.looks * (self.looks + 1.0)).ln();
        let top = self.log_e.max(more);
        self.log_e = top + ((self.log_e - top).exp() + (more - top).exp()).ln();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::after;

    fn seconds(count: i64) -> Timestamp {
        after(count * 1000)
    }

    /// Looks 5 s apart at 20 requests/s, a tenth of them to the canary, of which this part hangs.
    fn under_way(hanging: f64, clients_wait: bool, looks: i64) -> (UnderWay, f64) {
        let mut state = UnderWay::default();
        let (mut active, mut given_up) = (0.0, 0.0);
        for look in 0..looks {
            let stuck = 10.0 * hanging;
            if clients_wait {
                active += stuck;
            }
            let counts =
                state.look(seconds(look * 5), [10.0, 90.0], [10.0 - stuck, 90.0], [active, 1.0]);
            given_up += counts.canary.errors;
        }
        (state, given_up)
    }

    #[test]
    fn a_canary_that_answers_every_other_request_never_is_found_within_a_minute() {
        let (state, _) = under_way(0.5, true, 12);
        assert!(state.log_e > 7.0, "{state:?}");
        assert!(under_way(0.5, true, 6).0.is_in_doubt(), "and doubted after half of one");
    }

    #[test]
    fn one_request_in_ten_that_hangs_is_found_as_well() {
        assert!(under_way(0.1, true, 16).0.log_e > 6.4);
    }

    #[test]
    fn requests_that_clients_gave_up_are_counted_once() {
        let (state, given_up) = under_way(0.5, false, 12);
        assert!(
            (given_up - 50.0).abs() < 1e-9,
            "{given_up}: all but those of the first look and the newest"
        );
        assert!(!state.is_in_doubt(), "nothing is under way");
    }

    #[test]
    fn requests_that_are_under_way_on_both_sides_alike_are_no_evidence() {
        let mut state = UnderWay::default();
        for look in 0..720 {
            state.look(seconds(look * 5), [10.0, 90.0], [10.0, 90.0], [4.0, 30.0]);
        }
        assert!(state.log_e < 0.1, "{}", state.log_e);
    }

    #[test]
    fn a_pause_shorter_than_the_patience_is_forgiven() {
        let mut state = UnderWay::default();
        for look in 0..20 {
            let active = if look == 10 { 200.0 } else { 0.0 };
            state.look(seconds(look * 5), [100.0, 900.0], [100.0, 900.0], [active, 0.0]);
        }
        assert!(state.log_e < 0.1, "{}", state.log_e);
    }

    #[test]
    fn requests_that_hang_are_doubted_before_a_minute_is_over_also_with_rare_scrapes() {
        let mut state = UnderWay::default();
        for look in 0..3 {
            let active = 30.0 * f64::from(u32::try_from(look).unwrap() + 1);
            state.look(seconds(look * 30), [60.0, 540.0], [30.0, 540.0], [active, 1.0]);
        }
        assert!(state.is_in_doubt(), "{state:?}");
    }
}

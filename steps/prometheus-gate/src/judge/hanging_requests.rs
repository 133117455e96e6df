//! Requests to the canary that do not end.
//!
//! Counters of answers move when a request ends, so a canary that never answers looks like one that
//! is never asked. Where starts are counted too, what is under way tells; where only ends are, the
//! canary's part of them is held against its part of the traffic.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use crate::judge::counter_increase::Growth;
use crate::judge::counts::{Counts, Side, percent};
use crate::judge::e_process::{mean, spread};
use crate::series::{Measure, Revision};

/// What has been under way at every look for so long is called not ended: longer than the scrapes
/// between which ordinary requests come and go.
const PATIENCE: SignedDuration = SignedDuration::from_secs(10);

/// More requests may be under way to a canary than to its baseline, in proportion, because it is
/// somewhat slower, which is for `latency` to judge.
const TOLERATED_UNDER_WAY: f64 = 3.0;

/// A canary may have fewer ends than its part of the traffic, because it is a little behind.
const TOLERATED_SHORTFALL: f64 = 1.25;

/// Alternatives to "no worse" that the evidence is spread over, as in [`crate::judge::e_process::Ratio`].
const ALTERNATIVES: usize = 24;

/// What there is to tell that requests do not end.
#[derive(Clone, Debug)]
pub(crate) enum Unended {
    UnderWay(Box<UnderWay>),
    Shortfall(Box<Shortfall>),
    /// Only ends are counted, and the canary's part of the traffic is not known.
    Unseen,
}

/// Requests under way at several looks in a row.
#[derive(Clone, Debug, Default)]
pub(crate) struct UnderWay {
    levels: VecDeque<(Timestamp, [f64; 2])>,
    /// Requests that began since the first look.
    started: [f64; 2],
    /// Of these the ones that neither ended nor are under way, now and at the look before.
    gone: [f64; 2],
    gone_before: [f64; 2],
    first: Option<[f64; 2]>,
    /// Requests that were given up by their clients, by a reset or a timeout, and counted so.
    given_up: [f64; 2],
    looks: f64,
    /// Logarithm of the evidence from all looks, and from the newest alone.
    log_e: f64,
    newest: f64,
}

/// The canary's part of what has ended, against its part of the traffic.
#[derive(Clone, Debug)]
pub(crate) struct Shortfall {
    /// The canary's part of the traffic, 0 to 1.
    weight: f64,
    /// The first look, and from when on ends are counted: a canary of a model that takes a minute for
    /// an answer has its first end a minute after its first request.
    first: Option<Timestamp>,
    counts_from: Option<Timestamp>,
    ended: [f64; 2],
    bets: [f64; ALTERNATIVES],
}

impl Unended {
    pub(crate) fn of(counts_starts: bool, weight: Option<f64>) -> Self {
        match weight {
            _ if counts_starts => Self::UnderWay(Box::new(UnderWay {
                log_e: f64::NEG_INFINITY,
                ..UnderWay::default()
            })),
            Some(weight) if weight > 0.0 && weight < 1.0 => Self::Shortfall(Box::new(Shortfall {
                weight,
                first: None,
                counts_from: None,
                ended: [0.0; 2],
                bets: [0.0; ALTERNATIVES],
            })),
            _ => Self::Unseen,
        }
    }

    /// Takes in a look, and says how many requests were given up since the last one.
    pub(crate) fn look(&mut self, point: Timestamp, growth: &Growth) -> Counts {
        let sides =
            |measure| [Revision::Canary, Revision::Baseline].map(|side| growth.of(side, measure));
        match self {
            Self::UnderWay(under_way) if growth.since.is_some() => {
                let active = [Revision::Canary, Revision::Baseline]
                    .map(|side| growth.active(side).unwrap_or_default());
                under_way.look(point, sides(Measure::Starts), sides(Measure::Total), active)
            }
            Self::Shortfall(shortfall) if growth.since.is_some() && !growth.gap => {
                shortfall.look(point, sides(Measure::Total));
                Counts::default()
            }
            _ => Counts::default(),
        }
    }

    /// Natural logarithm of the evidence that the canary leaves more requests without an end.
    pub(crate) fn log_e(&self) -> Option<f64> {
        match self {
            Self::UnderWay(under_way) => Some(under_way.log_e),
            Self::Shortfall(shortfall) => Some(shortfall.log_e()),
            Self::Unseen => None,
        }
    }

    /// Whether it looks so now. That is no proof, because one looks often, and it is enough to wait.
    pub(crate) fn is_in_doubt(&self) -> bool {
        match self {
            Self::UnderWay(under_way) => under_way.newest >= 20_f64.ln(),
            Self::Shortfall(shortfall) => shortfall.is_in_doubt(),
            Self::Unseen => false,
        }
    }

    /// What there is to see, as a clause; nothing where all requests end.
    pub(crate) fn describe(&self) -> Option<String> {
        match self {
            Self::UnderWay(under_way) => {
                let [canary, baseline] = under_way.floor();
                (canary > 0.0 && self.is_in_doubt()).then(|| {
                    format!(
                        "{canary} of {} requests to the canary have not ended, {baseline} of {} to the baseline",
                        under_way.started[0], under_way.started[1]
                    )
                })
            }
            Self::Shortfall(shortfall) => {
                let Shortfall { weight, ended: [canary, baseline], .. } = shortfall.as_ref();
                self.is_in_doubt().then(|| {
                    format!(
                        "only {canary} of {} ended requests are the canary's, whose part of the traffic is {}",
                        canary + baseline,
                        percent(*weight)
                    )
                })
            }
            Self::Unseen => None,
        }
    }
}

impl UnderWay {
    fn look(
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
    fn floor(&self) -> [f64; 2] {
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
        let fair = part(TOLERATED_UNDER_WAY);
        let logs = alternatives(TOLERATED_UNDER_WAY).map(|ratio| {
            x * (part(ratio) / fair).ln() + y * ((1.0 - part(ratio)) / (1.0 - fair)).ln()
        });
        self.newest = mean(logs.into_iter());
        let more = self.newest - (self.looks * (self.looks + 1.0)).ln();
        let top = self.log_e.max(more);
        self.log_e = top + ((self.log_e - top).exp() + (more - top).exp()).ln();
    }
}

impl Shortfall {
    fn look(&mut self, point: Timestamp, [canary, baseline]: [f64; 2]) {
        let first = *self.first.get_or_insert(point);
        if canary > 0.0 && self.counts_from.is_none() {
            // As long again as the first end took, so that slower answers have come as well.
            self.counts_from = Some(point + (point - first));
        }
        if self.counts_from.is_none_or(|from| point < from) {
            return;
        }
        self.ended[0] += canary;
        self.ended[1] += baseline;
        let part = |ratio: f64| self.weight / (self.weight + ratio * (1.0 - self.weight));
        let fair = part(TOLERATED_SHORTFALL);
        for (bet, ratio) in self.bets.iter_mut().zip(alternatives(TOLERATED_SHORTFALL)) {
            *bet += canary * (part(ratio) / fair).ln()
                + baseline * ((1.0 - part(ratio)) / (1.0 - fair)).ln();
        }
    }

    fn log_e(&self) -> f64 {
        mean(self.bets.into_iter())
    }

    fn is_in_doubt(&self) -> bool {
        let [canary, baseline] = self.ended;
        let all = canary + baseline;
        let expected = all * self.weight;
        let spread = (expected * (1.0 - self.weight)).sqrt();
        canary * TOLERATED_SHORTFALL < expected && expected - canary > 2.6 * spread
    }
}

/// Ratios beyond the one that is tolerated, equally far apart.
fn alternatives(tolerated: f64) -> [f64; ALTERNATIVES] {
    spread(1.1 * tolerated, 30.0 * tolerated)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::after;

    fn seconds(count: i64) -> Timestamp {
        after(count * 1000)
    }

    /// Looks 5 s apart at 20 requests/s, a tenth of them to the canary, of which this part hangs.
    fn under_way(hanging: f64, clients_wait: bool, looks: i64) -> (Unended, f64) {
        let mut unended = Unended::of(true, None);
        let Unended::UnderWay(state) = &mut unended else { panic!("starts are counted") };
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
        (unended, given_up)
    }

    #[test]
    fn a_canary_that_answers_every_other_request_never_is_found_within_a_minute() {
        let (unended, _) = under_way(0.5, true, 12);
        assert!(unended.log_e().unwrap() > 7.0, "{unended:?}");
        assert!(under_way(0.5, true, 6).0.is_in_doubt(), "and doubted after half of one");
        let told = unended.describe().unwrap();
        assert!(told.contains("requests to the canary have not ended"), "{told}");
    }

    #[test]
    fn one_request_in_ten_that_hangs_is_found_as_well() {
        assert!(under_way(0.1, true, 16).0.log_e().unwrap() > 6.4);
    }

    #[test]
    fn requests_that_clients_gave_up_are_counted_once() {
        let (unended, given_up) = under_way(0.5, false, 12);
        assert!(
            (given_up - 50.0).abs() < 1e-9,
            "{given_up}: all but those of the first look and the newest"
        );
        assert!(!unended.is_in_doubt(), "nothing is under way");
    }

    #[test]
    fn requests_that_are_under_way_on_both_sides_alike_are_no_evidence() {
        let mut state = UnderWay { log_e: f64::NEG_INFINITY, ..UnderWay::default() };
        for look in 0..720 {
            state.look(seconds(look * 5), [10.0, 90.0], [10.0, 90.0], [4.0, 30.0]);
        }
        assert!(state.log_e < 0.1, "{}", state.log_e);
    }

    #[test]
    fn a_pause_shorter_than_the_patience_is_forgiven() {
        let mut state = UnderWay { log_e: f64::NEG_INFINITY, ..UnderWay::default() };
        for look in 0..20 {
            let active = if look == 10 { 200.0 } else { 0.0 };
            state.look(seconds(look * 5), [100.0, 900.0], [100.0, 900.0], [active, 0.0]);
        }
        assert!(state.log_e < 0.1, "{}", state.log_e);
    }

    fn shortfall() -> Shortfall {
        Shortfall {
            weight: 0.1,
            first: None,
            counts_from: None,
            ended: [0.0; 2],
            bets: [0.0; ALTERNATIVES],
        }
    }

    #[test]
    fn a_model_that_takes_a_minute_for_an_answer_is_not_behind() {
        let mut slow = shortfall();
        for look in 0..60 {
            let canary = if look < 12 { 0.0 } else { 10.0 };
            slow.look(seconds(look * 5), [canary, 90.0]);
            assert!(!slow.is_in_doubt(), "{look}: {slow:?}");
        }
        assert!(slow.log_e() < 0.0, "{slow:?}");
    }

    #[test]
    fn requests_that_hang_are_doubted_before_a_minute_is_over_also_with_rare_scrapes() {
        let mut state = UnderWay { log_e: f64::NEG_INFINITY, ..UnderWay::default() };
        for look in 0..3 {
            let active = 30.0 * f64::from(u32::try_from(look).unwrap() + 1);
            state.look(seconds(look * 30), [60.0, 540.0], [30.0, 540.0], [active, 1.0]);
        }
        assert!(state.newest >= 20_f64.ln(), "{state:?}");
    }

    #[test]
    fn where_only_ends_are_counted_those_that_the_weight_promises_are_missed() {
        let mut half = shortfall();
        let mut whole = half.clone();
        for look in 0..20 {
            half.look(seconds(look * 5), [5.0, 90.0]);
            whole.look(seconds(look * 5), [if look % 2 == 0 { 9.0 } else { 11.0 }, 90.0]);
            if look == 11 {
                assert!(half.is_in_doubt(), "after a minute there is no pass");
            }
        }
        assert!(half.log_e() > 6.4, "{}", half.log_e());
        assert!(whole.log_e() < 0.0 && !whole.is_in_doubt());
    }
}

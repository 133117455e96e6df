//! A comparison of counted requests, the canary's with the baseline's, on its way over the points.

use jiff::Timestamp;

use crate::judge::counter_increase::{Growth, counts};
use crate::judge::counts::{Counts, Side};
use crate::judge::e_process::{Ratio, Share, joined};
use crate::judge::latency_bounds::{Bound, chosen, slower_than};
use crate::judge::{counters::Counters, error_rates::Errors, hanging_requests::Unended};
use crate::series::Revision;
use crate::spec::resolved::{CompareTest, Counted, LatencyTest, MOSTLY, SloTest, Test};

mod describe;

/// One look does not show that something holds, and with rare scrapes there may be no more in a hold.
const LEAST_LOOKS: usize = 3;

/// A pass takes so many requests to the baseline for each that it takes to the canary: two do not show
/// what is usual.
const PART_OF_BASELINE: f64 = 0.2;

/// A pass may leave this part of the canary's requests without requests to the baseline beside them.
const PART_UNCOMPARED: f64 = 0.25;

/// The evidence that has been collected, and what it has been collected from.
pub(crate) struct Comparison<'a> {
    counters: &'a Counters,
    method: Method,
    /// Chance of a false "fail".
    alpha: f64,
    /// Chance of a false "pass", where a pass needs proof.
    beta: f64,
    /// Requests to the canary without which there is no pass.
    min_requests: f64,
    /// All requests that were judged.
    sum: Counts,
    /// Those that had requests to the other side beside them.
    compared: Counts,
    /// Those that wait for requests to the other side.
    open: Counts,
    /// Looks that were judged, and points since the last one.
    looks: usize,
    since: u32,
    highest: f64,
}

pub(super) enum Method {
    Errors(Box<Errors>),
    Latency { max_ratio: f64, thresholds: Vec<f64>, bounds: Vec<Bound>, history: Vec<Growth> },
    Objective { fail: Option<(f64, Share)>, pass: Option<(f64, Share)> },
}

impl<'a> Comparison<'a> {
    /// A comparison for a test of counters; none for a condition on a value.
    pub(crate) fn new(test: &Test, counters: &'a Counters, history: &Counters) -> Option<Self> {
        let before: Vec<Growth> = history.growths().skip(1).cloned().collect();
        let steps: Vec<Side> = before.iter().map(|growth| counts(growth).baseline).collect();
        let (method, alpha, beta, min_requests) = match test {
            Test::Value(_) => return None,
            Test::Compare(test) => {
                let CompareTest {
                    max_ratio,
                    alpha,
                    min_requests,
                    counted,
                    absolute,
                    weight,
                    counts_starts,
                } = *test;
                let errors = Errors {
                    max_ratio,
                    counted,
                    ratio: Ratio::new(max_ratio, &steps),
                    absolute: absolute.map(|limit| (limit, Share::lastingly_above(limit, &steps))),
                    unended: match counted {
                        Counted::Failed => Unended::of(counts_starts, weight),
                        _ => Unended::Unseen,
                    },
                };
                (Method::Errors(Box::new(errors)), alpha, 1.0, min_requests)
            }
            Test::Latency(LatencyTest { max_ratio, alpha, min_requests, thresholds }) => {
                let thresholds = thresholds.clone();
                let method = Method::Latency {
                    max_ratio: *max_ratio,
                    thresholds,
                    bounds: Vec::new(),
                    history: before,
                };
                (method, *alpha, 1.0, *min_requests)
            }
            Test::Slo(SloTest { fail, pass, alpha, beta }) => {
                // An objective is also asked where there is no baseline and no past: bursts count
                // against it only where they were seen.
                let fail = fail.map(|limit| (limit, Share::above(limit, &steps)));
                let pass = pass.map(|limit| (limit, Share::below(limit, &steps)));
                (Method::Objective { fail, pass }, *alpha, *beta, 1.0)
            }
        };
        let none = Counts::default();
        Some(Self {
            counters,
            method,
            alpha,
            beta,
            min_requests,
            sum: none,
            compared: none,
            open: none,
            looks: 0,
            since: 0,
            highest: 0.0,
        })
    }

    /// Follows the counters to a point. What they grew by counts only when all of it is judged: the
    /// warm-up is where the series are met.
    pub(crate) fn step(&mut self, point: Timestamp, judged_from: Timestamp) {
        let Some(growth) = self.counters.at(point) else { return };
        self.since += u32::from(self.looks > 0);
        let since = growth.since.or(growth.gap.then_some(point));
        if since.is_none_or(|since| since < judged_from) {
            self.pass_over();
            return;
        }
        let mut more = counts(growth);
        let points = std::mem::take(&mut self.since);
        self.looks += 1;
        if let Method::Errors(errors) = &mut self.method {
            let given_up = errors.unended.look(point, growth);
            more.canary.add(given_up.canary);
            more.baseline.add(given_up.baseline);
            if let Some((_, share)) = &mut errors.absolute {
                share.look_over(more.canary, points);
            }
        }
        if let Method::Objective { fail, pass, .. } = &mut self.method {
            for (_, share) in fail.iter_mut().chain(pass) {
                share.look(more.canary);
            }
        }
        self.sum.canary.add(more.canary);
        self.sum.baseline.add(more.baseline);
        self.compare(growth, more);
        self.highest = self.highest.max(self.log_e().unwrap_or_default());
    }

    /// A point without growth: clusters of errors are told apart by the time between them.
    fn pass_over(&mut self) {
        if self.looks == 0 {
            return;
        }
        match &mut self.method {
            Method::Errors(errors) => errors.ratio.look(Counts::default()),
            Method::Latency { bounds, .. } => {
                for bound in bounds {
                    bound.ratio.look(Counts::default());
                }
            }
            Method::Objective { .. } => {}
        }
    }

    /// What only one side shows waits for the other, which depends on requests alone and never on
    /// errors. Over a gap there is nothing to wait for.
    fn compare(&mut self, growth: &Growth, more: Counts) {
        let both = |open: &mut Counts, compared: &mut Counts, more: Counts| -> Option<Counts> {
            if growth.gap {
                *open = Counts::default();
                return None;
            }
            open.canary.add(more.canary);
            open.baseline.add(more.baseline);
            if open.canary.total <= 0.0 || open.baseline.total <= 0.0 {
                return None;
            }
            let look = std::mem::take(open);
            compared.canary.add(look.canary);
            compared.baseline.add(look.baseline);
            Some(look)
        };
        let look = both(&mut self.open, &mut self.compared, more);
        match &mut self.method {
            Method::Errors(errors) => {
                if let Some(look) = look {
                    errors.ratio.look(look);
                }
            }
            Method::Latency { max_ratio, thresholds, bounds, history } => {
                if bounds.is_empty() {
                    *bounds = chosen(growth, *max_ratio, thresholds, history);
                }
                for bound in bounds {
                    let more = slower_than(growth, bound.at);
                    if let Some(look) = both(&mut bound.open, &mut bound.compared, more) {
                        bound.ratio.look(look);
                    }
                }
            }
            Method::Objective { .. } => {}
        }
    }

    /// Whether the canary is held against a number, and not against a baseline.
    const fn is_alone(&self) -> bool {
        matches!(self.method, Method::Objective { .. })
    }

    /// Whether a point shows what is compared: counters that were sampled recently, of the canary,
    /// and of the baseline where there is one.
    pub(crate) fn sees(&self, point: Timestamp) -> bool {
        self.counters.at(point).is_some_and(|growth| {
            growth.is_fresh(Revision::Canary)
                && (self.is_alone() || growth.is_fresh(Revision::Baseline))
        })
    }

    /// Natural logarithm of the evidence that the canary is worse.
    pub(crate) fn log_e(&self) -> Option<f64> {
        match &self.method {
            Method::Errors(errors) => {
                Some(joined(errors.parts().into_iter().map(|(part, log_e, _)| (part, log_e))))
            }
            Method::Latency { bounds, .. } if bounds.is_empty() => Some(0.0),
            Method::Latency { bounds, .. } => {
                Some(joined(bounds.iter().map(|bound| (bound.weight, bound.ratio.log_e()))))
            }
            Method::Objective { fail, .. } => fail.as_ref().map(|(_, share)| share.log_e()),
        }
    }

    /// Natural logarithm of the evidence that the canary keeps to its objective.
    pub(crate) fn log_good(&self) -> Option<f64> {
        match &self.method {
            Method::Objective { pass, .. } => pass.as_ref().map(|(_, share)| share.log_e()),
            _ => None,
        }
    }

    /// Where the evidence against the canary fails the gate.
    pub(crate) fn threshold(&self) -> f64 {
        -self.alpha.ln()
    }

    /// What the evidence for the canary has to reach.
    pub(crate) fn pass_threshold(&self) -> f64 {
        -self.beta.ln()
    }

    pub(crate) fn is_worse(&self) -> bool {
        self.log_e().is_some_and(|log_e| log_e >= self.threshold())
    }

    /// Whether a pass can rest on what was seen: enough requests, compared with the baseline's, and
    /// all of them ended.
    pub(crate) fn is_enough(&self) -> bool {
        let proven = self.log_good().is_none_or(|log_e| log_e >= self.pass_threshold());
        proven
            && self.looks >= LEAST_LOOKS
            && self.usable().total >= self.min_requests.max(1.0)
            && self.has_two_sides()
            && self.uncompared().is_none()
            && !self.is_in_doubt()
    }

    /// Whether there was enough on the other side to compare with, and something to compare by.
    fn has_two_sides(&self) -> bool {
        let boundless = matches!(&self.method, Method::Latency { bounds, .. } if bounds.is_empty());
        self.is_alone()
            || !boundless && self.compared.baseline.total >= PART_OF_BASELINE * self.min_requests
    }

    /// Whether the canary looks worse, short of a proof: a proof has to withstand errors that come in
    /// bursts and a look at every step, and a pass has to withstand a doubt.
    fn is_in_doubt(&self) -> bool {
        let log_doubt = match &self.method {
            Method::Errors(errors) if errors.unended.is_in_doubt() => return true,
            Method::Errors(errors) => errors.ratio.log_doubt(),
            Method::Latency { bounds, .. } if bounds.is_empty() => return false,
            Method::Latency { bounds, .. } => {
                joined(bounds.iter().map(|bound| (bound.weight, bound.ratio.log_doubt())))
            }
            Method::Objective { .. } => return false,
        };
        let shares = self.compared.canary.share().zip(self.compared.baseline.share());
        let mostly =
            shares.is_some_and(|(canary, baseline)| canary > MOSTLY && canary > 1.5 * baseline);
        mostly || log_doubt >= self.threshold()
    }

    /// The canary's requests that a pass can rest on.
    fn usable(&self) -> Side {
        if self.is_alone() { self.sum.canary } else { self.compared.canary }
    }

    fn unended(&self) -> Option<&Unended> {
        if let Method::Errors(errors) = &self.method { Some(&errors.unended) } else { None }
    }

    /// The canary's requests that have nothing to be compared with, where that matters: errors that
    /// no baseline explains, or a good part of all requests.
    fn uncompared(&self) -> Option<Side> {
        let open = self.open.canary;
        let matters =
            open.errors > 0.0 || open.total > PART_UNCOMPARED * self.compared.canary.total;
        (!self.is_alone() && open.total > 0.0 && matters).then_some(open)
    }

    /// How many more requests to the canary a pass needs at least; 0 when it has had enough.
    pub(crate) fn missing_requests(&self) -> f64 {
        let few = (self.min_requests - self.usable().total).max(0.0);
        match &self.method {
            Method::Objective { pass: Some((_, share)), .. }
                if share.log_e() < self.pass_threshold() =>
            {
                few.max(share.clean_requests_until(self.pass_threshold()))
            }
            _ => few,
        }
    }

    /// Whether a look was judged, so that no requests mean that there were none.
    pub(crate) const fn has_looked(&self) -> bool {
        self.looks > 0
    }

    pub(crate) fn requests(&self) -> f64 {
        self.sum.canary.total
    }

    /// The canary's share of errors, or of requests slower than the bound that says most.
    pub(crate) fn share(&self) -> Option<f64> {
        self.counted().canary.share()
    }

    /// The same of the baseline, where there is a comparison.
    pub(crate) fn baseline_rate(&self) -> Option<f64> {
        self.counted().baseline.share().filter(|_| !self.is_alone())
    }

    /// What is shown: requests that were compared, or while there are none, the canary's.
    fn counted(&self) -> Counts {
        let compared = self.strongest().map_or(self.compared, |bound| bound.compared);
        if self.is_alone() || compared.canary.total <= 0.0 {
            return Counts { canary: self.sum.canary, baseline: Side::default() };
        }
        compared
    }

    /// The bound of a histogram that says most against the canary; while none does, the lowest that
    /// one request in twenty to the baseline exceeds at most.
    fn strongest(&self) -> Option<&Bound> {
        let Method::Latency { bounds, .. } = &self.method else { return None };
        let against = |bound: &Bound| bound.ratio.log_e().max(bound.ratio.log_doubt());
        let strongest = bounds.iter().max_by(|a, b| against(a).total_cmp(&against(b)));
        let is_usual =
            |bound: &&Bound| bound.compared.baseline.share().is_some_and(|share| share <= 0.05);
        strongest
            .filter(|bound| against(bound) > 0.0)
            .or_else(|| bounds.iter().find(is_usual))
            .or(strongest)
    }
}

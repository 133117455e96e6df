//! A comparison of counted requests, the canary's with the baseline's, on its way over the points.

use jiff::Timestamp;

use crate::judge::answers::Answers;
use crate::judge::compared::Compared;
use crate::judge::comparison::method::{Method, Terms};
use crate::judge::counter_increase::counts;
use crate::judge::counts::{Counts, Side};
use crate::judge::samples::Material;
use crate::judge::{counters::Counters, hanging_requests::Unended, rung_times::RungTimes};
use crate::series::Revision;
use crate::spec::resolved::{MOSTLY, Test};
use crate::spec::rungs::Rungs;

mod describe;
mod method;

/// One look does not show that something holds, and with rare scrapes there may be no more in a hold.
const LEAST_LOOKS: usize = 3;

/// A pass takes so many requests to the baseline for each that it takes to the canary: two do not show
/// what is usual.
const PART_OF_BASELINE: f64 = 0.2;

/// A pass may leave this part of the canary's requests without requests to the baseline beside them.
const PART_UNCOMPARED: f64 = 0.25;

/// The evidence that has been collected, and what it has been collected from.
pub(crate) struct Comparison {
    /// New series whose first value had to be left out.
    left_out: usize,
    method: Method,
    terms: Terms,
    times: RungTimes,
    /// The rung that has been reached, counted from 0.
    rung: usize,
    /// All requests that were judged, and those of this rung.
    sum: Counts,
    on_this_rung: Counts,
    compared: Compared,
    /// Looks that were judged on this rung, and points since the last one.
    looks: usize,
    since: u32,
    highest: f64,
}

impl Comparison {
    /// A comparison for a test of counters; none for a condition on a value.
    pub(crate) fn new(
        test: &Test,
        material: &Material,
        rungs: &Rungs,
        times: &RungTimes,
    ) -> Option<Self> {
        let (method, terms) = Method::new(test, &material.history, rungs)?;
        Some(Self {
            left_out: material.counters.left_out,
            method,
            terms,
            times: times.clone(),
            rung: 0,
            sum: Counts::default(),
            on_this_rung: Counts::default(),
            compared: Compared::default(),
            looks: 0,
            since: 0,
            highest: 0.0,
        })
    }

    /// Takes note of what is known of its series by now, apart from any point.
    pub(crate) fn meet(&mut self, counters: &Counters) {
        self.left_out = counters.left_out;
    }

    /// Follows the counters to a point. What they grew by counts only when all of it is judged: the
    /// warm-up is where the series are met.
    pub(crate) fn step(&mut self, point: Timestamp, counters: &Counters) {
        while self.rung < self.times.rung(point) {
            self.begin_rung();
        }
        let Some(growth) = counters.at(point) else { return };
        self.since += u32::from(self.looks > 0);
        let since = growth.since.or(growth.gap.then_some(point));
        if since.is_none_or(|since| !self.times.judges(since, point)) {
            if self.looks > 0 {
                self.method.pass_over();
            }
            return;
        }
        let mut more = counts(growth);
        let points = std::mem::take(&mut self.since);
        self.looks += 1;
        if let Method::Errors(errors) = &mut self.method {
            more.add(errors.unended.look(point, growth));
        }
        self.method.look_at_canary(more.canary, points);
        self.sum.add(more);
        self.on_this_rung.add(more);
        let met = self.compared.add(more, growth.gap);
        self.method.compare(growth, &counters.names, met, self.rung + 1);
        self.highest = self.highest.max(self.log_e().unwrap_or_default());
    }

    /// What a pass rests on begins anew, and evidence against the canary goes on.
    fn begin_rung(&mut self) {
        self.rung += 1;
        (self.looks, self.since) = (0, 0);
        self.on_this_rung = Counts::default();
        self.compared.begin_rung();
        self.method.begin_rung();
    }

    /// Whether a point shows what is compared: counters that were sampled recently, of the canary,
    /// and of the baseline where there is one. A canary that has all traffic is alone.
    pub(crate) fn sees(
        &self,
        counters: &Counters,
        point: Timestamp,
        has_all_traffic: bool,
    ) -> bool {
        counters.at(point).is_some_and(|growth| {
            let is_alone = has_all_traffic || self.method.is_alone();
            growth.is_fresh(Revision::Canary) && (is_alone || growth.is_fresh(Revision::Baseline))
        })
    }

    /// Natural logarithm of the evidence that the canary is worse, of all rungs.
    pub(crate) fn log_e(&self) -> Option<f64> {
        self.method.log_e()
    }

    /// Natural logarithm of the evidence that the canary keeps to its objective, of this rung.
    pub(crate) fn log_good(&self) -> Option<f64> {
        match &self.method {
            Method::Objective { pass, .. } => pass.as_ref().map(|(_, share)| share.log_e()),
            _ => None,
        }
    }

    /// Where the evidence against the canary fails the gate.
    pub(crate) fn threshold(&self) -> f64 {
        -self.terms.alpha.ln()
    }

    /// What the evidence for the canary has to reach.
    pub(crate) fn pass_threshold(&self) -> f64 {
        -self.terms.beta.ln()
    }

    pub(crate) fn is_worse(&self) -> bool {
        !self.is_open() && self.log_e().is_some_and(|log_e| log_e >= self.threshold())
    }

    /// Whether nothing can be said by what was counted, because too much was not.
    fn is_open(&self) -> bool {
        self.answers().is_some_and(Answers::is_lossy)
    }

    fn answers(&self) -> Option<&Answers> {
        if let Method::Answers(answers) = &self.method { Some(answers) } else { None }
    }

    /// What a reader has to know of what was compared.
    pub(crate) fn notes(&self) -> Vec<String> {
        self.answers().map(Answers::notes).unwrap_or_default()
    }

    /// Whether a pass can rest on what was seen on this rung: enough requests, compared with the
    /// baseline's, and all of them ended.
    pub(crate) fn is_enough(&self) -> bool {
        let proven = self.log_good().is_none_or(|log_e| log_e >= self.pass_threshold());
        proven
            && self.looks >= LEAST_LOOKS
            && self.usable().total >= self.terms.min_requests.max(1.0)
            && self.has_two_sides()
            && !self.is_open()
            && self.uncompared().is_none()
            && !self.is_in_doubt()
    }

    /// Whether there was enough on the other side to compare with, and something to compare by.
    fn has_two_sides(&self) -> bool {
        let wanted = PART_OF_BASELINE * self.terms.min_requests;
        self.method.is_alone()
            || !self.method.is_boundless() && self.met().here.baseline.total >= wanted
    }

    /// Whether the canary looks worse, short of a proof: a proof has to withstand errors that come in
    /// bursts and a look at every step, and a pass has to withstand a doubt.
    fn is_in_doubt(&self) -> bool {
        if self.unended().is_some_and(Unended::is_in_doubt)
            || self.answers().is_some_and(Answers::is_in_doubt)
        {
            return true;
        }
        if self.method.is_alone() || self.method.is_boundless() {
            return false;
        }
        let mostly = |compared: &Counts| {
            let shares = compared.canary.share().zip(compared.baseline.share());
            shares.is_some_and(|(canary, baseline)| canary > MOSTLY && canary > 1.5 * baseline)
        };
        mostly(&self.compared.all)
            || mostly(&self.compared.here)
            || self.method.log_doubt() >= self.threshold()
    }

    /// The canary's requests that a pass can rest on.
    fn usable(&self) -> Side {
        if self.method.is_alone() { self.on_this_rung.canary } else { self.met().here.canary }
    }

    /// What has met the other side's, of which answers count from when it is known what to compare.
    fn met(&self) -> &Compared {
        self.answers().and_then(Answers::responses).unwrap_or(&self.compared)
    }

    fn unended(&self) -> Option<&Unended> {
        if let Method::Errors(errors) = &self.method { Some(&errors.unended) } else { None }
    }

    /// The canary's requests that have nothing to be compared with, where that matters: errors that
    /// no baseline explains, or a good part of all requests.
    fn uncompared(&self) -> Option<Side> {
        let open = self.compared.waiting();
        let matters =
            open.errors > 0.0 || open.total > PART_UNCOMPARED * self.compared.here.canary.total;
        (!self.method.is_alone() && open.total > 0.0 && matters).then_some(open)
    }

    /// How many more requests to the canary a pass needs at least; 0 when it has had enough.
    pub(crate) fn missing_requests(&self) -> f64 {
        let few = (self.terms.min_requests - self.usable().total).max(0.0);
        match &self.method {
            Method::Objective { pass: Some((_, share)), .. }
                if share.log_e() < self.pass_threshold() =>
            {
                few.max(share.clean_requests_until(self.pass_threshold()))
            }
            _ => few,
        }
    }

    /// Whether a look was judged on this rung, so that no requests mean that there were none.
    pub(crate) const fn has_looked(&self) -> bool {
        self.looks > 0
    }

    /// Requests to the canary that were judged on this rung.
    pub(crate) const fn requests(&self) -> f64 {
        self.on_this_rung.canary.total
    }

    /// Whether any request to the canary was judged, on whatever rung.
    pub(crate) fn has_counted(&self) -> bool {
        self.sum.canary.total > 0.0
    }

    /// The canary's share of errors, or of requests slower than the bound that says most.
    pub(crate) fn share(&self) -> Option<f64> {
        self.counted().canary.share()
    }

    /// The same of the baseline, where there is a comparison.
    pub(crate) fn baseline_rate(&self) -> Option<f64> {
        self.counted().baseline.share().filter(|_| !self.method.is_alone())
    }

    /// What is shown: requests that were compared, or while there are none, the canary's.
    fn counted(&self) -> Counts {
        self.shown(self.shown_by().all, self.sum)
    }

    /// The same of this rung, where earlier ones were climbed.
    fn counted_on_this_rung(&self) -> Option<Counts> {
        let is_here = self.rung > 0 && self.rung == self.times.last();
        is_here.then(|| self.shown(self.shown_by().here, self.on_this_rung))
    }

    fn shown_by(&self) -> &Compared {
        self.method.shown().unwrap_or(&self.compared)
    }

    fn shown(&self, compared: Counts, all: Counts) -> Counts {
        if self.method.is_alone() || compared.canary.total <= 0.0 {
            return Counts { canary: all.canary, baseline: Side::default() };
        }
        compared
    }
}

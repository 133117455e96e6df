//! A comparison of counted requests, the canary's with the baseline's, on its way over the points.

use serde::Serialize;

use crate::{
    counters::{Counters, Growth, Measure, Revision},
    evidence::{Counts, Ratio, Share, Side, joined},
    spec::{CompareTest, Counted, LatencyTest, Ms, SloTest, Test},
    unended::Unended,
};

/// Parts of the evidence that go to a canary that mostly fails and to requests that do not end; the
/// rest goes to the comparison. Fixed before anything is seen, as a weighted mean of evidence must be.
const PART_ABSOLUTE: f64 = 0.1;
const PART_UNENDED: f64 = 0.1;

/// One look does not show that something holds, and with rare scrapes there may be no more in a hold.
const LEAST_LOOKS: usize = 3;

/// A pass takes so many requests to the baseline for each that it takes to the canary: two do not show
/// what is usual.
const PART_OF_BASELINE: f64 = 0.2;

/// A canary of which more than every other request is bad is in doubt, unless its baseline is as bad;
/// one that fails so often is refused whatever its baseline does.
pub(crate) const MOSTLY: f64 = 0.5;

/// A pass may leave this part of the canary's requests without requests to the baseline beside them.
const PART_UNCOMPARED: f64 = 0.25;

/// The evidence that has been collected, and what it has been collected from.
pub(crate) struct Comparison<'a> {
    counters: &'a Counters,
    weigh: Weigh,
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

enum Weigh {
    Errors(Box<Errors>),
    Latency { max_ratio: f64, thresholds: Vec<f64>, bounds: Vec<Bound>, history: Vec<Growth> },
    Objective { fail: Option<(f64, Share)>, pass: Option<(f64, Share)> },
}

struct Errors {
    max_ratio: f64,
    counted: Counted,
    ratio: Ratio,
    /// The share above which a canary is refused whatever the baseline does, and the evidence.
    absolute: Option<(f64, Share)>,
    unended: Unended,
}

/// One bucket's bound: are the canary's requests more often slower than this?
struct Bound {
    at: f64,
    weight: f64,
    ratio: Ratio,
    open: Counts,
    compared: Counts,
}

/// What a comparison has found, as it is written down.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Evidence {
    kind: &'static str,
    canary: Requests,
    #[serde(skip_serializing_if = "Option::is_none")]
    baseline: Option<Requests>,
    /// The canary's true share is below this, with a chance of 5 % to be wrong at any time.
    #[serde(skip_serializing_if = "Option::is_none")]
    excludes_above: Option<f64>,
    /// The canary's share of errors over the baseline's.
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<f64>,
    /// The bound that says most, in the unit of the buckets.
    #[serde(skip_serializing_if = "Option::is_none")]
    bound: Option<f64>,
    /// Natural logarithm of the evidence that the canary is worse.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) log_e: Option<f64>,
    /// Where that fails the gate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) threshold: Option<f64>,
    /// Natural logarithm of the evidence that the canary keeps to its objective.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) log_good: Option<f64>,
    /// What that has to reach for a pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pass_threshold: Option<f64>,
    /// Chance of as much evidence against a canary that is no worse, valid at any time.
    p_value: f64,
    /// Size of the bursts that the baseline's errors came in, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    phi: Option<f64>,
    /// What the evidence is divided by because of bursts.
    caution: f64,
    /// Whether bursts were counted in place of errors, because their size was not known.
    counts_clusters: bool,
    /// New series whose first value could not be told from older counts.
    left_out: usize,
}

impl Evidence {
    /// The canary's requests that were counted.
    pub(crate) const fn canary(&self) -> Side {
        Side { errors: self.canary.errors, total: self.canary.total }
    }

    /// What a person wants to know of it, with units.
    pub(crate) fn facts(&self) -> Vec<(&'static str, String)> {
        let side = |side: Requests| {
            let share = if side.total > 0.0 {
                percent(side.errors / side.total)
            } else {
                "no requests".to_owned()
            };
            let (low, high) = wilson(side.errors, side.total);
            format!(
                "{} of {} ({share}, 95 % interval {} to {})",
                side.errors,
                side.total,
                percent(low),
                percent(high)
            )
        };
        let mut facts = vec![("canary", side(self.canary))];
        facts.extend(self.baseline.map(|baseline| ("baseline", side(baseline))));
        facts.extend(self.excludes_above.map(|share| {
            ("excluded", format!("shares above {}, however often one looked", percent(share)))
        }));
        facts.extend(self.bound.map(|bound| ("bound", bound.to_string())));
        facts.extend(
            self.log_e
                .zip(self.threshold)
                .map(|(log_e, line)| ("evidence", format!("ln E {log_e:.2}, fails at {line:.2}"))),
        );
        facts.extend(
            self.log_good
                .zip(self.pass_threshold)
                .map(|(log_e, line)| ("proof", format!("ln E {log_e:.2}, passes at {line:.2}"))),
        );
        facts.push(("p-value", format!("{:.3}, valid at any time", self.p_value)));
        let bursts = match self.phi {
            Some(phi) => format!(
                "errors come in bursts of about {phi:.1}; evidence is divided by {:.2}",
                self.caution
            ),
            None if self.counts_clusters => {
                "too few errors to tell their size; each cluster of errors counts as one".to_owned()
            }
            None => format!(
                "too few errors to tell their size; evidence is divided by {:.2}",
                self.caution
            ),
        };
        facts.push(("bursts", bursts));
        facts
    }
}

/// Wilson's interval for a share, at 95 %: for the eye only, it holds for one look.
fn wilson(errors: f64, total: f64) -> (f64, f64) {
    const Z: f64 = 1.96;
    if total <= 0.0 {
        return (0.0, 1.0);
    }
    let share = errors / total;
    let middle = share + Z * Z / (2.0 * total);
    let reach = Z * (share * (1.0 - share) / total + Z * Z / (4.0 * total * total)).sqrt();
    let scale = 1.0 + Z * Z / total;
    (((middle - reach) / scale).max(0.0), ((middle + reach) / scale).min(1.0))
}

/// The smallest share that the requests speak against 20 to 1, at any time.
fn excluded_above(side: Side) -> Option<f64> {
    let proven = |share: f64| {
        let mut test = Share::below(share, &[]);
        test.look(side);
        test.log_e() >= 20_f64.ln()
    };
    if side.total <= 0.0 || !proven(0.999) {
        return None;
    }
    let (mut low, mut high) = (1e-7, 0.999);
    for _ in 0..40 {
        let middle = f64::midpoint(low, high);
        if proven(middle) { high = middle } else { low = middle }
    }
    Some(high)
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Requests {
    errors: f64,
    total: f64,
}

impl From<Side> for Requests {
    fn from(side: Side) -> Self {
        Self { errors: side.errors, total: side.total }
    }
}

impl<'a> Comparison<'a> {
    /// A comparison for a test of counters; none for a condition on a value.
    pub(crate) fn new(test: &Test, counters: &'a Counters, history: &Counters) -> Option<Self> {
        let before: Vec<Growth> = history.growths().skip(1).cloned().collect();
        let steps: Vec<Side> = before.iter().map(|growth| counts(growth).baseline).collect();
        let (weigh, alpha, beta, min_requests) = match test {
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
                (Weigh::Errors(Box::new(errors)), alpha, 1.0, min_requests)
            }
            Test::Latency(LatencyTest { max_ratio, alpha, min_requests, thresholds }) => {
                let thresholds = thresholds.clone();
                let weigh = Weigh::Latency {
                    max_ratio: *max_ratio,
                    thresholds,
                    bounds: Vec::new(),
                    history: before,
                };
                (weigh, *alpha, 1.0, *min_requests)
            }
            Test::Slo(SloTest { fail, pass, alpha, beta }) => {
                // An objective is also asked where there is no baseline and no past: bursts count
                // against it only where they were seen.
                let fail = fail.map(|limit| (limit, Share::above(limit, &steps)));
                let pass = pass.map(|limit| (limit, Share::below(limit, &steps)));
                (Weigh::Objective { fail, pass }, *alpha, *beta, 1.0)
            }
        };
        let none = Counts::default();
        Some(Self {
            counters,
            weigh,
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
    pub(crate) fn step(&mut self, point: Ms, judged_from: Ms) {
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
        if let Weigh::Errors(errors) = &mut self.weigh {
            let given_up = errors.unended.look(point, growth);
            more.canary.add(given_up.canary);
            more.baseline.add(given_up.baseline);
            if let Some((_, share)) = &mut errors.absolute {
                share.look_over(more.canary, points);
            }
        }
        if let Weigh::Objective { fail, pass, .. } = &mut self.weigh {
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
        match &mut self.weigh {
            Weigh::Errors(errors) => errors.ratio.look(Counts::default()),
            Weigh::Latency { bounds, .. } => {
                for bound in bounds {
                    bound.ratio.look(Counts::default());
                }
            }
            Weigh::Objective { .. } => {}
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
        match &mut self.weigh {
            Weigh::Errors(errors) => {
                if let Some(look) = look {
                    errors.ratio.look(look);
                }
            }
            Weigh::Latency { max_ratio, thresholds, bounds, history } => {
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
            Weigh::Objective { .. } => {}
        }
    }

    /// Whether the canary is held against a number, and not against a baseline.
    const fn is_alone(&self) -> bool {
        matches!(self.weigh, Weigh::Objective { .. })
    }

    /// Whether a point shows what is compared: counters that were sampled recently, of the canary,
    /// and of the baseline where there is one.
    pub(crate) fn sees(&self, point: Ms) -> bool {
        self.counters.at(point).is_some_and(|growth| {
            growth.is_fresh(Revision::Canary)
                && (self.is_alone() || growth.is_fresh(Revision::Baseline))
        })
    }

    /// Natural logarithm of the evidence that the canary is worse.
    pub(crate) fn log_e(&self) -> Option<f64> {
        match &self.weigh {
            Weigh::Errors(errors) => {
                Some(joined(errors.parts().into_iter().map(|(part, log_e, _)| (part, log_e))))
            }
            Weigh::Latency { bounds, .. } if bounds.is_empty() => Some(0.0),
            Weigh::Latency { bounds, .. } => {
                Some(joined(bounds.iter().map(|bound| (bound.weight, bound.ratio.log_e()))))
            }
            Weigh::Objective { fail, .. } => fail.as_ref().map(|(_, share)| share.log_e()),
        }
    }

    /// Natural logarithm of the evidence that the canary keeps to its objective.
    pub(crate) fn log_good(&self) -> Option<f64> {
        match &self.weigh {
            Weigh::Objective { pass, .. } => pass.as_ref().map(|(_, share)| share.log_e()),
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
        let boundless = matches!(&self.weigh, Weigh::Latency { bounds, .. } if bounds.is_empty());
        self.is_alone()
            || !boundless && self.compared.baseline.total >= PART_OF_BASELINE * self.min_requests
    }

    /// Whether the canary looks worse, short of a proof: a proof has to withstand errors that come in
    /// bursts and a look at every step, and a pass has to withstand a doubt.
    fn is_in_doubt(&self) -> bool {
        let log_doubt = match &self.weigh {
            Weigh::Errors(errors) if errors.unended.is_in_doubt() => return true,
            Weigh::Errors(errors) => errors.ratio.log_doubt(),
            Weigh::Latency { bounds, .. } if bounds.is_empty() => return false,
            Weigh::Latency { bounds, .. } => {
                joined(bounds.iter().map(|bound| (bound.weight, bound.ratio.log_doubt())))
            }
            Weigh::Objective { .. } => return false,
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
        if let Weigh::Errors(errors) = &self.weigh { Some(&errors.unended) } else { None }
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
        match &self.weigh {
            Weigh::Objective { pass: Some((_, share)), .. }
                if share.log_e() < self.pass_threshold() =>
            {
                few.max(share.clean_requests_until(self.pass_threshold()))
            }
            _ => few,
        }
    }

    /// What keeps a pass from resting on what was seen, as a clause.
    pub(crate) fn lacks(&self) -> Option<String> {
        if let Some(unended) = self.unended().and_then(Unended::described) {
            return Some(unended);
        }
        let missing = self.missing_requests();
        if let Some(open) =
            self.uncompared().filter(|_| self.sum.baseline.total <= 0.0 || missing <= 0.0)
        {
            return Some(format!(
                "{} requests to the canary have no requests to the baseline to be compared with",
                open.total
            ));
        }
        let more = if self.requests() > 0.0 { "more " } else { "" };
        if missing > 0.0 {
            return Some(format!("{missing} {more}requests to the canary are needed"));
        }
        if !self.has_two_sides() {
            return Some(
                "too few requests to the baseline, or no bucket in common, to compare with"
                    .to_owned(),
            );
        }
        self.is_in_doubt().then(|| "it looks worse, and that is not proven yet".to_owned())
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
    pub(crate) fn usual(&self) -> Option<f64> {
        self.counted().baseline.share().filter(|_| !self.is_alone())
    }

    /// What it shows, in a few words with numbers and units.
    pub(crate) fn told(&self, unit: &str) -> String {
        let Counts { canary, baseline } = self.counted();
        let Some(bad) = canary.share() else {
            let ended = self.unended().and_then(Unended::described);
            return ended.unwrap_or_else(|| "no requests to the canary".to_owned());
        };
        let usual = match baseline.share() {
            Some(usual) => format!(
                "{} of {} to the baseline ({})",
                baseline.errors,
                baseline.total,
                percent(usual)
            ),
            None => "no requests to the baseline to compare with".to_owned(),
        };
        let of = format!("{} of {} requests to the canary", canary.errors, canary.total);
        match &self.weigh {
            Weigh::Errors(errors) => {
                let unended = errors.unended.described().map(|unended| format!("; {unended}"));
                format!(
                    "{of} {} ({}), {usual}{}",
                    errors.counted.verb(),
                    percent(bad),
                    unended.unwrap_or_default()
                )
            }
            Weigh::Latency { .. } => {
                let bound = self.strongest().map(|bound| bound.at).unwrap_or_default();
                format!("{of} took longer than {bound} {unit} ({}), {usual}", percent(bad))
            }
            Weigh::Objective { fail, pass, .. } => {
                let limit =
                    fail.as_ref().or(pass.as_ref()).map(|(limit, _)| *limit).unwrap_or_default();
                format!("{of} failed ({}), {} are allowed", percent(bad), percent(limit))
            }
        }
    }

    /// What the evidence means, as the end of a sentence about a canary that is worse.
    pub(crate) fn verdict_told(&self) -> String {
        let releases = 1.0 / self.alpha;
        let beyond = match &self.weigh {
            Weigh::Errors(errors) => errors.beyond(self.sum.canary),
            Weigh::Latency { max_ratio, .. } => {
                format!("more than {max_ratio} times the baseline's share")
            }
            Weigh::Objective { .. } => "more than is allowed".to_owned(),
        };
        format!("{beyond}, and chance would say so at most once in {releases:.0} releases")
    }

    pub(crate) fn evidence(&self) -> Evidence {
        let Counts { canary, baseline } = self.counted();
        let (kind, phi, caution, counts_clusters) = match &self.weigh {
            Weigh::Errors(errors) => (
                "ratio",
                errors.ratio.dispersion(),
                errors.ratio.caution(),
                errors.ratio.counts_clusters(),
            ),
            Weigh::Latency { .. } => {
                let ratio = self.strongest().map(|bound| &bound.ratio);
                (
                    "latency",
                    ratio.and_then(Ratio::dispersion),
                    ratio.map_or(1.0, Ratio::caution),
                    ratio.is_some_and(Ratio::counts_clusters),
                )
            }
            Weigh::Objective { fail, pass } => {
                let share = fail.as_ref().or(pass.as_ref()).map(|(_, share)| share);
                ("slo", share.and_then(Share::dispersion), share.map_or(1.0, Share::caution), false)
            }
        };
        let compared = kind != "slo";
        let ratio = canary
            .share()
            .zip(baseline.share())
            .map(|(bad, usual)| bad / usual)
            .filter(|r| r.is_finite());
        Evidence {
            kind,
            canary: canary.into(),
            baseline: compared.then(|| baseline.into()),
            excludes_above: excluded_above(canary),
            ratio: ratio.filter(|_| compared),
            bound: self.strongest().map(|bound| bound.at),
            log_e: self.log_e(),
            threshold: self.log_e().map(|_| self.threshold()),
            log_good: self.log_good(),
            pass_threshold: self.log_good().map(|_| self.pass_threshold()),
            p_value: (-self.highest).exp().min(1.0),
            phi,
            caution,
            counts_clusters,
            left_out: self.counters.left_out,
        }
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
        let Weigh::Latency { bounds, .. } = &self.weigh else { return None };
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

/// What a part of the evidence is about.
#[derive(Clone, Copy, PartialEq)]
enum About {
    Ratio,
    Absolute,
    Unended,
}

impl Errors {
    /// Each part of the evidence with its weight; the weights add up to 1.
    fn parts(&self) -> Vec<(f64, f64, About)> {
        let mut parts = Vec::with_capacity(3);
        if let Some((_, share)) = &self.absolute {
            parts.push((PART_ABSOLUTE, share.log_e(), About::Absolute));
        }
        if let Some(log_e) = self.unended.log_e() {
            parts.push((PART_UNENDED, log_e, About::Unended));
        }
        let rest = 1.0 - parts.iter().map(|(part, ..)| part).sum::<f64>();
        parts.push((rest, self.ratio.log_e(), About::Ratio));
        parts
    }

    /// What the strongest part of the evidence shows.
    fn beyond(&self, canary: Side) -> String {
        let parts = self.parts();
        let strongest = parts.iter().max_by(|a, b| (a.0.ln() + a.1).total_cmp(&(b.0.ln() + b.1)));
        match (strongest.map(|(.., about)| *about), &self.absolute) {
            (Some(About::Absolute), Some((limit, _))) => format!(
                "{} of all {} requests to the canary {}, more than {} whatever the baseline does",
                canary.errors,
                canary.total,
                self.counted.verb(),
                percent(*limit)
            ),
            (Some(About::Unended), _) => "requests to the canary do not end".to_owned(),
            _ => format!("more than {} times the baseline's share", self.max_ratio),
        }
    }
}

/// Requests of a stretch, and how many of them failed.
pub(crate) fn counts(growth: &Growth) -> Counts {
    let side = |revision| {
        let slowest = growth.buckets(revision).last().map(|(_, all)| *all);
        let total = slowest.unwrap_or_else(|| growth.of(revision, Measure::Total));
        // Of two counts of the same failures the greater has missed fewer.
        let errors = growth.of(revision, Measure::Errors).max(growth.of(revision, Measure::Inner));
        // Two counters scraped together never disagree; two scraped apart may for a moment.
        Side { errors: errors.min(total), total }
    };
    Counts { canary: side(Revision::Canary), baseline: side(Revision::Baseline) }
}

/// Requests of a stretch, and how many of them were slower than a bound.
fn slower_than(growth: &Growth, bound: f64) -> Counts {
    let side = |revision| {
        let buckets = growth.buckets(revision);
        let total = buckets.last().map_or(0.0, |(_, all)| *all);
        let within =
            buckets.iter().find(|(at, _)| *at >= bound).map_or(total, |(_, within)| *within);
        Side { errors: (total - within).max(0.0), total }
    };
    Counts { canary: side(Revision::Canary), baseline: side(Revision::Baseline) }
}

/// The bounds to bet on, once both sides have shown theirs; they stay, so that the bet stays fair.
fn chosen(growth: &Growth, max_ratio: f64, thresholds: &[f64], history: &[Growth]) -> Vec<Bound> {
    let bounds =
        |side| growth.buckets(side).into_iter().map(|(at, _)| at).filter(|at| at.is_finite());
    let canary: Vec<f64> = bounds(Revision::Canary).collect();
    let common: Vec<f64> = bounds(Revision::Baseline).filter(|at| canary.contains(at)).collect();
    let wanted = |at: f64| thresholds.iter().any(|threshold| (threshold - at).abs() < 1e-9);
    let special = common.iter().filter(|at| wanted(**at)).count();
    let weight = |at: f64| match (special, common.len() - special) {
        (0, all) => 1.0 / as_float(all),
        (special, 0) => 1.0 / as_float(special),
        (special, others) => 0.5 / as_float(if wanted(at) { special } else { others }),
    };
    let bound = |at: f64| {
        let past: Vec<Side> =
            history.iter().map(|growth| slower_than(growth, at).baseline).collect();
        Bound {
            at,
            weight: weight(at),
            ratio: Ratio::new(max_ratio, &past),
            open: Counts::default(),
            compared: Counts::default(),
        }
    };
    common.iter().map(|at| bound(*at)).collect()
}

#[expect(clippy::cast_precision_loss, reason = "numbers of buckets")]
fn as_float(count: usize) -> f64 {
    count as f64
}

/// `0.0134` as `1.34 %`.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let digits = match percent {
        _ if percent == 0.0 || percent >= 99.95 => 0,
        _ if percent >= 10.0 => 1,
        _ if percent >= 0.01 => 2,
        _ => 4,
    };
    format!("{percent:.digits$} %")
}

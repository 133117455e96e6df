//! A criterion that weighs counted requests, on its way over the points.

use serde::Serialize;

use crate::{
    evidence::{Counts, Ratio, Share, Side, caution, dispersion, joined},
    samples::{Answers, Growth, Part, Tally},
    spec::{CompareTest, LatencyTest, Ms, SloTest, Test},
};

/// The evidence that has been collected, and what it has been collected from.
pub(crate) struct Trial<'a> {
    tally: Tally<'a>,
    weigh: Weigh,
    /// Chance of a false "fail".
    alpha: f64,
    /// Chance of a false "pass", where a pass needs proof.
    beta: f64,
    /// Requests to the canary without which there is no pass.
    min_requests: f64,
    sum: Counts,
    highest: f64,
}

enum Weigh {
    Errors { max_ratio: f64, ratio: Box<Ratio>, phi: Option<f64> },
    Latency { max_ratio: f64, thresholds: Vec<f64>, bounds: Vec<Bound>, history: Vec<Growth> },
    Objective { fail: Option<(f64, Share)>, pass: Option<(f64, Share)>, phi: Option<f64> },
}

/// One bucket's bound: are the canary's requests more often slower than this?
struct Bound {
    at: f64,
    weight: f64,
    ratio: Ratio,
    phi: Option<f64>,
    sum: Counts,
}

/// What a trial has found, as it is written down.
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
    /// Size of the bursts that the baseline's errors came in, where its past shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    phi: Option<f64>,
    /// What the evidence is divided by because of bursts.
    caution: f64,
    /// New series whose first value could not be told from older counts.
    left_out: usize,
}

impl Evidence {
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
            None => format!(
                "the past shows too few errors to tell; evidence is divided by {:.2}",
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
        let mut test = Share::below(share, 1.0);
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

impl<'a> Trial<'a> {
    /// A trial for a test of counters; none for a condition on a value.
    pub(crate) fn new(
        test: &Test,
        answers: &'a Answers,
        history: Option<&Answers>,
        t0: Ms,
    ) -> Option<Self> {
        let before = history.map(growths).unwrap_or_default();
        let phi =
            || dispersion(&before.iter().map(|growth| counts(growth).baseline).collect::<Vec<_>>());
        let (weigh, alpha, beta, min_requests) = match test {
            Test::Value(_) => return None,
            Test::Compare(CompareTest { max_ratio, alpha, min_requests }) => {
                let phi = phi();
                let ratio = Box::new(Ratio::new(*max_ratio, caution(phi)));
                (Weigh::Errors { max_ratio: *max_ratio, ratio, phi }, *alpha, 1.0, *min_requests)
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
                let phi = phi();
                // An objective is also asked where there is no baseline and no past: bursts count
                // against it only where they were seen.
                let caution = phi.map_or(1.0, |phi| caution(Some(phi)));
                let fail = fail.map(|limit| (limit, Share::above(limit, caution)));
                let pass = pass.map(|limit| (limit, Share::below(limit, caution)));
                (Weigh::Objective { fail, pass, phi }, *alpha, *beta, 1.0)
            }
        };
        let (sum, tally) = (Counts::default(), Tally::new(answers, t0));
        Some(Self { tally, weigh, alpha, beta, min_requests, sum, highest: 0.0 })
    }

    /// Follows the counters to a point. What they grew by counts only when it is judged: the
    /// warm-up is where the series are met.
    pub(crate) fn step(&mut self, point: Ms, judged: bool) {
        let growth = self.tally.step(point);
        if !judged {
            return;
        }
        let more = counts(&growth);
        self.sum.canary.add(more.canary);
        self.sum.baseline.add(more.baseline);
        match &mut self.weigh {
            Weigh::Errors { ratio, .. } => ratio.look(more),
            Weigh::Latency { max_ratio, thresholds, bounds, history } => {
                if bounds.is_empty() {
                    *bounds = chosen(&growth, *max_ratio, thresholds, history);
                }
                for bound in bounds {
                    let more = slower_than(&growth, bound.at);
                    bound.sum.canary.add(more.canary);
                    bound.sum.baseline.add(more.baseline);
                    bound.ratio.look(more);
                }
            }
            Weigh::Objective { fail, pass, .. } => {
                for (_, share) in fail.iter_mut().chain(pass) {
                    share.look(more.canary);
                }
            }
        }
        self.highest = self.highest.max(self.log_e().unwrap_or_default());
    }

    /// Whether a point shows what the trial needs: counters of the canary, and of the baseline where
    /// they are compared.
    pub(crate) fn sees(&self, point: Ms) -> bool {
        let (canary, baseline) = match self.weigh {
            Weigh::Errors { .. } => (Part::CanaryTotal, Some(Part::BaselineTotal)),
            Weigh::Latency { .. } => (Part::CanaryBucket, Some(Part::BaselineBucket)),
            Weigh::Objective { .. } => (Part::CanaryTotal, None),
        };
        let shown = |part| self.tally.answers().parts(point).any(|found| found == part);
        shown(canary) && baseline.is_none_or(shown)
    }

    /// Natural logarithm of the evidence that the canary is worse.
    pub(crate) fn log_e(&self) -> Option<f64> {
        match &self.weigh {
            Weigh::Errors { ratio, .. } => Some(ratio.log_e()),
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

    /// Whether the canary has had requests enough for a pass.
    pub(crate) fn has_requests(&self) -> bool {
        let proven = self.log_good().is_none_or(|log_e| log_e >= self.pass_threshold());
        proven && self.sum.canary.total >= self.min_requests
    }

    /// How many more requests to the canary a pass needs at least; 0 when it has had enough.
    pub(crate) fn missing_requests(&self) -> f64 {
        let few = (self.min_requests - self.sum.canary.total).max(0.0);
        match &self.weigh {
            Weigh::Objective { pass: Some((_, share)), .. }
                if share.log_e() < self.pass_threshold() =>
            {
                few.max(share.clean_requests_until(self.pass_threshold()))
            }
            _ => few,
        }
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
        let compared = !matches!(self.weigh, Weigh::Objective { .. });
        self.counted().baseline.share().filter(|_| compared)
    }

    /// What it shows, in a few words with numbers and units.
    pub(crate) fn told(&self, unit: &str) -> String {
        let Counts { canary, baseline } = self.counted();
        let Some(bad) = canary.share() else {
            return "no requests to the canary".to_owned();
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
            Weigh::Errors { .. } => format!("{of} failed ({}), {usual}", percent(bad)),
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
            Weigh::Errors { max_ratio, .. } | Weigh::Latency { max_ratio, .. } => {
                format!("more than {max_ratio} times the baseline's share")
            }
            Weigh::Objective { .. } => "more than is allowed".to_owned(),
        };
        format!("{beyond}, and chance would say so at most once in {releases:.0} releases")
    }

    pub(crate) fn evidence(&self) -> Evidence {
        let Counts { canary, baseline } = self.counted();
        let (kind, phi) = match &self.weigh {
            Weigh::Errors { phi, .. } => ("ratio", *phi),
            Weigh::Latency { .. } => ("latency", self.strongest().and_then(|bound| bound.phi)),
            Weigh::Objective { phi, .. } => ("slo", *phi),
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
            caution: if compared {
                caution(phi)
            } else {
                phi.map_or(1.0, |phi| caution(Some(phi)))
            },
            left_out: self.tally.left_out,
        }
    }

    fn counted(&self) -> Counts {
        self.strongest().map_or(self.sum, |bound| bound.sum)
    }

    /// The bound of a histogram that says most.
    fn strongest(&self) -> Option<&Bound> {
        let Weigh::Latency { bounds, .. } = &self.weigh else { return None };
        bounds.iter().max_by(|a, b| a.ratio.log_e().total_cmp(&b.ratio.log_e()))
    }
}

/// The growth of the baseline's counters from point to point of its past.
fn growths(history: &Answers) -> Vec<Growth> {
    let mut tally = Tally::new(history, Ms::MAX);
    history.moments().map(|point| tally.step(point)).skip(1).collect()
}

fn counts(growth: &Growth) -> Counts {
    let side = |errors: Part, total: Part, bucket: Part| {
        let slowest = growth.buckets(bucket).last().map(|(_, all)| *all);
        let total = slowest.unwrap_or_else(|| growth.of(total));
        // Two counters scraped together never disagree; two scraped apart may for a moment.
        Side { errors: growth.of(errors).min(total), total }
    };
    Counts {
        canary: side(Part::CanaryErrors, Part::CanaryTotal, Part::CanaryBucket),
        baseline: side(Part::BaselineErrors, Part::BaselineTotal, Part::BaselineBucket),
    }
}

/// Requests of a stretch, and how many of them were slower than a bound.
fn slower_than(growth: &Growth, bound: f64) -> Counts {
    let side = |part: Part| {
        let buckets = growth.buckets(part);
        let total = buckets.last().map_or(0.0, |(_, all)| *all);
        let within =
            buckets.iter().find(|(at, _)| *at >= bound).map_or(total, |(_, within)| *within);
        Side { errors: (total - within).max(0.0), total }
    };
    Counts { canary: side(Part::CanaryBucket), baseline: side(Part::BaselineBucket) }
}

/// The bounds to bet on, once both sides have shown theirs; they stay, so that the bet stays fair.
fn chosen(growth: &Growth, max_ratio: f64, thresholds: &[f64], history: &[Growth]) -> Vec<Bound> {
    let bounds =
        |part| growth.buckets(part).into_iter().map(|(at, _)| at).filter(|at| at.is_finite());
    let canary: Vec<f64> = bounds(Part::CanaryBucket).collect();
    let common: Vec<f64> = bounds(Part::BaselineBucket).filter(|at| canary.contains(at)).collect();
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
        let phi = dispersion(&past);
        Bound {
            at,
            weight: weight(at),
            ratio: Ratio::new(max_ratio, caution(phi)),
            phi,
            sum: Counts::default(),
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

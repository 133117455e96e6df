//! By what a canary is compared: shares of errors, latencies, answers, or a number.

use crate::judge::answer_change::Change;
use crate::judge::answer_names::Names;
use crate::judge::answers::Answers;
use crate::judge::compared::Compared;
use crate::judge::counter_increase::{Growth, counts};
use crate::judge::counts::{Counts, Side};
use crate::judge::e_process::{Process as _, Ratio, Share, joined};
use crate::judge::latency_bounds::{Bound, chosen};
use crate::judge::restarted::Restarted;
use crate::judge::{counters::Counters, error_rates::Errors, hanging_requests::Unended};
use crate::spec::resolved::{AnswersTest, CompareTest, Counted, LatencyTest, SloTest, Test};
use crate::spec::rungs::Rungs;

pub(super) enum Method {
    Errors(Box<Errors>),
    Latency {
        max_ratio: f64,
        thresholds: Vec<f64>,
        bounds: Vec<Bound>,
        history: Vec<Growth>,
        gates: usize,
    },
    Answers(Box<Answers>),
    /// Evidence against the canary is the release's; proof that it is good is of one rung.
    Objective {
        fail: Option<(f64, Restarted<Share>)>,
        pass: Option<(f64, Share)>,
    },
}

/// What a verdict of a comparison takes.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    /// Chance of a false "fail", on all rungs together.
    pub(super) alpha: f64,
    /// Chance of a false "pass" on one rung, where a pass needs proof.
    pub(super) beta: f64,
    /// Requests to the canary without which there is no pass.
    pub(super) min_requests: f64,
}

impl Method {
    /// A method for a test of counters; none for a condition on a value.
    pub(super) fn new(test: &Test, history: &Counters, rungs: &Rungs) -> Option<(Self, Terms)> {
        let before: Vec<Growth> = history.growths().skip(1).cloned().collect();
        let steps: Vec<Side> = before.iter().map(|growth| counts(growth).baseline).collect();
        let gates = rungs.gates();
        Some(match test {
            Test::Value(_) => return None,
            Test::Compare(test) => {
                let CompareTest { max_ratio, alpha, min_requests, counted, absolute, .. } = *test;
                let share = |limit| Restarted::new(Share::lastingly_above(limit, &steps), 1, gates);
                let errors = Errors {
                    max_ratio,
                    counted,
                    ratio: Restarted::new(Ratio::new(max_ratio, &steps), 1, gates),
                    absolute: absolute.map(|limit| (limit, share(limit))),
                    unended: match counted {
                        Counted::Failed => {
                            Unended::new(test.counts_starts, rungs.weights(test.weight), gates)
                        }
                        _ => Unended::unseen(),
                    },
                };
                (Self::Errors(Box::new(errors)), Terms { alpha, beta: 1.0, min_requests })
            }
            Test::Latency(LatencyTest { max_ratio, alpha, min_requests, thresholds }) => {
                let method = Self::Latency {
                    max_ratio: *max_ratio,
                    thresholds: thresholds.clone(),
                    bounds: Vec::new(),
                    history: before,
                    gates,
                };
                (method, Terms { alpha: *alpha, beta: 1.0, min_requests: *min_requests })
            }
            Test::Answers(test) => {
                let AnswersTest { alpha, min_requests, .. } = *test;
                let method = Self::Answers(Box::new(Answers::new(test, history, gates)));
                (method, Terms { alpha, beta: 1.0, min_requests })
            }
            Test::Slo(SloTest { fail, pass, alpha, beta }) => {
                // An objective is also asked where there is no baseline and no past: bursts count
                // against it only where they were seen.
                let above = |limit| Restarted::new(Share::above(limit, &steps), 1, gates);
                let fail = fail.map(|limit| (limit, above(limit)));
                let pass = pass.map(|limit| (limit, Share::below(limit, &steps)));
                let terms = Terms { alpha: *alpha, beta: *beta, min_requests: 1.0 };
                (Self::Objective { fail, pass }, terms)
            }
        })
    }

    /// The next rung.
    pub(super) fn begin_rung(&mut self) {
        match self {
            Self::Errors(errors) => errors.begin_rung(),
            Self::Latency { bounds, .. } => bounds.iter_mut().for_each(Bound::begin_rung),
            Self::Answers(answers) => answers.begin_rung(),
            Self::Objective { fail, pass } => {
                if let Some((_, share)) = fail {
                    share.begin();
                }
                if let Some((_, share)) = pass {
                    *share = share.anew();
                }
            }
        }
    }

    /// A point without growth: clusters of errors are told apart by the time between them.
    pub(super) fn pass_over(&mut self) {
        let nothing = |test: &mut Ratio| test.look(Counts::default());
        match self {
            Self::Errors(errors) => errors.ratio.each(nothing),
            Self::Latency { bounds, .. } => {
                for bound in bounds {
                    bound.ratio.each(nothing);
                }
            }
            Self::Answers(answers) => answers.pass_over(),
            Self::Objective { .. } => {}
        }
    }

    /// What the canary did, by itself, in so many looks.
    pub(super) fn look_at_canary(&mut self, canary: Side, looks: u32) {
        match self {
            Self::Errors(errors) => {
                if let Some((_, share)) = &mut errors.absolute {
                    share.each(|share| share.look_over(canary, looks));
                }
            }
            Self::Objective { fail, pass } => {
                if let Some((_, share)) = fail {
                    share.each(|share| share.look(canary));
                }
                if let Some((_, share)) = pass {
                    share.look(canary);
                }
            }
            Self::Latency { .. } | Self::Answers(_) => {}
        }
    }

    /// What both sides did, as far as it has met the other side's, on a rung that is counted from 1.
    pub(super) fn compare(
        &mut self,
        growth: &Growth,
        names: &Names,
        met: Option<Counts>,
        rung: usize,
    ) {
        match self {
            Self::Errors(errors) => {
                if let Some(look) = met {
                    errors.ratio.each(|test| test.look(look));
                }
            }
            Self::Latency { max_ratio, thresholds, bounds, history, gates } => {
                if bounds.is_empty() {
                    *bounds = chosen(growth, *max_ratio, thresholds, history, (rung, *gates));
                }
                for bound in bounds {
                    bound.look(growth);
                }
            }
            Self::Answers(answers) => answers.look(growth, names, rung),
            Self::Objective { .. } => {}
        }
    }

    /// Natural logarithm of the evidence that the canary is worse, of the whole release.
    pub(super) fn log_e(&self) -> Option<f64> {
        match self {
            Self::Errors(errors) => {
                Some(joined(errors.parts().into_iter().map(|(part, log_e, _)| (part, log_e))))
            }
            Self::Latency { bounds, .. } if bounds.is_empty() => Some(0.0),
            Self::Latency { bounds, .. } => {
                Some(joined(bounds.iter().map(|bound| (bound.weight, bound.ratio.log_e()))))
            }
            Self::Answers(answers) => Some(answers.log_e()),
            Self::Objective { fail, .. } => fail.as_ref().map(|(_, share)| share.log_e()),
        }
    }

    /// The same if each error came by itself, of the release or of this rung, whichever looks worse: a
    /// first rung that is good hides no second one that is not.
    pub(super) fn log_doubt(&self) -> f64 {
        if let Self::Answers(answers) = self {
            let whole = answers.joined(|category| category.test.mean(Change::log_doubt));
            return whole.max(answers.joined(|category| category.test.newest().log_doubt()));
        }
        let of = |doubt: &dyn Fn(&Restarted<Ratio>) -> f64| match self {
            Self::Errors(errors) => doubt(&errors.ratio),
            Self::Latency { bounds, .. } if !bounds.is_empty() => {
                joined(bounds.iter().map(|bound| (bound.weight, doubt(&bound.ratio))))
            }
            _ => 0.0,
        };
        let whole = of(&|ratio| ratio.mean(Ratio::log_doubt));
        whole.max(of(&|ratio| ratio.newest().log_doubt()))
    }

    /// The bound of a histogram that says most against the canary; while none does, the lowest that
    /// one request in twenty to the baseline exceeds at most.
    pub(super) fn strongest(&self) -> Option<&Bound> {
        let Self::Latency { bounds, .. } = self else { return None };
        let against = |bound: &Bound| {
            let doubt = bound.ratio.mean(Ratio::log_doubt).max(bound.ratio.newest().log_doubt());
            bound.ratio.log_e().max(doubt)
        };
        let strongest = bounds.iter().max_by(|a, b| against(a).total_cmp(&against(b)));
        let is_usual =
            |bound: &&Bound| bound.compared.all.baseline.share().is_some_and(|share| share <= 0.05);
        strongest
            .filter(|bound| against(bound) > 0.0)
            .or_else(|| bounds.iter().find(is_usual))
            .or(strongest)
    }

    /// What is shown of what was compared, where it is not all.
    pub(super) fn shown(&self) -> Option<&Compared> {
        match self {
            Self::Latency { .. } => self.strongest().map(|bound| &bound.compared),
            Self::Answers(answers) => answers.strongest().map(|(_, category)| &category.compared),
            _ => None,
        }
    }

    /// Whether the canary is held against a number, and not against a baseline.
    pub(super) const fn is_alone(&self) -> bool {
        matches!(self, Self::Objective { .. })
    }

    /// Whether there is nothing to compare by yet.
    pub(super) fn is_boundless(&self) -> bool {
        match self {
            Self::Latency { bounds, .. } => bounds.is_empty(),
            Self::Answers(answers) => answers.is_unsettled(),
            _ => false,
        }
    }
}

//! A comparison in words and as evidence.

use crate::judge::answer_change::Change;
use crate::judge::answers::Answers;
use crate::judge::comparison::Comparison;
use crate::judge::comparison::method::Method;
use crate::judge::counts::{Counts, grouped, percent};
use crate::judge::e_process::{Ratio, Share};
use crate::judge::evidence::{Evidence, excluded_above};
use crate::judge::hanging_requests::Unended;

impl Comparison {
    /// What keeps a pass from resting on what was seen, as a clause.
    pub(crate) fn describe_missing(&self) -> Option<String> {
        if let Some(unended) = self.unended().and_then(Unended::describe) {
            return Some(unended);
        }
        if let Some(loss) = self.answers().and_then(Answers::describe_loss) {
            return Some(loss);
        }
        let missing = self.missing_requests();
        if let Some(open) =
            self.uncompared().filter(|_| self.on_this_rung.baseline.total <= 0.0 || missing <= 0.0)
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
            let few = if self.answers().is_some() {
                "too few answers of the baseline to compare with"
            } else {
                "too few requests to the baseline, or no bucket in common, to compare with"
            };
            return Some(few.to_owned());
        }
        self.is_in_doubt().then(|| "it looks worse, and that is not proven yet".to_owned())
    }

    /// What it shows, in a few words with numbers and units.
    pub(crate) fn describe(&self, unit: &str) -> String {
        let Counts { canary, baseline } = self.counted();
        let Some(bad) = canary.share() else {
            if let Some(answers) = self.answers() {
                return self.describe_answers(answers);
            }
            let ended = self.unended().and_then(Unended::describe);
            return ended.unwrap_or_else(|| "no requests to the canary".to_owned());
        };
        let baseline = match baseline.share() {
            Some(share) => format!(
                "{} of {} to the baseline ({})",
                baseline.errors,
                baseline.total,
                percent(share)
            ),
            None => "no requests to the baseline to compare with".to_owned(),
        };
        let of = format!("{} of {} requests to the canary", canary.errors, canary.total);
        let here = self.describe_this_rung();
        match &self.method {
            Method::Errors(errors) => {
                let unended = errors.unended.describe().map(|unended| format!("; {unended}"));
                format!(
                    "{of} {} ({}), {baseline}{here}{}",
                    errors.counted.verb(),
                    percent(bad),
                    unended.unwrap_or_default()
                )
            }
            Method::Latency { .. } => {
                let bound = self.method.strongest().map(|bound| bound.at).unwrap_or_default();
                format!("{of} took longer than {bound} {unit} ({}), {baseline}{here}", percent(bad))
            }
            Method::Answers(answers) => self.describe_answers(answers),
            Method::Objective { fail, pass, .. } => {
                let limit = fail.as_ref().map(|(limit, _)| *limit);
                let limit = limit.or(pass.as_ref().map(|(limit, _)| *limit)).unwrap_or_default();
                format!("{of} failed ({}), {} are allowed{here}", percent(bad), percent(limit))
            }
        }
    }

    fn describe_answers(&self, answers: &Answers) -> String {
        let seen = answers.describe().map(|seen| seen + &self.describe_this_rung());
        let few = || match self.requests() {
            some if answers.is_silent() => {
                format!("no answers that are counted in {} responses of the canary", grouped(some))
            }
            0.0 => "no answers of the canary".to_owned(),
            some => format!("{} answers of the canary, too few of the baseline", grouped(some)),
        };
        let loss = answers.describe_loss().map(|loss| format!("; {loss}")).unwrap_or_default();
        seen.unwrap_or_else(few) + &loss
    }

    /// What of it is this rung's, as a clause, where earlier ones were climbed.
    fn describe_this_rung(&self) -> String {
        let Some(Counts { canary, baseline }) = self.counted_on_this_rung() else {
            return String::new();
        };
        let baseline = if baseline.total > 0.0 {
            format!(" and {} of {}", baseline.errors, baseline.total)
        } else {
            String::new()
        };
        format!("; {} of {}{baseline} on this rung", canary.errors, canary.total)
    }

    /// What the evidence means, as the end of a sentence about a canary that is worse.
    pub(crate) fn describe_verdict(&self) -> String {
        let releases = 1.0 / self.terms.alpha;
        let beyond = match &self.method {
            Method::Errors(errors) => errors.beyond(self.sum.canary, self.on_this_rung.canary),
            Method::Latency { max_ratio, .. } => {
                format!("more than {max_ratio} times the baseline's share")
            }
            Method::Answers(answers) => answers.beyond(),
            Method::Objective { .. } => "more than is allowed".to_owned(),
        };
        format!("{beyond}, and chance would say so at most once in {releases:.0} releases")
    }

    pub(crate) fn evidence(&self) -> Evidence {
        let Counts { canary, baseline } = self.counted();
        let (kind, dispersion, overdispersion, counts_clusters) = self.bursts();
        let compared = kind != "slo";
        let on_this_rung = self.counted_on_this_rung();
        let of_canary = on_this_rung.map_or(canary, |here| here.canary);
        let ratio = canary
            .share()
            .zip(baseline.share())
            .map(|(bad, baseline)| bad / baseline)
            .filter(|r| r.is_finite());
        Evidence {
            kind,
            canary,
            baseline: compared.then_some(baseline),
            on_this_rung,
            excludes_above: excluded_above(of_canary).filter(|_| self.answers().is_none()),
            ratio: ratio.filter(|_| compared),
            bound: self.method.strongest().map(|bound| bound.at),
            log_e: self.log_e(),
            threshold: self.log_e().map(|_| self.threshold()),
            log_good: self.log_good(),
            pass_threshold: self.log_good().map(|_| self.pass_threshold()),
            p_value: (-self.highest).exp().min(1.0),
            dispersion,
            overdispersion,
            counts_clusters,
            left_out: self.left_out,
            told: self.answers().and_then(Answers::told),
            fields: self.answers().map(Answers::distributions).unwrap_or_default(),
        }
    }

    /// What is compared, and what its evidence is divided by because it comes in bursts.
    fn bursts(&self) -> (&'static str, Option<f64>, f64, bool) {
        match &self.method {
            Method::Errors(errors) => (
                "ratio",
                errors.ratio.newest().dispersion(),
                errors.ratio.newest().overdispersion(),
                errors.ratio.newest().counts_clusters(),
            ),
            Method::Latency { .. } => {
                let ratio = self.method.strongest().map(|bound| bound.ratio.newest());
                (
                    "latency",
                    ratio.and_then(Ratio::dispersion),
                    ratio.map_or(1.0, Ratio::overdispersion),
                    ratio.is_some_and(Ratio::counts_clusters),
                )
            }
            Method::Answers(answers) => {
                let test = answers.test();
                (
                    "answers",
                    test.and_then(Change::dispersion),
                    test.map_or(1.0, Change::overdispersion),
                    test.is_some_and(Change::counts_clusters),
                )
            }
            Method::Objective { fail, pass } => {
                let share = fail.as_ref().map(|(_, share)| share.newest());
                let share = share.or(pass.as_ref().map(|(_, share)| share));
                (
                    "slo",
                    share.and_then(Share::dispersion),
                    share.map_or(1.0, Share::overdispersion),
                    false,
                )
            }
        }
    }
}

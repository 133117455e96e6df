//! The canary's share of errors against the baseline's: the parts of the evidence, and their weights.

use crate::judge::counts::{Side, percent};
use crate::judge::e_process::{Ratio, Share};
use crate::judge::hanging_requests::Unended;
use crate::judge::restarted::Restarted;
use crate::spec::resolved::Counted;

/// Parts of the evidence that go to a canary that mostly fails and to requests that do not end; the
/// rest goes to the comparison. Fixed before anything is seen, as a weighted mean of evidence must be.
const PART_ABSOLUTE: f64 = 0.1;
const PART_UNENDED: f64 = 0.1;

pub(super) struct Errors {
    pub(super) max_ratio: f64,
    pub(super) counted: Counted,
    pub(super) ratio: Restarted<Ratio>,
    /// The share above which a canary is refused whatever the baseline does, and the evidence.
    pub(super) absolute: Option<(f64, Restarted<Share>)>,
    pub(super) unended: Unended,
}

/// What a part of the evidence is about.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum About {
    Ratio,
    Absolute,
    Unended,
}

impl Errors {
    /// The next rung.
    pub(super) fn begin_rung(&mut self) {
        self.ratio.begin();
        if let Some((_, share)) = &mut self.absolute {
            share.begin();
        }
        self.unended.begin();
    }

    /// Each part of the evidence with its weight; the weights add up to 1.
    pub(super) fn parts(&self) -> Vec<(f64, f64, About)> {
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

    /// What the strongest part of the evidence shows, where the canary had so many requests on all
    /// rungs and so many on this one.
    pub(super) fn beyond(&self, canary: Side, on_this_rung: Side) -> String {
        let parts = self.parts();
        let strongest = parts.iter().max_by(|a, b| (a.0.ln() + a.1).total_cmp(&(b.0.ln() + b.1)));
        match (strongest.map(|(.., about)| *about), &self.absolute) {
            (Some(About::Absolute), Some((limit, share))) => {
                let (canary, on) = if share.shows_on_this_rung() {
                    (on_this_rung, " on this rung")
                } else {
                    (canary, "")
                };
                format!(
                    "{} of all {} requests to the canary{on} {}, more than {} whatever the baseline does",
                    canary.errors,
                    canary.total,
                    self.counted.verb(),
                    percent(*limit)
                )
            }
            (Some(About::Unended), _) => "requests to the canary do not end".to_owned(),
            _ => format!("more than {} times the baseline's share", self.max_ratio),
        }
    }
}

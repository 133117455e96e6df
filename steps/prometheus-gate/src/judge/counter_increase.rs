//! By how much the counters of both sides grew up to one point.

use jiff::Timestamp;

use crate::judge::counts::{Counts, Side};
use crate::series::{Measure, Revision};

/// What is counted over all processes: of which side, what it measures, a bucket's bound as bits or the
/// number of an answer.
pub(super) type Key = (Revision, Measure, u64);

/// What one point shows of a comparison.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Growth {
    pub(super) counts: Box<[(Key, f64)]>,
    /// Requests under way: the canary's, the baseline's.
    pub(super) active: [Option<f64>; 2],
    /// Whether each side has been sampled recently.
    pub(super) fresh: [bool; 2],
    /// One side was not sampled for so long that what the other one did meanwhile has nothing to be
    /// compared with.
    pub(crate) gap: bool,
    /// When the oldest of the counters that this is the growth of was sampled before; nothing while
    /// not all processes have been sampled again.
    pub(crate) since: Option<Timestamp>,
}

impl Growth {
    pub(crate) fn of(&self, revision: Revision, measure: Measure) -> f64 {
        self.counted(revision, measure).fold(0.0, |sum, (_, growth)| sum + growth)
    }

    /// The bounds of a histogram's buckets, in rising order, with how many values were at most that.
    pub(crate) fn buckets(&self, revision: Revision) -> Vec<(f64, f64)> {
        self.counted(revision, Measure::Bucket)
            .map(|(bits, growth)| (f64::from_bits(bits), growth))
            .collect()
    }

    pub(super) fn counted(
        &self,
        revision: Revision,
        measure: Measure,
    ) -> impl Iterator<Item = (u64, f64)> {
        self.counts
            .iter()
            .filter(move |((whose, what, _), _)| (*whose, *what) == (revision, measure))
            .map(|((_, _, bits), growth)| (*bits, *growth))
    }

    pub(crate) const fn active(&self, revision: Revision) -> Option<f64> {
        self.active[revision as usize]
    }

    pub(crate) const fn is_fresh(&self, revision: Revision) -> bool {
        self.fresh[revision as usize]
    }
}

/// Requests of a stretch, and how many of them failed.
pub(crate) fn counts(growth: &Growth) -> Counts {
    let side = |revision| {
        let slowest = growth.buckets(revision).last().map(|(_, all)| *all);
        // A query asks for one of them.
        let total = slowest.unwrap_or_else(|| {
            growth.of(revision, Measure::Total) + growth.of(revision, Measure::Taken)
        });
        // Of two counts of the same failures the greater has missed fewer.
        let errors = growth.of(revision, Measure::Errors).max(growth.of(revision, Measure::Inner));
        // Two counters scraped together never disagree; two scraped apart may for a moment.
        Side { errors: errors.min(total), total }
    };
    Counts { canary: side(Revision::Canary), baseline: side(Revision::Baseline) }
}

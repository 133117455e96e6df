//! The bounds of a histogram's buckets that a comparison of latencies bets on.

use crate::judge::compared::Compared;
use crate::judge::counts::{Counts, Side, part};
use crate::judge::{counter_increase::Growth, e_process::Ratio, restarted::Restarted};
use crate::series::Revision;

/// One bucket's bound: are the canary's requests more often slower than this?
pub(super) struct Bound {
    pub(super) at: f64,
    pub(super) weight: f64,
    pub(super) ratio: Restarted<Ratio>,
    pub(super) compared: Compared,
}

impl Bound {
    /// The next rung.
    pub(super) fn begin_rung(&mut self) {
        self.ratio.begin();
        self.compared.begin_rung();
    }

    /// Takes in a look.
    pub(super) fn look(&mut self, growth: &Growth) {
        if let Some(look) = self.compared.add(slower_than(growth, self.at), growth.gap) {
            self.ratio.each(|test| test.look(look));
        }
    }
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

/// The bounds to bet on, once both sides have shown theirs, on this rung (from 1) of so many gates; they
/// stay, so that the bet stays fair.
pub(super) fn chosen(
    growth: &Growth,
    max_ratio: f64,
    thresholds: &[f64],
    history: &[Growth],
    (rung, gates): (usize, usize),
) -> Vec<Bound> {
    let bounds =
        |side| growth.buckets(side).into_iter().map(|(at, _)| at).filter(|at| at.is_finite());
    let canary: Vec<f64> = bounds(Revision::Canary).collect();
    let common: Vec<f64> = bounds(Revision::Baseline).filter(|at| canary.contains(at)).collect();
    let wanted = |at: f64| thresholds.iter().any(|threshold| (threshold - at).abs() < 1e-9);
    let special = common.iter().filter(|at| wanted(**at)).count();
    let weight = |at: f64| match (special, common.len() - special) {
        (0, all) => part(1, all),
        (special, 0) => part(1, special),
        (special, others) => 0.5 * part(1, if wanted(at) { special } else { others }),
    };
    let bound = |at: f64| {
        let past: Vec<Side> =
            history.iter().map(|growth| slower_than(growth, at).baseline).collect();
        Bound {
            at,
            weight: weight(at),
            ratio: Restarted::new(Ratio::new(max_ratio, &past), rung, gates),
            compared: Compared::default(),
        }
    };
    common.iter().map(|at| bound(*at)).collect()
}

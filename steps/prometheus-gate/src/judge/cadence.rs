//! How far apart a server's samples are, and so from when on one is out of date.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

/// How far apart the samples of one side are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cadence {
    pub(super) newest: Option<Timestamp>,
    apart: VecDeque<SignedDuration>,
}

impl Cadence {
    pub(crate) const KEPT: usize = 8;

    pub(crate) fn see(&mut self, sampled: Timestamp) {
        if let Some(newest) = self.newest.filter(|newest| sampled > *newest) {
            self.apart.push_back(sampled.duration_since(newest));
            if self.apart.len() > Self::KEPT {
                self.apart.pop_front();
            }
        }
        self.newest = self.newest.max(Some(sampled));
    }

    /// The age at which a sample no longer shows how things are: one scrape may fail, two may not.
    pub(crate) fn good_for(&self, step: SignedDuration, max_gap: SignedDuration) -> SignedDuration {
        let mut apart: Vec<SignedDuration> = self.apart.iter().copied().collect();
        apart.sort_unstable();
        // The upper quartile, so that the gap just seen is not taken for the usual distance.
        let usual = apart.get((apart.len() * 3 / 4).min(apart.len().saturating_sub(1)));
        usual.map_or(max_gap, |usual| (*usual * 2 + step).min(max_gap))
    }
}

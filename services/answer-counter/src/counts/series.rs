//! How many series there may be, and who has brought them: a stranger with names of his own leaves the others
//! two thirds.

use std::{collections::HashMap, net::IpAddr};

/// A scrape of that many is about 2 MB.
pub const MOST_SERIES: usize = 12_000;
const MOST_OF_ONE: usize = MOST_SERIES / 3;

#[derive(Debug, Default)]
pub(super) struct Series {
    all: usize,
    of: HashMap<IpAddr, usize>,
}

impl Series {
    pub(super) fn all(&self) -> usize {
        self.all
    }

    pub(super) fn has_room(&self, wanted: usize) -> bool {
        self.all + wanted <= MOST_SERIES
    }

    /// Takes as many, or none where not all of them fit.
    pub(super) fn take(&mut self, from: IpAddr, wanted: usize) -> bool {
        let held = self.of.get(&from).copied().unwrap_or_default();
        let fits = self.has_room(wanted) && held + wanted <= MOST_OF_ONE;
        if fits && wanted > 0 {
            self.all += wanted;
            self.of.insert(from, held + wanted);
        }
        fits
    }

    #[cfg(test)]
    pub(super) fn adds_up(&self) -> bool {
        self.all == self.of.values().sum::<usize>()
    }

    pub(super) fn give_back(&mut self, from: IpAddr, many: usize) {
        self.all -= many;
        if let Some(held) = self.of.get_mut(&from) {
            *held -= many;
            if *held == 0 {
                self.of.remove(&from);
            }
        }
    }
}

//! Requests to the canary, and those to the baseline that they are compared with.

use crate::judge::counts::{Counts, Side};

/// What has met requests of the other side, and what still waits for some.
#[derive(Clone, Debug, Default)]
pub(super) struct Compared {
    /// On all rungs together.
    pub(super) all: Counts,
    /// On this rung.
    pub(super) here: Counts,
    open: Counts,
}

impl Compared {
    /// Takes in what was counted, and hands on what has requests on both sides by now.
    ///
    /// What only one side shows waits for the other, which depends on requests alone and never on
    /// errors. Over a gap there is nothing to wait for.
    pub(super) fn add(&mut self, more: Counts, gap: bool) -> Option<Counts> {
        if gap {
            self.open = Counts::default();
            return None;
        }
        self.open.add(more);
        if self.open.canary.total <= 0.0 || self.open.baseline.total <= 0.0 {
            return None;
        }
        let look = std::mem::take(&mut self.open);
        self.all.add(look);
        self.here.add(look);
        Some(look)
    }

    /// The next rung: what was counted at another weight is not put together with what comes.
    pub(super) fn begin_rung(&mut self) {
        (self.here, self.open) = (Counts::default(), Counts::default());
    }

    /// The canary's requests that wait.
    pub(super) const fn waiting(&self) -> Side {
        self.open.canary
    }
}

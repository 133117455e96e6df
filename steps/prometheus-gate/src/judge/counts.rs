//! What was counted in a stretch of time.

/// Requests and failed ones of one stretch of time, on both sides.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Counts {
    pub(crate) canary: Side,
    pub(crate) baseline: Side,
}

/// Requests, and how many of them failed (or were slower than a bound).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Side {
    pub(crate) errors: f64,
    pub(crate) total: f64,
}

impl Side {
    pub(crate) fn add(&mut self, more: Self) {
        self.errors += more.errors;
        self.total += more.total;
    }

    /// Failed per request, 0 to 1; none without requests.
    pub(crate) fn share(self) -> Option<f64> {
        (self.total > 0.0).then(|| self.errors / self.total)
    }
}

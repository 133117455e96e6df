//! What was counted in a stretch of time.

use serde::Serialize;

/// Requests and failed ones of one stretch of time, on both sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Counts {
    pub canary: Side,
    pub baseline: Side,
}

/// Requests, and how many of them failed (or were slower than a bound).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Side {
    pub errors: f64,
    pub total: f64,
}

impl Counts {
    pub fn add(&mut self, more: Self) {
        self.canary.add(more.canary);
        self.baseline.add(more.baseline);
    }
}

impl Side {
    pub fn add(&mut self, more: Self) {
        self.errors += more.errors;
        self.total += more.total;
    }

    /// Failed per request, 0 to 1; none without requests.
    pub(crate) fn share(self) -> Option<f64> {
        (self.total > 0.0).then(|| self.errors / self.total)
    }
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

/// `2160` as `2,160`.
pub(crate) fn grouped(count: f64) -> String {
    let digits = format!("{count:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[expect(clippy::cast_precision_loss, reason = "numbers of points and of buckets")]
pub(super) fn part(some: usize, all: usize) -> f64 {
    some as f64 / all as f64
}

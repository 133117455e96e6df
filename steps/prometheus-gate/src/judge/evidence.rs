//! What a comparison has found, for programs and for people.

use serde::Serialize;

use crate::judge::counts::{Counts, Side, percent};
use crate::judge::distribution::Distribution;
use crate::judge::e_process::Share;

/// What a comparison has found, as it is written down.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Evidence {
    pub(super) kind: &'static str,
    /// The canary's requests that were counted.
    pub(crate) canary: Side,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) baseline: Option<Side>,
    /// What of both is this rung's, where earlier ones were climbed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) on_this_rung: Option<Counts>,
    /// The canary's true share on this rung is below this, with a chance of 5 % to be wrong at any time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) excludes_above: Option<f64>,
    /// The canary's share of errors over the baseline's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ratio: Option<f64>,
    /// The bound that says most, in the unit of the buckets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bound: Option<f64>,
    /// Natural logarithm of the evidence that the canary is worse.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) log_e: Option<f64>,
    /// Where that fails the gate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) threshold: Option<f64>,
    /// Natural logarithm of the evidence that the canary keeps to its objective.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) log_good: Option<f64>,
    /// What that has to reach for a pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pass_threshold: Option<f64>,
    /// Chance of as much evidence against a canary that is no worse, valid at any time.
    pub(super) p_value: f64,
    /// Size of the bursts that the baseline's errors came in, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) dispersion: Option<f64>,
    /// What the evidence is divided by because of bursts.
    pub(super) overdispersion: f64,
    /// Whether bursts were counted in place of errors, because their size was not known.
    pub(super) counts_clusters: bool,
    /// New series whose first value could not be told from older counts.
    pub(super) left_out: usize,
    /// The field and the answer that say most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) told: Option<(String, String)>,
    /// How often each side gave which answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) fields: Vec<Distribution>,
}

impl Evidence {
    /// What a person wants to know of it, with units.
    pub(crate) fn facts(&self) -> Vec<(&'static str, String)> {
        let side = |side: Side| {
            let share = if side.total > 0.0 {
                percent(side.errors / side.total)
            } else {
                "no requests".to_owned()
            };
            let (low, high) = wilson(side.errors, side.total);
            format!(
                "{} of {} ({share}, 95 % interval {} to {})",
                side.errors,
                side.total,
                percent(low),
                percent(high)
            )
        };
        let mut facts = vec![("canary", side(self.canary))];
        facts.extend(self.baseline.map(|baseline| ("baseline", side(baseline))));
        if let Some(Counts { canary, baseline }) = self.on_this_rung {
            facts.push(("canary, on this rung", side(canary)));
            if self.baseline.is_some() {
                facts.push(("baseline, on this rung", side(baseline)));
            }
        }
        facts.extend(self.excludes_above.map(|share| {
            ("excluded", format!("shares above {}, however often one looked", percent(share)))
        }));
        facts.extend(self.bound.map(|bound| ("bound", bound.to_string())));
        facts.extend(
            self.log_e
                .zip(self.threshold)
                .map(|(log_e, line)| ("evidence", format!("ln E {log_e:.2}, fails at {line:.2}"))),
        );
        facts.extend(
            self.log_good
                .zip(self.pass_threshold)
                .map(|(log_e, line)| ("proof", format!("ln E {log_e:.2}, passes at {line:.2}"))),
        );
        facts.push(("p-value", format!("{:.3}, valid at any time", self.p_value)));
        let errors = if self.kind == "answers" { "answers of a kind" } else { "errors" };
        let bursts = match self.dispersion {
            Some(dispersion) => format!(
                "{errors} come in bursts of about {dispersion:.1}; evidence is divided by {:.2}",
                self.overdispersion
            ),
            None if self.counts_clusters => {
                format!(
                    "too few {errors} to tell their size; each cluster of {errors} counts as one"
                )
            }
            None => format!(
                "too few {errors} to tell their size; evidence is divided by {:.2}",
                self.overdispersion
            ),
        };
        facts.push(("bursts", bursts));
        facts
    }
}

/// Wilson's interval for a share, at 95 %: for the eye only, it holds for one look.
fn wilson(errors: f64, total: f64) -> (f64, f64) {
    const Z: f64 = 1.96;
    if total <= 0.0 {
        return (0.0, 1.0);
    }
    let share = errors / total;
    let middle = share + Z * Z / (2.0 * total);
    let reach = Z * (share * (1.0 - share) / total + Z * Z / (4.0 * total * total)).sqrt();
    let scale = 1.0 + Z * Z / total;
    (((middle - reach) / scale).max(0.0), ((middle + reach) / scale).min(1.0))
}

/// The smallest share that the requests speak against 20 to 1, at any time.
pub(crate) fn excluded_above(side: Side) -> Option<f64> {
    let proven = |share: f64| {
        let mut test = Share::below(share, &[]);
        test.look(side);
        test.log_e() >= 20_f64.ln()
    };
    if side.total <= 0.0 || !proven(0.999) {
        return None;
    }
    let (mut low, mut high) = (1e-7, 0.999);
    for _ in 0..40 {
        let middle = f64::midpoint(low, high);
        if proven(middle) { high = middle } else { low = middle }
    }
    Some(high)
}

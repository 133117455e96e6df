//! What the points of a criterion look like, on the page and on a terminal alike.

use crate::judge::summary::{CriterionSummary, Standing};
use crate::judge::trail::Class;

/// How one point is drawn. A comparison's point is good by itself wherever counters were seen; what
/// all points together say against the canary is its evidence, and that is what its lane shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shade {
    Warmup,
    Missing,
    Good,
    /// Half of the evidence that fails the gate.
    Suspect,
    Bad,
}

impl Shade {
    pub(crate) const ALL: [Self; 5] =
        [Self::Good, Self::Suspect, Self::Bad, Self::Missing, Self::Warmup];

    /// The word for it; also its class on the page.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Warmup => "warm-up",
            Self::Missing => "missing",
            Self::Good => "good",
            Self::Suspect => "suspect",
            Self::Bad => "bad",
        }
    }
}

/// The shade of each point of a criterion's trail.
pub(crate) fn shades(state: &CriterionSummary) -> Vec<Shade> {
    let threshold = state.evidence.as_ref().and_then(|evidence| evidence.threshold);
    let against = |log_e: Option<f64>| Some(log_e? / threshold?);
    let mut proven = false;
    let mut before = Class::Warmup;
    let mut shades = Vec::with_capacity(state.trail.len());
    for step in state.trail.iter() {
        let part = against(step.log_e);
        // A criterion that has failed stays so.
        proven |= part.is_some_and(|part| part >= 1.0);
        let nothing_counted = state.evidence.is_some() && step.value.is_none();
        shades.push(match step.class {
            Class::Warmup => Shade::Warmup,
            Class::Missing => Shade::Missing,
            Class::Bad => Shade::Bad,
            Class::Good if proven => Shade::Bad,
            // Counting begins at the first point that is judged.
            Class::Good if nothing_counted && before == Class::Warmup => Shade::Warmup,
            Class::Good if nothing_counted => Shade::Missing,
            Class::Good if part.is_some_and(|part| part >= 0.5) => Shade::Suspect,
            Class::Good => Shade::Good,
        });
        before = step.class;
    }
    if let (Standing::Failed, Some(last)) = (state.standing, shades.last_mut()) {
        *last = Shade::Bad;
    }
    shades
}

/// A mark and a word, so that nobody has to tell colours apart.
pub(crate) const fn standing(standing: Standing) -> (&'static str, &'static str) {
    match standing {
        Standing::Held => ("●", "held"),
        Standing::Holding => ("◐", "holding"),
        Standing::Bad => ("✗", "bad"),
        Standing::Failed => ("✗", "failed"),
        Standing::Warmup => ("○", "warming up"),
        Standing::Missing => ("?", "no data"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of two requests to the canary at each step.
    fn of(bad: &str) -> Vec<Shade> {
        let spec = "timing: {hold: 30s, warmup: 8s, deadline: 5m}\n\
                    rollout: {canarySelector: c, baselineSelector: b}\n\
                    criteria: [{name: e, compare: {errors: x, total: y}}]";
        let series =
            [("canary_total", "0+2x60"), ("canary_errors", bad), ("baseline_total", "0+18x60")];
        let (summary, _) = crate::cli::simulate::example(
            spec,
            &series.map(|(part, text)| (format!("e/{part}"), text)),
        );
        shades(&summary.judgement.criteria[0])
    }

    #[test]
    fn a_canary_that_only_fails_ends_in_bad_with_suspicion_before() {
        use Shade::{Bad, Good, Suspect, Warmup};
        let mut shades = of("0+2x60");
        shades.dedup();
        assert_eq!(shades, [Warmup, Good, Suspect, Bad]);
    }

    #[test]
    fn a_canary_without_requests_shows_nothing() {
        let (summary, _) = crate::output::example::judged(crate::output::example::INCONCLUSIVE);
        let mut shades = shades(&summary.judgement.criteria[1]);
        shades.dedup();
        assert_eq!(shades, [Shade::Warmup, Shade::Missing]);
    }

    #[test]
    fn a_canary_that_never_fails_is_good() {
        let mut shades = of("0x60");
        shades.dedup();
        assert_eq!(shades, [Shade::Warmup, Shade::Good]);
    }
}

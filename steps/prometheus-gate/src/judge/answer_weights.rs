//! How a gate's stake on answers is split over what may change.
//!
//! What is found by a part w of the stake takes ln(1/w) more than a test of that class alone, so each class that is told
//! apart makes the others later. Weights are settled before the first bet, by answers that nothing is bet on, and add
//! up to 1.

use crate::judge::counts::part;

/// Responses that cannot be read. These, a field that is renamed and an answer that is new are large changes, and soon
/// found however small their weights are.
pub(super) const UNREADABLE: f64 = 0.02;

/// Answers that lack a field, of the field's weight.
pub(super) const MISSING: f64 = 0.02;

/// Answers that the baseline does not usually give, of the field's weight.
pub(super) const OTHER: f64 = 0.05;

/// What the common ones among the classes of a field have before the rest is split over all of them.
const COMMON: f64 = 0.25;

/// One of so many fields.
pub fn of_a_field(fields: usize) -> f64 {
    (1.0 - UNREADABLE) * part(1, fields.max(1))
}

/// The classes of a field, of the field's weight, by what the baseline's shares of them were. Common is a share of
/// `common` or more.
pub fn of_answers(shares: &[f64], common: f64) -> Vec<f64> {
    split(1.0 - MISSING - OTHER, shares, common)
}

/// The bounds of a field of numbers, by the shares of their rarer sides: most bounds of a histogram may be where no
/// numbers are.
pub(super) fn of_bounds(shares: &[f64], common: f64) -> Vec<f64> {
    split(1.0 - MISSING, shares, common)
}

/// A class that many users see is not found much later because there are many that are rare, and one that is rare takes
/// ln 4/3 more than with equal weights.
fn split(whole: f64, shares: &[f64], common: f64) -> Vec<f64> {
    let is_common = |share: f64| share >= common;
    let commons = shares.iter().filter(|share| is_common(**share)).count();
    let for_common = if commons > 0 { COMMON } else { 0.0 };
    let of = |share: &f64| {
        let more = if is_common(*share) { for_common * part(1, commons) } else { 0.0 };
        whole * (more + (1.0 - for_common) * part(1, shares.len()))
    };
    shares.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn weights_add_up_to_one_and_none_is_much_less_than_with_equal_ones(
            shares in proptest::collection::vec(0.0..0.2_f64, 1..60),
            fields in 1..21_usize,
        ) {
            let each = of_answers(&shares, 0.04);
            let field = each.iter().sum::<f64>() + MISSING + OTHER;
            let fields: f64 = (0..fields).map(|_| of_a_field(fields) * field).sum();
            prop_assert!((fields + UNREADABLE - 1.0).abs() < 1e-9);
            prop_assert!((of_bounds(&shares, 0.04).iter().sum::<f64>() + MISSING - 1.0).abs() < 1e-9);
            let equal = (1.0 - MISSING - OTHER) * part(1, shares.len());
            prop_assert!(each.iter().all(|weight| *weight >= (1.0 - COMMON) * equal - 1e-12));
        }
    }

    #[test]
    fn a_class_that_is_common_has_more_than_one_that_is_rare() {
        let shares: Vec<f64> = (0..50).map(|at| if at == 0 { 0.1 } else { 0.9 / 49.0 }).collect();
        let weights = of_answers(&shares, 0.04);
        assert!(weights[0] > 10.0 * weights[1], "{} and {}", weights[0], weights[1]);
    }
}

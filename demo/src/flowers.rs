//! What users ask about: flowers of all three kinds, as many of each.

use serde_json::{Value, json};

/// Length and width of sepals, then of petals, in centimetres: every fifth of Fisher's irises, ten setosa, ten
/// versicolor, ten virginica.
const FLOWERS: [[f64; 4]; 30] = [
    [4.7, 3.2, 1.3, 0.2],
    [5.0, 3.4, 1.5, 0.2],
    [4.8, 3.0, 1.4, 0.1],
    [5.1, 3.5, 1.4, 0.3],
    [4.6, 3.6, 1.0, 0.2],
    [5.2, 3.5, 1.5, 0.2],
    [5.2, 4.1, 1.5, 0.1],
    [4.9, 3.6, 1.4, 0.1],
    [4.4, 3.2, 1.3, 0.2],
    [4.6, 3.2, 1.4, 0.2],
    [6.9, 3.1, 4.9, 1.5],
    [4.9, 2.4, 3.3, 1.0],
    [6.0, 2.2, 4.0, 1.0],
    [5.8, 2.7, 4.1, 1.0],
    [6.3, 2.5, 4.9, 1.5],
    [6.7, 3.0, 5.0, 1.7],
    [5.8, 2.7, 3.9, 1.2],
    [6.3, 2.3, 4.4, 1.3],
    [5.8, 2.6, 4.0, 1.2],
    [6.2, 2.9, 4.3, 1.3],
    [7.1, 3.0, 5.9, 2.1],
    [7.3, 2.9, 6.3, 1.8],
    [6.8, 3.0, 5.5, 2.1],
    [7.7, 3.8, 6.7, 2.2],
    [7.7, 2.8, 6.7, 2.0],
    [6.1, 3.0, 4.9, 1.8],
    [6.4, 2.8, 5.6, 2.2],
    [6.4, 3.1, 5.5, 1.8],
    [5.8, 2.7, 5.1, 1.9],
    [6.5, 3.0, 5.2, 2.0],
];

/// The question about one of them: the kinds take turns, and each flower of a kind.
pub(crate) fn question(number: usize) -> Value {
    let (kind, flower) = (number % 3, number / 3 % 10);
    let [sepal_length, sepal_width, petal_length, petal_width] = FLOWERS[10 * kind + flower];
    json!({ "sepal_length": sepal_length, "sepal_width": sepal_width,
            "petal_length": petal_length, "petal_width": petal_width })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn thirty_questions_are_about_all_flowers_and_one_of_three_in_a_row_about_a_setosa() {
        let asked = |numbers: std::ops::Range<usize>| {
            numbers.map(|number| question(number).to_string()).collect::<BTreeSet<_>>()
        };
        assert_eq!(asked(0..30).len(), 30);
        assert_eq!(asked(100..130), asked(0..30));
        let is_setosa = |number: &usize| question(*number)["petal_length"].as_f64().unwrap() < 2.0;
        for first in 0..30 {
            assert_eq!((first..first + 3).filter(is_setosa).count(), 1, "{first}");
        }
    }
}

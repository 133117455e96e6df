//! What a value has to be: `value <= 0.01`, `value between 1 and 5 or value == 0`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::spec::expression::comparison::{Comparison, Operand, comparison};
use crate::spec::expression::parser::parse;
use crate::spec::expression::tree::{Expression, Truth};

/// A condition on one value. It is asked only about numbers: absence and NaN are sorted out
/// before, because `not value > 1` would call them good.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Condition(Expression<Comparison>);

impl Condition {
    /// True, false, or nothing when it hangs on a criterion that has no number to compare with.
    pub(crate) fn holds(&self, value: f64, other: &dyn Fn(&str) -> Option<f64>) -> Option<bool> {
        self.0.evaluate(&|comparison| Truth::from(comparison.holds(value, other))).into()
    }

    /// The other criteria that it names.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.0.leaves().into_iter().flat_map(Comparison::names).collect()
    }

    /// How bad a value is, to find the worst: the further from what is wanted, the higher. Nothing
    /// where the condition gives no direction.
    pub(crate) fn badness(&self, value: f64) -> Option<f64> {
        let Expression::Leaf(comparison) = &self.0 else { return None };
        comparison.badness(value).filter(|badness| !badness.is_nan())
    }

    /// The one number that `value` is compared with, where there is just one: a line for a chart.
    pub(crate) fn threshold(&self) -> Option<f64> {
        match &self.0 {
            Expression::Leaf(
                Comparison::Compare(Operand::Value, _, Operand::Number(number))
                | Comparison::Compare(Operand::Number(number), _, Operand::Value)
                | Comparison::Equal { left: Operand::Value, right: number, .. },
            ) => Some(*number),
            _ => None,
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Condition> for String {
    fn from(condition: Condition) -> Self {
        condition.to_string()
    }
}

impl TryFrom<String> for Condition {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse(text, comparison).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::spec::expression::comparison::OPERATORS;
    use crate::spec::expression::tree::any_shape;

    fn asks(text: &str, value: f64) -> Option<bool> {
        text.parse::<Condition>().unwrap().holds(value, &|name| (name == "baseline").then_some(2.0))
    }

    #[test]
    fn each_operator_means_what_it_says() {
        for (text, below, at, above) in [
            ("value < 5", true, false, false),
            ("value <= 5", true, true, false),
            ("value > 5", false, false, true),
            ("value >= 5", false, true, true),
            ("value == 5", false, true, false),
            ("value != 5", true, false, true),
            ("5 >= value", true, true, false),
            ("value between 5 and 6", false, true, true),
            ("value equal 5 tolerance 1", true, true, true),
            ("value equal 5", false, true, false),
            ("not value == 5", true, false, true),
            ("value < 5 or value > 5 and value != 6", true, false, false),
            ("(value < 5 or value > 5) and value != 6", true, false, false),
        ] {
            assert_eq!(
                [4.0, 5.0, 6.0].map(|value| asks(text, value)),
                [below, at, above].map(Some),
                "{text}"
            );
        }
    }

    #[test]
    fn infinities_compare_like_numbers() {
        assert_eq!(asks("value <= 0.01", f64::INFINITY), Some(false));
        assert_eq!(asks("value <= Inf", f64::INFINITY), Some(true));
    }

    #[test]
    fn a_ratio_needs_the_other_criterion() {
        assert_eq!(asks("value / baseline <= 1.5", 3.0), Some(true));
        assert_eq!(asks("value / baseline <= 1.5", 4.0), Some(false));
        assert_eq!(asks("value / nobody <= 1.5", 4.0), None);
        assert_eq!("value / baseline < 2".parse::<Condition>().unwrap().names(), ["baseline"]);
    }

    #[test]
    fn a_criterion_without_a_number_leaves_open_only_what_hangs_on_it() {
        assert_eq!(asks("value < 5 or value / nobody < 2", 4.0), Some(true));
        assert_eq!(asks("value < 5 and value / nobody < 2", 4.0), None);
        assert_eq!(asks("not value / nobody < 2", 4.0), None, "nothing is never a yes");
    }

    #[test]
    fn a_mistake_is_explained() {
        for (text, why) in [
            ("", "it ends early; expected `value` or a number"),
            ("value", "it ends early; expected an operator such as `<=`"),
            (
                "value = 5",
                "`=` is not a valid operator; expected one of <, <=, >, >=, ==, !=, between, equal",
            ),
            ("value < five", "`five` is not valid here; expected `value` or a number"),
            ("value < NaN", "`NaN` is not valid here; expected `value` or a number"),
            (
                "value < 5 value > 2",
                "`value` is not a valid operator; expected one of and, &&, or, ||",
            ),
            ("(value < 5", "it ends early; expected `)`"),
            ("value < 5)", "`)` closes nothing"),
            (
                "value between 5 and 2",
                "`between 5 and 2` is empty; expected the smaller number first",
            ),
            ("value between 5", "`between` has one number; expected two, as in `between 1 and 5`"),
            ("value equal 5 tolerance -1", "`-1` is not a valid tolerance; expected 0 or more"),
            ("value / and < 2", "`and` is not valid here; expected the name of another criterion"),
            ("1 < 2", "`1 < 2` is not a valid condition; expected `value` in it"),
        ] {
            assert_eq!(text.parse::<Condition>().unwrap_err(), why, "{text}");
        }
        let deep = format!("{}value == 1", "(".repeat(100_000));
        assert_eq!(
            deep.parse::<Condition>().unwrap_err(),
            "more than 50 parentheses or `not` within each other"
        );
    }

    fn number() -> impl Strategy<Value = f64> {
        prop_oneof![
            any::<f64>().prop_filter("NaN is refused", |number| !number.is_nan()),
            (-9..9_i32).prop_map(f64::from),
        ]
    }

    fn comparisons() -> impl Strategy<Value = Comparison> {
        let asked = || prop_oneof![Just(Operand::Value), "[^\"]{1,9}".prop_map(Operand::Ratio)];
        let operator = (0..6_usize).prop_map(|at| OPERATORS[at].1);
        prop_oneof![
            (asked(), operator, number(), any::<bool>()).prop_map(
                |(left, operator, number, turned)| {
                    let number = Operand::Number(number);
                    let (left, right) = if turned { (number, left) } else { (left, number) };
                    Comparison::Compare(left, operator, right)
                }
            ),
            (asked(), number(), number()).prop_map(|(left, a, b)| Comparison::Between(
                left,
                a.min(b),
                a.max(b)
            )),
            (asked(), number(), number().prop_map(f64::abs))
                .prop_map(|(left, right, tolerance)| Comparison::Equal { left, right, tolerance }),
        ]
    }

    #[test]
    fn a_condition_is_shown_in_one_form() {
        for (text, shown) in [
            ("value<=1e-2", "value <= 0.01"),
            ("value < 2000000000", "value < 2e9"),
            (
                "value<1500000&&!(value==0.0||value equal 3 tolerance 0)",
                "value < 1500000 and not (value == 0 or value equal 3)",
            ),
            ("1e-7 < value", "1e-7 < value"),
            ("value between -Inf and 1e300", "value between -inf and 1e300"),
        ] {
            assert_eq!(text.parse::<Condition>().unwrap().to_string(), shown);
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_as_the_same(condition in any_shape(comparisons()).prop_map(Condition)) {
            prop_assert_eq!(condition.to_string().parse(), Ok(condition));
        }

        #[test]
        fn marks_and_words_mean_the_same(condition in any_shape(comparisons()).prop_map(Condition)) {
            prop_assume!(!condition.names().iter().any(|name| name.contains(' ')));
            let marks = condition.to_string().replace(" and ", "&&").replace(" or ", "||").replace("not ", "!");
            prop_assert_eq!(marks.parse(), Ok(condition));
        }

        #[test]
        fn any_text_is_read_or_refused(text in r#"(value|between|equal|tolerance|[0-9eE.+-]|[()!&|<>=/" ]|and|or|not|\PC){0,40}"#) {
            if let Ok(condition) = text.parse::<Condition>() {
                prop_assert_eq!(condition.to_string().parse(), Ok(condition));
            }
        }

        #[test]
        fn and_binds_closer_than_or_and_not_closest(a: bool, b: bool, c: bool) {
            let text = |holds: bool| if holds { "value == 1" } else { "value == 2" };
            let whole = format!("not {} or {} and {}", text(a), text(b), text(c));
            prop_assert_eq!(asks(&whole, 1.0), Some(!a || (b && c)));
        }
    }
}

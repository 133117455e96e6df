//! How the criteria make one verdict: all of them, any, or `errors and (latency or slo)`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::spec::expression::parser::{Words, is_plain_name, parse};
use crate::spec::expression::tree::{Expression, Truth};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum Combine {
    #[default]
    All,
    Any,
    Formula(Formula),
}

/// Names of criteria, joined without `not`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Formula(Expression<Name>);

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Name(String);

impl Combine {
    /// Unhealthy beats unclear beats healthy, as far as one is enough for the other.
    pub(crate) fn evaluate(&self, each: &[(&str, Truth)]) -> Truth {
        let truths = each.iter().map(|(_, truth)| *truth);
        match self {
            Self::All => truths.min().unwrap_or(Truth::Unknown),
            Self::Any => truths.max().unwrap_or(Truth::Unknown),
            Self::Formula(Formula(formula)) => formula.evaluate(&|Name(name)| {
                each.iter()
                    .find(|(known, _)| known == name)
                    .map_or(Truth::Unknown, |(_, truth)| *truth)
            }),
        }
    }

    /// The same where a criterion has no say. A formula of nothing else is that of all that are left.
    pub(crate) fn without(&self, name: &str) -> Self {
        match self {
            Self::All | Self::Any => self.clone(),
            Self::Formula(Formula(formula)) => {
                let left = formula.without(&|Name(known)| known == name);
                left.map_or(Self::All, |left| Self::Formula(Formula(left)))
            }
        }
    }

    /// The criteria that a formula names.
    pub(crate) fn names(&self) -> Vec<&str> {
        match self {
            Self::All | Self::Any => Vec::new(),
            Self::Formula(Formula(formula)) => {
                formula.leaves().into_iter().map(|Name(name)| name.as_str()).collect()
            }
        }
    }
}

impl FromStr for Combine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "all" => return Ok(Self::All),
            "any" => return Ok(Self::Any),
            _ => {}
        }
        let formula = parse(text, name)?;
        if formula.has_not() {
            // A criterion says no also for what was not there (`missing: bad`): turned into a yes,
            // nothing shown would be a pass.
            return Err(
                "`not` is not valid between criteria, where a failure would become a pass; \
                        put it into the criterion's own condition, such as `not value > 1`"
                    .to_owned(),
            );
        }
        Ok(Self::Formula(Formula(formula)))
    }
}

fn name(words: &mut Words) -> Result<Name, String> {
    const EXPECTED: &str = "the name of a criterion";
    let word = words.word(EXPECTED)?;
    let name = word
        .name()
        .ok_or_else(|| format!("`{}` is not valid here; expected {EXPECTED}", word.text()))?;
    Ok(Name(name.to_owned()))
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(name) = self;
        if is_plain_name(name) { f.write_str(name) } else { write!(f, "\"{name}\"") }
    }
}

impl fmt::Display for Combine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Any => f.write_str("any"),
            Self::Formula(Formula(formula)) => formula.fmt(f),
        }
    }
}

impl From<Combine> for String {
    fn from(combine: Combine) -> Self {
        combine.to_string()
    }
}

impl TryFrom<String> for Combine {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::spec::expression::tree::any_shape;

    fn say(formula: &str, a: Truth, b: Truth, c: Truth) -> Truth {
        formula.parse::<Combine>().unwrap().evaluate(&[("a", a), ("b-2", b), ("c", c)])
    }

    #[test]
    fn unhealthy_beats_unclear_beats_healthy() {
        use Truth::{False, True, Unknown};
        assert_eq!(say("all", True, True, True), True);
        assert_eq!(say("all", True, Unknown, True), Unknown);
        assert_eq!(say("all", True, Unknown, False), False);
        assert_eq!(say("any", False, Unknown, False), Unknown);
        assert_eq!(say("any", False, Unknown, True), True);
        assert_eq!(say("a and (b-2 or c)", True, False, True), True);
        assert_eq!(say("a&&(b-2||c)", True, False, True), True);
        assert_eq!(say("a&&b-2||c", False, True, Unknown), Unknown);
        assert_eq!(say("a and b-2", True, False, True), False);
        assert_eq!(say("a and nobody", True, True, True), Unknown, "nothing shown is not a yes");
    }

    #[test]
    fn a_criterion_without_a_say_leaves_the_others_theirs() {
        let without = |text: &str| text.parse::<Combine>().unwrap().without("a").to_string();
        for (text, left) in [
            ("all", "all"),
            ("any", "any"),
            ("a", "all"),
            ("a or (a and a)", "all"),
            ("a and b", "b"),
            ("b and (a or c)", "b and c"),
            ("b or a and c", "b or c"),
            ("b and c", "b and c"),
        ] {
            assert_eq!(without(text), left, "{text}");
        }
    }

    #[test]
    fn a_name_with_marks_in_it_is_quoted() {
        let formula: Combine = "no-restarts and \"5xx (all)\"".parse().unwrap();
        assert_eq!(formula.names(), ["no-restarts", "5xx (all)"]);
        assert_eq!(formula.to_string(), "no-restarts and \"5xx (all)\"");
    }

    #[test]
    fn a_mistake_in_a_formula_is_explained() {
        for (text, why) in [
            ("", "it ends early; expected the name of a criterion"),
            ("a and", "it ends early; expected the name of a criterion"),
            ("a b", "`b` is not a valid operator; expected one of and, &&, or, ||"),
            ("a < 5", "`<` is not a valid operator; expected one of and, &&, or, ||"),
            ("(a or b", "it ends early; expected `)`"),
            ("(a b", "`b` is not a valid operator; expected one of and, &&, or, ||, or `)`"),
            ("a)", "`)` closes nothing"),
            ("&& a", "`&&` is not valid here; expected the name of a criterion"),
            ("\"a", "a `\"` is not closed"),
        ] {
            assert_eq!(text.parse::<Combine>().unwrap_err(), why, "{text}");
        }
    }

    #[test]
    fn a_failure_cannot_be_turned_into_a_pass() {
        for text in ["not a", "a and !b", "a or (b and not c)"] {
            let why = text.parse::<Combine>().unwrap_err();
            assert!(why.starts_with("`not` is not valid between criteria"), "{why}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_as_the_same(formula in any_shape("[^\"]{1,9}".prop_map(Name))) {
            prop_assert_eq!(parse(&formula.to_string(), name), Ok(formula));
        }

        #[test]
        fn any_text_is_read_or_refused(text in r#"([a-c()!&|<=/" -]|and|or|not|\PC){0,40}"#) {
            if let Ok(combine) = text.parse::<Combine>() {
                prop_assert_eq!(combine.to_string().parse(), Ok(combine));
            }
        }

        #[test]
        fn nothing_shown_is_never_a_yes(formula in any_shape("[a-c]".prop_map(Name))) {
            prop_assert_eq!(formula.evaluate(&|_| Truth::Unknown), Truth::Unknown);
        }
    }
}

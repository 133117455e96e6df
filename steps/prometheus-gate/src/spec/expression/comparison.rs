//! What a condition is made of: one comparison of the value.

use std::fmt;

use crate::spec::expression::parser::{Words, is_plain_name};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Comparison {
    Compare(Operand, Operator, Operand),
    Between(Operand, f64, f64),
    Equal { left: Operand, right: f64, tolerance: f64 },
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operand {
    Number(f64),
    Value,
    /// `value / NAME`: as a multiple of what another criterion shows at the same time.
    Ratio(String),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Operator {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Same,
    Different,
}

impl Comparison {
    pub(super) fn holds(&self, value: f64, other: &dyn Fn(&str) -> Option<f64>) -> Option<bool> {
        let number = |operand: &Operand| operand.number(value, other);
        match self {
            Self::Compare(left, operator, right) => {
                Some(operator.holds(number(left)?, number(right)?))
            }
            Self::Between(operand, low, high) => Some((*low..=*high).contains(&number(operand)?)),
            Self::Equal { left, right, tolerance } => {
                Some((number(left)? - right).abs() <= *tolerance)
            }
        }
    }

    pub(super) fn badness(&self, value: f64) -> Option<f64> {
        use Operator::{Greater, GreaterOrEqual, Less, LessOrEqual, Same};
        match self {
            Self::Compare(Operand::Value, Less | LessOrEqual, _) => Some(value),
            Self::Compare(Operand::Value, Greater | GreaterOrEqual, _) => Some(-value),
            Self::Compare(Operand::Value, Same, Operand::Number(wanted))
            | Self::Equal { left: Operand::Value, right: wanted, .. } => {
                Some((value - wanted).abs())
            }
            _ => None,
        }
    }

    pub(super) fn names(&self) -> Vec<&str> {
        let operands = match self {
            Self::Compare(left, _, right) => [Some(left), Some(right)],
            Self::Between(left, ..) | Self::Equal { left, .. } => [Some(left), None],
        };
        operands.into_iter().flatten().filter_map(Operand::name).collect()
    }
}

impl Operand {
    /// The other criterion that it names.
    fn name(&self) -> Option<&str> {
        match self {
            Self::Ratio(name) => Some(name),
            Self::Number(_) | Self::Value => None,
        }
    }

    const fn asks(&self) -> bool {
        !matches!(self, Self::Number(_))
    }

    fn number(&self, value: f64, other: &dyn Fn(&str) -> Option<f64>) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Value => Some(value),
            Self::Ratio(name) => {
                other(name).map(|base| value / base).filter(|ratio| !ratio.is_nan())
            }
        }
    }
}

impl Operator {
    #[expect(
        clippy::float_cmp,
        reason = "the person who wrote `==` means just that; `equal … tolerance …` is the other"
    )]
    fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
            Self::Same => left == right,
            Self::Different => left != right,
        }
    }
}

pub(super) const OPERATORS: [(&str, Operator); 6] = [
    ("<", Operator::Less),
    ("<=", Operator::LessOrEqual),
    (">", Operator::Greater),
    (">=", Operator::GreaterOrEqual),
    ("==", Operator::Same),
    ("!=", Operator::Different),
];

pub(super) fn comparison(words: &mut Words) -> Result<Comparison, String> {
    let left = operand(words)?;
    let word = words.word("an operator such as `<=`")?.text();
    let comparison = match word {
        "between" => between(left, words)?,
        "equal" => equal(left, words)?,
        _ => {
            let (_, operator) =
                OPERATORS.into_iter().find(|(text, _)| *text == word).ok_or_else(|| {
                    let known = OPERATORS.map(|(text, _)| text).join(", ");
                    format!(
                        "`{word}` is not a valid operator; expected one of {known}, between, equal"
                    )
                })?;
            Comparison::Compare(left, operator, operand(words)?)
        }
    };
    let asks = match &comparison {
        Comparison::Compare(left, _, right) => left.asks() || right.asks(),
        Comparison::Between(left, ..) | Comparison::Equal { left, .. } => left.asks(),
    };
    if asks {
        Ok(comparison)
    } else {
        // It would hold, or fail, whatever is measured.
        Err(format!("`{comparison}` is not a valid condition; expected `value` in it"))
    }
}

fn between(left: Operand, words: &mut Words) -> Result<Comparison, String> {
    let low = number(words)?;
    if !words.take(&["and", "&&"]) {
        return Err("`between` has one number; expected two, as in `between 1 and 5`".to_owned());
    }
    let high = number(words)?;
    if low > high {
        return Err(format!(
            "`between {low} and {high}` is empty; expected the smaller number first"
        ));
    }
    Ok(Comparison::Between(left, low, high))
}

fn equal(left: Operand, words: &mut Words) -> Result<Comparison, String> {
    let right = number(words)?;
    let tolerance = if words.take(&["tolerance"]) { number(words)? } else { 0.0 };
    if tolerance < 0.0 {
        return Err(format!("`{tolerance}` is not a valid tolerance; expected 0 or more"));
    }
    Ok(Comparison::Equal { left, right, tolerance })
}

fn operand(words: &mut Words) -> Result<Operand, String> {
    const EXPECTED: &str = "`value` or a number";
    let word = words.word(EXPECTED)?.text();
    if word != "value" {
        let number = as_number(word).ok_or_else(|| invalid(word, EXPECTED))?;
        return Ok(Operand::Number(number));
    }
    if !words.take(&["/"]) {
        return Ok(Operand::Value);
    }
    let word = words.word("the name of another criterion")?;
    let name = word.name().ok_or_else(|| invalid(word.text(), "the name of another criterion"))?;
    Ok(Operand::Ratio(name.to_owned()))
}

fn number(words: &mut Words) -> Result<f64, String> {
    let word = words.word("a number")?.text();
    as_number(word).ok_or_else(|| invalid(word, "a number"))
}

fn as_number(word: &str) -> Option<f64> {
    word.parse().ok().filter(|number: &f64| !number.is_nan())
}

fn invalid(word: &str, expected: &str) -> String {
    format!("`{word}` is not valid here; expected {expected}")
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compare(left, operator, right) => {
                let word = OPERATORS
                    .iter()
                    .find(|(_, known)| known == operator)
                    .map_or("", |known| known.0);
                write!(f, "{left} {word} {right}")
            }
            Self::Between(left, low, high) => {
                write!(f, "{left} between {} and {}", Operand::Number(*low), Operand::Number(*high))
            }
            Self::Equal { left, right, tolerance } => {
                write!(f, "{left} equal {}", Operand::Number(*right))?;
                if *tolerance > 0.0 {
                    write!(f, " tolerance {}", Operand::Number(*tolerance))?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => f.write_str(&shown(*number)),
            Self::Value => f.write_str("value"),
            Self::Ratio(name) if is_plain_name(name) => write!(f, "value / {name}"),
            Self::Ratio(name) => write!(f, "value / \"{name}\""),
        }
    }
}

/// `0.01` and `1500` as they are, `2000000000` as `2e9`.
pub(super) fn shown(number: f64) -> String {
    const SPARED: usize = 4;
    let (plain, short) = (format!("{number}"), format!("{number:e}"));
    if short.len() + SPARED <= plain.len() { short } else { plain }
}

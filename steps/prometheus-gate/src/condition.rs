//! What a value has to be: `value <= 0.01`, `value between 1 and 5 or value == 0`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A condition on one value. It is asked only about numbers: absence and NaN are sorted out
/// before, because `not (value > 1)` would call them good.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Condition {
    text: String,
    rule: Rule,
}

#[derive(Clone, Debug, PartialEq)]
enum Rule {
    Compare(Operand, Operator, Operand),
    Between(Operand, f64, f64),
    Equal { left: Operand, right: f64, tolerance: f64 },
    Not(Box<Self>),
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
}

#[derive(Clone, Debug, PartialEq)]
enum Operand {
    Number(f64),
    Value,
    /// `value / NAME`: as a multiple of what another criterion shows at the same time.
    Ratio(String),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operator {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Same,
    Different,
}

impl Condition {
    /// True, false, or nothing when another criterion that it names has no number to compare with.
    pub(crate) fn holds(&self, value: f64, other: &dyn Fn(&str) -> Option<f64>) -> Option<bool> {
        self.rule.holds(value, other)
    }

    /// The other criteria that it names.
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.rule.collect_names(&mut names);
        names
    }

    /// How bad a value is, to find the worst: the further from what is wanted, the higher. Nothing
    /// where the condition gives no direction.
    pub(crate) fn badness(&self, value: f64) -> Option<f64> {
        if value.is_nan() {
            return None;
        }
        match &self.rule {
            Rule::Compare(Operand::Value, Operator::Less | Operator::LessOrEqual, _) => Some(value),
            Rule::Compare(Operand::Value, Operator::Greater | Operator::GreaterOrEqual, _) => {
                Some(-value)
            }
            Rule::Compare(Operand::Value, Operator::Same, Operand::Number(wanted))
            | Rule::Equal { left: Operand::Value, right: wanted, .. } => {
                Some((value - wanted).abs())
            }
            _ => None,
        }
    }

    /// The one number that `value` is compared with, where there is just one: a line for a chart.
    pub(crate) fn threshold(&self) -> Option<f64> {
        match &self.rule {
            Rule::Compare(Operand::Value, _, Operand::Number(number))
            | Rule::Compare(Operand::Number(number), _, Operand::Value)
            | Rule::Equal { left: Operand::Value, right: number, .. } => Some(*number),
            _ => None,
        }
    }
}

impl Rule {
    fn holds(&self, value: f64, other: &dyn Fn(&str) -> Option<f64>) -> Option<bool> {
        let number = |operand: &Operand| operand.number(value, other);
        match self {
            Self::Compare(left, operator, right) => {
                Some(operator.holds(number(left)?, number(right)?))
            }
            Self::Between(operand, low, high) => Some((*low..=*high).contains(&number(operand)?)),
            Self::Equal { left, right, tolerance } => {
                Some((number(left)? - right).abs() <= *tolerance)
            }
            Self::Not(rule) => rule.holds(value, other).map(|holds| !holds),
            Self::And(left, right) => Some(left.holds(value, other)? && right.holds(value, other)?),
            Self::Or(left, right) => Some(left.holds(value, other)? || right.holds(value, other)?),
        }
    }

    fn collect_names<'a>(&'a self, names: &mut Vec<&'a str>) {
        let mut operand = |operand: &'a Operand| {
            if let Operand::Ratio(name) = operand {
                names.push(name);
            }
        };
        match self {
            Self::Compare(left, _, right) => {
                operand(left);
                operand(right);
            }
            Self::Between(left, ..) | Self::Equal { left, .. } => operand(left),
            Self::Not(rule) => rule.collect_names(names),
            Self::And(left, right) | Self::Or(left, right) => {
                left.collect_names(names);
                right.collect_names(names);
            }
        }
    }
}

impl Operand {
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

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Condition> for String {
    fn from(condition: Condition) -> Self {
        condition.text
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
        let mut words = Words { words: split(text)?, next: 0 };
        let rule = words.either()?;
        match words.peek() {
            None => Ok(Self { text: text.trim().to_owned(), rule }),
            Some(word) => Err(format!("`{word}` is left over; join conditions with `and` or `or`")),
        }
    }
}

/// The words of a condition: names and numbers, operators, parentheses.
fn split(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '(' | ')' | '/' => 1,
            '<' | '>' | '=' | '!' => rest.find(|c| !"<>=!".contains(c)).unwrap_or(rest.len()),
            c if c.is_alphanumeric() || "+-._".contains(c) => rest
                .find(|c: char| !(c.is_alphanumeric() || "+-._".contains(c)))
                .unwrap_or(rest.len()),
            other => {
                return Err(format!("`{other}` has no meaning here; an example: `value <= 0.01`"));
            }
        };
        words.push(rest[..length].to_owned());
        rest = rest[length..].trim_start();
    }
    Ok(words)
}

struct Words {
    words: Vec<String>,
    next: usize,
}

impl Words {
    fn peek(&self) -> Option<&str> {
        self.words.get(self.next).map(String::as_str)
    }

    fn take(&mut self, wanted: &str) -> bool {
        let found = self.peek() == Some(wanted);
        self.next += usize::from(found);
        found
    }

    fn word(&mut self, wanted: &str) -> Result<String, String> {
        let word =
            self.peek().ok_or_else(|| format!("it ends where {wanted} should follow"))?.to_owned();
        self.next += 1;
        Ok(word)
    }

    fn either(&mut self) -> Result<Rule, String> {
        let mut rule = self.both()?;
        while self.take("or") {
            rule = Rule::Or(Box::new(rule), Box::new(self.both()?));
        }
        Ok(rule)
    }

    fn both(&mut self) -> Result<Rule, String> {
        let mut rule = self.single()?;
        while self.take("and") {
            rule = Rule::And(Box::new(rule), Box::new(self.single()?));
        }
        Ok(rule)
    }

    fn single(&mut self) -> Result<Rule, String> {
        if self.take("not") {
            return Ok(Rule::Not(Box::new(self.single()?)));
        }
        if self.take("(") {
            let rule = self.either()?;
            return if self.take(")") { Ok(rule) } else { Err("a `)` is missing".to_owned()) };
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Rule, String> {
        let left = self.operand()?;
        let operator = self.word("an operator such as `<=`")?;
        let operator = match operator.as_str() {
            "<" => Operator::Less,
            "<=" => Operator::LessOrEqual,
            ">" => Operator::Greater,
            ">=" => Operator::GreaterOrEqual,
            "==" => Operator::Same,
            "!=" => Operator::Different,
            "between" => return self.between(left),
            "equal" => return self.equal(left),
            other => {
                return Err(format!(
                    "`{other}` is no operator; there are < <= > >= == != between equal"
                ));
            }
        };
        Ok(Rule::Compare(left, operator, self.operand()?))
    }

    fn between(&mut self, left: Operand) -> Result<Rule, String> {
        let low = self.number()?;
        if !self.take("and") {
            return Err("`between` is written `between 1 and 5`".to_owned());
        }
        let high = self.number()?;
        if low > high {
            return Err(format!("nothing is between {low} and {high}"));
        }
        Ok(Rule::Between(left, low, high))
    }

    fn equal(&mut self, left: Operand) -> Result<Rule, String> {
        let right = self.number()?;
        let tolerance = if self.take("tolerance") { self.number()? } else { 0.0 };
        Ok(Rule::Equal { left, right, tolerance })
    }

    fn operand(&mut self) -> Result<Operand, String> {
        let word = self.word("`value` or a number")?;
        if word != "value" {
            return Ok(Operand::Number(parse_number(&word)?));
        }
        if !self.take("/") {
            return Ok(Operand::Value);
        }
        let name = self.word("the name of another criterion")?;
        Ok(Operand::Ratio(name))
    }

    fn number(&mut self) -> Result<f64, String> {
        parse_number(&self.word("a number")?)
    }
}

fn parse_number(word: &str) -> Result<f64, String> {
    match word.parse::<f64>() {
        Ok(number) if !number.is_nan() => Ok(number),
        _ => Err(format!("`{word}` is neither `value` nor a number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_mistake_is_explained() {
        for (text, why) in [
            ("", "it ends where `value` or a number should follow"),
            ("value", "it ends where an operator such as `<=` should follow"),
            ("value = 5", "`=` is no operator; there are < <= > >= == != between equal"),
            ("value < five", "`five` is neither `value` nor a number"),
            ("value < NaN", "`NaN` is neither `value` nor a number"),
            ("value < 5 value > 2", "`value` is left over; join conditions with `and` or `or`"),
            ("(value < 5", "a `)` is missing"),
            ("value & 5", "`&` has no meaning here; an example: `value <= 0.01`"),
            ("value between 5 and 2", "nothing is between 5 and 2"),
        ] {
            assert_eq!(text.parse::<Condition>().unwrap_err(), why, "{text}");
        }
    }
}

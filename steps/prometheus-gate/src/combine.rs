//! How the criteria make one verdict: all of them, any, or `a && (b || c)`.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a criterion says by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Say {
    No,
    Open,
    Yes,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum Combine {
    #[default]
    All,
    Any,
    Formula {
        text: String,
        tree: Tree,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tree {
    Name(String),
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
}

impl Combine {
    /// No and yes are weighed like false and true, with what is open between them.
    pub(crate) fn say(&self, each: &[(&str, Say)]) -> Say {
        let says = each.iter().map(|(_, say)| *say);
        match self {
            Self::All => says.min().unwrap_or(Say::Open),
            Self::Any => says.max().unwrap_or(Say::Open),
            Self::Formula { tree, .. } => tree.say(each),
        }
    }

    /// The criteria that a formula names.
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        if let Self::Formula { tree, .. } = self {
            tree.collect(&mut names);
        }
        names
    }
}

impl Tree {
    fn say(&self, each: &[(&str, Say)]) -> Say {
        match self {
            Self::Name(name) => {
                each.iter().find(|(known, _)| known == name).map_or(Say::Open, |(_, say)| *say)
            }
            Self::And(left, right) => left.say(each).min(right.say(each)),
            Self::Or(left, right) => left.say(each).max(right.say(each)),
        }
    }

    fn collect<'a>(&'a self, names: &mut Vec<&'a str>) {
        match self {
            Self::Name(name) => names.push(name),
            Self::And(left, right) | Self::Or(left, right) => {
                left.collect(names);
                right.collect(names);
            }
        }
    }
}

impl From<Combine> for String {
    fn from(combine: Combine) -> Self {
        match combine {
            Combine::All => "all".to_owned(),
            Combine::Any => "any".to_owned(),
            Combine::Formula { text, .. } => text,
        }
    }
}

impl TryFrom<String> for Combine {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Combine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "all" => Ok(Self::All),
            "any" => Ok(Self::Any),
            formula => {
                let spaced =
                    ["(", ")", "&&", "||"].iter().fold(formula.to_owned(), |text, mark| {
                        text.replace(mark, &format!(" {mark} "))
                    });
                let mut words = spaced.split_whitespace().peekable();
                let tree = either(&mut words)?;
                match words.next() {
                    None => Ok(Self::Formula { text: formula.to_owned(), tree }),
                    Some(word) => {
                        Err(format!("`{word}` is left over; join names with `&&` or `||`"))
                    }
                }
            }
        }
    }
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn either(words: &mut Words) -> Result<Tree, String> {
    let mut tree = both(words)?;
    while words.next_if_eq(&"||").is_some() {
        tree = Tree::Or(Box::new(tree), Box::new(both(words)?));
    }
    Ok(tree)
}

fn both(words: &mut Words) -> Result<Tree, String> {
    let mut tree = single(words)?;
    while words.next_if_eq(&"&&").is_some() {
        tree = Tree::And(Box::new(tree), Box::new(single(words)?));
    }
    Ok(tree)
}

fn single(words: &mut Words) -> Result<Tree, String> {
    match words.next() {
        None => Err("it ends where the name of a criterion should follow".to_owned()),
        Some("(") => {
            let tree = either(words)?;
            words.next_if_eq(&")").map(|_| tree).ok_or_else(|| "a `)` is missing".to_owned())
        }
        Some(")" | "&&" | "||") => Err("the name of a criterion is missing".to_owned()),
        Some(name) => Ok(Tree::Name(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(formula: &str, a: Say, b: Say, c: Say) -> Say {
        formula.parse::<Combine>().unwrap().say(&[("a", a), ("b", b), ("c", c)])
    }

    #[test]
    fn unhealthy_beats_unclear_beats_healthy() {
        use Say::{No, Open, Yes};
        assert_eq!(say("all", Yes, Yes, Yes), Yes);
        assert_eq!(say("all", Yes, Open, Yes), Open);
        assert_eq!(say("all", Yes, Open, No), No);
        assert_eq!(say("any", No, Open, No), Open);
        assert_eq!(say("any", No, Open, Yes), Yes);
        assert_eq!(say("a && (b || c)", Yes, No, Yes), Yes);
        assert_eq!(say("a&&b||c", No, Yes, Open), Open);
        assert_eq!(say("a && b", Yes, No, Yes), No);
    }

    #[test]
    fn a_mistake_in_a_formula_is_explained() {
        for (text, why) in [
            ("a &&", "it ends where the name of a criterion should follow"),
            ("a b", "`b` is left over; join names with `&&` or `||`"),
            ("(a || b", "a `)` is missing"),
            ("&& a", "the name of a criterion is missing"),
        ] {
            assert_eq!(text.parse::<Combine>().unwrap_err(), why);
        }
    }
}

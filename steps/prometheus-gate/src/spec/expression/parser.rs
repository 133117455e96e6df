//! From text to an expression, whatever its leaves are.

use crate::spec::expression::tree::Expression;

/// Parentheses and `not` within each other: far more than a person can read, far less than a stack
/// can hold.
const DEEPEST: usize = 50;

const JOINS: &str = "and, &&, or, ||";

/// Reads a whole text, each leaf by `leaf`.
pub(super) fn parse<L>(text: &str, leaf: Leaf<L>) -> Result<Expression<L>, String> {
    let mut words = Words { all: split(text)?, next: 0, depth: 0 };
    let expression = words.either(leaf)?;
    match words.peek() {
        None => Ok(expression),
        Some(Word::Plain(")")) => Err("`)` closes nothing".to_owned()),
        Some(word) => {
            Err(format!("`{}` is not a valid operator; expected one of {JOINS}", word.text()))
        }
    }
}

/// Takes the words of one leaf.
pub(super) type Leaf<L> = fn(&mut Words) -> Result<L, String>;

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Word<'a> {
    Plain(&'a str),
    /// In double quotes: a name, whatever it holds.
    Quoted(&'a str),
}

impl<'a> Word<'a> {
    pub(super) const fn text(self) -> &'a str {
        match self {
            Self::Plain(text) | Self::Quoted(text) => text,
        }
    }

    /// What it names, unless it is a word or a mark of the language.
    pub(super) fn name(self) -> Option<&'a str> {
        match self {
            Self::Quoted(text) => Some(text),
            Self::Plain(text) => is_plain_name(text).then_some(text),
        }
    }
}

/// Whether a name can stand without quotes.
pub(super) fn is_plain_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(in_a_word) && !["and", "or", "not"].contains(&text)
}

/// Names have `-` and numbers a sign: arithmetic is not part of the language.
fn in_a_word(c: char) -> bool {
    !c.is_whitespace() && !"()/<>=!&|\"".contains(c)
}

fn split(text: &str) -> Result<Vec<Word<'_>>, String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => {
                let end = rest[1..].find('"').ok_or("a `\"` is not closed")?;
                words.push(Word::Quoted(&rest[1..=end]));
                rest = rest[end + 2..].trim_start();
                continue;
            }
            _ if ["<=", ">=", "==", "!=", "&&", "||"].iter().any(|mark| rest.starts_with(mark)) => {
                2
            }
            c if in_a_word(c) => rest.find(|c| !in_a_word(c)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        words.push(Word::Plain(&rest[..length]));
        rest = rest[length..].trim_start();
    }
    Ok(words)
}

/// The words of a text, and how far they have been read.
pub(super) struct Words<'a> {
    all: Vec<Word<'a>>,
    next: usize,
    depth: usize,
}

impl<'a> Words<'a> {
    pub(super) fn peek(&self) -> Option<Word<'a>> {
        self.all.get(self.next).copied()
    }

    /// Takes the next word if it is one of these.
    pub(super) fn take(&mut self, wanted: &[&str]) -> bool {
        let found = matches!(self.peek(), Some(Word::Plain(word)) if wanted.contains(&word));
        self.next += usize::from(found);
        found
    }

    /// The next word, which has to be there.
    pub(super) fn word(&mut self, expected: &str) -> Result<Word<'a>, String> {
        let word = self.peek().ok_or_else(|| format!("it ends early; expected {expected}"))?;
        self.next += 1;
        Ok(word)
    }

    fn either<L>(&mut self, leaf: Leaf<L>) -> Result<Expression<L>, String> {
        let first = self.both(leaf)?;
        let mut any = vec![first];
        while self.take(&["or", "||"]) {
            any.push(self.both(leaf)?);
        }
        Ok(one_or(any, Expression::Or))
    }

    fn both<L>(&mut self, leaf: Leaf<L>) -> Result<Expression<L>, String> {
        let first = self.single(leaf)?;
        let mut all = vec![first];
        while self.take(&["and", "&&"]) {
            all.push(self.single(leaf)?);
        }
        Ok(one_or(all, Expression::And))
    }

    fn single<L>(&mut self, leaf: Leaf<L>) -> Result<Expression<L>, String> {
        if self.take(&["not", "!"]) {
            let one = self.deeper(|words| words.single(leaf))?;
            return Ok(Expression::Not(Box::new(one)));
        }
        if self.take(&["("]) {
            let one = self.deeper(|words| words.either(leaf))?;
            return match self.peek() {
                _ if self.take(&[")"]) => Ok(one),
                None => Err("it ends early; expected `)`".to_owned()),
                Some(word) => Err(format!(
                    "`{}` is not a valid operator; expected one of {JOINS}, or `)`",
                    word.text()
                )),
            };
        }
        leaf(self).map(Expression::Leaf)
    }

    fn deeper<T>(
        &mut self,
        inside: impl FnOnce(&mut Self) -> Result<T, String>,
    ) -> Result<T, String> {
        if self.depth == DEEPEST {
            return Err(format!("more than {DEEPEST} parentheses or `not` within each other"));
        }
        self.depth += 1;
        let found = inside(self)?;
        self.depth -= 1;
        Ok(found)
    }
}

fn one_or<L>(
    mut some: Vec<Expression<L>>,
    joined: fn(Vec<Expression<L>>) -> Expression<L>,
) -> Expression<L> {
    match some.pop() {
        Some(only) if some.is_empty() => only,
        last => {
            some.extend(last);
            joined(some)
        }
    }
}

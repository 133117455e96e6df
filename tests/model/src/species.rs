//! What a model names, and how often.

use std::{iter::repeat_n, str::FromStr};

use anyhow::{Context, Result, ensure};

/// No divisor of any number of answers in a turn, so that each of them comes once in it, in no obvious order.
const STRIDE: usize = 61;

/// The answers of one turn, after which they come again: each has exactly its share of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Species(Vec<String>);

impl Species {
    pub(crate) fn of(&self, number: u64) -> &str {
        let turn = self.0.len();
        let place = usize::try_from(number).unwrap_or_default() % turn;
        &self.0[place * STRIDE % turn]
    }
}

impl FromStr for Species {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut turn = Vec::new();
        for each in text.split(',') {
            let (name, times) = each.split_once(':').context("no number of times")?;
            turn.extend(repeat_n(name.to_owned(), times.parse()?));
        }
        ensure!((1..STRIDE).contains(&turn.len()), "1 to {} answers make a turn", STRIDE - 1);
        Ok(Self(turn))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_comes_as_often_as_it_is_to_in_every_turn() {
        let species: Species = "a:4,b:1,c:5".parse().unwrap();
        for first in [0, 10, 330] {
            let turn: Vec<_> = (first..first + 10).map(|number| species.of(number)).collect();
            let times = |name| turn.iter().filter(|each| **each == name).count();
            assert_eq!(["a", "b", "c"].map(times), [4, 1, 5]);
        }
    }

    #[test]
    fn a_turn_has_an_answer_and_not_too_many() {
        for wrong in ["", "a", "a:", "a:0", "a:61", "a:30,b:31"] {
            wrong.parse::<Species>().unwrap_err();
        }
    }
}

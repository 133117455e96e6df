//! The names behind the numbers by which answers are counted.
//!
//! What is counted has a number that is made of its field and its answer, so that a gate, a replay and whoever looks
//! on agree. How many there are is bounded: an answer is what a client may have made a model say.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use crate::series::{Labels, Measure, Revision};

/// Fields that are judged; those of a response are its owner's choice.
pub(crate) const MOST_FIELDS: usize = 20;

/// Answers, or bounds, that are told apart in one field; the counter itself keeps 51 of each process.
const MOST_OF_A_FIELD: usize = 256;

/// What is counted of a field.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) field: String,
    pub(crate) given: Given,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Given {
    Answer(String),
    /// The bits of a bound that numbers are at most.
    AtMost(Bits),
}

/// A number in its own order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bits(pub(crate) f64);

impl Eq for Bits {}

impl PartialOrd for Bits {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Bits {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl Name {
    /// What a series counts, by its labels; nothing where they do not tell.
    pub(crate) fn of(measure: Measure, labels: &Labels) -> Option<Self> {
        let field = labels.get("field")?.clone();
        let given = match measure {
            Measure::Answer => Given::Answer(labels.get("answer").cloned().unwrap_or_default()),
            Measure::Value => {
                let bound: f64 = labels.get("le")?.parse().ok()?;
                // Of 0 and -0 there is one.
                Given::AtMost(Bits(if bound == 0.0 { 0.0 } else { bound }))
            }
            _ => return None,
        };
        Some(Self { field, given })
    }

    /// The number by which it is counted.
    pub(crate) fn key(&self) -> u64 {
        let mut hash = Sha256::new();
        hash.update((self.field.len() as u64).to_be_bytes());
        hash.update(&self.field);
        match &self.given {
            Given::Answer(answer) => {
                hash.update([0]);
                hash.update(answer);
            }
            Given::AtMost(Bits(bound)) => {
                hash.update([1]);
                hash.update(bound.to_bits().to_be_bytes());
            }
        }
        let hash = hash.finalize();
        hash.iter().take(8).fold(0, |key, byte| key << 8 | u64::from(*byte))
    }
}

/// The names that are known, and which side has shown each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    known: BTreeMap<u64, (Name, [bool; 2])>,
    fields: BTreeMap<String, usize>,
    /// Whether there was more than is told apart.
    pub(crate) has_more: bool,
}

impl Names {
    /// Makes the acquaintance of what a point shows, in an order that does not depend on that of its series.
    pub(crate) fn meet(&mut self, shown: &BTreeSet<(&Name, Revision)>) {
        for (name, revision) in shown {
            let key = name.key();
            if let Some((_, sides)) = self.known.get_mut(&key) {
                sides[*revision as usize] = true;
                continue;
            }
            let room = self.fields.len() < MOST_FIELDS;
            let count = match self.fields.get_mut(&name.field) {
                Some(count) => count,
                None if room => self.fields.entry(name.field.clone()).or_default(),
                None => {
                    self.has_more = true;
                    continue;
                }
            };
            if *count >= MOST_OF_A_FIELD {
                self.has_more = true;
                continue;
            }
            *count += 1;
            let mut sides = [false; 2];
            sides[*revision as usize] = true;
            self.known.insert(key, ((*name).clone(), sides));
        }
    }

    pub(crate) fn get(&self, key: u64) -> Option<&Name> {
        self.known.get(&key).map(|(name, _)| name)
    }

    /// The bounds of a field that both sides have, and their numbers, in rising order.
    pub(crate) fn common_bounds(&self, field: &str) -> Vec<(f64, u64)> {
        let bounds = self.known.iter().filter_map(|(key, (name, sides))| match name.given {
            Given::AtMost(Bits(bound)) if name.field == field && *sides == [true; 2] => {
                Some((bound, *key))
            }
            _ => None,
        });
        let mut bounds: Vec<(f64, u64)> = bounds.collect();
        bounds.sort_by(|a, b| a.0.total_cmp(&b.0));
        bounds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(field: &str, answer: &str) -> Name {
        Name { field: field.to_owned(), given: Given::Answer(answer.to_owned()) }
    }

    #[test]
    fn a_name_has_the_same_number_for_ever() {
        // Records have it: another number would be another digest of the same answers.
        assert_eq!(name("/species", "setosa").key(), 5_506_378_281_575_893_067);
        let bound = |field: &str| Name { field: field.to_owned(), given: Given::AtMost(Bits(0.5)) };
        let keys =
            [name("a", "bc"), name("ab", "c"), bound("a"), bound("ab")].map(|name| name.key());
        assert_eq!(BTreeSet::from(keys).len(), 4);
    }

    #[test]
    fn there_is_room_for_so_many_fields_and_answers() {
        let mut names = Names::default();
        let many: Vec<Name> = (0..300).map(|at| name("/a", &at.to_string())).collect();
        names.meet(&many.iter().map(|name| (name, Revision::Canary)).collect());
        assert!(names.has_more);
        assert_eq!(many.iter().filter(|name| names.get(name.key()).is_some()).count(), 256);
        let mut names = Names::default();
        let fields: Vec<Name> = (0..30).map(|at| name(&format!("/{at:02}"), "x")).collect();
        names.meet(&fields.iter().map(|name| (name, Revision::Baseline)).collect());
        let known = |at: usize| names.get(fields[at].key()).is_some();
        assert!(names.has_more && known(0) && known(19) && !known(20));
    }
}

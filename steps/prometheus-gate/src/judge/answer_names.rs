//! The names behind the numbers by which answers are counted.
//!
//! What is counted has a number that is made of its field and its answer, so that a gate, a replay and whoever looks
//! on agree. How many there are is bounded: an answer is what a client may have made a model say.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::series::{Labels, Measure, Revision};

/// Fields that a side may be the first to show; those of a response are its owner's choice.
pub(crate) const MOST_FIELDS: usize = 20;

/// Answers, or bounds, of one field that a side may be the first to show; the counter itself keeps 51 of each process.
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
    /// One or several of either, in one response.
    Any,
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
            Measure::Filled => Given::Any,
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
            Given::Any => hash.update([2]),
        }
        let hash = hash.finalize();
        hash.iter().take(8).fold(0, |key, byte| key << 8 | u64::from(*byte))
    }
}

/// The names that are known, and which side has shown each.
///
/// A side has a room of its own, so that no canary with many fields leaves its baseline's without; and of what comes at
/// once, what was counted most comes first, so that nobody does who sends a few answers of any kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    known: BTreeMap<u64, (Name, [bool; 2])>,
    /// How many names of a field each side was the first to show.
    fields: BTreeMap<String, [usize; 2]>,
    /// The same of fields.
    first_shown: [usize; 2],
    /// Whether there was more than is told apart.
    pub(crate) has_more: bool,
}

impl Names {
    /// Has room for what the past had, before it meets anything.
    pub(crate) fn begin_with(&mut self, past: &Self) {
        if self.known.is_empty() {
            self.clone_from(past);
            self.known.values_mut().for_each(|(_, sides)| *sides = [false; 2]);
        }
    }

    /// Makes the acquaintance of what a point shows, with what its counters have come to, in an order that does not depend
    /// on that of its series.
    pub(crate) fn meet(&mut self, shown: &BTreeMap<(&Name, Revision), f64>) {
        let mut new: Vec<(&Name, usize, f64)> = Vec::new();
        let mut of_field: BTreeMap<&str, f64> = BTreeMap::new();
        for ((name, revision), counted) in shown {
            match self.known.get_mut(&name.key()) {
                Some((_, sides)) => sides[*revision as usize] = true,
                None => new.push((name, *revision as usize, *counted)),
            }
            *of_field.entry(&name.field).or_default() += counted;
        }
        let of_field = |name: &Name| of_field.get(name.field.as_str()).copied().unwrap_or_default();
        new.sort_by(|(a, _, x), (b, _, y)| {
            of_field(b).total_cmp(&of_field(a)).then(a.field.cmp(&b.field)).then(y.total_cmp(x))
        });
        for (name, side, _) in new {
            self.admit(name, side);
        }
    }

    fn admit(&mut self, name: &Name, side: usize) {
        let key = name.key();
        if let Some((_, sides)) = self.known.get_mut(&key) {
            sides[side] = true;
            return;
        }
        let is_new = !self.fields.contains_key(&name.field);
        if is_new && self.first_shown[side] >= MOST_FIELDS {
            self.has_more = true;
            return;
        }
        let count = &mut self.fields.entry(name.field.clone()).or_default()[side];
        if *count >= MOST_OF_A_FIELD {
            self.has_more = true;
            return;
        }
        *count += 1;
        self.first_shown[side] += usize::from(is_new);
        let mut sides = [false; 2];
        sides[side] = true;
        self.known.insert(key, (name.clone(), sides));
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
    use std::collections::BTreeSet;

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

    fn shown(names: &[Name], side: Revision, each: f64) -> BTreeMap<(&Name, Revision), f64> {
        names.iter().map(|name| ((name, side), each)).collect()
    }

    fn fields(many: usize) -> Vec<Name> {
        (0..many).map(|at| name(&format!("/{at:02}"), "x")).collect()
    }

    #[test]
    fn there_is_room_for_so_many_fields_and_answers() {
        let mut names = Names::default();
        let many: Vec<Name> = (0..300).map(|at| name("/a", &at.to_string())).collect();
        names.meet(&shown(&many, Revision::Canary, 1.0));
        assert!(names.has_more);
        assert_eq!(many.iter().filter(|name| names.get(name.key()).is_some()).count(), 256);
        let mut names = Names::default();
        let fields = fields(30);
        names.meet(&shown(&fields, Revision::Baseline, 1.0));
        let known = |at: usize| names.get(fields[at].key()).is_some();
        assert!(names.has_more && known(0) && known(19) && !known(20));
    }

    #[test]
    fn no_other_field_takes_the_room_of_what_the_baseline_answers() {
        let usual = [name("/species", "setosa")];
        let key = usual[0].key();
        let strange = fields(30);
        // Of the canary, at once and before.
        let mut names = Names::default();
        names.meet(&shown(&strange, Revision::Canary, 1000.0));
        names.meet(&shown(&usual, Revision::Baseline, 1.0));
        assert!(names.has_more && names.get(key).is_some());
        // Of whoever sends a few as another version, which is the baseline's.
        let mut names = Names::default();
        let mut all = shown(&strange, Revision::Baseline, 3.0);
        all.extend(shown(&usual, Revision::Baseline, 1000.0));
        names.meet(&all);
        assert!(names.has_more && names.get(key).is_some());
        // Of whoever sends many since the canary came.
        let mut past = Names::default();
        past.meet(&shown(&usual, Revision::Baseline, 1.0));
        let mut names = Names::default();
        names.begin_with(&past);
        names.meet(&shown(&strange, Revision::Baseline, 1000.0));
        assert!(names.has_more && names.get(key).is_some());
    }
}

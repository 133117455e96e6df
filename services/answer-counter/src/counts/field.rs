//! The answers or the buckets that a field has. All versions of a service share them, so that the same answer
//! is the same series for each.

use std::collections::HashMap;

use crate::answers::Answer;

/// Of a field of a service, shared by its versions; what else is answered is [`OTHER`].
pub const MOST_ANSWERS: usize = 50;
pub const OTHER: &str = "other";

#[derive(Debug)]
pub(crate) struct Field {
    name: Box<str>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// The first answers, and the place of each
    Categories { names: Vec<Box<str>>, places: HashMap<Box<str>, usize> },
    /// Upper bounds, without the infinite one
    Numbers(Box<[f64]>),
}

/// What one version has answered in a field
#[derive(Debug)]
pub(crate) struct Tally {
    /// How many events had an answer in it, and the newest of those
    events: u64,
    newest: u64,
    answers: Answers,
}

#[derive(Debug)]
enum Answers {
    /// Of each answer in the order of the field, and of all others
    Categories { known: Vec<u64>, other: u64 },
    /// Of each bucket by itself, the infinite one with them
    Numbers { buckets: Vec<u64>, sum: f64 },
}

impl Field {
    pub(super) fn new(name: &str, first: Answer<'_>) -> Self {
        let kind = match first {
            Answer::Category(_) => Kind::Categories { names: Vec::new(), places: HashMap::new() },
            Answer::Number(_, bounds) => Kind::Numbers(bounds.into()),
        };
        Self { name: name.into(), kind }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Those that a version has of it whatever it answers
    pub(super) fn series_of_its_own(&self) -> usize {
        match &self.kind {
            Kind::Categories { .. } => 2, // of its events, and of all other answers
            Kind::Numbers(bounds) => bounds.len() + 4,
        }
    }

    pub(super) fn tally(&self) -> Tally {
        let answers = match &self.kind {
            Kind::Categories { .. } => Answers::Categories { known: Vec::new(), other: 0 },
            Kind::Numbers(bounds) => {
                Answers::Numbers { buckets: vec![0; bounds.len() + 1], sum: 0.0 }
            }
        };
        Tally { events: 0, newest: 0, answers }
    }

    /// The place of an answer that is known, or that there is room to know.
    fn place(&mut self, answer: &str) -> Option<usize> {
        let Kind::Categories { names, places } = &mut self.kind else { return None };
        if let Some(place) = places.get(answer) {
            return Some(*place);
        }
        if names.len() == MOST_ANSWERS || answer == OTHER {
            return None;
        }
        names.push(answer.into());
        places.insert(answer.into(), names.len() - 1);
        Some(names.len() - 1)
    }

    /// Each answer that a version gave, and how often
    pub(crate) fn answers<'c>(&'c self, tally: &'c Tally) -> Vec<(&'c str, u64)> {
        let (Kind::Categories { names, .. }, Answers::Categories { known, other }) =
            (&self.kind, &tally.answers)
        else {
            return Vec::new();
        };
        let known = names.iter().map(|name| &**name).zip(known.iter().copied());
        known.chain([(OTHER, *other)]).filter(|(_, many)| *many > 0).collect()
    }

    /// Upper bounds, how many numbers are in each bucket, and their sum
    pub(crate) fn numbers<'c>(&'c self, tally: &'c Tally) -> Option<(&'c [f64], &'c [u64], f64)> {
        match (&self.kind, &tally.answers) {
            (Kind::Numbers(bounds), Answers::Numbers { buckets, sum }) => {
                Some((bounds, buckets, *sum))
            }
            _ => None,
        }
    }
}

impl Tally {
    /// How many events had an answer in the field, however many it was
    pub(crate) const fn events(&self) -> u64 {
        self.events
    }

    /// Counts an answer of an event. `room` is asked for a series that the version does not have yet: without
    /// it, an answer is one of the others.
    pub(super) fn add(
        &mut self,
        field: &mut Field,
        answer: Answer<'_>,
        event: u64,
        mut room: impl FnMut(usize) -> bool,
    ) {
        self.events += u64::from(self.newest != event);
        self.newest = event;
        match (&mut self.answers, answer) {
            (Answers::Categories { known, other }, Answer::Category(text)) => {
                let place = field
                    .place(text)
                    .filter(|place| known.get(*place).is_some_and(|many| *many > 0) || room(1));
                match place {
                    Some(place) => {
                        if known.len() <= place {
                            known.resize(place + 1, 0);
                        }
                        known[place] += 1;
                    }
                    None => *other += 1,
                }
            }
            (Answers::Numbers { buckets, sum }, Answer::Number(number, bounds)) => {
                let bucket = bounds.partition_point(|bound| *bound < number);
                if let Some(many) = buckets.get_mut(bucket) {
                    *many += 1;
                    let larger = *sum + number;
                    *sum = if larger.is_finite() { larger } else { *sum };
                }
            }
            // A config is read once, so a field is what it was.
            _ => {}
        }
    }
}

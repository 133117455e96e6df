//! How often each answer was given, by version: as much as there is room for, and of nobody more than a third
//! of that.
//!
//! - `field`: the answers or the buckets that a field has, shared by all versions of a service
//! - `series`: how many series there may be, and who has brought them
//! - this file: services and their versions

mod field;
mod series;

use std::{
    collections::BTreeMap,
    net::IpAddr,
    ops::Bound,
    time::{Duration, Instant},
};

use self::{
    field::{Field, Tally},
    series::Series,
};
pub use self::{
    field::{MOST_ANSWERS, OTHER},
    series::MOST_SERIES,
};
use crate::{answers::Answer, config::MOST_FIELDS};

/// Series of a new version for which room is made, besides those of its events
const USUAL_ANSWERS: usize = MOST_ANSWERS + 2;
/// A version that no event has come for within this time makes room where there is none.
const FORGOTTEN_AFTER: Duration = Duration::from_hours(24);

/// What became of an event
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Taken,
    Dropped,
    Unreadable,
}

impl Outcome {
    pub const ALL: [(Self, &str); 3] =
        [(Self::Taken, "taken"), (Self::Dropped, "dropped"), (Self::Unreadable, "unreadable")];
}

/// Whose answers they are
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub namespace: Box<str>,
    pub service: Box<str>,
    pub version: Box<str>,
}

/// Namespace and name of a service
pub(crate) type Names = (Box<str>, Box<str>);

#[derive(Debug, Default)]
pub struct Counts {
    services: BTreeMap<Names, Service>,
    series: Series,
    /// Before this time there is no version to forget.
    none_forgotten_before: Option<Instant>,
}

#[derive(Debug, Default)]
pub(crate) struct Service {
    fields: Vec<Field>,
    versions: BTreeMap<Box<str>, Version>,
}

#[derive(Debug)]
pub(crate) struct Version {
    events: [u64; Outcome::ALL.len()],
    /// How many times it was counted for, which tells an event from the next
    counted: u64,
    /// As many as the service has fields, or fewer
    tallies: Vec<Option<Tally>>,
    seen: Instant,
    /// Who has brought it, and how many series it has
    from: IpAddr,
    series: usize,
}

/// A version while its answers are counted
pub struct Counting<'c> {
    fields: &'c mut Vec<Field>,
    version: &'c mut Version,
    series: &'c mut Series,
    /// Whether an answer found no room for its series
    pub lacks_room: bool,
}

impl Counts {
    /// The version to count for; nothing where there is no room for one more.
    pub fn version(&mut self, place: &Place, from: IpAddr, now: Instant) -> Option<Counting<'_>> {
        if !self.knows(place) {
            self.make_room(Outcome::ALL.len() + USUAL_ANSWERS, now);
            if !self.series.take(from, Outcome::ALL.len()) {
                return None;
            }
        }
        let Self { services, series, .. } = self;
        let names = (place.namespace.clone(), place.service.clone());
        let Service { fields, versions } = services.entry(names).or_default();
        let version = versions.entry(place.version.clone()).or_insert_with(|| Version {
            events: Default::default(),
            counted: 0,
            tallies: Vec::new(),
            seen: now,
            from,
            series: Outcome::ALL.len(),
        });
        version.seen = now;
        version.counted += 1;
        Some(Counting { fields, version, series, lacks_room: false })
    }

    /// How many series there are
    pub fn series(&self) -> usize {
        self.series.all()
    }

    /// The service after this one, in order; the first one after none.
    pub(crate) fn next(&self, after: Option<&Names>) -> Option<(&Names, &Service)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.services.range::<Names, _>((from, Bound::Unbounded)).next()
    }

    fn knows(&self, place: &Place) -> bool {
        let names = (place.namespace.clone(), place.service.clone());
        self.services.get(&names).is_some_and(|known| known.versions.contains_key(&place.version))
    }

    /// Forgets the versions that were seen least lately, if that is long ago, until this many series fit.
    fn make_room(&mut self, wanted: usize, now: Instant) {
        while !self.series.has_room(wanted)
            && self.none_forgotten_before.is_none_or(|time| time <= now)
        {
            let all = self.services.iter().flat_map(|(names, known)| {
                known.versions.iter().map(move |(version, found)| (found.seen, names, version))
            });
            let oldest = all.min_by_key(|(seen, ..)| *seen);
            let Some((seen, names, version)) = oldest else { return };
            if now.saturating_duration_since(seen) < FORGOTTEN_AFTER {
                self.none_forgotten_before = Some(seen + FORGOTTEN_AFTER);
                return;
            }
            let (names, version) = (names.clone(), version.clone());
            self.forget(&names, &version);
        }
    }

    fn forget(&mut self, names: &Names, version: &str) {
        let Some(service) = self.services.get_mut(names) else { return };
        if let Some(version) = service.versions.remove(version) {
            self.series.give_back(version.from, version.series);
        }
        if service.versions.is_empty() {
            self.services.remove(names);
        }
    }
}

impl Counting<'_> {
    pub fn event(&mut self, outcome: Outcome) {
        self.events(outcome, 1);
    }

    pub fn events(&mut self, outcome: Outcome, many: u64) {
        self.version.events[outcome as usize] += many;
    }

    pub fn answer(&mut self, field: &str, answer: Answer<'_>) {
        let Some(at) = self.field(field, answer) else { return };
        let Self { fields, version, series, lacks_room } = self;
        let mut room = |wanted| {
            let has = series.take(version.from, wanted);
            version.series += if has { wanted } else { 0 };
            *lacks_room |= !has;
            has
        };
        if version.tallies.len() <= at {
            version.tallies.resize_with(at + 1, || None);
        }
        let Some(field) = fields.get_mut(at) else { return };
        if version.tallies[at].is_none() && room(field.series_of_its_own()) {
            version.tallies[at] = Some(field.tally());
        }
        if let Some(tally) = &mut version.tallies[at] {
            tally.add(field, answer, version.counted, room);
        }
    }

    /// The field's place among those of the service; nothing if there are too many.
    fn field(&mut self, name: &str, answer: Answer<'_>) -> Option<usize> {
        if let Some(at) = self.fields.iter().position(|field| field.name() == name) {
            return Some(at);
        }
        if self.fields.len() == MOST_FIELDS {
            return None;
        }
        self.fields.push(Field::new(name, answer));
        Some(self.fields.len() - 1)
    }
}

impl Service {
    pub(crate) fn versions(&self) -> impl Iterator<Item = (&str, &Version)> {
        self.versions.iter().map(|(name, version)| (&**name, version))
    }

    /// The fields of a version that have any answer
    pub(crate) fn tallies<'c>(
        &'c self,
        version: &'c Version,
    ) -> impl Iterator<Item = (&'c Field, &'c Tally)> {
        let all = self.fields.iter().zip(&version.tallies);
        all.filter_map(|(field, tally)| Some((field, tally.as_ref()?)))
    }
}

impl Version {
    pub(crate) fn events(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Outcome::ALL.into_iter().map(|(outcome, name)| (name, self.events[outcome as usize]))
    }
}

#[cfg(test)]
mod tests;

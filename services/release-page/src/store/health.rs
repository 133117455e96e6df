//! Whether what is known of the store is all that there is.

use jiff::Timestamp;

use crate::known::Source;

/// Of the bentos, and of what is kept of releases
#[derive(Debug)]
pub(crate) struct Health {
    bentos: Source,
    releases: Source,
    /// That there are more bentos than are looked at
    has_more: bool,
}

/// One of the two
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Bentos,
    Releases,
}

impl Health {
    pub(super) fn new(has_bentos: bool, has_releases: bool) -> Self {
        let source = |is_there| if is_there { Source::Loading } else { Source::Absent };
        Self { bentos: source(has_bentos), releases: source(has_releases), has_more: false }
    }

    /// Notes that all was read, and says whether that is new.
    pub(super) fn current(&mut self, part: Part) -> bool {
        let before = std::mem::replace(self.part(part), Source::Current);
        if matches!(before, Source::Away { .. }) {
            tracing::info!("the store answers again");
        }
        before != Source::Current
    }

    /// Notes that it could not be read, and says whether that is new.
    pub(super) fn away(&mut self, part: Part, error: &str, now: Timestamp) -> bool {
        let source = self.part(part);
        if matches!(source, Source::Away { .. }) {
            return false;
        }
        tracing::warn!("{error}; what was read before is shown");
        *source = Source::Away { since: now, error: error.to_owned() };
        true
    }

    /// Notes whether there are more bentos than are looked at.
    pub(super) fn more(&mut self, has_more: bool) -> bool {
        let is_new = self.has_more != has_more;
        if has_more && is_new {
            tracing::warn!("{MORE}");
        }
        self.has_more = has_more;
        is_new
    }

    /// Of both together
    pub(crate) fn source(&self) -> Source {
        match (&self.bentos, &self.releases) {
            (Source::Away { since, .. }, Source::Away { since: other, .. }) if other < since => {
                self.releases.clone()
            }
            (away @ Source::Away { .. }, _) | (_, away @ Source::Away { .. }) => away.clone(),
            (Source::Loading, _) | (_, Source::Loading) => Source::Loading,
            (Source::Absent, Source::Absent) => Source::Absent,
            _ => Source::Current,
        }
    }

    pub(crate) fn missing_sentences(&self) -> impl Iterator<Item = &'static str> {
        self.has_more.then_some(MORE).into_iter()
    }

    fn part(&mut self, part: Part) -> &mut Source {
        match part {
            Part::Bentos => &mut self.bentos,
            Part::Releases => &mut self.releases,
        }
    }
}

const MORE: &str =
    "the store has more objects than are looked at for bentos, so that some are not shown";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_is_away_when_a_part_of_it_is_since_the_first_one_was() {
        let mut health = Health::new(true, true);
        assert_eq!(health.source(), Source::Loading);
        assert!(health.current(Part::Bentos));
        assert_eq!(health.source(), Source::Loading);
        assert!(health.current(Part::Releases) && !health.current(Part::Releases));
        assert_eq!(health.source(), Source::Current);
        let [first, second] = [Timestamp::UNIX_EPOCH, Timestamp::MAX];
        let away = |error: &str, since| Source::Away { since, error: error.into() };
        assert!(health.away(Part::Bentos, "b", second) && !health.away(Part::Bentos, "c", first));
        assert_eq!(health.source(), away("b", second));
        assert!(health.away(Part::Releases, "r", first));
        assert_eq!(health.source(), away("r", first));
        assert!(health.current(Part::Releases));
        assert_eq!(health.source(), away("b", second));
    }

    #[test]
    fn a_part_that_was_not_asked_for_is_waited_for_by_nobody() {
        assert_eq!(Health::new(false, false).source(), Source::Absent);
        let mut health = Health::new(false, true);
        assert_eq!(health.source(), Source::Loading);
        health.current(Part::Releases);
        assert_eq!(health.source(), Source::Current);
    }
}

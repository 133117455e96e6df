//! Whether what is known of the cluster is all that there is.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::known::Source;

/// What is watched: a resource by its plural name, and the namespace, or none for all
pub(super) type Watched = (&'static str, Option<String>);

/// How each watch does.
#[derive(Debug, Default)]
pub(crate) struct Health {
    watches: BTreeMap<Watched, WatchHealth>,
    is_away: bool,
}

#[derive(Debug, Default)]
struct WatchHealth {
    /// All objects were there once
    is_listed: bool,
    trouble: Option<Trouble>,
}

#[derive(Debug, PartialEq, Eq)]
enum Trouble {
    /// It may be there again at any time
    Away { since: Timestamp, error: String },
    /// Somebody has to do something: why it is not shown
    Missing(String),
}

impl Health {
    /// Something is to be watched.
    pub(super) fn expect(&mut self, watched: &Watched) {
        self.watches.entry(watched.clone()).or_default();
    }

    /// The API server has answered what was asked for a watch. Whether anything that is shown has changed.
    pub(super) fn answered(&mut self, resource: &str, namespace: Option<&str>) -> bool {
        let is_of = |watched: &Watched| watched.0 == resource && watched.1.as_deref() == namespace;
        let found = self.watches.iter_mut().find(|(watched, _)| is_of(watched));
        let Some((_, watch)) = found else { return false };
        let had_trouble = watch.trouble.take().is_some();
        if self.is_away && !matches!(self.source(), Source::Away { .. }) {
            self.is_away = false;
            tracing::info!("the API server answers again");
        }
        had_trouble
    }

    /// All its objects are there.
    pub(super) fn listed(&mut self, watched: &Watched) -> bool {
        let watch = self.watches.entry(watched.clone()).or_default();
        !std::mem::replace(&mut watch.is_listed, true)
    }

    /// It was not answered, or by a fault that may pass.
    pub(super) fn away(&mut self, watched: &Watched, error: String, now: Timestamp) -> bool {
        let watch = self.watches.entry(watched.clone()).or_default();
        if matches!(&watch.trouble, Some(Trouble::Away { .. })) {
            return false;
        }
        if !std::mem::replace(&mut self.is_away, true) {
            tracing::warn!(
                "failed to watch {} of {}, so what was read before is shown: {error}",
                watched.0,
                scope(watched)
            );
        }
        watch.trouble = Some(Trouble::Away { since: now, error });
        true
    }

    /// It may not be read, or is not there: `why` is a sentence without its subject.
    pub(super) fn missing(&mut self, watched: &Watched, why: &str) -> bool {
        let told = format!("{} of {} are not shown: {why}", watched.0, scope(watched));
        let watch = self.watches.entry(watched.clone()).or_default();
        let trouble = Some(Trouble::Missing(told.clone()));
        if watch.trouble == trouble {
            return false;
        }
        tracing::warn!("{told}");
        watch.trouble = trouble;
        true
    }

    /// Of all watches together
    pub(crate) fn source(&self) -> Source {
        let away = self.watches.values().filter_map(|watch| match &watch.trouble {
            Some(Trouble::Away { since, error }) => Some((*since, error)),
            _ => None,
        });
        if let Some((since, error)) = away.min() {
            return Source::Away { since, error: error.clone() };
        }
        let is_there = |watch: &WatchHealth| watch.is_listed || watch.trouble.is_some();
        if self.watches.values().all(is_there) { Source::Current } else { Source::Loading }
    }

    /// Whether no more of a resource will come by itself: all is there, or cannot be read
    pub(crate) fn is_settled(&self, resource: &str) -> bool {
        let mut watches = self.watches.iter().filter(|((of, _), _)| *of == resource);
        watches.all(|(_, watch)| watch.is_listed || watch.trouble.is_some())
    }

    /// What is not shown, each a sentence
    pub(crate) fn missing_sentences(&self) -> impl Iterator<Item = &str> {
        self.watches.values().filter_map(|watch| match &watch.trouble {
            Some(Trouble::Missing(told)) => Some(told.as_str()),
            _ => None,
        })
    }
}

fn scope((_, namespace): &Watched) -> String {
    match namespace {
        Some(namespace) => format!("namespace `{namespace}`"),
        None => "all namespaces".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_watch_without_an_answer_is_a_server_that_is_away_until_that_one_is_answered() {
        let mut health = Health::default();
        let (runs, leases) = (("pipelineruns", Some("a".to_owned())), ("leases", None));
        for watched in [&runs, &leases] {
            health.expect(watched);
        }
        assert_eq!(health.source(), Source::Loading);
        assert!(health.listed(&runs) && health.listed(&leases));
        assert_eq!(health.source(), Source::Current);
        let [first, second] = [Timestamp::UNIX_EPOCH, Timestamp::MAX];
        assert!(health.away(&leases, "refused".into(), first));
        assert!(health.away(&runs, "late".into(), second));
        assert!(!health.away(&leases, "again".into(), second));
        let away = |error: &str, since| Source::Away { since, error: error.into() };
        assert_eq!(health.source(), away("refused", first));
        assert!(health.answered("leases", None));
        assert_eq!(health.source(), away("late", second));
        assert!(!health.answered("pipelineruns", None), "of other namespaces");
        assert!(health.answered("pipelineruns", Some("a")));
        assert!(!health.answered("pipelineruns", Some("a")));
        assert_eq!(health.source(), Source::Current);
    }

    #[test]
    fn what_may_not_be_read_holds_up_nothing_and_is_told() {
        let mut health = Health::default();
        let (services, revisions) = (("inferenceservices", None), ("revisions", Some("a".into())));
        health.expect(&services);
        health.expect(&revisions);
        assert!(
            health.missing(&revisions, "forbidden") && !health.missing(&revisions, "forbidden")
        );
        assert_eq!(health.source(), Source::Loading);
        health.listed(&services);
        assert_eq!(health.source(), Source::Current);
        let told: Vec<_> = health.missing_sentences().collect();
        assert_eq!(told, ["revisions of namespace `a` are not shown: forbidden"]);
        health.answered("revisions", Some("a"));
        assert_eq!(health.missing_sentences().count(), 0);
    }
}

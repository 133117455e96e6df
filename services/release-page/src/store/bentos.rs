//! Which bentos there are, and what they say of themselves: listed each minute, and looked into when they are new.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashSet},
    pin::pin,
    sync::Arc,
};

use anyhow::{Result, anyhow, ensure};
use bento_retrieve::{
    bento::{Details, PeekError, store_layout::StoredArchive},
    listing::{ListedBento, comparable, list_archives, read_manifests},
    source::SourceError,
};
use futures::StreamExt as _;
use jiff::Timestamp;
use step::{chain, text::short};
use tokio::time::{sleep, timeout};

use super::{
    health::{Health, Part},
    place::{AWAY_EVERY, EVERY, LONGEST, Place, RETRIES, ROUND},
};
use crate::{known::Bento, shared::Shared};

/// Archives that are looked into at once. Each may take 8 MiB for a moment.
const AT_ONCE: usize = 2;
/// Archives after which those that were read are shown
const SHOWN_AFTER: usize = 50;
/// Reads in a row that the store does not answer, before the rest is left for the next time
const UNANSWERED: usize = 4;
/// What a manifest says in a word, and in labels, in characters
const WORD: usize = 200;
const LABELS: usize = 50;

/// The archives of the store, by their keys
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    archives: BTreeMap<String, Archive>,
    /// Newest first
    shown: Arc<Vec<Arc<Bento>>>,
}

#[derive(Debug)]
struct Archive {
    size: u64,
    modified: String,
    bento: Arc<Bento>,
    /// Whether another look would not find anything else
    is_settled: bool,
}

impl Shelf {
    /// Newest first
    pub(crate) fn bentos(&self) -> Arc<Vec<Arc<Bento>>> {
        Arc::clone(&self.shown)
    }

    /// The key of a bento's archive
    pub(super) fn key(&self, name: &str, version: &str) -> Option<String> {
        let is_it =
            |archive: &Archive| archive.bento.name == name && archive.bento.version == version;
        self.archives.iter().find(|(_, archive)| is_it(archive)).map(|(key, _)| key.clone())
    }

    /// Removes what the store has no more. Gives back what has to be looked into.
    fn update(&mut self, listed: Vec<StoredArchive>) -> Vec<StoredArchive> {
        let keys: HashSet<&str> =
            listed.iter().map(|archive| archive.object.key.as_str()).collect();
        self.archives.retain(|key, _| keys.contains(key.as_str()));
        let is_known = |archive: &StoredArchive| {
            self.archives.get(&archive.object.key).is_some_and(|known| {
                known.is_settled && known.size == archive.size && known.modified == archive.modified
            })
        };
        listed.into_iter().filter(|archive| !is_known(archive)).collect()
    }

    fn put(&mut self, archive: &StoredArchive, found: Found) {
        let (bento, is_settled) = match found {
            Found::Bento(bento) => (bento, true),
            Found::Broken(error) => (unread(archive, error), true),
            Found::NoAnswer(error) => (unread(archive, error), false),
            Found::Nothing => {
                self.archives.remove(&archive.object.key);
                return;
            }
        };
        let (size, modified) = (archive.size, archive.modified.clone());
        let of = Archive { size, modified, bento: Arc::new(bento), is_settled };
        self.archives.insert(archive.object.key.clone(), of);
    }

    /// Puts what was read into order, so that it is shown; says whether that is anything new.
    fn sort(&mut self) -> bool {
        let mut shown: Vec<_> =
            self.archives.values().map(|archive| Arc::clone(&archive.bento)).collect();
        shown.sort_by_cached_key(|bento| Reverse((comparable(&bento.created), bento.url.clone())));
        let before = std::mem::replace(&mut self.shown, Arc::new(shown));
        before != self.shown
    }
}

/// Reads each minute, until the runtime ends.
pub(super) async fn read_again(place: Arc<Place>, shelf: Shared<Shelf>, health: Shared<Health>) {
    loop {
        let late =
            |_| Err(anyhow!("failed to read the store's bentos within {} s", ROUND.as_secs()));
        let read = timeout(ROUND, read(&place, &shelf, &health)).await.unwrap_or_else(late);
        let wait = match read {
            Ok(()) => {
                health.change(|health| health.current(Part::Bentos));
                EVERY
            }
            Err(error) => {
                let error = short(&chain(error.as_ref()), LONGEST);
                health.change(|health| health.away(Part::Bentos, &error, Timestamp::now()));
                AWAY_EVERY
            }
        };
        sleep(wait).await;
    }
}

async fn read(place: &Place, shelf: &Shared<Shelf>, health: &Shared<Health>) -> Result<()> {
    let store = place.store().await;
    place.counts.store_request();
    let (listed, has_more) = list_archives(store, None, RETRIES).await?;
    health.change(|health| health.more(has_more));
    let new = shelf.with(|shelf| shelf.update(listed));
    let (mut read, mut unanswered) = (0, 0);
    let mut manifests = pin!(read_manifests(new, AT_ONCE, RETRIES));
    while let Some(listed) = manifests.next().await {
        place.counts.store_request();
        let found = Found::of(&listed);
        unanswered = if matches!(found, Found::NoAnswer(_)) { unanswered + 1 } else { 0 };
        if unanswered == UNANSWERED {
            break;
        }
        shelf.with(|shelf| shelf.put(&listed.archive, found));
        read += 1;
        if read % SHOWN_AFTER == 0 {
            shelf.change(Shelf::sort);
        }
    }
    shelf.change(Shelf::sort);
    ensure!(
        unanswered < UNANSWERED,
        "the store lists its bentos, but does not answer when they are read"
    );
    Ok(())
}

/// What came of a look into an archive
enum Found {
    Bento(Bento),
    /// Nothing that says what it is; it stays so
    Broken(String),
    /// It may be another time
    NoAnswer(String),
    /// It was deleted after it was listed
    Nothing,
}

impl Found {
    fn of(listed: &ListedBento) -> Self {
        let error = match &listed.details {
            Ok(details) => return Self::Bento(bento(listed, details)),
            Err(error) => error,
        };
        let text = short(&chain(error.as_ref()), LONGEST);
        match error.downcast_ref() {
            Some(PeekError::Source(SourceError::NoObject)) => Self::Nothing,
            Some(PeekError::Source(_)) => Self::NoAnswer(text),
            _ => Self::Broken(text),
        }
    }
}

fn bento(listed: &ListedBento, details: &Details) -> Bento {
    let word = |text: &str| short(text, WORD);
    let labels = details.labels.iter().take(LABELS);
    Bento {
        name: details.name.clone(),
        version: details.version.clone(),
        created: word(listed.created()),
        bytes: listed.archive.size,
        framework: word(&details.framework),
        labels: labels.map(|(name, value)| (word(name), word(value))).collect(),
        url: word(&listed.archive.object.to_string()),
        error: None,
    }
}

/// One of which no more is known than that it is there.
fn unread(archive: &StoredArchive, error: String) -> Bento {
    let (name, version) = archive.named();
    Bento {
        name: short(name, WORD),
        version: short(version, WORD),
        created: archive.modified.clone(),
        bytes: archive.size,
        url: short(&archive.object.to_string(), WORD),
        error: Some(error),
        ..Bento::default()
    }
}

//! Lists what comes, and hands it to layers as soon as the environment is known.

use std::{mem, sync::Arc};

use bento_retrieve::archive::{ArchiveError, Contents, Last, Sink};
use sha2::{Digest as _, Sha256};
use step::text::hex;

use crate::{
    bento_files::{Generation, below, root},
    pass::{
        error::PassError,
        layers::{FinishedLayer, Layers, Missed},
        learnt::{Known, Learnt},
        shared::Shared,
    },
    planner::{Layered, Plan},
    recipe::{Entry, Listing},
    waiting::Waiting,
};

/// Bytes of a file that is kept in memory; no Dockerfile, manifest or list of requirements is larger.
const KEPT_FILE: u64 = 1 << 20;
/// Bytes of all files that are kept.
const KEPT: usize = 4 << 20;
/// Directories of a bento that its archive has last: BentoML sorts them.
const LATE: [&str; 2] = ["models", "src"];
/// Bytes of a file's contents that are read at once.
const CHUNK: usize = 128 << 10;

/// How a reading ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It is no bento: whoever judges it says why
    NoBento(Listing),
    /// All is listed, and this is how the image is made
    Planned { root: String, listing: Listing, plan: Plan },
    /// All is in layers
    Layers { listing: Listing, layered: Layered, layers: Vec<FinishedLayer> },
    /// Another reading will do, with what is known now, and why this one does not
    Again(Learnt, String),
}

/// A reading.
pub(crate) struct Pass {
    shared: Arc<Shared>,
    waiting: Waiting,
    learnt: Learnt,
    /// Paths as the archive has them
    listing: Listing,
    /// Bytes of the texts in it
    kept: usize,
    state: State,
}

enum State {
    /// All so far is kept in memory, until a file comes that is not to be
    Gathering(Vec<String>),
    Listing,
    Layers(Layered, Box<Layers>),
}

impl Pass {
    pub(crate) fn new(shared: Arc<Shared>, waiting: Waiting, learnt: Learnt) -> Self {
        let (listing, state) = (Listing::default(), State::Gathering(Vec::new()));
        Self { shared, waiting, learnt, listing, kept: 0, state }
    }

    /// Only a list, whatever comes.
    pub(crate) fn listing(shared: Arc<Shared>, waiting: Waiting) -> Self {
        Self { state: State::Listing, ..Self::new(shared, waiting, Learnt::default()) }
    }

    /// Goes over to layers if what is known suffices, or else to a mere list.
    fn decide(&mut self) -> Result<(), PassError> {
        let State::Gathering(gathered) = &mut self.state else { return Ok(()) };
        let gathered = mem::take(gathered);
        self.state = State::Listing;
        let Some((layered, mut layers)) = self.layers()? else { return Ok(()) };
        for path in &gathered {
            let Some(inner) = self.inner(path) else { continue };
            match self.listing.entries.get(path) {
                Some(Entry::File { executable, size, .. }) => {
                    layers.begin(inner, *executable, *size)?;
                    layers.write(self.listing.texts.get(path).map_or(&[], Vec::as_slice))?;
                }
                _ => layers.directory(inner)?,
            }
        }
        self.state = State::Layers(layered, Box::new(layers));
        Ok(())
    }

    /// Layers onto the environment, if it is known and there.
    fn layers(&self) -> Result<Option<(Layered, Layers)>, PassError> {
        let (layered, listing) = match &self.learnt.plan {
            Some(known) => (known.layered.clone(), &*known.listing),
            // In 0.x everything lies in a folder whose name nobody knows before the end.
            None if Generation::of(&self.listing) != Some(Generation::Modern) => return Ok(None),
            None => {
                let dockerfile = Generation::Modern.dockerfile();
                if !self.listing.entries.contains_key(dockerfile) {
                    return Ok(None);
                }
                let Shared { planner, stops_early, .. } = &*self.shared;
                match planner.plan_so_far(&self.waiting, &self.listing, dockerfile)? {
                    Plan::Whole(whole) if *stops_early => return Err(PassError::Whole(whole)),
                    Plan::Whole(_) => return Ok(None),
                    // Its key covers what is yet to come.
                    Plan::Layered(layered)
                        if LATE.iter().any(|top| layered.recipe.may_need_below(top)) =>
                    {
                        return Ok(None);
                    }
                    Plan::Layered(layered) => (layered, &self.listing),
                }
            }
        };
        let Some(environment) = layered.environment().cloned() else { return Ok(None) };
        let layers =
            Layers::open(&self.shared, &self.waiting, &environment, listing, &self.learnt)?;
        Ok(layers.map(|layers| (layered, layers)))
    }

    /// A path of the archive as one of the bento. The folder that everything lies in has none.
    fn inner<'a>(&self, path: &'a str) -> Option<&'a str> {
        path.strip_prefix(self.learnt.plan.as_ref().map_or("", |known| &known.root))
    }

    /// Reads a file once, for the list and for all else that wants it.
    fn read(
        &mut self,
        path: &str,
        executable: bool,
        contents: &mut Contents,
    ) -> Result<(), ArchiveError> {
        let size = contents.size();
        let is_kept = self.is_kept(path, size);
        let inner = self.inner(path).unwrap_or_default().to_owned();
        let is_hashed = self.learnt.hashes_all || self.is_needed(&inner);
        if let State::Layers(_, layers) = &mut self.state {
            layers.begin(&inner, executable, size)?;
        }
        let (mut text, mut sha256) = (Vec::new(), Sha256::new());
        let mut buffer = vec![0; usize::try_from(size).unwrap_or(CHUNK).clamp(1, CHUNK)];
        loop {
            let count = contents.fill(&mut buffer)?;
            let chunk = &buffer[..count];
            if count == 0 {
                break;
            }
            if is_hashed {
                sha256.update(chunk);
            }
            if is_kept {
                text.extend_from_slice(chunk);
            }
            if let State::Layers(_, layers) = &mut self.state {
                layers.write(chunk).map_err(PassError::from)?;
            }
        }
        if is_kept {
            self.kept += text.len();
            self.listing.texts.insert(path.to_owned(), text);
        }
        let sha256 = if is_hashed { hex(&sha256.finalize()) } else { String::new() };
        self.listing.entries.insert(path.to_owned(), Entry::File { executable, size, sha256 });
        Ok(())
    }

    /// Whether the key may rest on what a file holds. To hash gigabytes of weights for nothing takes its time.
    fn is_needed(&self, inner: &str) -> bool {
        !matches!(&self.state, State::Layers(layered, _) if !layered.recipe.needs(inner))
    }

    /// Whether the key rests on a hard link to a file that was not hashed.
    fn lacks_a_hash(&self, last: &Last) -> bool {
        let is_unhashed = |path: &String| {
            let entry = self.listing.entries.get(path);
            matches!(entry, Some(Entry::File { sha256, .. }) if sha256.is_empty())
        };
        let mut copies = last.copies.iter();
        copies.any(|(from, to)| is_unhashed(from) && self.is_needed(self.inner(to).unwrap_or(to)))
    }

    /// Whether a file may be wanted later: of models only what tells their time.
    fn is_kept(&self, path: &str, size: u64) -> bool {
        let depth = path.matches('/').count();
        let is_model = path.starts_with("models/") && depth > 2 && !path.ends_with("/model.yaml");
        let room = KEPT - self.kept.min(KEPT);
        !is_model && size <= KEPT_FILE && usize::try_from(size).is_ok_and(|size| size <= room)
    }

    /// What has become of it.
    fn end(mut self, last: &Last) -> Result<Ended, PassError> {
        self.decide()?; // if nothing in it was large
        if self.lacks_a_hash(last) {
            let learnt = Learnt { hashes_all: true, ..self.learnt };
            return Ok(Ended::Again(learnt, "its environment needs a hard link's file".into()));
        }
        for (from, to) in &last.copies {
            if let Some(same) = self.listing.entries.get(from).cloned() {
                self.listing.entries.insert(to.clone(), same);
            }
            if let Some(same) = self.listing.texts.get(from).cloned() {
                self.listing.texts.insert(to.clone(), same);
            }
        }
        for (path, target) in &last.links {
            self.listing.entries.insert(path.clone(), Entry::Link { target: target.clone() });
        }
        let last = self.inner_last(last);
        let root = root(&self.listing);
        let listing = below(self.listing, &root);
        let generation = Generation::of(&listing)
            .filter(|generation| listing.entries.contains_key(generation.dockerfile()));
        let Some(generation) = generation else {
            return Ok(Ended::NoBento(listing));
        };
        let plan = self.shared.planner.plan(&self.waiting, &listing, generation.dockerfile())?;
        match (self.state, plan) {
            (State::Layers(used, layers), Plan::Layered(layered))
                if used.key == layered.key && is_the_known(&self.learnt, &root, &listing) =>
            {
                match layers.finish(&last)? {
                    Ok(layers) => Ok(Ended::Layers { listing, layered, layers }),
                    Err(missed) => {
                        let known = Known { layered, root, listing: Arc::new(listing) };
                        let why = missed.to_string();
                        Ok(Ended::Again(learn(self.learnt, known, missed), why))
                    }
                }
            }
            // What was assumed at the first large file was not all.
            (_, plan) => Ok(Ended::Planned { root, listing, plan }),
        }
    }

    fn inner_last(&self, last: &Last) -> Last {
        let inner = |path: &String| self.inner(path).unwrap_or_default().to_owned();
        Last {
            copies: last.copies.iter().map(|(from, to)| (inner(from), inner(to))).collect(),
            links: last.links.iter().map(|(path, to)| (inner(path), to.clone())).collect(),
        }
    }
}

/// Whether what layers were opened by is still so: another archive may lie there since the reading before.
fn is_the_known(learnt: &Learnt, root: &str, listing: &Listing) -> bool {
    let is_same = |known: &Known| {
        let recipe = &known.layered.recipe;
        let is_same = |((path, a), (other, b)): ((&String, &Entry), (&String, &Entry))| {
            path == other && (a == b || !recipe.needs(path) && a.is_like(b))
        };
        let Listing { entries, texts } = &*known.listing;
        known.root == root
            && *texts == listing.texts
            && entries.len() == listing.entries.len()
            && entries.iter().zip(&listing.entries).all(is_same)
    };
    learnt.plan.as_ref().is_none_or(is_same)
}

fn learn(mut learnt: Learnt, known: Known, missed: Missed) -> Learnt {
    for (from, to) in missed.copies {
        learnt.copies.entry(from).or_default().push(to);
    }
    for model in missed.changed {
        learnt.pushed.remove(&model);
        learnt.changed.insert(model);
    }
    learnt.scattered.extend(missed.scattered);
    learnt.plan = Some(known);
    learnt
}

impl Sink for Pass {
    type Output = Ended;

    fn directory(&mut self, path: &str) -> Result<(), ArchiveError> {
        self.listing.entries.insert(path.to_owned(), Entry::Directory);
        let inner = self.inner(path).map(str::to_owned);
        match (&mut self.state, inner) {
            (State::Gathering(gathered), _) => gathered.push(path.to_owned()),
            (State::Layers(_, layers), Some(inner)) => {
                layers.directory(&inner)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn file(
        &mut self,
        path: String,
        executable: bool,
        contents: &mut Contents,
    ) -> Result<(), ArchiveError> {
        if !self.is_kept(&path, contents.size()) {
            self.decide()?;
        }
        self.read(&path, executable, contents)?;
        if let State::Gathering(gathered) = &mut self.state {
            gathered.push(path);
        }
        Ok(())
    }

    fn finish(self, last: Last) -> Result<Ended, ArchiveError> {
        Ok(self.end(&last)?)
    }
}

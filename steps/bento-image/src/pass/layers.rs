//! Which entry goes into which layer: a layer for each of the first models, and one for all the rest.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    io::Write as _,
    mem,
    sync::Arc,
};

use bento_retrieve::{archive::Last, bento::Tag};
use registry::RegistryError;
use serde_json::Value;
use step::text::clean;

use crate::{
    bento_files::manifest,
    environment::Environment,
    layer::{CodeLayer, Finished, LayerError, ModelLayer, Written},
    pass::{
        error::PassError,
        learnt::{Learnt, Stored},
        shared::Shared,
        upload::{Ending, LayerOutput, LayerUpload},
    },
    recipe::Listing,
    time::seconds,
    waiting::Waiting,
};

/// Models that have a layer of their own; an image may have some hundred layers, and its environment has its share.
const OWN_LAYERS: usize = 8;

/// A layer that is complete.
#[derive(Debug)]
pub(crate) struct FinishedLayer {
    /// NAME:VERSION; of the code layer none
    pub model: Option<String>,
    pub written: Written,
    pub ending: Ending,
}

/// Files for which another reading is needed.
#[derive(Debug, Default)]
pub(crate) struct Missed {
    /// Copies that belong into another layer than their file
    pub(crate) copies: Vec<(String, String)>,
    /// Models that are not what the registry has under their name
    pub(crate) changed: Vec<String>,
    /// Models of which more came after their layer had ended
    pub(crate) scattered: BTreeSet<String>,
}

impl Missed {
    fn is_none(&self) -> bool {
        self.copies.is_empty() && self.changed.is_empty() && self.scattered.is_empty()
    }
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.changed.as_slice(), self.copies.as_slice()) {
            _ if !self.scattered.is_empty() => {
                f.write_str("the files of a model lie apart in the archive")
            }
            ([], [(from, to), ..]) => {
                write!(
                    f,
                    "`{}`, a hard link to `{}`, lies in another layer",
                    clean(to),
                    clean(from)
                )
            }
            (models, _) => {
                let models = models.join("`, `");
                write!(f, "`{models}` is not the model that the registry has under this name")
            }
        }
    }
}

/// All layers of a bento on their way.
pub(crate) struct Layers {
    models: Vec<Model>,
    code: CodeLayer<LayerOutput>,
    /// See [`Learnt::copies`]
    copies: BTreeMap<String, Vec<String>>,
    /// Those of the file that is being written: its own, and those of its copies
    current: Vec<Target>,
    /// See [`Learnt::scattered`]
    stays_open: BTreeSet<String>,
    missed: Missed,
}

struct Model {
    tag: String,
    /// `models/NAME/VERSION`
    home: String,
    stored: Option<Stored>,
    /// One of its files has come
    has_begun: bool,
    stage: Stage,
}

/// A layer is ended as soon as another model begins: no registry waits long for bytes.
enum Stage {
    Open(Box<ModelLayer<LayerOutput>>),
    /// Only while it is being ended, and for good where that fails
    Ending,
    Ended(Written, Ending),
}

/// A layer by its place in [`Layers::models`], or the code layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Model(usize),
    Code,
}

impl Layers {
    /// Opens the layers of the bento that is listed. None where the manifest, or a model's time, has not come yet.
    pub(crate) fn open(
        shared: &Shared,
        waiting: &Waiting,
        environment: &Environment,
        listing: &Listing,
        learnt: &Learnt,
    ) -> Result<Option<Self>, PassError> {
        let Some(manifest) = manifest(listing) else { return Ok(None) };
        let placement = Arc::new(environment.placement.clone());
        let (of_upload, repository) = (waiting.clone(), shared.repository.clone());
        let upload =
            move || LayerOutput::Upload(LayerUpload::new(of_upload.clone(), repository.clone()));
        let mut models = Vec::new();
        for (tag, created) in manifest.models.iter().take(OWN_LAYERS) {
            let known = seconds(created).or_else(|| model_time(listing, tag));
            let is_all_listed = learnt.plan.is_some();
            let Some(created) = known.or(is_all_listed.then_some(0)) else { return Ok(None) };
            let name = tag.to_string();
            let stored = stored(shared, waiting, learnt, &name)?;
            let output = match &stored {
                Some(_) => LayerOutput::Compared,
                None => upload(),
            };
            let layer =
                ModelLayer::new(output, Arc::clone(&placement), &tag.name, &tag.version, created)?;
            let home = format!("models/{}/{}", tag.name, tag.version);
            let stage = Stage::Open(layer.into());
            models.push(Model { tag: name, home, stored, has_begun: false, stage });
        }
        let created = seconds(&manifest.creation_time).unwrap_or(0);
        let mut code = CodeLayer::new(placement, created, move || Ok(upload()));
        if !models.is_empty() {
            code.has("models");
        }
        let copies = learnt.copies.clone();
        let (stays_open, missed) = (learnt.scattered.clone(), Missed::default());
        Ok(Some(Self { models, code, copies, current: Vec::new(), stays_open, missed }))
    }

    fn target(&self, path: &str) -> Target {
        let model = self.models.iter().position(|model| {
            let below = path.strip_prefix(&model.home);
            below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
        });
        model.map_or(Target::Code, Target::Model)
    }

    pub(crate) fn directory(&mut self, path: &str) -> Result<(), PassError> {
        match self.target(path) {
            Target::Model(at) => {
                self.open_layer(at).map_or(Ok(()), |layer| layer.directory(path))?;
            }
            Target::Code => self.code.directory(path)?,
        }
        Ok(())
    }

    /// Begins a file of so many bytes, and its copies in other layers.
    pub(crate) fn begin(
        &mut self,
        path: &str,
        executable: bool,
        size: u64,
    ) -> Result<(), PassError> {
        let copies = self.copies.get(path).cloned().unwrap_or_default();
        let paths: Vec<_> = [path.to_owned()].into_iter().chain(copies).collect();
        self.current = paths.iter().map(|path| self.target(path)).collect();
        self.end_others()?;
        for (path, target) in paths.iter().zip(self.current.clone()) {
            match target {
                Target::Model(at) => {
                    let Some(layer) = self.open_layer(at) else { continue };
                    layer.file(path, executable, size)?;
                    self.models[at].has_begun = true;
                }
                Target::Code => self.code.file(path, executable, size)?,
            }
        }
        Ok(())
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), LayerError> {
        for target in &self.current {
            match target {
                Target::Model(at) => {
                    if let Stage::Open(layer) = &mut self.models[*at].stage {
                        layer.write_all(bytes)?;
                    }
                }
                Target::Code => self.code.write_all(bytes)?,
            }
        }
        Ok(())
    }

    /// When a model's file begins: ends the layers of the models that came before, as far as they need not stay open.
    fn end_others(&mut self) -> Result<(), PassError> {
        if self.current.iter().all(|target| *target == Target::Code) {
            return Ok(());
        }
        for (at, model) in self.models.iter_mut().enumerate() {
            let is_done = model.has_begun && !self.current.contains(&Target::Model(at));
            if is_done && !self.stays_open.contains(&model.tag) {
                model.end(&[])?;
            }
        }
        Ok(())
    }

    /// The layer of a model. None where it has ended already, which is noted.
    fn open_layer(&mut self, at: usize) -> Option<&mut ModelLayer<LayerOutput>> {
        let Model { tag, stage, .. } = &mut self.models[at];
        match stage {
            Stage::Open(layer) => Some(layer),
            Stage::Ending | Stage::Ended(..) => {
                self.missed.scattered.insert(tag.clone());
                None
            }
        }
    }

    /// Ends all layers, or says what another reading has to do.
    pub(crate) fn finish(
        mut self,
        last: &Last,
    ) -> Result<Result<Vec<FinishedLayer>, Missed>, PassError> {
        let mut files: BTreeMap<&str, &str> = BTreeMap::new();
        for (from, to) in &last.copies {
            let file = files.get(from.as_str()).copied().unwrap_or(from); // a copy of a copy is one of the file
            files.insert(to, file);
            let is_made = self.copies.get(file).is_some_and(|copies| copies.contains(to));
            match (self.target(file), self.target(to)) {
                _ if is_made => {}
                (Target::Model(one), Target::Model(other)) if one == other => {
                    self.open_layer(one).map_or(Ok(()), |layer| layer.hard_link(to, file))?;
                }
                (Target::Code, Target::Code) => self.code.hard_link(to, file)?,
                _ => self.missed.copies.push((file.to_owned(), to.clone())),
            }
        }
        let targets: Vec<_> = last.links.iter().map(|(path, _)| self.target(path)).collect();
        let links = |target: Target| -> Vec<(String, String)> {
            let all = last.links.iter().zip(&targets);
            all.filter(|(_, found)| **found == target).map(|(link, _)| link.clone()).collect()
        };
        let mut finished = Vec::new();
        for (at, mut model) in self.models.into_iter().enumerate() {
            let links = links(Target::Model(at));
            if !model.end(&links)? && !links.is_empty() {
                self.missed.scattered.insert(model.tag.clone());
            }
            let Stage::Ended(written, ending) = model.stage else { continue };
            if model.stored.is_some_and(|stored| stored.digest != written.digest) {
                self.missed.changed.push(model.tag.clone());
            }
            finished.push(FinishedLayer { model: Some(model.tag), written, ending });
        }
        let (written, ending) = match self.code.finish(&links(Target::Code))? {
            Finished::Held(bytes, written) => (written, Ending::Small(bytes.into())),
            Finished::Spilled(output, written) => (written, output.end()?),
        };
        finished.push(FinishedLayer { model: None, written, ending });
        Ok(if self.missed.is_none() { Ok(finished) } else { Err(self.missed) })
    }
}

impl Model {
    /// Ends its layer with these symlinks, unless it has ended before.
    fn end(&mut self, links: &[(String, String)]) -> Result<bool, PassError> {
        match mem::replace(&mut self.stage, Stage::Ending) {
            Stage::Open(layer) => {
                let (output, written) = layer.finish(links)?;
                self.stage = Stage::Ended(written, output.end()?);
                Ok(true)
            }
            ended => {
                self.stage = ended;
                Ok(false)
            }
        }
    }
}

/// In its own description, where the bento's says nothing.
fn model_time(listing: &Listing, model: &Tag) -> Option<i64> {
    let text = listing.texts.get(&format!("models/{}/{}/model.yaml", model.name, model.version))?;
    let described: Value = serde_saphyr::from_slice(text).ok()?;
    seconds(described["creation_time"].as_str()?)
}

/// What the registry is said to have of a model.
fn stored(
    shared: &Shared,
    waiting: &Waiting,
    learnt: &Learnt,
    model: &str,
) -> Result<Option<Stored>, RegistryError> {
    if let Some(pushed) = learnt.pushed.get(model) {
        return Ok(Some(pushed.clone()));
    }
    if learnt.changed.contains(model) { Ok(None) } else { shared.model(waiting, model) }
}

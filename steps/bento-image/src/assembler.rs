//! Assembles an image: reads the archive as often as it takes, and makes the image visible last.

use std::{sync::Arc, time::Duration};

use anyhow::{Error, Result};
use bento_retrieve::{
    archive::ArchiveError,
    bento::{Bento, Repository as ImageName},
    download::Received,
    request::{Read, Request},
};
use registry::{RegistryError, Repository};
use step::{Failure, Terminated, chain};
use tokio::time::{sleep, timeout};

use crate::{
    environment::Lookup,
    failure::{registry_error, with_hint},
    last_environment,
    layer::LayerError,
    listed_files::ListedFiles,
    made::Made,
    pass::{Ended, Known, Learnt, Pass, PassError, Shared},
    planner::{Layered, Plan, Planner},
    publish::Publication,
    recipe::{Listing, Whole},
    tagged,
    waiting::{Waiting, unless},
};

/// How often a registry may fail in the middle, before it is given up.
const FAULTS: u32 = 3;
/// Readings that only find out more. The second knows all; only an archive that changes meanwhile wants another one.
const FINDINGS: u32 = 4;
/// Before the first new reading after a fault; twice as long before the next.
const PAUSE: Duration = Duration::from_secs(1);
/// However long a registry asks to be left alone.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Makes the image of one bento.
#[derive(Debug)]
pub struct Assembler {
    pub request: Request,
    /// As people name it, without a tag
    pub image: ImageName,
    pub repository: Repository,
    pub planner: Arc<Planner>,
    /// Though the registry has an image of this archive
    pub rebuild: bool,
}

/// What assembling came to.
#[derive(Debug)]
pub enum Assembly {
    Made(Made),
    /// All is there but the environment
    Missing(Box<Missing>),
    /// Layers would not make the image that a builder makes
    Whole(Whole),
}

/// A bento without an environment.
#[derive(Debug)]
pub struct Missing {
    pub bento: Bento,
    pub layered: Layered,
    /// The folder of the archive that everything lies in, with its `/`, or empty
    pub root: String,
    pub listing: Listing,
    pub sha256: String,
    /// What changed since the last environment, where there was one
    pub changed: Option<String>,
}

/// How an image will be made.
#[derive(Debug)]
pub struct Planned {
    pub plan: Plan,
    /// See [`Missing::changed`]
    pub changed: Option<String>,
}

/// What to do after a reading.
enum Next {
    End(Assembly),
    /// Read on with what has been learnt
    Read,
}

impl Assembler {
    /// Makes the image if its environment is there. `None` when a signal has ended it.
    ///
    /// Nothing is visible before all of the archive came and is the one that was asked for.
    pub async fn assemble(&self, terminated: &mut Terminated) -> Result<Option<Assembly>> {
        let limit = self.request.timeout;
        let assembled = timeout(limit, self.assemble_in_time(terminated)).await;
        assembled.unwrap_or_else(|_| Err(too_slow(&self.name(), limit)))
    }

    async fn assemble_in_time(&self, terminated: &mut Terminated) -> Result<Option<Assembly>> {
        if let Some(sha256) = &self.request.sha256 {
            match unless(terminated, self.look(sha256)).await {
                None => return Ok(None),
                Some(Some(made)) => return Ok(Some(Assembly::Made(made))),
                Some(None) => {}
            }
        }
        let shared = Arc::new(self.shared(true));
        let mut learnt = Learnt::default();
        let (mut faults, mut findings) = (0, 0);
        loop {
            let sink = |progress: &_| {
                Ok(Pass::new(Arc::clone(&shared), Waiting::new(progress), learnt.clone()))
            };
            let next = match self.request.read(sink, terminated).await {
                Ok(None) => return Ok(None),
                Ok(Some(read)) => {
                    let next = self.after(read, &shared, &mut learnt);
                    let Some(next) = unless(terminated, next).await else { return Ok(None) };
                    next
                }
                Err(error) => whole(&error).map(|it| Next::End(Assembly::Whole(it))).ok_or(error),
            };
            match next {
                Ok(Next::End(assembly)) => return Ok(Some(assembly)),
                Ok(Next::Read) if findings < FINDINGS => findings += 1,
                Ok(Next::Read) => return Err(changing()),
                Err(error) => {
                    let Some(pause) = pause(&error, faults) else {
                        return Err(with_hint(error, &self.name()));
                    };
                    let host = &self.repository.name().host;
                    let why = chain(error.as_ref());
                    tracing::warn!("{host}: {why}; reading the archive again in {pause:?}");
                    faults += 1;
                    self.planner.forget_environments(); // one of them may be gone
                    if unless(terminated, sleep(pause)).await.is_none() {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Finds out how the image will be made. `None` when a signal has ended it.
    pub async fn plan(&self, terminated: &mut Terminated) -> Result<Option<Planned>> {
        let shared = Arc::new(self.shared(false));
        let sink = |progress: &_| Ok(Pass::listing(Arc::clone(&shared), Waiting::new(progress)));
        let read = match self.request.read(sink, terminated).await {
            Ok(Some(read)) => read,
            Ok(None) => return Ok(None),
            Err(error) => {
                let whole = whole(&error).ok_or_else(|| with_hint(error, &self.name()))?;
                return Ok(Some(Planned { plan: Plan::Whole(whole), changed: None }));
            }
        };
        let (listing, plan) = match read.output {
            Ended::Planned { listing, plan, .. } => (listing, plan),
            Ended::Layers { listing, layered, .. } => (listing, Plan::Layered(layered)),
            Ended::Again(..) => return Err(changing()),
            Ended::NoBento(listing) => return Err(self.no_bento(&listing)),
        };
        self.request.judge(&ListedFiles(&listing), None)?;
        let changed = match &plan {
            Plan::Layered(layered) if layered.environment().is_none() => {
                unless(terminated, self.changed(layered, &listing)).await
            }
            _ => Some(None),
        };
        Ok(changed.map(|changed| Planned { plan, changed }))
    }

    /// The image's tag.
    pub fn tag(&self) -> String {
        let image = self.name();
        image.rsplit_once(':').map_or(String::new(), |(_, tag)| tag.to_owned())
    }

    /// REPOSITORY:TAG.
    pub fn name(&self) -> String {
        self.request.bento.as_ref().map(|bento| self.image.image(bento)).unwrap_or_default()
    }

    /// What the tag holds, if it is of this archive and will do.
    pub async fn look(&self, sha256: &str) -> Option<Made> {
        if self.rebuild || self.planner.whole {
            return None;
        }
        tagged::look(&self.repository, &self.name(), &self.tag(), sha256).await
    }

    fn shared(&self, stops_early: bool) -> Shared {
        Shared::new(Arc::clone(&self.planner), self.repository.clone(), stops_early)
    }

    async fn after(&self, read: Read<Ended>, shared: &Shared, learnt: &mut Learnt) -> Result<Next> {
        let Read { output, received: Received { sha256, .. } } = read;
        let is_layered =
            matches!(output, Ended::Layers { .. } | Ended::Planned { plan: Plan::Layered(_), .. });
        if is_layered
            && self.request.sha256.is_none()
            && let Some(made) = self.look(&sha256).await
        {
            return Ok(Next::End(Assembly::Made(made)));
        }
        match output {
            Ended::NoBento(listing) => Err(self.no_bento(&listing)),
            Ended::Again(more, why) => {
                tracing::info!("{why}: reading it once more");
                *learnt = more;
                Ok(Next::Read)
            }
            Ended::Planned { plan: Plan::Whole(whole), .. } => {
                Ok(Next::End(Assembly::Whole(whole)))
            }
            Ended::Planned { root, listing, plan: Plan::Layered(layered) } => {
                if layered.environment().is_some() {
                    tracing::info!(
                        "what its environment is made of came after its models: reading it once more"
                    );
                    let listing = Arc::new(listing);
                    learnt.plan = Some(Known { layered, root, listing });
                    return Ok(Next::Read);
                }
                let bento = self.request.judge(&ListedFiles(&listing), None)?;
                let changed = self.changed(&layered, &listing).await;
                let missing = Missing { bento, layered, root, listing, sha256, changed };
                Ok(Next::End(Assembly::Missing(Box::new(missing))))
            }
            Ended::Layers { listing, layered, layers } => {
                let bento = self.request.judge(&ListedFiles(&listing), None)?;
                let Some(environment) = layered.environment().cloned() else {
                    return Err(changing());
                };
                let (image, tag) = (self.name(), self.tag());
                let publication = Publication {
                    shared,
                    image: &image,
                    tag: &tag,
                    bento: &bento,
                    sha256: &sha256,
                    layered: &layered,
                    environment: &environment,
                };
                let made = publication.publish(layers, learnt).await?;
                tracing::info!(
                    "{image} is there, {}: {} of layers, {} uploaded",
                    made.digest,
                    bento_retrieve::size::Size(made.size),
                    bento_retrieve::size::Size(made.uploaded)
                );
                Ok(Next::End(Assembly::Made(made)))
            }
        }
    }

    async fn changed(&self, layered: &Layered, listing: &Listing) -> Option<String> {
        last_environment::changed(&self.repository, &self.planner, layered, listing).await
    }

    /// Why it is no bento.
    fn no_bento(&self, listing: &Listing) -> Error {
        match self.request.judge(&ListedFiles(listing), None) {
            Err(error) => error,
            Ok(_) => changing(),
        }
    }
}

impl Missing {
    /// What is known of the image that is not made yet.
    pub fn made(&self, image: String) -> Made {
        Made {
            image,
            bento: self.bento.tag.to_string(),
            sha256: self.sha256.clone(),
            assembled: "environment-missing".into(),
            reason: self.reason(),
            ..Made::default()
        }
    }

    /// Why it is not made, for people.
    pub fn reason(&self) -> String {
        let Lookup::Missing(why) = &self.layered.environment else { return String::new() };
        match &self.changed {
            Some(changed) => format!("its environment {why}; since the last one: {changed}"),
            None => format!("its environment {why}"),
        }
    }
}

/// Why it has to be built whole, if that is what ended the reading.
fn whole(error: &Error) -> Option<Whole> {
    match error.downcast_ref() {
        Some(PassError::Whole(whole)) => return Some(whole.clone()),
        Some(PassError::Layer(LayerError::Unfit { entry, problem })) => {
            return Some(Whole::in_file(entry, *problem));
        }
        _ => {}
    }
    let is_zip = matches!(error.downcast_ref(), Some(ArchiveError::NotStreamable));
    is_zip.then(|| {
        Whole::in_file(
            "the archive",
            "is a zip, whose table of contents comes last: it is not read as a stream",
        )
    })
}

/// How long to wait before another reading, if one may help.
fn pause(error: &Error, faults: u32) -> Option<Duration> {
    let error = registry_error(error)?;
    let is_gone = matches!(error, RegistryError::UnknownBlob { .. } | RegistryError::Source { .. });
    let may_help = error.is_retryable() || is_gone;
    (may_help && faults < FAULTS).then(|| {
        let asked = error.retry_after().unwrap_or_default().min(LONGEST_PAUSE);
        asked.max(PAUSE * 2_u32.pow(faults))
    })
}

fn too_slow(image: &str, limit: Duration) -> Error {
    let limit = humantime::format_duration(limit);
    Failure {
        what: format!("failed to make {image} within {limit}"),
        hint: "raise --timeout, and the Task's own timeout above it".into(),
    }
    .into()
}

fn changing() -> Error {
    Failure {
        what: "failed to read the archive twice: it was another one each time".into(),
        hint: "a bento is saved once; give its SHA-256, and nothing else is taken".into(),
    }
    .into()
}

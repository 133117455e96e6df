//! From what is known of a bento to how its image is made: the recipe, the base image, the environment.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use registry::RegistryError;

use crate::{
    base,
    environment::{Environment, EnvironmentError, Environments, Lookup},
    recipe::{Listing, Recipe, Whole, judge},
    registries::Registries,
    waiting::Waiting,
};

/// How a bento's image is made.
#[derive(Clone, Debug)]
pub enum Plan {
    Layered(Layered),
    Whole(Whole),
}

/// In layers, on an environment.
#[derive(Clone, Debug)]
pub struct Layered {
    pub recipe: Arc<Recipe>,
    /// Digest of the base image
    pub base: String,
    pub key: String,
    pub environment: Lookup,
}

impl Layered {
    /// Where it is there.
    pub fn environment(&self) -> Option<&Arc<Environment>> {
        match &self.environment {
            Lookup::There(environment) => Some(environment),
            Lookup::Missing(_) => None,
        }
    }
}

/// Makes plans. What it has asked a registry for it remembers, so that a plan that is made again costs nothing.
#[derive(Debug)]
pub struct Planner {
    pub registries: Registries,
    pub environments: Environments,
    /// That kaniko asks for images of Docker Hub
    pub mirror: Option<String>,
    /// OS/ARCHITECTURE
    pub platform: String,
    /// For kaniko, of whoever runs it
    pub flags: Vec<String>,
    /// Digest of the base image, where it was found before: its tag may have moved since
    pub base: Option<String>,
    /// Build it whole, though layers would do
    pub whole: bool,
    pub known: Known,
}

/// By the names of base images, and by keys.
#[derive(Debug, Default)]
pub struct Known {
    bases: Mutex<BTreeMap<String, Result<String, Whole>>>,
    triggers: Mutex<BTreeMap<String, Result<(), Whole>>>,
    environments: Mutex<BTreeMap<String, Lookup>>,
}

impl Planner {
    /// Looks for environments again.
    pub(crate) fn forget_environments(&self) {
        self.known.environments.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Plans by the whole list. Blocks on registries.
    pub fn plan(
        &self,
        waiting: &Waiting,
        listing: &Listing,
        dockerfile: &str,
    ) -> Result<Plan, EnvironmentError> {
        self.plan_by(waiting, listing, dockerfile, Recipe::check)
    }

    /// Plans by what is listed so far: what comes later may lead to another plan.
    pub fn plan_so_far(
        &self,
        waiting: &Waiting,
        listing: &Listing,
        dockerfile: &str,
    ) -> Result<Plan, EnvironmentError> {
        self.plan_by(waiting, listing, dockerfile, Recipe::check_so_far)
    }

    fn plan_by(
        &self,
        waiting: &Waiting,
        listing: &Listing,
        dockerfile: &str,
        check: impl FnOnce(&Recipe, &Listing) -> Result<(), Whole>,
    ) -> Result<Plan, EnvironmentError> {
        let whole = |file: &str, reason: &str| Ok(Plan::Whole(Whole::in_file(file, reason)));
        if self.whole {
            return whole("--whole", "was given");
        }
        let text = listing.texts.get(dockerfile).map(|text| String::from_utf8_lossy(text));
        let Some(text) = text else { return whole(dockerfile, "is larger than any Dockerfile") };
        let judged = judge(dockerfile, &text).and_then(|recipe| {
            check(&recipe, listing)?;
            Ok(recipe)
        });
        let recipe = match judged {
            Ok(recipe) => recipe,
            Err(whole) => return Ok(Plan::Whole(whole)),
        };
        let base = match self.base(waiting, recipe.base())? {
            Ok(base) => base,
            Err(whole) => return Ok(Plan::Whole(whole)),
        };
        let key = recipe.key(listing, &base, &self.platform, &self.flags);
        let directories = recipe.skeleton(listing).directories;
        let environment = match self.environment(waiting, &key, &directories) {
            Err(EnvironmentError::Unfit(name, unfit)) => return whole(&name, &unfit.to_string()),
            found => found?,
        };
        // Of an environment that is there, whoever built it has looked at its base image.
        if let Lookup::Missing(_) = environment
            && let Err(whole) = self.refuse_triggers(waiting, recipe.base(), &base)?
        {
            return Ok(Plan::Whole(whole));
        }
        Ok(Plan::Layered(Layered { recipe: Arc::new(recipe), base, key, environment }))
    }

    fn base(&self, waiting: &Waiting, name: &str) -> Result<Result<String, Whole>, RegistryError> {
        if let Some(digest) = &self.base {
            return Ok(Ok(digest.clone()));
        }
        let digest = base::digest(&self.registries, name, self.mirror.as_deref());
        once(&self.known.bases, name, waiting, digest)
    }

    fn refuse_triggers(
        &self,
        waiting: &Waiting,
        name: &str,
        digest: &str,
    ) -> Result<Result<(), Whole>, RegistryError> {
        let mirror = self.mirror.as_deref();
        let refused = base::refuse_triggers(&self.registries, name, digest, mirror);
        once(&self.known.triggers, name, waiting, refused)
    }

    fn environment(
        &self,
        waiting: &Waiting,
        key: &str,
        directories: &BTreeSet<String>,
    ) -> Result<Lookup, EnvironmentError> {
        let mut known = self.known.environments.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.get(key) {
            return Ok(found.clone());
        }
        let found = self.environments.find(waiting, key, directories)?;
        known.insert(key.to_owned(), found.clone());
        Ok(found)
    }
}

/// What is known by a name, or is found out now.
fn once<T: Clone>(
    known: &Mutex<BTreeMap<String, T>>,
    name: &str,
    waiting: &Waiting,
    find: impl Future<Output = Result<T, RegistryError>>,
) -> Result<T, RegistryError> {
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = known.get(name) {
        return Ok(found.clone());
    }
    let found = waiting.wait(find)?;
    known.insert(name.to_owned(), found.clone());
    Ok(found)
}

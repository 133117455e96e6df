//! From what was typed to what assembles.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use bento_image::{
    assembler::Assembler,
    environment::Environments,
    planner::{Known, Planner},
    registries::{PlainHttp, Registries},
};
use bento_retrieve::{bento::Repository as ImageRepository, request::Request};
use jiff::Timestamp;
use registry::RepositoryName;
use step::Usage;

use crate::cli::args::MakingArgs;

/// What a run knows beside what was typed.
#[derive(Debug, Default)]
pub(crate) struct Given {
    /// Build it whole, though layers would do
    pub(crate) whole: bool,
    /// An environment that is there is built again by --rebuild
    pub(crate) may_rebuild: bool,
    /// Digest of the base image
    pub(crate) base: Option<String>,
    /// Digest of the environment that was just built
    pub(crate) built: Option<String>,
    /// Of the archive that the run has begun with
    pub(crate) sha256: Option<String>,
}

pub(crate) async fn assembler(args: &MakingArgs, given: Given) -> Result<Assembler> {
    let MakingArgs { bento, image, access, registry: reached, retries, limits, kaniko_args } = args;
    let plain =
        PlainHttp { all: reached.registry_insecure, hosts: reached.insecure_registry.clone() };
    let registries =
        Registries::new(reached.registry_auth.as_ref(), reached.build_credentials.as_ref(), plain)?;
    let mut request = Request::new(bento.clone(), access, *retries, *limits).await?;
    if let Some(sha256) = given.sha256 {
        request.sha256 = Some(sha256);
    }
    request.connections = request.connections.min(CONNECTIONS);
    let environments = match &image.environments {
        Some(named) => named.clone(),
        None => beside(&image.image)?,
    };
    let repository = registries.repository(&name(&image.image)?)?;
    let planner = Planner {
        environments: Environments {
            repository: registries.repository(&name(&environments)?)?,
            name: environments.to_string(),
            max_age: if image.rebuild && given.may_rebuild {
                Duration::ZERO
            } else {
                image.max_age
            },
            now: Timestamp::from_second(Timestamp::now().as_second())?,
            built: given.built,
        },
        registries,
        mirror: image.registry_mirror.clone().filter(|host| !host.is_empty()),
        platform: format!("linux/{}", registry::architecture()),
        flags: kaniko_args.clone(),
        base: given.base,
        whole: given.whole,
        known: Known::default(),
    };
    Ok(Assembler {
        request,
        image: image.image.clone(),
        repository,
        planner: Arc::new(planner),
        rebuild: image.rebuild,
    })
}

/// Each takes 4 MiB, and the registry takes no more than two bring.
const CONNECTIONS: usize = 2;

/// The repository `environments` in the same folder of the registry.
fn beside(image: &ImageRepository) -> Result<ImageRepository> {
    let text = image.to_string();
    let beside = text.rsplit_once('/').map(|(folder, _)| format!("{folder}/environments"));
    beside.and_then(|beside| beside.parse().ok()).with_context(|| Usage {
        what: format!("`{text}` has no folder for the repository `environments`"),
        hint: "pass --environments".into(),
    })
}

fn name(repository: &ImageRepository) -> Result<RepositoryName> {
    repository.to_string().parse().with_context(|| Usage {
        what: format!("`{repository}` is not a valid repository"),
        hint: "write `HOST/PATH`, such as `registry.example/models/iris`".into(),
    })
}

//! The base image that a Dockerfile begins with: which one exactly, and whether layers can stand in for a build on it.

use registry::{Reference, RegistryError, Repository, RepositoryName};
use serde_json::Value;

use crate::{recipe::Whole, registries::Registries};

/// What a Dockerfile without a base image names.
const SCRATCH: &str = "scratch";
const DOCKER_HUB: &str = "index.docker.io";

/// Finds the digest of a base image, empty for `scratch`, without pulling it. kaniko asks the same mirror first.
///
/// # Errors
/// A registry that may answer another time. A registry that does not tell us, and may tell kaniko, is what an image on
/// its base has to be built whole for.
pub(crate) async fn digest(
    registries: &Registries,
    base: &str,
    mirror: Option<&str>,
) -> Result<Result<String, Whole>, RegistryError> {
    let found = ask(registries, base, mirror, async |repository, version| {
        repository.digest_of(version).await
    });
    Ok(match found.await? {
        Ok(Some(digest)) => Ok(digest),
        Ok(None) => Ok(String::new()),
        Err(whole) => Err(whole),
    })
}

/// Refuses a base image that has instructions for the builds on it: they may read the bento.
pub(crate) async fn refuse_triggers(
    registries: &Registries,
    base: &str,
    digest: &str,
    mirror: Option<&str>,
) -> Result<Result<(), Whole>, RegistryError> {
    let found =
        ask(registries, base, mirror, async |repository, _| has_triggers(repository, digest).await);
    Ok(match found.await? {
        Ok(Some(true)) => {
            Err(Whole::in_file(base, "has ONBUILD instructions, which may read the bento"))
        }
        Ok(Some(false) | None) => Ok(()),
        Err(whole) => Err(whole),
    })
}

/// Asks the registries that may have a base image, one after the other. Nothing is asked of `scratch`.
async fn ask<T>(
    registries: &Registries,
    base: &str,
    mirror: Option<&str>,
    question: impl AsyncFn(&Repository, &str) -> Result<Option<T>, RegistryError>,
) -> Result<Result<Option<T>, Whole>, RegistryError> {
    if base == SCRATCH {
        return Ok(Ok(None));
    }
    let Ok(Reference { repository: RepositoryName { host, path }, tag, digest }) = base.parse()
    else {
        return Ok(Err(Whole::in_file(base, "is not a valid image")));
    };
    let version = digest.or(tag).unwrap_or_else(|| "latest".into());
    let mirror = mirror.filter(|_| host == DOCKER_HUB);
    let (mut reasons, mut is_away) = (Vec::new(), false);
    for host in mirror.into_iter().chain([host.as_str()]) {
        let name = RepositoryName { host: host.to_owned(), path: path.clone() };
        match question(&registries.repository(&name)?, &version).await {
            Ok(Some(answer)) => return Ok(Ok(Some(answer))),
            Ok(None) => reasons.push(format!("is not in {host}")),
            Err(error) => {
                is_away |= error.is_retryable();
                reasons.push(format!("is unknown, as {host} does not tell: {error}"));
            }
        }
    }
    let reasons = reasons.join(", and ");
    if is_away {
        return Err(RegistryError::Unreachable(format!("the base image `{base}` {reasons}")));
    }
    Ok(Err(Whole::in_file(base, reasons)))
}

async fn has_triggers(
    repository: &Repository,
    digest: &str,
) -> Result<Option<bool>, RegistryError> {
    let Some(found) = repository.image(digest).await? else { return Ok(None) };
    let config: Value = serde_json::from_slice(&found.config).unwrap_or_default();
    let triggers = &config["config"]["OnBuild"];
    Ok(Some(!(triggers.is_null() || triggers.as_array().is_some_and(Vec::is_empty))))
}

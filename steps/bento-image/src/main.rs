//! Knows an image in a registry by the archive that it was built from.
//!
//! - `access`: credentials, TLS and additional CA certificates, from flags and Secrets
//!
//! Here: the flags, what the tag holds, and whether a build's digest is there.

mod access;

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::Parser;
use registry::{Image, Reference, Repository};
use step::{Failure, Outcome, ResultFile, text::clean};

use crate::access::repository;

/// Carries the archive's SHA-256 in an image's configuration.
const LABEL: &str = "kanaria.dev/bento-sha256";

/// Find the digest of a bento's image, if the registry has it
///
/// Before a build: the image that the tag holds, if it was built from this very archive. Then nothing
/// has to be built, and a tag that must not change is left alone. After a build, with --pushed: the
/// digest that was built, once the registry says that it has it.
#[derive(Parser)]
#[command(version, after_long_help = EXAMPLES)]
struct Args {
    /// Image, with the tag that it is or will be pushed to
    #[arg(long, value_name = "REPOSITORY:TAG")]
    image: Reference,
    /// SHA-256 of the bento's archive, which the label `kanaria.dev/bento-sha256` of its image says
    #[arg(long, value_name = "HEX")]
    sha256: String,
    /// Find nothing, so that it is built again
    #[arg(long)]
    rebuild: bool,
    /// File that a build left the digest in; with it, the registry has to have the image
    #[arg(long, value_name = "FILE")]
    pushed: Option<PathBuf>,
    /// With --pushed: the digest where there is no such file, as nothing was built
    #[arg(long, value_name = "DIGEST", requires = "pushed")]
    found: Option<String>,
    #[command(flatten)]
    access: access::AccessArgs,
    /// Digest of the image; before a build empty when it has to be built
    #[arg(long)]
    result_digest: ResultFile,
}

const EXAMPLES: &str = "\
Examples:
  Is there an image of this archive?
    bento-image --image registry.example/models/iris:v1 --sha256 \"$SHA256\"

  Is it there, now that kaniko wrote its digest?
    bento-image --image registry.example/models/iris:v1 --sha256 \"$SHA256\" --pushed digest

Exit codes: 0 done, 1 the image that was built is not in the registry, 2 usage, 143 stopped by a signal.";

fn main() -> ExitCode {
    step::run(find)
}

async fn find(args: Args) -> Result<Outcome> {
    let Args { image, sha256, rebuild, pushed, found, access, result_digest } = args;
    let repository = repository(&image, access)?;
    let digest = match pushed {
        Some(file) => {
            let digest = built(&file)?.or(found).with_context(|| Failure {
                what: format!(
                    "failed to find out what was built: there is no `{}`",
                    file.display()
                ),
                hint: "did kaniko end before it pushed? Its log says why".into(),
            })?;
            confirm(&image, &repository, &digest).await?;
            digest
        }
        None if rebuild => String::new(),
        None => look(&image, &sha256, &repository).await.unwrap_or_default(),
    };
    result_digest.write(digest)?;
    Ok(Outcome::Done)
}

/// What a build says that it pushed, if there was one.
fn built(file: &Path) -> Result<Option<String>> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| Failure {
            what: format!("failed to read `{}`", file.display()),
            hint: "the step before must leave it readable for this one's user".into(),
        }),
    }
}

/// The image's digest, where the tag holds one of this archive. Where nobody can tell, it is built.
async fn look(image: &Reference, sha256: &str, repository: &Repository) -> Option<String> {
    match repository.image().await {
        Ok(Some(Image { digest, labels })) => {
            let built_from = labels.get(LABEL).map(|from| clean(from));
            if built_from.as_deref() == Some(sha256) {
                tracing::info!(
                    "{image} holds the image of this archive, {digest}: there is nothing to build"
                );
                return Some(digest);
            }
            let of = built_from.map_or("one that does not say of which archive".into(), |from| {
                format!("that of the archive {from}")
            });
            tracing::warn!(
                "{image} holds another image, {of}: the one that is built takes its place. Where tags are \
                 immutable the push will fail: release another version"
            );
        }
        Ok(None) => tracing::info!("{image} is not there yet"),
        Err(error) => tracing::warn!(
            "failed to look for {image}: {error}; it is built as if it were not there"
        ),
    }
    None
}

/// Whether the registry has what is about to be reported. Where it does not tell, the builder's word stands.
async fn confirm(image: &Reference, repository: &Repository, digest: &str) -> Result<()> {
    match repository.has(digest).await {
        Ok(true) => tracing::info!("{image} is there, {digest}"),
        Ok(false) => {
            return Err(Failure {
                what: format!("failed to find the image that was pushed: {image} has no manifest {digest}"),
                hint: "where tags are immutable, release another version; `kaniko-args` must not let kaniko go on \
                       without its push"
                    .into(),
            }
            .into());
        }
        Err(error) => tracing::warn!(
            "failed to ask for {image} by its digest: {error}; it was pushed without an error"
        ),
    }
    Ok(())
}

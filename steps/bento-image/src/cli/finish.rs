//! Assembles onto the environment that was built, or takes over the image that was built whole.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use bento_image::{
    assembler::{Assembler, Assembly},
    made::Made,
    prepared::Prepared,
    tagged,
    waiting::unless,
};
use step::{Failure, Outcome, Terminated};

use crate::cli::{
    args::FinishArgs,
    hints,
    making::{Given, assembler},
};

pub(crate) async fn finish(args: FinishArgs, mut terminated: Terminated) -> Result<Outcome> {
    let FinishArgs { from, digest_file, making, results } = args;
    let prepared = Prepared::read(&from).with_context(|| hints::unprepared(&from))?;
    let given = match &prepared {
        Prepared::Environment { base, sha256, .. } => Given {
            base: Some(base.clone()),
            built: Some(built(&digest_file)?),
            sha256: Some(sha256.clone()),
            may_rebuild: true,
            whole: false,
        },
        Prepared::Made(_) | Prepared::Whole { .. } => Given::default(),
    };
    let assembler = assembler(&making, given).await?;
    if prepared.image() != assembler.name() {
        return Err(hints::prepared_for_another(&from, prepared.image()).into());
    }
    let made = match prepared {
        Prepared::Made(made) => made,
        Prepared::Whole { made, .. } => {
            let confirmed = unless(&mut terminated, whole(&assembler, &digest_file, made));
            match confirmed.await {
                Some(made) => made?,
                None => return Ok(Outcome::Terminated),
            }
        }
        Prepared::Environment { build, reason, .. } => {
            match assembler.assemble(&mut terminated).await? {
                None => return Ok(Outcome::Terminated),
                Some(Assembly::Made(made)) => {
                    Made { assembled: "environment-missing".into(), reason, ..made }
                }
                Some(Assembly::Missing(_)) => return Err(gone(&build.destination)),
                Some(Assembly::Whole(whole)) => {
                    return Err(Failure {
                        what: format!("failed to add the bento to its environment: {whole}"),
                        hint: "run it again: now that this is known, it is built whole".into(),
                    }
                    .into());
                }
            }
        }
    };
    results.write(&made, &assembler.request.origin.to_string())?;
    Ok(Outcome::Done)
}

/// What kaniko says that it pushed.
fn built(digest_file: &Path) -> Result<String> {
    let digest = fs::read_to_string(digest_file).with_context(|| Failure {
        what: format!("failed to read `{}`, what was built", digest_file.display()),
        hint: "did kaniko end before it pushed? Its log says why".into(),
    })?;
    Ok(digest.trim().to_owned())
}

/// Whether the registry has what is about to be reported. Where it does not tell, the builder's word stands.
async fn whole(assembler: &Assembler, digest_file: &Path, made: Made) -> Result<Made> {
    let digest = built(digest_file)?;
    let image = &made.image;
    let size = match assembler.repository.manifest(&digest).await {
        Ok(Some(manifest)) => {
            tracing::info!("{image} is there, {digest}");
            tagged::size(&serde_json::from_slice(&manifest.bytes).unwrap_or_default())
        }
        Ok(None) => {
            return Err(Failure {
                what: format!("failed to find the image that was pushed: {image} has no manifest {digest}"),
                hint: "where tags are immutable, release another version; `kaniko-args` must not let kaniko go on \
                       without its push"
                    .into(),
            }
            .into());
        }
        Err(error) => {
            tracing::warn!(
                "failed to ask for {image} by its digest: {error}; it was pushed without an error"
            );
            0
        }
    };
    Ok(Made { digest, size, ..made })
}

fn gone(destination: &str) -> anyhow::Error {
    Failure {
        what: format!("failed to find the environment that was built, {destination}"),
        hint: "was it removed meanwhile? Run it again".into(),
    }
    .into()
}

//! Becomes kaniko, where there is something to build.

use std::{fs, os::unix::process::CommandExt as _, path::Path, process::Command};

use anyhow::{Context, Result};
use bento_image::prepared::Prepared;
use step::{Failure, Outcome};

use crate::cli::{args::BuildArgs, hints};

pub(crate) fn build(args: BuildArgs) -> Result<Outcome> {
    let BuildArgs { from, executor, digest_file, kaniko_args } = args;
    let prepared = Prepared::read(&from).with_context(|| hints::unprepared(&from))?;
    let Some(build) = prepared.build() else {
        tracing::info!("there is nothing to build");
        return Ok(Outcome::Done);
    };
    let failed = || Failure {
        what: format!("failed to run `{}`", executor.display()),
        hint: "this step runs in kaniko's image, as root".into(),
    };
    fs::create_dir_all(digest_file.parent().unwrap_or(Path::new("."))).with_context(failed)?;
    let _ = fs::remove_file(&digest_file); // of an earlier run
    tracing::info!("kaniko builds {}", build.destination);
    let arguments = build.arguments(&kaniko_args, &digest_file);
    // In its place: its log, its signals and its exit code are the step's.
    Err(Command::new(&executor).args(arguments).exec()).with_context(failed)
}

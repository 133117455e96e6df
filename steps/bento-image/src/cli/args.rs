//! What is typed.

use std::{path::PathBuf, time::Duration};

use bento_retrieve::{
    bento::Repository as ImageRepository,
    request::{AccessArgs, LimitArgs, Output, RetryArgs, StoredBentoArgs},
};
use clap::{Args as Group, Parser, Subcommand};
use step::{ResultFile, SecretFolder};

/// Make a bento's image by adding layers to an environment that exists
///
/// A bento's environment (its base image, system packages and Python packages) changes seldom, its model
/// often. The environment is an image of its own, built by kaniko with the Dockerfile that BentoML
/// wrote, and kept under a key over all that goes into it. A new version of the model is then a few
/// layers more: they go from the store to the registry as a stream, without root, a disk or a builder,
/// and the image is the one that kaniko would have built.
///
/// A bento whose Dockerfile reads the model or the code while it is built cannot be made so: it is
/// built whole, and `plan` says which line decides.
#[derive(Debug, Parser)]
#[command(name = "bento-image", version, after_long_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Add a bento's layers to its environment, and push the image
    ///
    /// Ends with exit code 3 where its environment is not there, or the bento has to be built whole.
    Assemble(AssembleArgs),
    /// Print how a bento's image will be made, and why; nothing is pushed
    Plan(PlanArgs),
    /// Assemble, or lay out in a folder what kaniko needs: the first step of Task bento-build
    Prepare(PrepareArgs),
    /// Run kaniko where something is to be built: the second step, in kaniko's image
    Build(BuildArgs),
    /// Assemble onto the environment that kaniko built, or take over the image that it built whole
    Finish(FinishArgs),
}

#[derive(Debug, Group)]
pub(crate) struct AssembleArgs {
    #[command(flatten)]
    pub(crate) making: MakingArgs,
    #[command(flatten)]
    pub(crate) results: Results,
}

#[derive(Debug, Group)]
pub(crate) struct PlanArgs {
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) making: MakingArgs,
}

#[derive(Debug, Group)]
pub(crate) struct PrepareArgs {
    /// Folder for what the next two steps need; made if it is not there
    #[arg(long, value_name = "DIR")]
    pub(crate) into: PathBuf,
    /// Build it whole, even if layers would do
    #[arg(long)]
    pub(crate) whole: bool,
    #[command(flatten)]
    pub(crate) making: MakingArgs,
    #[command(flatten)]
    pub(crate) results: Results,
}

#[derive(Debug, Group)]
pub(crate) struct BuildArgs {
    /// Folder that `prepare` has filled
    #[arg(long, value_name = "DIR")]
    pub(crate) from: PathBuf,
    /// kaniko's binary
    #[arg(long, value_name = "FILE", default_value = "/kaniko/executor")]
    pub(crate) executor: PathBuf,
    /// Where kaniko writes the digest of what it pushed
    #[arg(long, value_name = "FILE", default_value = "/kaniko/pushed/digest")]
    pub(crate) digest_file: PathBuf,
    /// Flags for kaniko that change nothing of what it builds
    #[arg(last = true, value_name = "KANIKO FLAGS")]
    pub(crate) kaniko_args: Vec<String>,
}

#[derive(Debug, Group)]
pub(crate) struct FinishArgs {
    /// Folder that `prepare` has filled
    #[arg(long, value_name = "DIR")]
    pub(crate) from: PathBuf,
    /// File that kaniko has written the digest to
    #[arg(long, value_name = "FILE", default_value = "/pushed/digest")]
    pub(crate) digest_file: PathBuf,
    #[command(flatten)]
    pub(crate) making: MakingArgs,
    #[command(flatten)]
    pub(crate) results: Results,
}

/// From which bento, to which image.
#[derive(Debug, Group)]
pub(crate) struct MakingArgs {
    #[command(flatten)]
    pub(crate) bento: StoredBentoArgs,
    #[command(flatten)]
    pub(crate) image: ImageArgs,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
    #[command(flatten)]
    pub(crate) retries: RetryArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    /// Flags of yours for kaniko. They count for the environment's key
    #[arg(last = true, value_name = "KANIKO FLAGS", help_heading = "Arguments")]
    pub(crate) kaniko_args: Vec<String>,
}

#[derive(Debug, Group)]
#[command(next_help_heading = "Image")]
pub(crate) struct ImageArgs {
    /// Repository that the image is pushed to, without a tag: the bento's version becomes the tag
    #[arg(long, value_name = "REPOSITORY")]
    pub(crate) image: ImageRepository,
    /// Repository of the environments [default: `environments` beside the image's]
    #[arg(long, value_name = "REPOSITORY")]
    pub(crate) environments: Option<ImageRepository>,
    /// Registry that serves the images of Docker Hub
    #[arg(long, value_name = "HOST", value_parser = host)]
    pub(crate) registry_mirror: Option<String>,
    /// Age from which on an environment counts as missing, as its packages grow old under the same key
    #[arg(long, value_name = "DURATION", default_value = "14d", value_parser = humantime::parse_duration)]
    pub(crate) max_age: Duration,
    /// Make the image again that the registry has of this archive already
    #[arg(long)]
    pub(crate) rebuild: bool,
}

#[derive(Debug, Group)]
#[command(next_help_heading = "Registries")]
pub(crate) struct RegistryArgs {
    /// Folder that may have `config.json`, as `docker login` writes it. Programs that it names for
    /// credentials are not run
    #[arg(long, value_name = "DIR")]
    pub(crate) registry_auth: Option<SecretFolder>,
    /// Whether plain HTTP will do where a registry speaks no TLS
    #[arg(long)]
    pub(crate) registry_insecure: bool,
    /// The same for one registry; may be given more than once
    #[arg(long, value_name = "HOST", value_parser = host)]
    pub(crate) insecure_registry: Vec<String>,
    /// Folder that may have `ca.crt`, additional CA certificates, PEM, for the registries and the
    /// Dockerfile's commands
    #[arg(long, value_name = "DIR")]
    pub(crate) build_credentials: Option<SecretFolder>,
}

#[derive(Debug, Group)]
#[expect(
    clippy::struct_field_names,
    reason = "a field is the flag, and the flag `--result-NAME` is the result's"
)]
pub(crate) struct Results {
    /// File for the image by its tag, REPOSITORY:VERSION
    #[arg(long)]
    pub(crate) result_image_url: ResultFile,
    /// File for the image's digest
    #[arg(long)]
    pub(crate) result_image_digest: ResultFile,
    /// File for the bento's NAME:VERSION, as its manifest says
    #[arg(long)]
    pub(crate) result_bento: ResultFile,
    /// File for the archive's SHA-256, in hexadecimal
    #[arg(long)]
    pub(crate) result_sha256: ResultFile,
    /// File for the environment, REPOSITORY@DIGEST; empty where it was built whole
    #[arg(long)]
    pub(crate) result_environment: ResultFile,
    /// File for how it was made: yes, environment-missing or whole
    #[arg(long)]
    pub(crate) result_assembled: ResultFile,
    /// File for why it was not assembled
    #[arg(long)]
    pub(crate) result_reason: ResultFile,
    /// File for the bytes that were uploaded
    #[arg(long)]
    pub(crate) result_uploaded: ResultFile,
    /// File for the bytes of all layers of the image
    #[arg(long)]
    pub(crate) result_size: ResultFile,
    /// File for the archive as Tekton Chains reads it: JSON with `uri` and `digest`
    #[arg(long)]
    pub(crate) result_artifact_inputs: ResultFile,
    /// File for the image as Tekton Chains reads it: JSON with `uri` and `digest`
    #[arg(long)]
    pub(crate) result_artifact_outputs: ResultFile,
}

fn host(text: &str) -> Result<String, &'static str> {
    if text.contains('/') {
        return Err("a registry is `HOST` or `HOST:PORT`, without `http://` and without a path");
    }
    Ok(text.to_owned())
}

const EXAMPLES: &str = "\
Examples:
  # How will this bento's image be made, and which line decides?
  bento-image plan --store s3://bentos --bento iris:v2 --image registry.example/models/iris

  # Make it, where its environment is there
  bento-image assemble --store s3://bentos --bento iris:v2 --image registry.example/models/iris

Credentials of the store come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, from --credentials,
or from the files of the AWS tools; those of the registries from `config.json` in --registry-auth.

Exit codes: 0 the image is there, 1 it could not be made, 2 usage, 3 its environment is not there
or it has to be built whole, 143 stopped.";

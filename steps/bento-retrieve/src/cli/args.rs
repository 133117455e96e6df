//! What is typed.

use std::path::PathBuf;

use bento_retrieve::{
    bento::{Repository, Tag, dockerfile::Builder},
    request::{AccessArgs, BentoArgs, LimitArgs, Output, RetryArgs},
};
use clap::{Args as Group, Parser, Subcommand};
use step::{ResultFile, SecretFolder};

/// Get a bento from a store and unpack it, ready to build an image from
///
/// The archive is read once, as a stream: unpacked while it comes, into a folder that appears
/// under its name only when it is complete. It is told by its contents, not by its name (tar,
/// plain or with gzip, xz or bzip2, and zip; BentoML 0.x to 1.4), and may come from anyone: what
/// would end outside of the folder or beyond the limits is refused.
#[derive(Debug, Parser)]
#[command(name = "bento-retrieve", version, after_help = EXAMPLES)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(subcommand_help_heading = "For people")]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Inspect>,
    #[command(flatten)]
    pub(crate) retrieve: RetrieveArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Inspect {
    /// Print what teammates have saved, newest first
    ///
    /// Reads the first part of each archive, up to its manifest.
    List(ListArgs),
    /// Print what a bento says of itself
    ///
    /// `NAME:latest` is the newest. Values of variables are left out, as they may be secret.
    Show(ShowArgs),
}

#[derive(Debug, Group)]
#[command(next_help_heading = "Which bento")]
pub(crate) struct RetrieveArgs {
    #[command(flatten)]
    pub(crate) bento: BentoArgs,
    /// Folder to unpack into; made, and not touched if the bento is there already
    #[arg(long, value_name = "DIR", required = true)]
    pub(crate) into: Option<PathBuf>,
    /// Where an image of it will be pushed, to name that image in a result
    #[arg(long, value_name = "REPOSITORY")]
    pub(crate) image: Option<Repository>,
    /// What the image will be built with: a bento that it cannot build is refused, in place of a warning
    #[arg(long, value_enum, value_name = "BUILDER")]
    pub(crate) builder: Option<Builder>,
    /// Folder that may have `ca.crt`, additional CA certificates, PEM, for the Dockerfile's commands:
    /// it is then a copy of the Dockerfile that is built with, outside of the bento
    #[arg(long, value_name = "DIR")]
    pub(crate) build_credentials: Option<SecretFolder>,

    #[command(flatten)]
    pub(crate) access: AccessArgs,
    #[command(flatten)]
    pub(crate) retries: RetryArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    #[command(flatten)]
    pub(crate) results: Results,
}

#[derive(Debug, Group)]
pub(crate) struct ListArgs {
    /// Store to look into
    #[arg(long, value_name = "s3://BUCKET/PREFIX", required = true)]
    pub(crate) store: String,
    /// Only bentos of this name; with a version only that one, and `NAME:latest` is the newest
    #[arg(value_name = "NAME[:VERSION]")]
    pub(crate) bento: Option<String>,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
    #[command(flatten)]
    pub(crate) retries: RetryArgs,
}

#[derive(Debug, Group)]
pub(crate) struct ShowArgs {
    /// Bento to show, or `NAME:latest`
    #[arg(value_name = "NAME:VERSION", required_unless_present = "from", conflicts_with = "from")]
    pub(crate) bento: Option<Tag>,
    /// Store that it is in
    #[arg(long, value_name = "s3://BUCKET/PREFIX", required_unless_present = "from")]
    pub(crate) store: Option<String>,
    /// The archive itself, in place of --store: `s3://BUCKET/KEY`, `https://…`, or a path
    #[arg(long, value_name = "ARCHIVE", conflicts_with = "store")]
    pub(crate) from: Option<String>,
    /// How to print it; json is the whole manifest
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
    #[command(flatten)]
    pub(crate) retries: RetryArgs,
}

#[derive(Debug, Group)]
#[expect(
    clippy::struct_field_names,
    reason = "a field is the flag, and the flag `--result-NAME` is the result's"
)]
pub(crate) struct Results {
    /// File for the bento's NAME:VERSION, as its manifest says
    #[arg(long)]
    pub(crate) result_bento: ResultFile,
    /// File for the archive's SHA-256, in hexadecimal
    #[arg(long)]
    pub(crate) result_sha256: ResultFile,
    /// File for the folder to build from, as --into names it
    #[arg(long)]
    pub(crate) result_context: ResultFile,
    /// File for the Dockerfile's path, relative to that folder, or absolute where it is a copy
    #[arg(long)]
    pub(crate) result_dockerfile: ResultFile,
    /// File for the image to build, REPOSITORY:VERSION; empty without --image
    #[arg(long)]
    pub(crate) result_image_url: ResultFile,
}

const EXAMPLES: &str = "\
Examples:
  # A teammate's bento, ready for `docker build -f iris/env/docker/Dockerfile iris`
  bento-retrieve --store s3://bentos/team --bento iris:k3qz6zsd5sgx2vfn --into iris

  # From a store of one's own, and only if it is the archive that was meant
  bento-retrieve --s3-endpoint http://minio:9000 --store s3://bentos --bento iris:v1 \\
    --sha256 \"$SHA256\" --into iris

  # An archive that someone signed an address for
  bento-retrieve --from \"$URL\" --into iris

  # What there is
  bento-retrieve list --store s3://bentos/team
  bento-retrieve show --store s3://bentos/team iris:latest

Credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, from --credentials or the
files of the AWS tools (after `aws sso login`, from there too), or from the pod's or the
machine's role. The region comes from AWS_REGION or the profile; without, AWS is asked for the
bucket's, and other stores take any.

Exit codes: 0 the bento is there, 1 it could not be got or is refused, 2 usage, 143 stopped.";

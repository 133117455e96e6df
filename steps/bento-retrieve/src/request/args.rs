//! The flags that say which archive is read, and how: the same for whoever reads one.

use std::{path::PathBuf, time::Duration};

use clap::{Args as Group, ValueEnum};
use step::{SecretFolder, text::is_sha256};

use crate::{archive::Limits, bento::Tag, download::RetryPolicy, size::Size};

/// An archive of a store, or any other.
#[derive(Clone, Debug, Group)]
#[command(next_help_heading = "Which bento")]
pub struct BentoArgs {
    /// Store that the bento is in
    #[arg(long, value_name = "s3://BUCKET/PREFIX", required_unless_present = "from")]
    pub store: Option<String>,
    /// Bento, exactly: the archive PREFIX/NAME/VERSION.tar.gz, or .bento, .tar, .tar.xz, …
    #[arg(long, value_name = "NAME:VERSION", required_unless_present = "from")]
    pub bento: Option<Tag>,
    /// The archive itself, in place of --store: `s3://BUCKET/KEY`, `https://…`, or a path. With
    /// --bento it has to be that bento
    #[arg(long, value_name = "ARCHIVE", conflicts_with = "store")]
    pub from: Option<String>,
    /// SHA-256 of the archive; any other archive is refused
    #[arg(long, value_name = "HEX", value_parser = sha256)]
    pub sha256: Option<String>,
}

/// A bento of a store, where an archive cannot be named by itself.
#[derive(Clone, Debug, Group)]
#[command(next_help_heading = "Which bento")]
pub struct StoredBentoArgs {
    /// Store that the bento is in
    #[arg(long, value_name = "s3://BUCKET/PREFIX")]
    pub store: String,
    /// Bento, exactly: the archive PREFIX/NAME/VERSION.tar.gz, or .bento, .tar, .tar.xz, …
    #[arg(long, value_name = "NAME:VERSION")]
    pub bento: Tag,
    /// SHA-256 of the archive; any other archive is refused
    #[arg(long, value_name = "HEX", value_parser = sha256)]
    pub sha256: Option<String>,
}

impl From<StoredBentoArgs> for BentoArgs {
    fn from(StoredBentoArgs { store, bento, sha256 }: StoredBentoArgs) -> Self {
        Self { store: Some(store), bento: Some(bento), from: None, sha256 }
    }
}

#[derive(Clone, Debug, Group)]
#[command(next_help_heading = "Store")]
pub struct AccessArgs {
    /// Address of a store that is not AWS, such as `http://minio:9000` [default:
    /// `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, or `endpoint_url` of the profile]
    #[arg(long, value_name = "URL", value_parser = endpoint)]
    pub s3_endpoint: Option<String>,
    /// Bucket in the path instead of the host name [default: `addressing_style` of the profile, or
    /// true for a store that is not AWS]
    #[arg(long)]
    pub s3_path_style: Option<bool>,
    /// Ask without credentials, as a public bucket allows
    #[arg(long)]
    pub anonymous: bool,
    /// Compare what comes with the checksum that the store has for it; the archive's own are always
    #[arg(long, default_value_t = true)]
    pub store_checksum: bool,
    /// Profile of the AWS tools to use, also one with `sso_session`, `credential_process` or
    /// `role_arn` [default: `AWS_PROFILE`]
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Folder that may have the files `credentials` and `config` of the AWS tools, and `ca.crt`,
    /// additional CA certificates, PEM
    #[arg(long, value_name = "DIR")]
    pub credentials: Option<SecretFolder>,
    /// Additional CA certificates, PEM
    #[arg(long, value_name = "FILE", env = "AWS_CA_BUNDLE")]
    pub ca_bundle: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Group)]
#[command(next_help_heading = "Timeouts and retries")]
pub struct RetryArgs {
    /// Longest time in all
    #[arg(long, value_name = "DURATION", default_value = "30m", value_parser = humantime::parse_duration)]
    pub timeout: Duration,
    /// Longest time without a byte, before the rest is asked for again
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = humantime::parse_duration)]
    pub idle_timeout: Duration,
    /// Tries in a row that bring nothing, before it gives up
    #[arg(long, value_name = "COUNT", default_value_t = 8)]
    pub retries: usize,
}

impl RetryArgs {
    pub fn policy(self) -> RetryPolicy {
        RetryPolicy { idle: self.idle_timeout, retries: self.retries }
    }
}

#[derive(Clone, Copy, Debug, Group)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// Most connections at once; more than one only where one is the limit
    #[arg(long, value_name = "COUNT", default_value_t = 4)]
    pub connections: usize,
    /// Most bytes that the bento may have once unpacked
    #[arg(long, value_name = "SIZE", default_value = "50Gi")]
    pub max_size: Size,
    /// Most files, directories and symlinks
    #[arg(long, value_name = "COUNT", default_value_t = 100_000)]
    pub max_entries: u64,
    /// Most unpacked bytes for each byte of the archive, counted from 64 MiB on
    #[arg(long, value_name = "RATIO", default_value_t = 200)]
    pub max_ratio: u64,
}

impl LimitArgs {
    pub fn limits(self) -> Limits {
        Limits { bytes: self.max_size.0, entries: self.max_entries, ratio: self.max_ratio }
    }
}

/// How something is printed.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum Output {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

fn sha256(text: &str) -> Result<String, &'static str> {
    let text = text.strip_prefix("sha256:").unwrap_or(text).to_ascii_lowercase();
    if is_sha256(&text) { Ok(text) } else { Err("a SHA-256 has 64 hexadecimal digits") }
}

pub(crate) fn endpoint(text: &str) -> Result<String, &'static str> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    match rest {
        Some(host) if !host.trim_matches('/').is_empty() && !host.contains(['@', '?', '#']) => {
            Ok(text.trim_end_matches('/').into())
        }
        _ => Err("an endpoint is `http://HOST:PORT` or `https://HOST`, without a user or a query"),
    }
}

//! The edge to an S3 store: connecting, finding a bento's archive, reading it from any byte.

use std::{fmt, path::PathBuf, time::Duration};

use aws_config::{
    BehaviorVersion, Region, profile::ProfileFileCredentialsProvider,
    provider_config::ProviderConfig, retry::RetryConfig,
    stalled_stream_protection::StalledStreamProtectionConfig, timeout::TimeoutConfig,
};
use aws_sdk_s3::{
    Client, config::ResponseChecksumValidation, operation::get_object::GetObjectOutput,
    types::ChecksumType,
};
use aws_smithy_types::date_time::Format;
use thiserror::Error;

use crate::{
    bento::tag::Tag,
    source::aws_profile,
    source::client::{CONNECT, http_client},
    source::error::{Fault, Right},
    source::{Checksum, Doubt, Opened, Part, whole},
};

/// Region of a store that has none. Signatures need one, and other stores than AWS take this.
const ANY_REGION: &str = "us-east-1";

/// `s3://BUCKET/PREFIX`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    pub bucket: String,
    /// Without slashes at its ends; may be empty
    pub prefix: String,
}

/// What is wrong with a location. Never holds the text itself, in which people put keys.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum BadLocation {
    #[error("it does not begin with `s3://`")]
    Scheme,
    #[error("it has no bucket, or one with characters that no bucket's name has")]
    Bucket,
    #[error("it has `?`, `#` or a control character")]
    Query,
}

impl Location {
    pub fn parse(text: &str) -> Result<Self, BadLocation> {
        let rest = text.strip_prefix("s3://").ok_or(BadLocation::Scheme)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        // Old buckets have capitals and underscores; `:` and `@` would be a key in front of the bucket.
        let fits = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        if bucket.is_empty() || !bucket.chars().all(fits) {
            return Err(BadLocation::Bucket);
        }
        if prefix.contains(|c: char| c == '?' || c == '#' || c.is_control()) {
            return Err(BadLocation::Query); // once an option of BentoML; now it would be part of the key
        }
        Ok(Self { bucket: bucket.into(), prefix: prefix.trim_matches('/').into() })
    }

    /// The key of something below the prefix.
    #[must_use]
    pub fn key(&self, below: &str) -> String {
        if self.prefix.is_empty() { below.to_owned() } else { format!("{}/{below}", self.prefix) }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.key_with_bucket())
    }
}

impl Location {
    fn key_with_bucket(&self) -> String {
        if self.prefix.is_empty() {
            self.bucket.clone()
        } else {
            format!("{}/{}", self.bucket, self.prefix)
        }
    }
}

/// How to reach a store.
#[derive(Clone, Debug)]
pub struct Access {
    /// `http://HOST:PORT`, or nothing for AWS
    pub endpoint: Option<String>,
    /// Bucket in the path, not in the host's name
    pub path_style: bool,
    pub region: Option<String>,
    /// Of the AWS tools' files; its keys go before those of the environment
    pub profile: Option<String>,
    /// Asks without credentials
    pub anonymous: bool,
    /// Folder that may have `credentials` and `config` as the AWS tools write them. Without, they are where the AWS
    /// tools look for them
    pub credentials: Option<PathBuf>,
    /// Certificate authorities to trust beside the system's, in PEM
    pub authority: Option<Vec<u8>>,
    /// How long an answer may take
    pub idle: Duration,
    /// Whether what comes is compared with the checksum that the store has for it
    pub checksum: bool,
}

/// A store and a place in it.
#[derive(Clone, Debug)]
pub struct Store {
    client: Client,
    pub location: Location,
    checksum: bool,
}

/// One archive in a store.
#[derive(Clone, Debug)]
pub struct Object {
    client: Client,
    pub bucket: String,
    pub key: String,
    checksum: bool,
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

/// What a search for a bento's archive came to.
#[derive(Debug)]
pub enum Found {
    Object(Object),
    /// Its files lie there one by one, as a folder that was exported or copied
    Folder(String),
    /// Other versions of the same name, if there are any
    Nothing {
        versions: Vec<String>,
    },
}

/// An archive as a listing shows it.
#[derive(Clone, Debug)]
pub struct Saved {
    pub object: Object,
    /// Bytes
    pub size: u64,
    /// When it was written, ISO 8601, UTC
    pub modified: String,
    /// Its key below the store's prefix
    below: String,
}

impl Saved {
    /// Whether its key says so: `NAME/VERSION.tar.gz`.
    #[must_use]
    pub fn is_of(&self, name: &str) -> bool {
        self.below.split_once('/').is_some_and(|(folder, _)| folder == name)
    }
}

/// What a listing came to.
#[derive(Debug, Default)]
pub struct Listing {
    pub archives: Vec<Saved>,
    /// There would have been more
    pub more: bool,
}

/// Endings that archives of bentos have, in the order in which they are preferred. The contents decide what they are.
const ENDINGS: [&str; 12] = [
    ".tar.gz",
    ".bento",
    ".tar",
    ".tar.xz",
    ".tgz",
    ".gz",
    ".xz",
    ".tar.bz2",
    ".bz2",
    ".zip",
    ".tgz.bento",
    "",
];
/// Keys that a listing reads at most, ten answers of a store. Each archive costs another request.
const LISTED_IN_ALL: usize = 10_000;
/// Keys looked at when the archive is not where it should be; a version has one or two.
const LISTED: i32 = 200;

impl Store {
    /// Prepares the client. Nothing is sent yet, but to AWS where no region is set: there a bucket has one.
    pub async fn new(location: Location, access: &Access) -> Self {
        let store = Self { client: client(access).await, location, checksum: access.checksum };
        match (&access.region, &access.endpoint) {
            (Some(_), _) => store,
            (None, Some(_)) => {
                tracing::info!(
                    "no region is set; asking as in `{ANY_REGION}`, which stores that are not AWS take"
                );
                store
            }
            (None, None) => store.where_the_bucket_is().await,
        }
    }

    /// The same in the bucket's region, which AWS tells to anyone. Why it did not is told by the request that follows.
    async fn where_the_bucket_is(self) -> Self {
        let answer = self.client.head_bucket().bucket(&self.location.bucket).send().await;
        let region = match &answer {
            Ok(answer) => answer.bucket_region(),
            Err(error) => {
                error.raw_response().and_then(|raw| raw.headers().get("x-amz-bucket-region"))
            }
        };
        let Some(region) = region.filter(|region| *region != ANY_REGION) else { return self };
        tracing::info!("no region is set; the bucket is in `{region}`");
        let config = self.client.config().to_builder().region(Region::new(region.to_owned()));
        Self { client: Client::from_conf(config.build()), ..self }
    }

    /// The archive where BentoML's users put it by convention, which need not exist.
    #[must_use]
    pub fn conventional(&self, tag: &Tag) -> Object {
        self.object(self.location.key(&format!("{}/{}.tar.gz", tag.name, tag.version)))
    }

    /// The object whose key is the whole location.
    #[must_use]
    pub fn exactly(&self) -> Object {
        self.object(self.location.prefix.clone())
    }

    fn object(&self, key: String) -> Object {
        let (client, bucket) = (self.client.clone(), self.location.bucket.clone());
        Object { client, bucket, key, checksum: self.checksum }
    }

    /// Looks for an archive with another ending, or at the place where `bentoml export` itself puts one.
    pub async fn search(&self, tag: &Tag) -> Result<Found, Fault> {
        let own = self.location.key(&format!("{}/{}", tag.name, tag.version));
        let exported = self.location.key(&format!("{}-{}", tag.name, tag.version));
        for stem in [&own, &exported] {
            let keys = self.list(stem).await?;
            if let Some(key) = choose(stem, &keys) {
                return Ok(Found::Object(self.object(key)));
            }
            if keys.iter().any(|key| key.strip_prefix(stem.as_str()) == Some("/bento.yaml")) {
                return Ok(Found::Folder(format!("s3://{}/{stem}/", self.location.bucket)));
            }
        }
        let folder = self.location.key(&format!("{}/", tag.name));
        let keys = self.list(&folder).await?;
        Ok(Found::Nothing { versions: versions(&folder, &keys) })
    }

    /// All archives of bentos, or those that may be of one name: `NAME/VERSION.tar.gz` and `NAME-VERSION.bento`.
    pub async fn saved(&self, name: Option<&str>) -> Result<Listing, Fault> {
        let root = self.location.key("");
        let prefix = self.location.key(name.unwrap_or_default());
        let mut listing = Listing::default();
        let (mut seen, mut next) = (0, None);
        loop {
            let request =
                self.client.list_objects_v2().bucket(&self.location.bucket).prefix(&prefix);
            let answer = request
                .set_continuation_token(next)
                .send()
                .await
                .map_err(|error| Fault::from_sdk(&error, self.to_list()))?;
            let contents = answer.contents.unwrap_or_default();
            seen += contents.len();
            for object in contents {
                let Some(key) = object.key else { continue };
                let below = key.strip_prefix(&root).unwrap_or_default().to_owned();
                let is_archive =
                    ENDINGS.iter().any(|ending| !ending.is_empty() && below.ends_with(ending));
                if is_archive && below.matches('/').count() <= 1 {
                    let modified =
                        object.last_modified.and_then(|time| time.fmt(Format::DateTime).ok());
                    listing.archives.push(Saved {
                        object: self.object(key),
                        size: object.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
                        modified: modified.unwrap_or_default(),
                        below,
                    });
                }
            }
            next = answer.next_continuation_token;
            listing.more = next.is_some();
            if next.is_none() || seen >= LISTED_IN_ALL {
                return Ok(listing);
            }
        }
    }

    fn to_list(&self) -> Right {
        Right { action: "s3:ListBucket", resource: self.location.bucket.clone() }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, Fault> {
        let answer = self
            .client
            .list_objects_v2()
            .bucket(&self.location.bucket)
            .prefix(prefix)
            .max_keys(LISTED);
        let answer =
            answer.send().await.map_err(|error| Fault::from_sdk(&error, self.to_list()))?;
        Ok(answer
            .contents
            .unwrap_or_default()
            .into_iter()
            .filter_map(|object| object.key)
            .collect())
    }
}

async fn client(access: &Access) -> Client {
    let region = Region::new(access.region.clone().unwrap_or_else(|| ANY_REGION.into()));
    let files = aws_profile::files(access.credentials.as_deref());
    // Whoever lends keys speaks TLS, whatever the store does.
    let lenders = http_client(None, access.authority.clone());
    let timeouts =
        TimeoutConfig::builder().connect_timeout(CONNECT).read_timeout(access.idle).build();
    let mut config = aws_config::defaults(BehaviorVersion::latest())
        .http_client(lenders.clone())
        .region(region.clone())
        .profile_files(files.clone())
        .timeout_config(timeouts)
        // Retries, stalls and checksums are ours: they must also hold for a read that was resumed.
        .retry_config(RetryConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    if let Some(name) = &access.profile {
        // It was named, so it goes before keys that the environment may have, as for the AWS tools.
        let provider =
            ProviderConfig::default().with_http_client(lenders).with_region(Some(region));
        let keys = ProfileFileCredentialsProvider::builder().configure(&provider);
        config = config.credentials_provider(keys.profile_files(files).profile_name(name).build());
    }
    if access.anonymous {
        config = config.no_credentials();
    }
    let mut config = aws_sdk_s3::config::Builder::from(&config.load().await)
        .http_client(http_client(access.endpoint.as_deref(), access.authority.clone()))
        .force_path_style(access.path_style);
    config.set_endpoint_url(access.endpoint.clone());
    if access.anonymous {
        config = config.allow_no_auth();
    }
    Client::from_conf(config.build())
}

fn choose(stem: &str, keys: &[String]) -> Option<String> {
    ENDINGS
        .iter()
        .find_map(|ending| keys.iter().find(|key| key.strip_prefix(stem) == Some(ending)).cloned())
}

/// The versions that keys below `NAME/` stand for, newest name first, a few of them.
fn versions(folder: &str, keys: &[String]) -> Vec<String> {
    let version = |key: &String| {
        let rest = key.strip_prefix(folder).filter(|rest| !rest.contains('/'))?;
        let ending =
            ENDINGS.iter().find(|ending| !ending.is_empty() && rest.ends_with(**ending))?;
        rest.strip_suffix(ending).map(str::to_owned)
    };
    let mut versions: Vec<_> = keys.iter().filter_map(version).collect();
    versions.sort();
    versions.dedup();
    versions.into_iter().rev().take(5).collect()
}

impl Object {
    fn to_get(&self) -> Right {
        Right { action: "s3:GetObject", resource: format!("{}/{}", self.bucket, self.key) }
    }

    /// Opens a part of it, and only if it is still the same object.
    pub(crate) async fn open(&self, part: Part, same: Option<&str>) -> Result<Opened, Fault> {
        let compared = self.checksum && part == Part::ALL;
        let request = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(&self.key)
            .set_range(part.header())
            .set_if_match(same.map(str::to_owned));
        let answer = request
            .customize()
            .mutate_request(move |request| {
                if compared {
                    request.headers_mut().insert("x-amz-checksum-mode", "ENABLED");
                }
            })
            .send()
            .await
            .map_err(|error| Fault::from_sdk(&error, self.to_get()))?;
        let length = answer.content_length.and_then(|length| u64::try_from(length).ok());
        let total = whole(part, answer.content_range.as_deref(), length)?;
        let checksum = checksum(&answer).filter(|_| compared);
        let doubt = Doubt::of(answer.content_encoding.as_deref(), length);
        Ok(Opened { checksum, total, mark: answer.e_tag, body: answer.body.into(), doubt })
    }
}

/// The checksum of the whole object, if the store has one.
///
/// That of an upload in parts may be made of the parts' checksums: AWS then says so by a `-` and by the type, older
/// `MinIO` by one of them or by neither. So without a type it is believed only where the tag, which ends in `-PARTS`
/// then, tells that there was one part, or where the algorithm knows no other checksum than the whole one.
fn checksum(answer: &GetObjectOutput) -> Option<Checksum> {
    let in_parts = answer.e_tag.as_deref().is_none_or(|tag| tag.contains('-'));
    let known = [
        ("crc64nvme", &answer.checksum_crc64_nvme),
        ("crc32", &answer.checksum_crc32),
        ("crc32c", &answer.checksum_crc32_c),
        ("sha256", &answer.checksum_sha256),
        ("sha1", &answer.checksum_sha1),
    ];
    known.into_iter().find_map(|(algorithm, value)| {
        let is_whole = match &answer.checksum_type {
            // Of parts, a SHA cannot be put together to that of the whole.
            Some(ChecksumType::FullObject) => !in_parts || algorithm.starts_with("crc"),
            Some(_) => false,
            None => !in_parts || algorithm == "crc64nvme",
        };
        let value = value.as_deref().filter(|value| is_whole && !value.contains('-'))?;
        Checksum::new(algorithm, value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_believed_only_where_it_is_of_the_whole_object() {
        let whole = "d54f7e22a4b3e0d7f0b1c2d3e4f5a6b7";
        let parts = "d54f7e22a4b3e0d7f0b1c2d3e4f5a6b7-3";
        let believed = |tag: Option<&str>, kind: Option<&str>, algorithm: &str, value: &str| {
            let answer = GetObjectOutput::builder()
                .set_e_tag(tag.map(|tag| format!("\"{tag}\"")))
                .set_checksum_type(kind.map(ChecksumType::from));
            let value = value.to_owned();
            let answer = match algorithm {
                "crc64nvme" => answer.checksum_crc64_nvme(value),
                "crc32" => answer.checksum_crc32(value),
                "crc32c" => answer.checksum_crc32_c(value),
                "sha1" => answer.checksum_sha1(value),
                "sha256" => answer.checksum_sha256(value),
                _ => answer,
            };
            checksum(&answer.build()).is_some()
        };
        let (full, composite) = (Some("FULL_OBJECT"), Some("COMPOSITE"));
        for algorithm in ["crc32", "crc32c", "sha1", "sha256", "crc64nvme"] {
            assert!(believed(Some(whole), None, algorithm, "AAAAAA=="), "{algorithm}");
            assert!(believed(Some(whole), full, algorithm, "AAAAAA=="), "{algorithm}");
            assert!(!believed(Some(whole), composite, algorithm, "AAAAAA=="), "{algorithm}");
            assert!(!believed(Some(parts), composite, algorithm, "AAAAAA==-3"), "{algorithm}: AWS");
            assert!(!believed(Some(parts), None, algorithm, "AAAAAA==-3"), "{algorithm}");
            assert!(!believed(Some(parts), composite, algorithm, "AAAAAA=="), "{algorithm}: MinIO");
            let is_crc = algorithm.starts_with("crc");
            assert_eq!(believed(Some(parts), full, algorithm, "AAAAAA=="), is_crc, "{algorithm}");
            let only_whole = algorithm == "crc64nvme";
            assert_eq!(
                believed(Some(parts), None, algorithm, "AAAAAA=="),
                only_whole,
                "{algorithm}"
            );
            assert_eq!(believed(None, None, algorithm, "AAAAAA=="), only_whole, "{algorithm}");
            assert!(!believed(Some(whole), Some("NEW"), algorithm, "AAAAAA=="), "{algorithm}");
        }
        assert!(!believed(Some(whole), full, "xxhash64", "AAAAAA=="));
    }
}

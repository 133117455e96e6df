//! A store that speaks S3: connecting to it, listing keys, reading an object from any byte.

use std::{fmt, path::PathBuf, time::Duration};

use aws_config::{
    BehaviorVersion, Region, profile::ProfileFileCredentialsProvider,
    provider_config::ProviderConfig, retry::RetryConfig,
    stalled_stream_protection::StalledStreamProtectionConfig, timeout::TimeoutConfig,
};
use aws_sdk_s3::{
    Client,
    config::{RequestChecksumCalculation, ResponseChecksumValidation},
    operation::get_object::GetObjectOutput,
    primitives::ByteStream,
    types::ChecksumType,
};
use bytes::Bytes;

use crate::source::{
    aws_profile,
    body::{Alteration, BodyError, Checksum, Opened},
    client::{CONNECT, http_client},
    error::{Permission, SourceError},
    error_response::from_sdk,
    listed::{Listed, Page},
    location::Location,
    range::{ByteRange, total_length},
};

/// Region of a store that has none. Signatures need one, and other stores than AWS take this.
const ANY_REGION: &str = "us-east-1";
/// Keys that S3 gives in one answer.
const LARGEST_PAGE: i32 = 1_000;

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
    /// Additional CA certificates, PEM
    pub ca_certificates: Option<Vec<u8>>,
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
    store: Store,
    pub key: String,
}

/// Objects, and whether there are more
type Found = Result<(Vec<Listed>, bool), SourceError>;

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.store.location.bucket, self.key)
    }
}

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

    /// The object whose key is the whole location.
    pub fn exactly(&self) -> Object {
        self.object(self.location.prefix.clone())
    }

    /// The object with this key.
    pub fn object(&self, key: String) -> Object {
        Object { store: self.clone(), key }
    }

    /// The objects whose keys begin with the prefix, page by page until there are `most`; and whether there are more.
    pub async fn list(&self, prefix: &str, most: usize) -> Found {
        self.list_without(prefix, None, most).await
    }

    /// The same without those below another prefix, which may be many: their pages are not asked for.
    pub(crate) async fn list_without(
        &self,
        prefix: &str,
        without: Option<&str>,
        most: usize,
    ) -> Found {
        let is_left_out =
            |found: &Listed| without.is_some_and(|without| found.key.starts_with(without));
        let (mut objects, mut next, mut behind) = (Vec::new(), None, None);
        loop {
            let page = self.page_behind(prefix, next, behind.clone(), most).await?;
            let ends_left_out = page.objects.last().is_some_and(is_left_out);
            objects.extend(page.objects.into_iter().filter(|found| !is_left_out(found)));
            next = page.next;
            if next.is_none() || objects.len() >= most {
                return Ok((objects, next.is_some()));
            }
            if let (true, Some(without), None) = (ends_left_out, without, &behind) {
                // No key below it is greater.
                (next, behind) = (None, Some(format!("{without}{}", char::MAX)));
            }
        }
    }

    /// The first of these objects, or those after an earlier page: `most` at most, and at most 1,000.
    pub async fn page(
        &self,
        prefix: &str,
        after: Option<String>,
        most: usize,
    ) -> Result<Page, SourceError> {
        self.page_behind(prefix, after, None, most).await
    }

    /// The same, but only of keys behind one, which need not exist.
    async fn page_behind(
        &self,
        prefix: &str,
        after: Option<String>,
        key: Option<String>,
        most: usize,
    ) -> Result<Page, SourceError> {
        let size = i32::try_from(most).unwrap_or(i32::MAX).min(LARGEST_PAGE);
        let request = self.client.list_objects_v2().bucket(&self.location.bucket).prefix(prefix);
        let request = request.max_keys(size).set_continuation_token(after).set_start_after(key);
        let to_list =
            || Permission { action: "s3:ListBucket", resource: self.location.bucket.clone() };
        let page = request.send().await.map_err(|error| from_sdk(&error, to_list()))?;
        let objects =
            page.contents.unwrap_or_default().into_iter().filter_map(Listed::of).collect();
        Ok(Page { objects, next: page.next_continuation_token })
    }
}

async fn client(access: &Access) -> Client {
    let region = Region::new(access.region.clone().unwrap_or_else(|| ANY_REGION.into()));
    let files = aws_profile::files(access.credentials.as_deref());
    // Whoever lends keys speaks TLS, whatever the store does.
    let lenders = http_client(None, access.ca_certificates.clone());
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
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        // The signature covers what is written; not every store takes a checksum behind the body.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired);
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
        .http_client(http_client(access.endpoint.as_deref(), access.ca_certificates.clone()))
        .force_path_style(access.path_style);
    config.set_endpoint_url(access.endpoint.clone());
    if access.anonymous {
        config = config.allow_no_auth();
    }
    Client::from_conf(config.build())
}

impl Object {
    /// Opens a range of it, and only if it is still the same object.
    pub(crate) async fn open(
        &self,
        range: ByteRange,
        validator: Option<&str>,
    ) -> Result<Opened, SourceError> {
        let Store { client, location: Location { bucket, .. }, checksum: has_checksum } =
            &self.store;
        let compared = *has_checksum && range == ByteRange::ALL;
        let request = client
            .get_object()
            .bucket(bucket)
            .key(&self.key)
            .set_range(range.header())
            .set_if_match(validator.map(str::to_owned));
        let answer = request
            .customize()
            .mutate_request(move |request| {
                if compared {
                    request.headers_mut().insert("x-amz-checksum-mode", "ENABLED");
                }
            })
            .send()
            .await
            .map_err(|error| from_sdk(&error, self.permission("s3:GetObject")))?;
        let length = answer.content_length.and_then(|length| u64::try_from(length).ok());
        Ok(Opened {
            total: total_length(range, answer.content_range.as_deref(), length)?,
            checksum: checksum(&answer).filter(|_| compared),
            alteration: Alteration::of(answer.content_encoding.as_deref(), length),
            validator: answer.e_tag,
            body: answer.body.into(),
        })
    }
}

impl Object {
    /// All of it, if it has at most so many bytes.
    pub async fn read(&self, most: u64) -> Result<Vec<u8>, SourceError> {
        let mut opened = self.open(ByteRange::ALL, None).await?;
        let mut bytes = Vec::new();
        while let Some(chunk) = opened.body.next().await {
            let at = bytes.len() as u64;
            bytes.extend_from_slice(&chunk.map_err(|BodyError| SourceError::Cut(at))?);
            if bytes.len() as u64 > most {
                return Err(SourceError::Refused(format!("it has more than {most} bytes")));
            }
        }
        let came = bytes.len() as u64;
        if opened.total.is_some_and(|total| total != came) {
            return Err(SourceError::Cut(came));
        }
        if let Some(mut checksum) = opened.checksum {
            checksum.update(&bytes);
            return if checksum.holds() { Ok(bytes) } else { Err(SourceError::Checksum) };
        }
        Ok(bytes)
    }

    /// Writes it, or replaces it as a whole.
    pub async fn put(&self, bytes: Bytes, content_type: &str) -> Result<(), SourceError> {
        let Store { client, location: Location { bucket, .. }, .. } = &self.store;
        let request = client.put_object().bucket(bucket).key(&self.key).content_type(content_type);
        let answer = request.body(ByteStream::from(bytes)).send().await;
        answer.map(drop).map_err(|error| from_sdk(&error, self.permission("s3:PutObject")))
    }

    /// Deletes it; one that is not there is as good as deleted.
    pub async fn delete(&self) -> Result<(), SourceError> {
        let Store { client, location: Location { bucket, .. }, .. } = &self.store;
        let answer = client.delete_object().bucket(bucket).key(&self.key).send().await;
        match answer.map_err(|error| from_sdk(&error, self.permission("s3:DeleteObject"))) {
            Ok(_) | Err(SourceError::NoObject) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn permission(&self, action: &'static str) -> Permission {
        Permission { action, resource: format!("{}/{}", self.store.location.bucket, self.key) }
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

//! From what was typed to where an archive is, and how its store is asked.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use step::{Failure, SecretFolder, Usage, text};

use crate::{
    request::args::{AccessArgs, RetryArgs, endpoint},
    source::{Access, HttpSource, Location, Profile},
};

/// Where an archive is said to be.
#[derive(Clone, Debug)]
pub enum Origin {
    /// In a store, under its bento's name
    Store(Location),
    /// At exactly this key
    Object(Location),
    Http(HttpSource),
    File(PathBuf),
}

impl Origin {
    /// From `--store` or `--from`. Bad ones are told without being repeated: people put keys into them.
    pub fn new(store: Option<String>, from: Option<String>, access: &Access) -> Result<Self> {
        match (store, from) {
            (Some(store), _) => Ok(Self::Store(location("store", &store)?)),
            (None, Some(from)) => Self::exact(from, access),
            (None, None) => {
                Err(usage("neither a store nor an archive is named", "pass --store, or --from"))
            }
        }
    }

    fn exact(from: String, access: &Access) -> Result<Self> {
        if from.starts_with("s3://") {
            let location = location("from", &from)?;
            if location.prefix.is_empty() {
                return Err(usage(
                    "`from` is a bucket, not an archive",
                    "write `s3://BUCKET/KEY`, or pass --store and --bento",
                ));
            }
            Ok(Self::Object(location))
        } else if from.contains("://") {
            let page = HttpSource::new(&from, access.idle, access.ca_certificates.as_deref())
                .map_err(|bad| {
                    usage(
                        &format!("`from` is not an address that can be read: {bad}"),
                        "write `https://HOST/PATH`, signed if need be",
                    )
                })?;
            Ok(Self::Http(page))
        } else if !text::is_plain_path(&from) && !Path::new(&from).exists() {
            Err(usage(
                "`from` is neither an address nor a file that is there",
                "write `https://HOST/PATH`, `s3://BUCKET/KEY` or the path of a file",
            ))
        } else {
            Ok(Self::File(from.into()))
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(location) | Self::Object(location) => location.fmt(f),
            Self::Http(page) => page.fmt(f),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// `s3://BUCKET/PREFIX`, or why it is not one, without repeating it.
pub fn location(flag: &str, text: &str) -> Result<Location> {
    Location::parse(text).map_err(|bad| {
        usage(
            &format!("`{flag}` is not a valid place in a store: {bad}"),
            "write `s3://BUCKET/PREFIX`; keys and endpoints go into AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and --s3-endpoint",
        )
    })
}

fn usage(what: &str, hint: &str) -> anyhow::Error {
    Usage { what: what.into(), hint: hint.into() }.into()
}

/// What was typed goes before what the variables and files of the AWS tools say.
pub async fn access(args: &AccessArgs, retries: RetryArgs) -> Result<Access> {
    let folder = args.credentials.as_ref().map(SecretFolder::path);
    let mounted = folder.map(|folder| folder.join("ca.crt")).filter(|file| file.is_file());
    let files = args.ca_bundle.iter().chain(&mounted);
    let ca_certificates =
        files.map(|file| ca_certificates(file)).collect::<Result<Vec<_>>>()?.join(&b'\n');
    let found = Profile::read(folder, args.profile.as_deref()).await;
    if let Some(name) = args.profile.as_ref().filter(|_| !found.is_there) {
        return Err(usage(
            &format!("the files of the AWS tools have no profile `{name}`"),
            "`aws configure list-profiles` prints what there is; in a pod they are the files of the Secret",
        ));
    }
    let configured = found.endpoint.as_deref().map(endpoint).transpose().map_err(|bad| {
        usage(
            &format!("the endpoint of the store is not valid: {bad}"),
            "see AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL and `endpoint_url` of the profile, or pass --s3-endpoint",
        )
    });
    let endpoint = args.s3_endpoint.clone().map_or(configured, |typed| Ok(Some(typed)))?;
    let path_style = args.s3_path_style.or(found.path_style);
    Ok(Access {
        path_style: path_style.unwrap_or_else(|| endpoint.as_deref().is_some_and(is_not_aws)),
        endpoint,
        region: found.region,
        profile: args.profile.clone(),
        anonymous: args.anonymous,
        credentials: folder.map(Path::to_owned),
        ca_certificates: Some(ca_certificates).filter(|pem| !pem.is_empty()),
        idle: retries.idle_timeout,
        checksum: args.store_checksum,
    })
}

/// A bucket is part of the host's name at AWS; few others have a name for each bucket.
fn is_not_aws(endpoint: &str) -> bool {
    let rest = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
    let host = rest.split(['/', ':']).next().unwrap_or_default();
    ![".amazonaws.com", ".amazonaws.com.cn"].iter().any(|aws| host.ends_with(aws))
}

fn ca_certificates(file: &Path) -> Result<Vec<u8>> {
    let what = || {
        Failure {
        what: format!("failed to read CA certificates from `{}`", file.display()),
        hint: "the key `ca.crt` of the Secret, or the file of AWS_CA_BUNDLE, has certificates in PEM, \
               `-----BEGIN CERTIFICATE-----` and so on"
            .into(),
    }
    };
    let text = fs::read(file).with_context(what)?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        roots.add(certificate.with_context(what)?).with_context(what)?;
    }
    if roots.is_empty() { Err(what().into()) } else { Ok(text) }
}

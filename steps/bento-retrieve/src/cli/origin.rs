//! From what was typed to an archive that has begun to come.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use bento_retrieve::{
    bento::tag::Tag,
    download::Patience,
    source::aws_profile::Profile,
    source::error::Fault,
    source::http::Page,
    source::s3::{Access, Found, Location, Store},
    source::{Opened, Part, Source},
};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use step::{Failure, Usage, text};

use crate::{
    cli::args::{AccessArgs, PatienceArgs, endpoint},
    cli::hints,
};

/// Where an archive is said to be.
pub(crate) enum Origin {
    /// In a store, under its bento's name
    Store(Location),
    /// At exactly this key
    Object(Location),
    Page(Page),
    File(PathBuf),
}

impl Origin {
    /// From `--store` or `--from`. Bad ones are told without being repeated: people put keys into them.
    pub(crate) fn new(
        store: Option<String>,
        from: Option<String>,
        access: &Access,
    ) -> Result<Self> {
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
            let page =
                Page::new(&from, access.idle, access.authority.as_deref()).map_err(|bad| {
                    usage(
                        &format!("`from` is not an address that can be read: {bad}"),
                        "write `https://HOST/PATH`, signed if need be",
                    )
                })?;
            Ok(Self::Page(page))
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
            Self::Page(page) => page.fmt(f),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// `s3://BUCKET/PREFIX`, or why it is none, without repeating it.
pub(crate) fn location(flag: &str, text: &str) -> Result<Location> {
    Location::parse(text).map_err(|bad| {
        usage(
            &format!("`{flag}` is not a place in a store: {bad}"),
            "write `s3://BUCKET/PREFIX`; keys and endpoints go into AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and --s3-endpoint",
        )
    })
}

fn usage(what: &str, hint: &str) -> anyhow::Error {
    Usage { what: what.into(), hint: hint.into() }.into()
}

/// What was typed goes before what the variables and files of the AWS tools say.
pub(crate) async fn access(access: AccessArgs, patience: PatienceArgs) -> Result<Access> {
    let AccessArgs {
        s3_endpoint,
        s3_path_style,
        anonymous,
        store_checksum,
        profile,
        credentials,
        ca_bundle,
    } = access;
    let mounted = credentials.as_ref().map(|folder| folder.join("ca.crt"));
    let files = ca_bundle.into_iter().chain(mounted.filter(|file| file.is_file()));
    let authority = files.map(|file| authorities(&file)).collect::<Result<Vec<_>>>()?.join(&b'\n');
    let idle = patience.idle_timeout;
    let said = Profile::read(credentials.as_deref(), profile.as_deref()).await;
    if let Some(name) = profile.as_ref().filter(|_| !said.is_there) {
        return Err(usage(
            &format!("the files of the AWS tools have no profile `{name}`"),
            "`aws configure list-profiles` prints what there is; in a pod they are the files of the Secret",
        ));
    }
    let endpoint = match (s3_endpoint, said.endpoint) {
        (Some(typed), _) => Some(typed),
        (None, Some(said)) => Some(endpoint(&said).map_err(|bad| {
            usage(
                &format!("the endpoint of the store is none: {bad}"),
                "see AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL and `endpoint_url` of the profile, or pass --s3-endpoint",
            )
        })?),
        (None, None) => None,
    };
    let path_style = s3_path_style.or(said.path_style);
    Ok(Access {
        path_style: path_style.unwrap_or_else(|| endpoint.as_deref().is_some_and(is_not_aws)),
        endpoint,
        region: said.region,
        profile,
        anonymous,
        credentials,
        authority: Some(authority).filter(|pem| !pem.is_empty()),
        idle,
        checksum: store_checksum,
    })
}

/// A bucket is part of the host's name at AWS; few others have a name for each bucket.
fn is_not_aws(endpoint: &str) -> bool {
    let rest = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
    let host = rest.split(['/', ':']).next().unwrap_or_default();
    ![".amazonaws.com", ".amazonaws.com.cn"].iter().any(|aws| host.ends_with(aws))
}

fn authorities(file: &Path) -> Result<Vec<u8>> {
    let what = || {
        Failure {
        what: format!("failed to read certificate authorities from `{}`", file.display()),
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

pub(crate) fn patience(patience: PatienceArgs) -> Patience {
    Patience { idle: patience.idle_timeout, retries: patience.retries }
}

/// Opens the archive.
pub(crate) async fn find(
    origin: &Origin,
    tag: Option<&Tag>,
    access: &Access,
    patience: Patience,
) -> Result<(Source, Opened)> {
    let source = match (origin, tag) {
        (Origin::Store(location), Some(tag)) => {
            return in_store(&Store::new(location.clone(), access).await, tag, patience).await;
        }
        (Origin::Store(location) | Origin::Object(location), _) => {
            Source::Object(Store::new(location.clone(), access).await.exactly())
        }
        (Origin::Page(page), _) => Source::Page(page.clone()),
        (Origin::File(path), _) => Source::File(path.clone()),
    };
    open(source, patience).await
}

async fn open(source: Source, patience: Patience) -> Result<(Source, Opened)> {
    match patience.ask(async || source.open(Part::ALL, None).await).await {
        Ok(opened) => Ok((source, opened)),
        Err(fault) => Err(hints::fault(fault, format!("failed to retrieve `{source}`"))),
    }
}

/// Under its conventional name, or under another that `bentoml export` may have given it.
async fn in_store(store: &Store, tag: &Tag, patience: Patience) -> Result<(Source, Opened)> {
    let conventional = Source::Object(store.conventional(tag));
    match patience.ask(async || conventional.open(Part::ALL, None).await).await {
        Ok(opened) => return Ok((conventional, opened)),
        Err(Fault::NoObject) => {}
        Err(fault) => {
            return Err(hints::fault(fault, format!("failed to retrieve `{conventional}`")));
        }
    }
    let what = format!("failed to find the bento `{tag}` in `{}`", store.location);
    let refused = |why: &str, hint| Failure { what: format!("{what}: {why}"), hint }.into();
    match patience.ask(async || store.search(tag).await).await {
        Ok(Found::Object(object)) => open(Source::Object(object), patience).await,
        Ok(Found::Folder(folder)) => Err(refused(
            &format!("`{folder}` has its files one by one"),
            "such an export may be half there: export one archive, `bentoml export TAG s3://…/NAME/VERSION.tar.gz`".into(),
        )),
        Ok(Found::Nothing { versions }) => Err(refused(
            &format!("there is no `{conventional}`, nor with another ending"),
            match versions.as_slice() {
                [] => "check `store` and `bento`: there is no bento of that name".into(),
                versions => format!("check the version: there is {}", versions.join(", ")),
            },
        )),
        Err(fault) => Err(hints::fault(fault, what)),
    }
}

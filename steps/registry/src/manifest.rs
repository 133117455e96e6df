//! What a tag holds: an image, or an index of them.

use std::env::consts::ARCH;

use serde::Deserialize;
use step::text::short;

use crate::error::RegistryError;

pub(crate) const MEDIA_TYPES: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json";

/// An image's manifest, or an index of them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    pub(crate) media_type: Option<String>,
    config: Option<Descriptor>,
    manifests: Option<Vec<Descriptor>>,
}

pub(crate) enum Kind {
    /// With the digest of its configuration
    Image(Option<String>),
    Index(Vec<Descriptor>),
}

#[derive(Deserialize)]
pub(crate) struct Descriptor {
    digest: String,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    os: String,
    architecture: String,
}

impl Manifest {
    pub(crate) fn kind(self) -> Kind {
        match (self.config, self.manifests) {
            (None, Some(entries)) => Kind::Index(entries),
            (config, _) => Kind::Image(config.map(|config| config.digest)),
        }
    }
}

/// This node's processor, as images name it.
pub fn architecture() -> &'static str {
    match ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Of an index the image for this node, or one that is for any.
pub(crate) fn own_platform(entries: Vec<Descriptor>) -> Result<String, RegistryError> {
    let architecture = architecture();
    let is_own = |it: &Platform| it.os == "linux" && it.architecture == architecture;
    let own = entries.iter().position(|one| one.platform.as_ref().is_some_and(is_own));
    let any = || entries.iter().position(|one| one.platform.is_none());
    let platforms = entries.iter().filter_map(|one| one.platform.as_ref());
    let named: Vec<_> = platforms.map(|it| format!("{}/{}", it.os, it.architecture)).collect();
    let Some(at) = own.or_else(any) else {
        let named = short(&named.join(", "), 200);
        let text = format!("it has no image for linux/{architecture}, only for {named}");
        return Err(RegistryError::Answered(text));
    };
    Ok(entries.into_iter().nth(at).map(|own| own.digest).unwrap_or_default())
}

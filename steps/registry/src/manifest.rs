//! What a tag holds: an image, or an index of them.

use std::env::consts::ARCH;

use serde::Deserialize;

pub(crate) const MEDIA_TYPES: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json";

/// An image's manifest, or an index of them.
#[derive(Deserialize)]
pub(crate) struct Manifest {
    pub(crate) config: Option<Descriptor>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
pub(crate) struct Descriptor {
    pub(crate) digest: String,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    os: String,
    architecture: String,
}

impl Manifest {
    /// Of an index the image for this node, or else the first: what labels an index has, its images share.
    pub(crate) fn own_platform(self) -> Option<Descriptor> {
        let architecture = match ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let is_own = |it: &Platform| it.os == "linux" && it.architecture == architecture;
        let own = self.manifests.iter().position(|one| one.platform.as_ref().is_some_and(is_own));
        self.manifests.into_iter().nth(own.unwrap_or_default())
    }
}

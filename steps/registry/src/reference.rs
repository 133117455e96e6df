//! The names of repositories and of images, as `docker pull` takes them.
//!
//! The grammar is that of the distribution project. It is written by hand, and the tests hold it against
//! `oci-spec`, whose regular expression takes longer to compile than all other work of a small image, and 15 MiB.

use std::{fmt, net::IpAddr, str::FromStr};

use step::text::is_sha256;
use thiserror::Error;

/// Where names without a host lead.
const DOCKER_HUB: &str = "index.docker.io";
/// As the host of a name it means the same.
const HUB_SHORT: &str = "docker.io";
const LONGEST_PATH: usize = 255;

/// `HOST/REPOSITORY`, without a tag.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryName {
    /// With its port; `index.docker.io` where none is named
    pub host: String,
    /// `models/iris`; on Docker Hub `library/python` for `python`
    pub path: String,
}

/// `HOST/REPOSITORY:TAG`, `HOST/REPOSITORY@DIGEST`, both or neither.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    pub repository: RepositoryName,
    pub tag: Option<String>,
    /// `sha256:` and 64 digits; an image's own, whatever the tag holds by now
    pub digest: Option<String>,
}

#[derive(Debug, Error, PartialEq, Eq)]
pub enum ReferenceError {
    #[error("an image is `HOST/REPOSITORY:TAG`, such as `registry.example/models/iris:v1`")]
    Image,
    #[error(
        "a repository is `HOST/REPOSITORY` without a tag, such as `registry.example/models/iris`"
    )]
    Repository,
}

impl RepositoryName {
    /// The address that speaks for the host.
    pub(crate) fn authority(&self) -> &str {
        if self.host == DOCKER_HUB { "registry-1.docker.io" } else { &self.host }
    }

    /// Whether the host may be asked without TLS though nobody said so: what kaniko and other builders on Go's
    /// library take for a machine nearby.
    pub(crate) fn is_nearby(&self) -> bool {
        let name = match self.host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
            _ => &self.host,
        };
        let address = name.trim_matches(['[', ']']).parse::<IpAddr>();
        name == "localhost"
            || name.rsplit_once('.').is_some_and(|(_, end)| end == "local")
            || address.is_ok_and(|address| match address {
                IpAddr::V4(four) => four.is_loopback() || four.is_private(),
                IpAddr::V6(six) => six.is_loopback(),
            })
    }

    /// The repository `path` of the same registry.
    pub fn beside(&self, path: &str) -> Result<Self, ReferenceError> {
        format!("{}/{path}", self.host).parse()
    }
}

impl Reference {
    /// What a registry is asked for: the digest, or else the tag.
    pub fn version(&self) -> Option<&str> {
        self.digest.as_deref().or(self.tag.as_deref())
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let (text, digest) = match text.split_once('@') {
            Some((text, digest)) => (text, Some(digest)),
            None => (text, None),
        };
        // A colon before a slash is that of a port.
        let (name, tag) = match text.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (text, None),
        };
        let (host, path) = match name.split_once('/') {
            Some((host, path)) if is_host(host) => (host, path),
            _ => (HUB_SHORT, name),
        };
        let is_hub = [DOCKER_HUB, HUB_SHORT].contains(&host);
        let library = if is_hub && !path.contains('/') { "library/" } else { "" };
        let (host, path) = (if is_hub { DOCKER_HUB } else { host }, format!("{library}{path}"));
        let is_valid = is_authority(host)
            && path.len() <= LONGEST_PATH
            && path.split('/').all(is_component)
            && tag.is_none_or(is_tag)
            && digest.is_none_or(is_digest);
        if !is_valid {
            return Err(ReferenceError::Image);
        }
        Ok(Self {
            repository: RepositoryName { host: host.to_owned(), path },
            tag: tag.map(str::to_owned),
            digest: digest.map(str::to_owned),
        })
    }
}

/// Whether the first part of a name is a host, and no part of a path on Docker Hub.
fn is_host(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost"
}

/// A host's name or address, with or without a port.
fn is_authority(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (host, None),
    };
    let is_label = |label: &str| {
        label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let six = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let is_name = match six {
        Some(six) => six.parse::<IpAddr>().is_ok(),
        None => name.split('.').all(is_label),
    };
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    is_name && port.is_none_or(is_port)
}

/// Words of lower-case letters and digits, with `.`, `_`, `__` or dashes in between.
fn is_component(part: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = [part.bytes().next(), part.bytes().last()];
    let mut between = part.split(|c: char| c.is_ascii() && is_word(c as u8));
    ends.iter().all(|end| end.is_some_and(is_word))
        && between.all(|between| {
            ["", ".", "_", "__"].contains(&between) || between.bytes().all(|byte| byte == b'-')
        })
}

impl FromStr for RepositoryName {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        match text.parse() {
            Ok(Reference { repository, tag: None, digest: None }) => Ok(repository),
            _ => Err(ReferenceError::Repository),
        }
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.path)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.repository)?;
        self.tag.iter().try_for_each(|tag| write!(f, ":{tag}"))?;
        self.digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
    }
}

/// `sha256:` and 64 digits: the only kind whose content is checked here.
pub(crate) fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(is_sha256)
}

/// What may stand for a manifest in an address.
pub(crate) fn is_version(text: &str) -> bool {
    is_tag(text) || is_digest(text)
}

fn is_tag(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        && !text.starts_with(['.', '-'])
}

#[cfg(test)]
mod tests {
    use oci_spec::distribution::Reference as Oracle;
    use proptest::prelude::*;

    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_name_is_read_as_docker_reads_it() {
        for (text, host, repository, tag) in [
            ("registry.local:5000/models/iris:v1", "registry.local:5000", "models/iris", "v1"),
            ("localhost/iris:1.0_cpu", "localhost", "iris", "1.0_cpu"),
            ("acme/iris:v1", "index.docker.io", "acme/iris", "v1"),
            ("python:3.11-slim", "index.docker.io", "library/python", "3.11-slim"),
            ("docker.io/acme/iris:v1", "index.docker.io", "acme/iris", "v1"),
            ("index.docker.io/python:latest", "index.docker.io", "library/python", "latest"),
            ("[::1]:5000/iris:v1", "[::1]:5000", "iris", "v1"),
        ] {
            let read: Reference = text.parse().unwrap();
            let RepositoryName { host: found, path } = &read.repository;
            assert_eq!(
                (found.as_str(), path.as_str(), read.version()),
                (host, repository, Some(tag))
            );
            let again: Reference = read.to_string().parse().unwrap();
            assert_eq!(again, read);
        }
        for text in [
            "",
            "x/Iris:v1",
            "x//y:v1",
            "x/../y:v1",
            "x/y:",
            "x/y:v 1",
            "a@b.c/y:1",
            "[x]/y:1",
            "x/y@sha256:00",
            "x.y/z@sha512:00000000000000000000000000000000",
        ] {
            assert_eq!(text.parse::<Reference>(), Err(ReferenceError::Image), "{text}");
        }
    }

    #[test]
    fn a_tag_and_a_digest_may_be_there_or_not() {
        let read = |text: &str| text.parse::<Reference>().unwrap();
        let bare = read("registry.local:5000/iris");
        assert_eq!((bare.tag.as_deref(), bare.version()), (None, None));
        let both = read(&format!("registry.local:5000/iris:v1@{DIGEST}"));
        assert_eq!((both.tag.as_deref(), both.version()), (Some("v1"), Some(DIGEST)));
        let digest = read(&format!("registry.local:5000/iris@{DIGEST}"));
        assert_eq!((digest.tag.as_deref(), digest.version()), (None, Some(DIGEST)));
        assert_eq!(digest.repository, "registry.local:5000/iris".parse().unwrap());
        let beside = bare.repository.beside("environments").unwrap();
        assert_eq!(beside.to_string(), "registry.local:5000/environments");
        for text in ["r.example/iris:v1", "r.example/iris:latest", "r.example", "r.example/", ""] {
            let refused = text.parse::<RepositoryName>();
            // A word alone is a repository of Docker Hub.
            assert_eq!(refused.is_err(), text != "r.example", "{text}");
        }
        assert!(format!("r.example/iris@{DIGEST}").parse::<RepositoryName>().is_err());
    }

    #[test]
    fn only_a_machine_nearby_may_be_asked_without_tls() {
        for host in [
            "localhost:5000",
            "registry.local",
            "127.0.0.1:5000",
            "10.0.0.7:5000",
            "192.168.1.2",
            "[::1]:5000",
        ] {
            assert!(format!("{host}/x").parse::<RepositoryName>().unwrap().is_nearby(), "{host}");
        }
        for host in ["ghcr.io", "registry.local.example", "8.8.8.8", "localhost.example:5000"] {
            assert!(!format!("{host}/x").parse::<RepositoryName>().unwrap().is_nearby(), "{host}");
        }
    }

    /// What `oci-spec` reads, in our words. Of other digests than SHA-256, which it takes, no content is checked here.
    fn oracle(text: &str) -> Option<Reference> {
        let read: Oracle = text.parse().ok()?;
        let host = match read.registry() {
            HUB_SHORT => DOCKER_HUB,
            host => host,
        };
        let is_default = read.tag() == Some("latest") && !text.contains(":latest");
        Some(Reference {
            repository: RepositoryName { host: host.into(), path: read.repository().into() },
            tag: read.tag().filter(|_| !is_default).map(str::to_owned),
            digest: read.digest().map(str::to_owned),
        })
    }

    proptest! {
        #[test]
        fn a_name_is_read_as_oci_spec_reads_it(
            name in "([a-z]{1,3}[.:]?){0,3}[0-9]{0,2}(/[a-zA-Z0-9._-]{0,5}){0,3}(:[a-zA-Z0-9._-]{0,4})?",
            with_digest in any::<bool>(),
        ) {
            let text = if with_digest { format!("{name}@{DIGEST}") } else { name };
            prop_assert_eq!(text.parse::<Reference>().ok(), oracle(&text), "{}", text);
        }

        #[test]
        fn no_text_makes_it_panic(text in "[a-z0-9/:@.\\[\\]_é -]{0,40}") {
            let _ = text.parse::<Reference>();
        }
    }
}

//! The names of repositories and of images, as `docker pull` takes them.

use std::{fmt, net::IpAddr, str::FromStr};

use oci_spec::distribution::Reference as Parsed;
use step::text::is_sha256;
use thiserror::Error;

/// Where names without a host lead.
const DOCKER_HUB: &str = "index.docker.io";
/// What the parser calls it
const HUB_SHORT: &str = "docker.io";
/// What the parser says where a name has neither tag nor digest
const DEFAULT_TAG: &str = "latest";

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
        // The parser knows no IPv6.
        let six = text.split_once(']').filter(|(host, _)| host.starts_with('['));
        let (six, text) = match six {
            Some((host, rest)) if host[1..].parse::<IpAddr>().is_ok() => {
                (Some(format!("{host}]")), format!("localhost{rest}"))
            }
            _ => (None, text.to_owned()),
        };
        let parsed: Parsed = text.parse().map_err(|_| ReferenceError::Image)?;
        let host = match (parsed.registry(), six) {
            (HUB_SHORT, _) => DOCKER_HUB.to_owned(),
            (host, Some(six)) => host.replacen("localhost", &six, 1),
            (host, None) => host.to_owned(),
        };
        let is_named = |tag: &&str| *tag != DEFAULT_TAG || text.contains(":latest");
        let digest = parsed.digest().map(str::to_owned);
        if digest.as_deref().is_some_and(|digest| !is_digest(digest)) {
            return Err(ReferenceError::Image);
        }
        Ok(Self {
            repository: RepositoryName { host, path: parsed.repository().to_owned() },
            tag: parsed.tag().filter(is_named).map(str::to_owned),
            digest,
        })
    }
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
    let is_tag = (1..=128).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        && !text.starts_with(['.', '-']);
    is_tag || is_digest(text)
}

#[cfg(test)]
mod tests {
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
}

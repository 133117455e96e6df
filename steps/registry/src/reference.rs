//! The name of an image, as `docker pull` takes it.

use std::{fmt, net::IpAddr, str::FromStr};

use thiserror::Error;

/// Where names without a host lead.
const DOCKER_HUB: &str = "index.docker.io";

/// `HOST/REPOSITORY:TAG`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// With its port; `index.docker.io` where none is named
    pub host: String,
    /// `models/iris`; on Docker Hub `library/python` for `python`
    pub repository: String,
    pub tag: String,
}

#[derive(Debug, Error, PartialEq, Eq)]
#[error("an image is `HOST/REPOSITORY:TAG`, such as `registry.example/models/iris:v1`")]
pub struct ReferenceError;

impl Reference {
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
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let (path, tag) = match text.rsplit_once(':') {
            Some((path, tag)) if !tag.contains('/') => (path, tag),
            _ => return Err(ReferenceError),
        };
        let (host, repository) = match path.split_once('/') {
            Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => {
                (host, rest.to_owned())
            }
            Some(_) => (DOCKER_HUB, path.to_owned()),
            None => (DOCKER_HUB, format!("library/{path}")),
        };
        let host = if host == "docker.io" { DOCKER_HUB } else { host };
        let is_tag = (1..=128).contains(&tag.len())
            && tag.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
            && !tag.starts_with(['.', '-']);
        let is_repository = repository.split('/').all(|part| {
            !part.is_empty()
                && part != ".."
                && part
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c))
        });
        let is_host = host.chars().all(|c| c.is_ascii_alphanumeric() || ".-:[]".contains(c));
        if is_tag && is_repository && is_host {
            Ok(Self { host: host.into(), repository, tag: tag.into() })
        } else {
            Err(ReferenceError)
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.host, self.repository, self.tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_docker_reads_it() {
        for (text, host, repository, tag) in [
            ("registry.local:5000/models/iris:v1", "registry.local:5000", "models/iris", "v1"),
            ("localhost/iris:1.0_cpu", "localhost", "iris", "1.0_cpu"),
            ("acme/iris:v1", "index.docker.io", "acme/iris", "v1"),
            ("python:3.11-slim", "index.docker.io", "library/python", "3.11-slim"),
            ("docker.io/acme/iris:v1", "index.docker.io", "acme/iris", "v1"),
        ] {
            let read: Reference = text.parse().unwrap();
            assert_eq!(
                (read.host.as_str(), read.repository.as_str(), read.tag.as_str()),
                (host, repository, tag)
            );
        }
        for text in [
            "",
            "iris",
            "registry.local:5000/iris",
            "x/Iris:v1",
            "x//y:v1",
            "x/../y:v1",
            "x/y:",
            "x/y:v 1",
            "a@b.c/y:1",
        ] {
            assert_eq!(text.parse::<Reference>(), Err(ReferenceError), "{text}");
        }
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
            assert!(format!("{host}/x:1").parse::<Reference>().unwrap().is_nearby(), "{host}");
        }
        for host in ["ghcr.io", "registry.local.example", "8.8.8.8", "localhost.example:5000"] {
            assert!(!format!("{host}/x:1").parse::<Reference>().unwrap().is_nearby(), "{host}");
        }
    }
}

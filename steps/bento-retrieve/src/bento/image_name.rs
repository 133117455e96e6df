//! The name of a bento's image.

use std::{fmt, str::FromStr};

use thiserror::Error;

use crate::bento::tag::Tag;

/// Where images of a model are kept: `registry.example/models/iris`, without tag and digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository(String);

/// What is wrong with a repository.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RepositoryError {
    #[error("a repository has no tag and no digest: the bento's version becomes the tag")]
    Tagged,
    #[error("a repository is `HOST/PATH` in lower case, such as `registry.example/models/iris`")]
    Shape,
}

impl Repository {
    /// The image of a bento, its version as the tag. A tag has no `+`, which versions of 0.x may have.
    pub fn image(&self, bento: &Tag) -> String {
        format!("{}:{}", self.0, bento.version.replace('+', "_"))
    }
}

impl FromStr for Repository {
    type Err = RepositoryError;

    fn from_str(text: &str) -> Result<Self, RepositoryError> {
        let (host, path) = match text.split_once('/') {
            Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (host, path),
            _ => ("", text),
        };
        if path.contains([':', '@']) {
            return Err(RepositoryError::Tagged);
        }
        let part = |part: &str| {
            let edge =
                |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
            let inside =
                |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
            edge(part.chars().next()) && edge(part.chars().next_back()) && part.chars().all(inside)
        };
        let host_fits = host.chars().all(|c| c.is_ascii_alphanumeric() || ".-:[]".contains(c));
        if host_fits && path.split('/').all(part) {
            Ok(Self(text.into()))
        } else {
            Err(RepositoryError::Shape)
        }
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_becomes_the_tag() {
        let image = |repository: &str, bento: &str| {
            repository.parse::<Repository>().unwrap().image(&bento.parse().unwrap())
        };
        assert_eq!(
            image("registry.local:5000/models/iris", "iris:v1"),
            "registry.local:5000/models/iris:v1"
        );
        assert_eq!(image("models/iris", "Iris:1.0.0+cpu"), "models/iris:1.0.0_cpu");
    }

    #[test]
    fn what_is_no_repository_is_told_why() {
        let why = |text: &str| text.parse::<Repository>().unwrap_err();
        assert_eq!(why("registry.local:5000/models/iris:v1"), RepositoryError::Tagged);
        assert_eq!(why("iris@sha256:00"), RepositoryError::Tagged);
        for text in [
            "",
            "registry.local:5000/",
            "models/Iris",
            "models//iris",
            "https://x/y",
            "models/iris ",
        ] {
            assert!(text.parse::<Repository>().is_err(), "{text}");
        }
    }
}

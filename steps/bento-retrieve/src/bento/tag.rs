//! The name of a bento, `NAME:VERSION`.

use std::{fmt, str::FromStr};

use step::text::short;
use thiserror::Error;

/// A bento's tag, as BentoML writes it: `iris:k3qz6zsd5sgx2vfn`, or `IrisClassifier:20261124060700_B2EDC0` before 1.0.
///
/// Neither part can hold a slash or be `.` or `..`, so a tag never leaves the folder it is put below.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag {
    pub name: String,
    pub version: String,
}

/// What is wrong with a tag.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum TagError {
    #[error("a bento is named `NAME:VERSION`, such as `iris:k3qz6zsd5sgx2vfn`")]
    Shape,
    #[error("the name `{0}` has characters that BentoML allows in no name")]
    Name(String),
    #[error("the version `{0}` has characters that BentoML allows in no version")]
    Version(String),
}

impl Tag {
    /// Both parts checked. 1.x takes `a-z 0-9 - _ .` and at most 63 characters; 0.x a Python class
    /// name, and versions of at most 128 characters that may be semantic ones with `+`.
    pub fn new(name: &str, version: &str) -> Result<Self, TagError> {
        let inside =
            |extra: &'static str| move |c: char| c.is_ascii_alphanumeric() || extra.contains(c);
        let edge = |text: &str, last: bool| {
            let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
            ends(text.chars().next()) && (!last || ends(text.chars().next_back()))
        };
        if name.len() > 128 || !edge(name, true) || !name.chars().all(inside("-._")) {
            return Err(TagError::Name(short(name, 128)));
        }
        if version.len() > 128 || !edge(version, false) || !version.chars().all(inside("-._+")) {
            return Err(TagError::Version(short(version, 128)));
        }
        Ok(Self { name: name.into(), version: version.into() })
    }

    /// Whether the version is the word that BentoML resolves to the newest one.
    pub fn is_latest(&self) -> bool {
        self.version == "latest"
    }
}

impl FromStr for Tag {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, TagError> {
        let (name, version) = text.split_once(':').ok_or(TagError::Shape)?;
        if name.is_empty() || version.is_empty() {
            return Err(TagError::Shape);
        }
        Self::new(name, version)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.version)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tags_of_every_generation_are_taken_as_they_are() {
        for tag in [
            "iris:k3qz6zsd5sgx2vfn",
            "a..b:1.10",
            "iris:1e10",
            "IrisClassifier:20261124060700_B2EDC0",
            "X:1.0.0+cpu.1",
        ] {
            assert_eq!(tag.parse::<Tag>().map(|tag| tag.to_string()), Ok(tag.to_owned()));
        }
    }

    #[test]
    fn what_is_no_tag_is_told_why() {
        for tag in ["iris", ":v1", "iris:", ""] {
            assert_eq!(tag.parse::<Tag>(), Err(TagError::Shape), "{tag}");
        }
        for tag in ["../x:v1", "a/b:v1", "iris\n:v1", ".:v1", "-x:v1", "ïris:v1"] {
            assert!(matches!(tag.parse::<Tag>(), Err(TagError::Name(_))), "{tag}");
        }
        for tag in ["iris:..", "iris:v1\n", "iris:a/b", "iris:a:b", "iris:v 1"] {
            assert!(matches!(tag.parse::<Tag>(), Err(TagError::Version(_))), "{tag}");
        }
    }

    proptest! {
        #[test]
        fn a_tag_never_leaves_its_folder(text in "\\PC{0,40}") {
            if let Ok(tag) = text.parse::<Tag>() {
                for part in [&tag.name, &tag.version] {
                    prop_assert!(!part.contains('/') && part != "." && part != ".." && !part.contains('\0'));
                }
            }
        }
    }
}

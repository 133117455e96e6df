//! Where an archive's bytes come from.

mod aws_profile;
mod body;
mod client;
mod error;
mod error_response;
mod file;
mod http;
mod listed;
mod location;
mod range;
mod s3;

use std::{fmt, path::PathBuf};

pub use aws_profile::Profile;
pub use body::{Alteration, Opened};
pub(crate) use body::{BodyError, Checksum};
pub use error::{Permission, SourceError};
pub use http::HttpSource;
pub use listed::{Listed, Page};
pub use location::Location;
pub use range::ByteRange;
pub use s3::{Access, Object, Store};

/// Where an archive is.
#[derive(Clone, Debug)]
pub enum Source {
    Object(Object),
    Http(HttpSource),
    File(PathBuf),
}

impl Source {
    /// Opens a range of it, and only if it still has the validator of RFC 9110: its entity tag or its date.
    pub async fn open(
        &self,
        range: ByteRange,
        validator: Option<&str>,
    ) -> Result<Opened, SourceError> {
        match self {
            Self::Object(object) => object.open(range, validator).await,
            Self::Http(http) => http.open(range, validator).await,
            Self::File(path) => file::open(path, range).await,
        }
    }

    /// Whether its name says that gzip has packed it.
    pub(crate) fn is_named_gz(&self) -> bool {
        let name = match self {
            Self::Object(object) => object.key.as_str(),
            Self::Http(http) => http.path(),
            Self::File(path) => path.to_str().unwrap_or_default(),
        };
        [".gz", ".tgz"].iter().any(|ending| name.ends_with(ending))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(object) => object.fmt(f),
            Self::Http(http) => http.fmt(f),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

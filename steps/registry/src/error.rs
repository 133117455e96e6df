//! Why a registry gave no answer, or none that helps.

use std::time::Duration;

use reqwest::StatusCode;
use thiserror::Error;

use crate::reference::RepositoryName;

#[derive(Debug, Error)]
pub enum RegistryError {
    /// 401 or 403, of the registry or of its token service
    #[error("{text}: the right to {} `{repository}` is missing", right.verb())]
    Denied { text: String, right: Right, repository: RepositoryName },
    #[error("{0}")]
    Unreachable(String),
    /// Of somebody whom nobody here knows
    #[error("{0}")]
    Certificate(String),
    #[error("{text}")]
    Busy { text: String, retry_after: Option<Duration> },
    /// An upload that ended before its bytes did: its session is gone, or its token
    #[error("{0}")]
    Ended(String),
    /// A manifest names a blob that the repository has not, or no longer: the digests, where it says them
    #[error("{text}")]
    UnknownBlob { text: String, digests: Vec<String> },
    /// A tag that holds another manifest and must not change
    #[error("{0}")]
    Immutable(String),
    #[error("{0}")]
    Answered(String),
    #[error("its {0} is larger than expected")]
    TooLarge(&'static str),
    #[error("its {0} is not what its digest says")]
    Digest(&'static str),
    #[error("its {0} is not a valid {0}")]
    Malformed(&'static str),
    /// In a copy, of the repository that is copied from
    #[error("`{repository}`: {error}")]
    Source { repository: RepositoryName, error: Box<Self> },
}

/// What an account may do in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    Pull,
    Push,
}

impl Right {
    fn verb(self) -> &'static str {
        match self {
            Self::Pull => "pull from",
            Self::Push => "push to",
        }
    }
}

impl RegistryError {
    /// Whether the same may succeed another time: for an upload with a new session, and all of its bytes again.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Busy { .. } | Self::Ended(_) => true,
            Self::Source { error, .. } => error.is_retryable(),
            _ => false,
        }
    }

    /// How long the registry asked to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after, .. } => *retry_after,
            Self::Source { error, .. } => error.retry_after(),
            _ => None,
        }
    }

    /// What it was silent for as long as it may.
    pub(crate) fn silent(what: &str, after: Duration) -> Self {
        Self::Unreachable(format!("{what} for {after:?}"))
    }
}

/// Of a server that may answer another time.
pub(crate) fn is_busy(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500..=599)
}

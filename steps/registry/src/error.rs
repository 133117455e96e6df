//! Why a registry gave no answer, or none that helps.

use std::time::Duration;

use reqwest::StatusCode;
use thiserror::Error;

#[derive(Debug, Error)]
pub enum RegistryError {
    #[error("{0}")]
    Denied(String),
    #[error("{0}")]
    Unreachable(String),
    /// Of somebody whom nobody here knows
    #[error("{0}")]
    Certificate(String),
    #[error("{text}")]
    Busy { text: String, retry_after: Option<Duration> },
    #[error("{0}")]
    Answered(String),
    #[error("its {0} is larger than any image has")]
    TooLarge(&'static str),
    #[error("its {0} is not what its digest says")]
    Digest(&'static str),
    #[error("its {0} is not a valid {0}")]
    Malformed(&'static str),
}

impl RegistryError {
    pub(crate) fn is_retryable(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Busy { .. })
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        if let Self::Busy { retry_after, .. } = self { *retry_after } else { None }
    }
}

/// Of a server that may answer another time.
pub(crate) fn is_busy(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500..=599)
}

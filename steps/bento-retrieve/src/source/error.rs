//! Why a read failed, and whether it is retryable.

use std::{fmt, time::Duration};

use thiserror::Error;

use crate::source::body::Alteration;

/// A read that failed, told apart as far as a retry or a hint needs it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub enum SourceError {
    #[error("there is no such object")]
    NoObject,
    #[error("there is no such bucket")]
    NoBucket,
    /// A right is missing, and which one if it is a store's
    Denied(String, Option<Permission>),
    /// Why the last place where they may be has none
    #[error("there are no credentials: {0}")]
    NoCredentials(String),
    /// The store does not know the access key
    UnknownKey(String),
    /// The secret key is another's, or the request was changed on the way
    Signature(String),
    /// What was lent for a time
    Expired(String),
    /// A session token that is none, or not of these keys
    Token(String),
    /// What the store said, and the time here
    #[error("{0}; the clock here says {1}")]
    Clock(String, String),
    /// The archive lies in a storage class that is not read from at once, such as `GLACIER`
    #[error("it is archived in the storage class {0}")]
    Archived(String),
    /// The key that it is encrypted with cannot be used
    Encryption(String),
    /// It is encrypted with a key that the store does not keep (SSE-C)
    CustomerKey(String),
    /// What only the store's owner can mend
    Account(String),
    Certificate(String),
    #[error("the bucket is in the region `{0}`")]
    Region(String),
    /// It is somewhere else, and nothing says where
    Elsewhere(String),
    #[error("it was replaced while it was read")]
    Replaced,
    #[error("the server cannot go on from byte {0}")]
    CannotResume(u64),
    #[error("its checksum is not the one that the store has for it")]
    Checksum,
    #[error("its SHA-256 is {0}")]
    Sha256(String, Option<Alteration>),
    /// A store that cannot do what it was asked for
    Unsupported(String),
    /// Something answered, but no store: a console, a proxy, a page to sign in
    NoStore(String),
    /// `http://` to a port that speaks TLS, or to one that does not speak HTTP at all
    NeedsTls(String),
    /// `https://` to a port that does not speak TLS
    NoTls(String),
    /// Any other answer that a second try will not change
    Refused(String),
    /// 429, 5xx; and how long it asks to be left alone
    Busy(String, Option<Duration>),
    #[error("nothing came for {}", humantime::format_duration(*.0))]
    Stalled(Duration),
    #[error("cut off after {0} bytes")]
    Cut(u64),
    Connect(String),
}

/// What one needs to be allowed to do, to what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// As policies name it: `s3:GetObject`
    pub action: &'static str,
    /// Without `arn:aws:s3:::`
    pub resource: String,
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on `arn:aws:s3:::{}`", self.action, self.resource)
    }
}

impl SourceError {
    /// Whether the same request may get another answer. A clock that is wrong does heal: the SDK reads the store's in its
    /// answer, and signs the next request by it.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Busy(..) | Self::Stalled(_) | Self::Cut(_) | Self::Connect(_) | Self::Clock(..)
        )
    }
}

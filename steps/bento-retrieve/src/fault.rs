//! What goes wrong on the way from a store, and what may heal by itself.

use std::{error::Error, time::Duration};

use aws_sdk_s3::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};
use aws_smithy_runtime_api::client::result::ConnectorError;
use step::text::short;
use thiserror::Error as ThisError;

/// A read that failed, told apart as far as a retry or a hint needs it.
#[derive(Clone, Debug, ThisError, PartialEq, Eq)]
pub enum Fault {
    #[error("there is no such object")]
    NoObject,
    #[error("there is no such bucket")]
    NoBucket,
    #[error("{0}")]
    Denied(String),
    /// Why the last place where they may be has none
    #[error("there are no credentials: {0}")]
    NoCredentials(String),
    #[error("{0}")]
    Certificate(String),
    #[error("the bucket is in the region `{0}`")]
    Region(String),
    #[error("it was replaced while it was read")]
    Replaced,
    #[error("cut off after {0} bytes, and the server cannot go on from there")]
    CannotResume(u64),
    #[error("its checksum is not the one that the store has for it")]
    Checksum,
    #[error("its SHA-256 is {0}")]
    Sha256(String),
    /// Any other answer that a second try will not change
    #[error("{0}")]
    Refused(String),
    /// 429, 5xx
    #[error("{0}")]
    Busy(String),
    #[error("nothing came for {}", humantime::format_duration(*.0))]
    Stalled(Duration),
    #[error("cut off after {0} bytes")]
    Cut(u64),
    #[error("{0}")]
    Connect(String),
}

impl Fault {
    /// Whether the same request may get another answer.
    #[must_use]
    pub fn may_heal(&self) -> bool {
        matches!(self, Self::Busy(_) | Self::Stalled(_) | Self::Cut(_) | Self::Connect(_))
    }

    pub(crate) fn from_sdk<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        match error {
            SdkError::ServiceError(answer) => {
                let (code, message) = (answer.err().code(), answer.err().message());
                Self::from_answer(answer.raw(), code, message)
            }
            SdkError::ResponseError(answer) => Self::from_answer(answer.raw(), None, None),
            SdkError::DispatchFailure(failure) => failure
                .as_connector_error()
                .map_or_else(|| Self::Connect("it failed".into()), Self::from_connector),
            SdkError::TimeoutError(_) => Self::Connect("no answer in time".into()),
            other => Self::Refused(deepest(other)),
        }
    }

    pub(crate) fn from_connector(error: &ConnectorError) -> Self {
        if chain_mentions(error, "certificate") {
            Self::Certificate(deepest(error))
        } else if !error.is_io() && !error.is_timeout() && chain_mentions(error, "credentials") {
            Self::NoCredentials(deepest(error))
        } else {
            Self::Connect(deepest(error))
        }
    }

    /// From an answer that is no object: the status, and the code of S3 when it has one.
    pub(crate) fn from_answer(
        answer: &HttpResponse,
        code: Option<&str>,
        message: Option<&str>,
    ) -> Self {
        let status = answer.status().as_u16();
        let code = code.unwrap_or_default();
        let text = match (code, message) {
            ("", _) => format!("the answer was {status}"),
            (code, None | Some("")) => format!("the answer was {status} {code}"),
            (code, Some(message)) => {
                format!("the answer was {status} {code} ({})", one_line(message))
            }
        };
        match (status, code) {
            (_, "NoSuchKey") => Self::NoObject,
            (_, "NoSuchBucket") => Self::NoBucket,
            (301 | 307, _)
            | (400, "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException") => {
                match answer.headers().get("x-amz-bucket-region") {
                    Some(region) => Self::Region(one_line(region)),
                    None => Self::Refused(text),
                }
            }
            (401 | 403, _) | (_, "ExpiredToken" | "InvalidToken") => Self::Denied(text),
            (404, _) => Self::NoObject,
            (412, _) => Self::Replaced,
            (408 | 425 | 429 | 500..=599, _) | (_, "SlowDown" | "RequestTimeout") => {
                Self::Busy(text)
            }
            _ => Self::Refused(text),
        }
    }
}

/// The innermost cause, which is the one that says what happened.
fn deepest(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(cause) = error.source() {
        error = cause;
    }
    one_line(&error.to_string())
}

fn chain_mentions(error: &dyn Error, word: &str) -> bool {
    error.to_string().contains(word)
        || error.source().is_some_and(|cause| chain_mentions(cause, word))
}

fn one_line(text: &str) -> String {
    short(text, 300)
}

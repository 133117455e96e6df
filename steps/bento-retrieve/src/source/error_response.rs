//! What an answer or a connection's failure means: by the code of S3, by the status, or by the innermost cause.

use std::{
    borrow::Cow,
    error::Error,
    time::{Duration, SystemTime},
};

use aws_sdk_s3::{config::http::HttpResponse, error::SdkError};
use aws_smithy_runtime_api::{client::result::ConnectorError, http::Headers};
use aws_smithy_types::{DateTime, date_time::Format};
use step::{chain, http, innermost, text::short};

use crate::source::error::{Permission, SourceError};

pub(crate) fn from_sdk<E>(error: &SdkError<E, HttpResponse>, permission: Permission) -> SourceError
where
    E: Error + 'static,
{
    match error {
        SdkError::ServiceError(answer) => from_store(answer.raw(), permission),
        SdkError::ResponseError(answer) => from_store(answer.raw(), permission),
        SdkError::DispatchFailure(failure) => failure
            .as_connector_error()
            .map_or_else(|| SourceError::Connect("it failed".into()), from_connector),
        SdkError::TimeoutError(_) => SourceError::Connect("no answer in time".into()),
        other => SourceError::Refused(root_cause(other)),
    }
}

pub(crate) fn from_connector(error: &ConnectorError) -> SourceError {
    let all = chain(error);
    if all.contains("InvalidContentType") {
        SourceError::NoTls(root_cause(error))
    } else if all.contains("certificate") {
        SourceError::Certificate(root_cause(error))
    } else if all.contains("invalid HTTP") {
        SourceError::NeedsTls(root_cause(error))
    } else if !error.is_io() && !error.is_timeout() && all.contains("credential") {
        SourceError::NoCredentials(two_innermost(error))
    } else {
        SourceError::Connect(root_cause(error))
    }
}

fn from_store(answer: &HttpResponse, permission: Permission) -> SourceError {
    let body = answer.body().bytes().unwrap_or_default();
    ErrorResponse {
        status: answer.status().as_u16(),
        body: String::from_utf8_lossy(body),
        region: answer.headers().get("x-amz-bucket-region").map(one_line),
        retry_after: retry_after(answer.headers()),
    }
    .meaning(Some(permission))
}

pub(crate) fn retry_after(headers: &Headers) -> Option<Duration> {
    let pair = |name: &str| Some((name.parse().ok()?, headers.get(name)?.parse().ok()?));
    http::retry_after(&["retry-after", "date"].into_iter().filter_map(pair).collect())
}

/// Codes of S3 for a bucket that is in another region.
const MOVED: [&str; 6] = [
    "PermanentRedirect",
    "TemporaryRedirect",
    "Redirect",
    "IllegalLocationConstraintException",
    "IncorrectEndpoint",
    "InvalidRegion",
];
/// Those that may mean this, and then name the region.
const MAY_BE_MOVED: [&str; 2] =
    ["AuthorizationHeaderMalformed", "AuthorizationQueryParametersError"];

/// An answer that is not what was asked for.
pub(crate) struct ErrorResponse<'a> {
    pub(crate) status: u16,
    /// Of S3, in XML; of anything else, whatever it is
    pub(crate) body: Cow<'a, str>,
    /// The header `x-amz-bucket-region`
    pub(crate) region: Option<String>,
    pub(crate) retry_after: Option<Duration>,
}

impl ErrorResponse<'_> {
    /// What an element of the error has: `<Code>`, `<Region>`.
    fn element(&self, name: &str) -> Option<String> {
        let (_, rest) = self.body.split_once(&format!("<{name}>"))?;
        let (value, _) = rest.split_once("</")?;
        let value = value.replace("&quot;", "\"").replace("&apos;", "'").replace("&lt;", "<");
        Some(one_line(&value.replace("&gt;", ">").replace("&amp;", "&"))).filter(|v| !v.is_empty())
    }

    /// By the code of S3, and by the status where there is none. `permission` is what was needed; without, it was a plain
    /// address that was asked.
    pub(crate) fn meaning(&self, permission: Option<Permission>) -> SourceError {
        let code = self.element("Code").unwrap_or_default();
        let message = self.element("Message").unwrap_or_default();
        let mentions = |word: &str| message.contains(word);
        let text = match (code.as_str(), message.as_str()) {
            ("", _) => format!("the answer was {}", self.status),
            (code, "") => format!("the answer was {} {code}", self.status),
            (code, message) => format!("the answer was {} {code} ({message})", self.status),
        };
        let is_moved = MOVED.contains(&code.as_str());
        if is_moved || MAY_BE_MOVED.contains(&code.as_str()) {
            match self.region() {
                Some(region) => return SourceError::Region(region),
                None if is_moved => return SourceError::Elsewhere(text),
                None => {}
            }
        }
        match code.as_str() {
            "NoSuchKey" | "NoSuchVersion" => SourceError::NoObject,
            "NoSuchBucket" | "InvalidBucketName" => SourceError::NoBucket,
            "RequestTimeTooSkewed" | "RequestInTheFuture" => {
                let theirs = self.element("ServerTime");
                let theirs = theirs.map(|time| format!(", the store's {time}")).unwrap_or_default();
                SourceError::Clock(text, now() + &theirs)
            }
            "InvalidObjectState" => {
                SourceError::Archived(self.element("StorageClass").unwrap_or("GLACIER".into()))
            }
            code if code.starts_with("KMS") && code.contains("Throttl") => {
                SourceError::Busy(text, self.retry_after)
            }
            code if code.starts_with("KMS") || mentions("kms:") => SourceError::Encryption(text),
            "InvalidRequest" | "InvalidArgument" if mentions("ncryption") => {
                SourceError::CustomerKey(text)
            }
            "InvalidAccessKeyId"
            | "InvalidClientTokenId"
            | "UnrecognizedClientException"
            | "AuthorizationHeaderMalformed" => SourceError::UnknownKey(text),
            "SignatureDoesNotMatch" => SourceError::Signature(text),
            "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => {
                SourceError::Expired(text)
            }
            "AccessDenied" if mentions("xpired") => SourceError::Expired(text),
            "InvalidToken" => SourceError::Token(text),
            "AllAccessDisabled" | "AccountProblem" | "NotSignedUp" | "UserSuspended" => {
                SourceError::Account(text)
            }
            "NotImplemented" | "MethodNotAllowed" => SourceError::Unsupported(text),
            "SlowDown"
            | "RequestTimeout"
            | "Throttling"
            | "ThrottlingException"
            | "RequestLimitExceeded"
            | "OperationAborted" => SourceError::Busy(text, self.retry_after),
            code => self.by_status(text, !code.is_empty(), permission),
        }
    }

    fn by_status(&self, text: String, is_s3: bool, permission: Option<Permission>) -> SourceError {
        // A store has a code for all that it refuses, or answers without a word.
        let is_no_store = permission.is_some() && !is_s3 && !self.body.trim().is_empty();
        match self.status {
            400 if self.speaks_of_tls() => SourceError::NeedsTls(text),
            408 | 425 | 429 | 500 | 502..=504 | 506..=599 => {
                SourceError::Busy(text, self.retry_after)
            }
            501 | 505 => SourceError::Unsupported(text),
            412 => SourceError::Replaced,
            _ if is_no_store => SourceError::NoStore(format!("{text}, and not from a store")),
            404 => SourceError::NoObject,
            401 | 403 => SourceError::Denied(text, permission),
            301 | 307 | 308 => match self.region() {
                Some(region) => SourceError::Region(region),
                None => SourceError::Elsewhere(text),
            },
            _ => SourceError::Refused(text),
        }
    }

    /// What servers answer who expect TLS: those in Go, nginx and Apache.
    fn speaks_of_tls(&self) -> bool {
        ["HTTP request to an HTTPS server", "sent to HTTPS port", "SSL-enabled server port"]
            .iter()
            .any(|sentence| self.body.contains(sentence))
    }

    /// Where the bucket is, if the answer tells that in any of the ways that S3 has for it.
    fn region(&self) -> Option<String> {
        let expected = || {
            let (_, rest) = self.body.split_once("expecting '")?;
            Some(rest.split_once('\'')?.0.to_owned())
        };
        let by_host = || {
            let host = self.element("Endpoint")?;
            let label = host.split_once(".amazonaws.")?.0.rsplit('.').next()?;
            let region = label.strip_prefix("s3-").unwrap_or(label);
            region.contains('-').then(|| region.to_owned())
        };
        self.region
            .clone()
            .or_else(|| self.element("Region"))
            .or_else(expected)
            .or_else(by_host)
            .filter(|region| region.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'))
    }
}

/// As the store's own clock is printed.
fn now() -> String {
    let now = DateTime::from(SystemTime::now());
    DateTime::from_secs(now.secs()).fmt(Format::DateTime).unwrap_or_default()
}

/// The innermost cause, in one line.
pub(crate) fn root_cause(error: &dyn Error) -> String {
    one_line(&innermost(error))
}

/// With the cause before it, which names what the innermost one is of: the file that is not there.
fn two_innermost(error: &dyn Error) -> String {
    let (mut outer, mut inner) = (None, error);
    while let Some(cause) = inner.source() {
        outer = Some(inner);
        inner = cause;
    }
    let (outer, inner) = (outer.map(ToString::to_string).unwrap_or_default(), inner.to_string());
    // Some repeat their cause.
    one_line(&if outer.ends_with(&inner) { outer } else { format!("{outer}: {inner}") })
}

fn one_line(text: &str) -> String {
    short(text, 300)
}

#[cfg(test)]
mod tests;

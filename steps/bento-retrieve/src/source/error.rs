//! What goes wrong on the way from a store, and what may heal by itself.

use std::{
    borrow::Cow,
    error::Error,
    fmt,
    time::{Duration, SystemTime},
};

use aws_sdk_s3::{config::http::HttpResponse, error::SdkError};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::{DateTime, date_time::Format};
use step::{innermost, text::short};
use thiserror::Error as ThisError;

use crate::source::Doubt;

/// A read that failed, told apart as far as a retry or a hint needs it.
#[derive(Clone, Debug, ThisError, PartialEq, Eq)]
pub enum Fault {
    #[error("there is no such object")]
    NoObject,
    #[error("there is no such bucket")]
    NoBucket,
    /// A right is missing, and which one if it is a store's
    #[error("{0}")]
    Denied(String, Option<Right>),
    /// Why the last place where they may be has none
    #[error("there are no credentials: {0}")]
    NoCredentials(String),
    /// The store does not know the access key
    #[error("{0}")]
    UnknownKey(String),
    /// The secret key is another's, or the request was changed on the way
    #[error("{0}")]
    Signature(String),
    /// What was lent for a time
    #[error("{0}")]
    Expired(String),
    /// A session token that is none, or not of these keys
    #[error("{0}")]
    Token(String),
    /// What the store said, and the time here
    #[error("{0}; the clock here says {1}")]
    Clock(String, String),
    /// The archive lies in a storage class that is not read from at once, such as `GLACIER`
    #[error("it is archived in the storage class {0}")]
    Archived(String),
    /// The key that it is encrypted with cannot be used
    #[error("{0}")]
    Encryption(String),
    /// It is encrypted with a key that the store does not keep (SSE-C)
    #[error("{0}")]
    CustomerKey(String),
    /// What only the store's owner can mend
    #[error("{0}")]
    Account(String),
    #[error("{0}")]
    Certificate(String),
    #[error("the bucket is in the region `{0}`")]
    Region(String),
    /// It is somewhere else, and nothing says where
    #[error("{0}")]
    Elsewhere(String),
    #[error("it was replaced while it was read")]
    Replaced,
    #[error("the server cannot go on from byte {0}")]
    CannotResume(u64),
    #[error("its checksum is not the one that the store has for it")]
    Checksum,
    #[error("its SHA-256 is {0}")]
    Sha256(String, Option<Doubt>),
    /// A store that cannot do what it was asked for
    #[error("{0}")]
    Unsupported(String),
    /// Something answered, but no store: a console, a proxy, a page to sign in
    #[error("{0}")]
    NoStore(String),
    /// `http://` to a port that speaks TLS, or to one that does not speak HTTP at all
    #[error("{0}")]
    NeedsTls(String),
    /// `https://` to a port that does not speak TLS
    #[error("{0}")]
    NoTls(String),
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

/// What one needs to be allowed to do, to what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Right {
    /// As policies name it: `s3:GetObject`
    pub action: &'static str,
    /// Without `arn:aws:s3:::`
    pub resource: String,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on `arn:aws:s3:::{}`", self.action, self.resource)
    }
}

impl Fault {
    /// Whether the same request may get another answer. A clock that is wrong does heal: the SDK reads the store's in its
    /// answer, and signs the next request by it.
    #[must_use]
    pub fn may_heal(&self) -> bool {
        matches!(
            self,
            Self::Busy(_) | Self::Stalled(_) | Self::Cut(_) | Self::Connect(_) | Self::Clock(..)
        )
    }

    pub(crate) fn from_sdk<E>(error: &SdkError<E, HttpResponse>, right: Right) -> Self
    where
        E: Error + 'static,
    {
        match error {
            SdkError::ServiceError(answer) => Self::from_store(answer.raw(), right),
            SdkError::ResponseError(answer) => Self::from_store(answer.raw(), right),
            SdkError::DispatchFailure(failure) => failure
                .as_connector_error()
                .map_or_else(|| Self::Connect("it failed".into()), Self::from_connector),
            SdkError::TimeoutError(_) => Self::Connect("no answer in time".into()),
            other => Self::Refused(deepest(other)),
        }
    }

    pub(crate) fn from_connector(error: &ConnectorError) -> Self {
        if chain_mentions(error, "InvalidContentType") {
            Self::NoTls(deepest(error))
        } else if chain_mentions(error, "certificate") {
            Self::Certificate(deepest(error))
        } else if chain_mentions(error, "invalid HTTP") {
            Self::NeedsTls(deepest(error))
        } else if !error.is_io() && !error.is_timeout() && chain_mentions(error, "credential") {
            Self::NoCredentials(two_deepest(error))
        } else {
            Self::Connect(deepest(error))
        }
    }

    fn from_store(answer: &HttpResponse, right: Right) -> Self {
        let body = answer.body().bytes().unwrap_or_default();
        let header = |name: &str| answer.headers().get(name).map(one_line);
        let refusal = Refusal {
            status: answer.status().as_u16(),
            body: String::from_utf8_lossy(body),
            region: header("x-amz-bucket-region"),
        };
        refusal.meaning(Some(right))
    }
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
pub(crate) struct Refusal<'a> {
    pub(crate) status: u16,
    /// Of S3, in XML; of anything else, whatever it is
    pub(crate) body: Cow<'a, str>,
    /// The header `x-amz-bucket-region`
    pub(crate) region: Option<String>,
}

impl Refusal<'_> {
    /// What an element of the error has: `<Code>`, `<Region>`.
    fn element(&self, name: &str) -> Option<String> {
        let (_, rest) = self.body.split_once(&format!("<{name}>"))?;
        let (value, _) = rest.split_once("</")?;
        let value = value.replace("&quot;", "\"").replace("&apos;", "'").replace("&lt;", "<");
        Some(one_line(&value.replace("&gt;", ">").replace("&amp;", "&"))).filter(|v| !v.is_empty())
    }

    /// By the code of S3, and by the status where there is none. `right` is what was needed; without, it was a plain
    /// address that was asked.
    pub(crate) fn meaning(&self, right: Option<Right>) -> Fault {
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
                Some(region) => return Fault::Region(region),
                None if is_moved => return Fault::Elsewhere(text),
                None => {}
            }
        }
        match code.as_str() {
            "NoSuchKey" | "NoSuchVersion" => Fault::NoObject,
            "NoSuchBucket" | "InvalidBucketName" => Fault::NoBucket,
            "RequestTimeTooSkewed" | "RequestInTheFuture" => {
                let theirs = self.element("ServerTime");
                let theirs = theirs.map(|time| format!(", the store's {time}")).unwrap_or_default();
                Fault::Clock(text, now() + &theirs)
            }
            "InvalidObjectState" => {
                Fault::Archived(self.element("StorageClass").unwrap_or("GLACIER".into()))
            }
            code if code.starts_with("KMS") && code.contains("Throttl") => Fault::Busy(text),
            code if code.starts_with("KMS") || mentions("kms:") => Fault::Encryption(text),
            "InvalidRequest" | "InvalidArgument" if mentions("ncryption") => {
                Fault::CustomerKey(text)
            }
            "InvalidAccessKeyId"
            | "InvalidClientTokenId"
            | "UnrecognizedClientException"
            | "AuthorizationHeaderMalformed" => Fault::UnknownKey(text),
            "SignatureDoesNotMatch" => Fault::Signature(text),
            "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => {
                Fault::Expired(text)
            }
            "AccessDenied" if mentions("xpired") => Fault::Expired(text),
            "InvalidToken" => Fault::Token(text),
            "AllAccessDisabled" | "AccountProblem" | "NotSignedUp" | "UserSuspended" => {
                Fault::Account(text)
            }
            "NotImplemented" | "MethodNotAllowed" => Fault::Unsupported(text),
            "SlowDown"
            | "RequestTimeout"
            | "Throttling"
            | "ThrottlingException"
            | "RequestLimitExceeded"
            | "OperationAborted" => Fault::Busy(text),
            code => self.by_status(text, !code.is_empty(), right),
        }
    }

    fn by_status(&self, text: String, is_s3: bool, right: Option<Right>) -> Fault {
        // A store has a code for all that it refuses, or answers without a word.
        let is_no_store = right.is_some() && !is_s3 && !self.body.trim().is_empty();
        match self.status {
            400 if self.speaks_of_tls() => Fault::NeedsTls(text),
            408 | 425 | 429 | 500 | 502..=504 | 506..=599 => Fault::Busy(text),
            501 | 505 => Fault::Unsupported(text),
            412 => Fault::Replaced,
            _ if is_no_store => Fault::NoStore(format!("{text}, and not from a store")),
            404 => Fault::NoObject,
            401 | 403 => Fault::Denied(text, right),
            301 | 307 | 308 => match self.region() {
                Some(region) => Fault::Region(region),
                None => Fault::Elsewhere(text),
            },
            _ => Fault::Refused(text),
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
pub(crate) fn deepest(error: &dyn Error) -> String {
    one_line(&innermost(error))
}

/// With the cause before it, which names what the innermost one is of: the file that is not there.
fn two_deepest(error: &dyn Error) -> String {
    let (mut outer, mut inner) = (None, error);
    while let Some(cause) = inner.source() {
        outer = Some(inner);
        inner = cause;
    }
    let (outer, inner) = (outer.map(ToString::to_string).unwrap_or_default(), inner.to_string());
    // Some repeat their cause.
    one_line(&if outer.ends_with(&inner) { outer } else { format!("{outer}: {inner}") })
}

fn chain_mentions(error: &dyn Error, word: &str) -> bool {
    error.to_string().contains(word)
        || error.source().is_some_and(|cause| chain_mentions(cause, word))
}

fn one_line(text: &str) -> String {
    short(text, 300)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error as S3 writes it.
    fn xml(code: &str, more: &str) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code>{more}</Error>"
        )
    }

    fn meaning(status: u16, body: String) -> Fault {
        let right = Right { action: "s3:GetObject", resource: "bentos/iris/v1.tar.gz".into() };
        Refusal { status, body: body.into(), region: None }.meaning(Some(right))
    }

    /// The variant's name alone.
    fn kind(fault: &Fault) -> String {
        let text = format!("{fault:?}");
        text.split(['(', ' ']).next().unwrap_or_default().to_owned()
    }

    /// Status, code, message, the meaning, and whether it heals.
    const CODES: [(u16, &str, &str, &str, bool); 41] = [
        (404, "NoSuchKey", "", "NoObject", false),
        (404, "NoSuchVersion", "", "NoObject", false),
        (404, "NoSuchBucket", "", "NoBucket", false),
        (400, "InvalidBucketName", "", "NoBucket", false),
        (403, "AccessDenied", "Access Denied", "Denied", false),
        (403, "AccessDenied", "Request has expired", "Expired", false),
        (403, "AccessDenied", "not authorized to perform: kms:Decrypt on …", "Encryption", false),
        (403, "InvalidAccessKeyId", "", "UnknownKey", false),
        (403, "SignatureDoesNotMatch", "", "Signature", false),
        (400, "AuthorizationHeaderMalformed", "the Credential is mal-formed", "UnknownKey", false),
        (400, "ExpiredToken", "", "Expired", false),
        (400, "TokenRefreshRequired", "", "Expired", false),
        (400, "InvalidToken", "", "Token", false),
        (403, "RequestTimeTooSkewed", "", "Clock", true),
        (403, "InvalidObjectState", "", "Archived", false),
        (400, "KMS.DisabledException", "", "Encryption", false),
        (400, "KMS.KMSInvalidStateException", "", "Encryption", false),
        (400, "KMS.NotFoundException", "", "Encryption", false),
        (400, "KMSNotConfigured", "", "Encryption", false),
        (400, "KMS.ThrottlingException", "", "Busy", true),
        (
            400,
            "InvalidRequest",
            "stored using a form of Server Side Encryption",
            "CustomerKey",
            false,
        ),
        (400, "InvalidRequest", "something else", "Refused", false),
        (403, "AllAccessDisabled", "", "Account", false),
        (403, "AccountProblem", "", "Account", false),
        (403, "NotSignedUp", "", "Account", false),
        (301, "PermanentRedirect", "", "Elsewhere", false),
        (307, "TemporaryRedirect", "", "Elsewhere", false),
        (400, "IllegalLocationConstraintException", "", "Elsewhere", false),
        (412, "PreconditionFailed", "", "Replaced", false),
        (416, "InvalidRange", "", "Refused", false),
        (405, "MethodNotAllowed", "", "Unsupported", false),
        (501, "NotImplemented", "", "Unsupported", false),
        (503, "SlowDown", "", "Busy", true),
        (503, "ServiceUnavailable", "", "Busy", true),
        (500, "InternalError", "", "Busy", true),
        (400, "RequestTimeout", "", "Busy", true),
        (409, "OperationAborted", "", "Busy", true),
        (429, "TooManyRequests", "", "Busy", true),
        (509, "BandwidthLimitExceeded", "", "Busy", true),
        (403, "SomethingNew", "", "Denied", false),
        (400, "SomethingNew", "", "Refused", false),
    ];

    #[test]
    fn each_code_of_s3_has_its_meaning_and_only_what_heals_is_tried_again() {
        for (status, code, message, meant, heals) in CODES {
            let fault = meaning(status, xml(code, &format!("<Message>{message}</Message>")));
            assert_eq!(
                (kind(&fault).as_str(), fault.may_heal()),
                (meant, heals),
                "{status} {code}"
            );
        }
    }

    #[test]
    fn the_region_is_found_wherever_the_answer_has_it() {
        let by = |status, code: &str, more: &str| meaning(status, xml(code, more));
        let right = Fault::Region("eu-west-1".into());
        for fault in [
            by(400, "AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>"),
            by(
                400,
                "AuthorizationHeaderMalformed",
                "<Message>the region 'us-east-1' is wrong; expecting 'eu-west-1'</Message>",
            ),
            by(301, "PermanentRedirect", "<Endpoint>bentos.s3.eu-west-1.amazonaws.com</Endpoint>"),
            by(301, "PermanentRedirect", "<Endpoint>bentos.s3-eu-west-1.amazonaws.com</Endpoint>"),
            by(307, "TemporaryRedirect", "<Endpoint>bentos.s3.eu-west-1.amazonaws.com</Endpoint>"),
            Refusal { status: 301, body: "".into(), region: Some("eu-west-1".into()) }
                .meaning(None),
        ] {
            assert_eq!(fault, right);
        }
        let nowhere = by(301, "PermanentRedirect", "<Endpoint>bentos.s3.amazonaws.com</Endpoint>");
        assert_eq!(kind(&nowhere), "Elsewhere");
        let hostile = by(301, "PermanentRedirect", "<Region>x\u{1b}[2J; rm</Region>");
        assert_eq!(kind(&hostile), "Elsewhere", "it is shown, so it has to look like one");
    }

    #[test]
    fn an_answer_of_something_else_than_a_store_is_told_from_a_store_s() {
        let page = "<!DOCTYPE html><html><body>Sign in</body></html>";
        let table = [
            (200, page, "NoStore"),
            (400, page, "NoStore"),
            (403, page, "NoStore"),
            (404, page, "NoStore"),
            (418, "hello", "NoStore"),
            (502, page, "Busy"),
            (503, page, "Busy"),
            (404, "", "NoObject"),
            (403, "", "Denied"),
            (301, "", "Elsewhere"),
            (400, "", "Refused"),
            (501, "", "Unsupported"),
            (400, "Client sent an HTTP request to an HTTPS server.\n", "NeedsTls"),
            (400, "<html>The plain HTTP request was sent to HTTPS port</html>", "NeedsTls"),
        ];
        for (status, body, meant) in table {
            assert_eq!(kind(&meaning(status, body.into())), meant, "{status} {body}");
        }
        let of_an_address =
            |status| Refusal { status, body: page.into(), region: None }.meaning(None);
        assert_eq!(of_an_address(404), Fault::NoObject, "any server may have pages for its errors");
        assert_eq!(kind(&of_an_address(403)), "Denied");
    }

    #[test]
    fn an_archived_object_and_a_wrong_clock_say_what_the_store_said_of_them() {
        let archived =
            meaning(403, xml("InvalidObjectState", "<StorageClass>DEEP_ARCHIVE</StorageClass>"));
        assert_eq!(archived, Fault::Archived("DEEP_ARCHIVE".into()));
        let skewed = meaning(
            403,
            xml("RequestTimeTooSkewed", "<ServerTime>2026-11-24T06:00:00Z</ServerTime>"),
        );
        let text = skewed.to_string();
        assert!(
            text.contains("the clock here says 20")
                && text.ends_with("the store's 2026-11-24T06:00:00Z"),
            "{text}"
        );
    }
}

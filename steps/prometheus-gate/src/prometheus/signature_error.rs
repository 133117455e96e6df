//! How AWS (Amazon Managed Service for Prometheus, or an API Gateway) says what it has against the signature of a request.

use reqwest::{StatusCode, header::HeaderMap};
use serde::Deserialize;

use crate::prometheus::text::clean;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignatureError {
    /// There is none, or something else in its place, such as a token.
    Missing,
    /// The clocks differ too much.
    Skewed,
    /// The session token has expired.
    Expired,
    /// The access key or the session token is unknown.
    UnknownKey,
    /// It does not match the request.
    Mismatch,
    /// It is good, but whom it names may not do that.
    Denied,
}

/// AWS writes `message` or `Message`.
#[derive(Deserialize)]
struct Body {
    #[serde(alias = "Message")]
    message: String,
    #[serde(rename = "__type", default)]
    error: String,
}

impl SignatureError {
    /// What AWS has against a request, and its words; nothing where the answer is not that of AWS.
    pub(super) fn of(
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Option<(Self, String)> {
        if !status.is_client_error() {
            return None;
        }
        let body = serde_json::from_slice::<Body>(body).ok();
        let (message, in_body) =
            body.map_or_else(Default::default, |Body { message, error }| (message, error));
        let in_header = headers.get("x-amzn-errortype").and_then(|name| name.to_str().ok());
        // `NAME:http://…` in the header, `com.amazon.…#NAME` in the body.
        let name = in_header.unwrap_or(&in_body);
        let name = name.split(':').next().unwrap_or_default();
        let name = name.rsplit('#').next().unwrap_or_default();
        let error = Self::named(name.trim_end_matches("Exception"), &message)?;
        let words = [name, &message].into_iter().filter(|words| !words.is_empty());
        let words: Vec<String> = words.map(clean).collect();
        Some((error, format!(": {}", words.join(": "))))
    }

    fn named(name: &str, message: &str) -> Option<Self> {
        let message = message.to_ascii_lowercase();
        let has = |words: &str| message.contains(words);
        Some(match name {
            _ if has("signature expired") || has("signature not yet current") => Self::Skewed,
            "RequestExpired" | "RequestTimeTooSkewed" => Self::Skewed,
            "MissingAuthenticationToken" | "IncompleteSignature" => Self::Missing,
            "ExpiredToken" => Self::Expired,
            "InvalidSignature"
            | "SignatureDoesNotMatch"
            | "UnrecognizedClient"
            | "InvalidClientTokenId"
                if has("expired") =>
            {
                Self::Expired
            }
            "InvalidSignature" | "SignatureDoesNotMatch" => Self::Mismatch,
            "UnrecognizedClient" | "InvalidClientTokenId" => Self::UnknownKey,
            "AccessDenied" => Self::Denied,
            // A proxy may take the header away.
            _ if has("missing authentication token") => Self::Missing,
            _ if has("authorization header requires 'credential' parameter") => Self::Missing,
            _ if has("the security token included in the request is expired") => Self::Expired,
            _ if has("the security token included in the request is invalid") => Self::UnknownKey,
            _ if has("the request signature we calculated does not match") => Self::Mismatch,
            _ if has("is not authorized to perform: aps:") => Self::Denied,
            _ => return None,
        })
    }

    pub(super) const fn hint(self) -> &'static str {
        match self {
            Self::Missing => {
                "the endpoint wants AWS Signature Version 4: add `--sigv4-region=REGION` to the param `args`; keys come from the Secret of `prometheus-secret` or from the role of the run's service account"
            }
            Self::Skewed => {
                "the clocks of this node and of AWS differ: set the node's clock by NTP"
            }
            Self::Expired => {
                "put a fresh `AWS_SESSION_TOKEN` with its keys into the Secret of `prometheus-secret`, or give the run's service account a role, which is renewed by itself"
            }
            Self::UnknownKey => {
                "AWS does not know the key: look at `AWS_ACCESS_KEY_ID` and `AWS_SESSION_TOKEN` in the Secret of `prometheus-secret`"
            }
            Self::Mismatch => {
                "look at `AWS_SECRET_ACCESS_KEY` in the Secret of `prometheus-secret`, and whether `--sigv4-region` is the region of the workspace"
            }
            Self::Denied => "allow the role or user `aps:QueryMetrics` on the workspace",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(status: u16, name: Option<&str>, body: &str) -> Option<(SignatureError, String)> {
        let headers: HeaderMap = name
            .map(|name| ("x-amzn-errortype".parse().unwrap(), name.parse().unwrap()))
            .into_iter()
            .collect();
        SignatureError::of(StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes())
    }

    use SignatureError::{Denied, Expired, Mismatch, Missing, Skewed, UnknownKey};

    /// The name in the header, the message in the body, and what they mean.
    const SAID: [(Option<&str>, &str, SignatureError); 16] = [
        (Some("MissingAuthenticationTokenException"), "Missing Authentication Token", Missing),
        (
            Some("MissingAuthenticationTokenException:http://internal.amazon.com/coral/"),
            "x",
            Missing,
        ),
        (None, "Missing Authentication Token", Missing),
        (Some("IncompleteSignatureException"), "'Bearer' not a valid key=value pair", Missing),
        (None, "Authorization header requires 'Credential' parameter.", Missing),
        (
            Some("InvalidSignatureException"),
            "The request signature we calculated does not match the signature you provided.",
            Mismatch,
        ),
        (None, "The request signature we calculated does not match", Mismatch),
        (
            Some("InvalidSignatureException"),
            "Signature expired: 20261124T120000Z is now earlier than 20261124T121500Z",
            Skewed,
        ),
        (
            Some("InvalidSignatureException"),
            "Signature not yet current: 20261124T123000Z is still later than 20261124T121500Z",
            Skewed,
        ),
        (Some("RequestExpired"), "x", Skewed),
        (
            Some("ExpiredTokenException"),
            "The security token included in the request is expired",
            Expired,
        ),
        (
            Some("UnrecognizedClientException"),
            "The security token included in the request is expired",
            Expired,
        ),
        (None, "The security token included in the request is expired", Expired),
        (
            Some("UnrecognizedClientException"),
            "The security token included in the request is invalid.",
            UnknownKey,
        ),
        (
            Some("AccessDeniedException"),
            "User: arn is not authorized to perform: aps:QueryMetrics",
            Denied,
        ),
        (None, "User: arn is not authorized to perform: aps:QueryMetrics on resource: x", Denied),
    ];

    #[test]
    fn what_aws_says_of_a_signature_is_recognised() {
        for (name, message, expected) in SAID {
            let body = serde_json::json!({"message": message}).to_string();
            let (found, detail) = error(403, name, &body).unwrap_or_else(|| panic!("{message}"));
            assert_eq!(found, expected, "{name:?} {message}");
            assert!(detail.ends_with(&format!(": {message}")), "{detail}");
        }
        let coral =
            r#"{"__type":"com.amazon.coral.service#ExpiredTokenException","Message":"old"}"#;
        assert_eq!(
            error(400, None, coral),
            Some((Expired, ": ExpiredTokenException: old".to_owned()))
        );
        assert_eq!(
            error(403, Some("AccessDeniedException"), ""),
            Some((Denied, ": AccessDeniedException".to_owned()))
        );
    }

    #[test]
    fn other_refusals_are_not_about_a_signature() {
        for body in [
            "",
            "<html>",
            "{}",
            r#"{"message":"no such user"}"#,
            r#"{"status":"error","error":"x"}"#,
        ] {
            assert_eq!(error(403, None, body), None, "{body}");
        }
        let throttled = r#"{"message":"Rate exceeded"}"#;
        assert_eq!(error(400, Some("ThrottlingException"), throttled), None);
        assert_eq!(error(503, Some("MissingAuthenticationTokenException"), throttled), None);
    }
}

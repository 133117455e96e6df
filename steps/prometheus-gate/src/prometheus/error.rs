//! Why there is no answer, and what to do about it.

use std::time::Duration;

use reqwest::{StatusCode, header::HeaderMap};
use serde::Deserialize;
use step::http::retry_after;

use crate::prometheus::signature_error::SignatureError;
use crate::prometheus::text::{clean, excerpt};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrometheusError {
    #[error("{0}")]
    Unreachable(String),
    /// What leads to the server does not let us through.
    #[error("{0}")]
    Proxy(String),
    #[error("the server is not ready to answer ({status}{detail})")]
    Busy { status: StatusCode, detail: String, retry_after: Option<Duration> },
    /// What would be a wrong address or a wrong query, had it not been answered before.
    #[error("{0}; it was answered before")]
    Outage(String),
    #[error("the server refuses us ({status}{detail})")]
    Refused { status: StatusCode, detail: String },
    #[error("the server refuses the request for its AWS signature ({status}{detail})")]
    Signature { status: StatusCode, detail: String, error: SignatureError },
    #[error("the server does not understand the query: {0}")]
    Query(String),
    #[error("the server cannot carry out the query: {0}")]
    Execution(String),
    #[error("there is no Prometheus API ({status}{detail})")]
    NoApi { status: StatusCode, detail: String },
    #[error("the answer is not that of a Prometheus: {0}")]
    Garbled(String),
    #[error("the answer is larger than {} MiB", .limit >> 20)]
    TooLarge { limit: usize },
    #[error("the server warns: {0}")]
    Warned(String),
    #[error("{0}")]
    Credentials(String),
}

/// What to do about an error. The texts are hints, in the words of the Task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// It passes without us: ask again.
    Wait,
    /// It may pass at once, such as a token in rotation; three times in a row it does not.
    TryAgain(&'static str),
    /// It will not pass.
    GiveUp(&'static str),
    /// The question or the address is wrong.
    Correct(&'static str),
}

impl PrometheusError {
    pub(crate) fn remedy(&self) -> Remedy {
        match self {
            Self::Unreachable(_) | Self::Busy { .. } | Self::Outage(_) | Self::Garbled(_) => {
                Remedy::Wait
            }
            Self::Query(_) => Remedy::Correct(
                "try the query in Prometheus's own page, then put it into the param `query`",
            ),
            Self::NoApi { .. } => Remedy::Correct(
                "set the param `prometheus-url` to the address below which `/api/v1/query` answers",
            ),
            Self::Proxy(_) => Remedy::TryAgain(
                "put the proxy's name and password before the `@` of its URL, or the server's name into NO_PROXY",
            ),
            Self::Warned(warning) if warning.starts_with("PromQL warning") => {
                Remedy::TryAgain("the server doubts the query: correct what it warns of")
            }
            Self::Warned(_) => Remedy::Wait,
            Self::Refused { .. } => Remedy::TryAgain(
                "the Secret of the param `prometheus-secret` needs a `token`, or `username` and `password`, that may read",
            ),
            Self::Signature { error, .. } => Remedy::TryAgain(error.hint()),
            Self::Execution(_) => Remedy::TryAgain(
                "try the query in Prometheus's own page: it may match several series where one is wanted",
            ),
            Self::TooLarge { .. } => Remedy::GiveUp(
                "sum what need not be apart, or record the sum by a rule and ask for that",
            ),
            Self::Credentials(_) => Remedy::TryAgain(
                "look at the Secret of the param `prometheus-secret`, and with `--sigv4-region` at the role of the run's service account",
            ),
        }
    }
}

/// What an answer other than 200 means. Proxies send HTML, so the body is only a hint.
pub(super) fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> PrometheusError {
    let message = serde_json::from_slice::<Refusal>(body).ok().map(|refusal| clean(&refusal.error));
    if let Some((error, detail)) = SignatureError::of(status, headers, body) {
        return PrometheusError::Signature { status, detail, error };
    }
    let detail = message.clone().map_or_else(|| excerpt(body), |message| format!(": {message}"));
    match (status, message) {
        (StatusCode::BAD_REQUEST, Some(message)) => PrometheusError::Query(message),
        (StatusCode::UNPROCESSABLE_ENTITY, Some(message)) => PrometheusError::Execution(message),
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => {
            PrometheusError::Refused { status, detail }
        }
        // 2xx without a whole body: 204 has none, 206 is a part.
        (status, _) if status.is_success() => {
            PrometheusError::Garbled(format!("its HTTP status is {status}{detail}"))
        }
        (status, _) if is_busy(status) => {
            PrometheusError::Busy { status, detail, retry_after: retry_after(headers) }
        }
        _ => PrometheusError::NoApi { status, detail },
    }
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

/// 499 is nginx's and Prometheus's "cancelled".
fn is_busy(status: StatusCode) -> bool {
    status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED
        || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
        || status.as_u16() == 499
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_is_the_error_that_it_means() {
        let error = r#"{"status":"error","errorType":"x","error":"why"}"#;
        for (status, body, told) in [
            (204, "", "the answer is not that of a Prometheus: its HTTP status is 204 No Content"),
            (206, error, "its HTTP status is 206 Partial Content: why"),
            (302, "<a>", "there is no Prometheus API (302 Found: <a>)"),
            (400, error, "the server does not understand the query: why"),
            (
                400,
                "<h1>Bad Request",
                "there is no Prometheus API (400 Bad Request: <h1>Bad Request)",
            ),
            (401, error, "the server refuses us (401 Unauthorized: why)"),
            (403, "", "the server refuses us (403 Forbidden)"),
            (404, "", "there is no Prometheus API (404 Not Found)"),
            (405, "", "there is no Prometheus API (405 Method Not Allowed)"),
            (408, "", "the server is not ready to answer (408 Request Timeout)"),
            (422, error, "the server cannot carry out the query: why"),
            (422, "", "there is no Prometheus API (422 Unprocessable Entity)"),
            (429, "", "the server is not ready to answer (429 Too Many Requests)"),
            (499, error, "the server is not ready to answer (499 <unknown status code>: why)"),
            (500, error, "the server is not ready to answer (500 Internal Server Error: why)"),
            (501, "", "there is no Prometheus API (501 Not Implemented)"),
            (503, error, "the server is not ready to answer (503 Service Unavailable: why)"),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let error = refusal(status, &HeaderMap::new(), body.as_bytes()).to_string();
            assert!(error.ends_with(told), "{status}: {error}");
        }
    }

    #[test]
    fn a_servers_words_are_cleaned() {
        let body = "{\"error\":\"\\u001b[31mno\\u202e\\u0007\\nway\"}";
        let error = refusal(StatusCode::BAD_REQUEST, &HeaderMap::new(), body.as_bytes());
        assert!(error.to_string().ends_with(r": \u{1b}[31mno\u{202e}\u{7} | way"), "{error}");
    }
}

//! What a browser may do with an answer.

use axum::{
    http::{
        HeaderName, HeaderValue,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
            X_FRAME_OPTIONS,
        },
    },
    response::Response,
};

/// Of pages: nothing from elsewhere, nothing inline, in nobody's frame.
const PAGE: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                    frame-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
/// Of reports, which bring their own style: no script and no origin, in a frame of this page alone.
const REPORT: &str = "sandbox; default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'self'";

/// Marks an answer that is shown in a frame of a page.
#[derive(Clone, Copy)]
pub(super) struct IsReport;

/// Sets them on every answer. Whether the page may be opened by another one is settled only where browsers trust the
/// address; elsewhere they pass over it, and say so in the console.
pub(super) fn guard(mut response: Response, is_trustworthy: bool) -> Response {
    let is_report = response.extensions().get::<IsReport>().is_some();
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    set(CONTENT_SECURITY_POLICY, if is_report { REPORT } else { PAGE });
    set(X_FRAME_OPTIONS, if is_report { "SAMEORIGIN" } else { "DENY" });
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(REFERRER_POLICY, "same-origin");
    if is_trustworthy {
        set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    }
    set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    if !response.headers().contains_key(CACHE_CONTROL) {
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    }
    response
}

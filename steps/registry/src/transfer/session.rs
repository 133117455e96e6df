//! A session of upload: the registry names an address, and takes bytes there until it is told their digest.

use bytes::Bytes;
use reqwest::{
    Method, Response, StatusCode, Url,
    header::{CONTENT_TYPE, HeaderValue, LOCATION},
};
use step::text::address;
use tokio::time::timeout;

use crate::{
    connection::Request,
    error::{RegistryError, Right},
    refusal::Refusal,
    repository::Repository,
};

pub(super) const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// Begins one, once. The registry looks at our right to push here, before any byte.
pub(super) async fn open(repository: &Repository) -> Result<Url, RegistryError> {
    let request = repository.request(Method::POST, Right::Push, "blobs/uploads/").await?;
    let connection = repository.connection();
    let answer = connection.once(repository.account(), &request).await?;
    if answer.status().is_success() {
        location(&answer)?.ok_or(RegistryError::Malformed("upload location"))
    } else {
        Err(connection.refused(answer, &request.scope).await)
    }
}

/// Where it goes on. Relative or absolute, with a query or without; none where the address stays.
pub(super) fn location(answer: &Response) -> Result<Option<Url>, RegistryError> {
    let Some(location) = answer.headers().get(LOCATION) else { return Ok(None) };
    let url = location.to_str().ok().and_then(|location| answer.url().join(location).ok());
    let url = url.ok_or(RegistryError::Malformed("upload location"))?;
    if answer.url().scheme() == "https" && url.scheme() != "https" {
        let shown = address(url.as_str());
        return Err(RegistryError::Answered(format!(
            "it wants the bytes of an upload without TLS, at `{shown}`: whatever ends TLS before it has to say so, \
             by X-Forwarded-Proto"
        )));
    }
    Ok(Some(url))
}

/// Tells the registry what it has got. Asked again while that may help, as no bytes go with it.
pub(super) async fn close(
    repository: &Repository,
    session: &Url,
    digest: &str,
) -> Result<(), RegistryError> {
    let request = put(repository, session, digest);
    let answer = repository.connection().ask(repository.account(), &request).await;
    closed(repository, digest, answer).await
}

/// Sends all of a blob, once: what a registry has kept of a first try would be before the second one's bytes.
pub(super) async fn fill(
    repository: &Repository,
    session: &Url,
    digest: &str,
    bytes: Bytes,
) -> Result<(), RegistryError> {
    let request = Request { body: bytes, ..put(repository, session, digest) };
    let answer = repository.connection().once(repository.account(), &request).await;
    closed(repository, digest, answer).await
}

async fn closed(
    repository: &Repository,
    digest: &str,
    answer: Result<Response, RegistryError>,
) -> Result<(), RegistryError> {
    let error = match answer {
        Ok(answer) if answer.status().is_success() => return Ok(()),
        Ok(answer) => {
            refused(Refusal::read(&repository.connection().http, answer).await, repository)
        }
        Err(error) => error,
    };
    // An answer that got lost leaves no session, but the blob.
    if error.is_retryable() && repository.has_blob(digest).await.unwrap_or_default() {
        return Ok(());
    }
    Err(error)
}

fn put(repository: &Repository, session: &Url, digest: &str) -> Request {
    let mut url = session.clone();
    url.query_pairs_mut().append_pair("digest", digest);
    let mut request = repository.request_to(Method::PUT, Right::Push, url);
    request.headers.insert(CONTENT_TYPE, OCTETS);
    request
}

/// What a registry means that has taken a session, and now does not go on with it.
pub(super) fn refused(refusal: Refusal, repository: &Repository) -> RegistryError {
    let is_lost = refusal.status == StatusCode::NOT_FOUND
        || refusal.has("BLOB_UPLOAD_UNKNOWN")
        || refusal.has("BLOB_UPLOAD_INVALID");
    if is_lost {
        return RegistryError::Ended(format!("it lost the upload: {}", refusal.text));
    }
    refusal.error(Right::Push, repository.name())
}

/// Gives it up, if the registry lets us. Not with another token: many do not count this among what pushing allows.
pub(super) async fn abandon(repository: &Repository, session: Url) {
    let request = repository.request_to(Method::DELETE, Right::Push, session);
    let patience = repository.connection().http.patience;
    let asked = repository.connection().once(repository.account(), &request);
    match timeout(patience, asked).await {
        Ok(Ok(answer)) if answer.status().is_success() => {}
        _ => tracing::debug!("{}: an upload that was given up stays", repository.name().host),
    }
}

#[cfg(test)]
mod tests {
    use reqwest::ResponseBuilderExt as _;

    use super::*;

    fn led(from: &str, to: &str) -> Result<Option<String>, String> {
        let answer = http::Response::builder().url(from.parse().unwrap()).header(LOCATION, to);
        let led = location(&answer.body("").unwrap().into());
        led.map(|url| url.map(String::from)).map_err(|error| error.to_string())
    }

    #[test]
    fn an_upload_goes_on_where_the_registry_says_but_never_from_tls_to_plain_http() {
        let here = "https://r.example/v2/iris/blobs/uploads/";
        for (to, wanted) in [
            (
                "/v2/iris/blobs/uploads/1?_state=a%3D",
                "https://r.example/v2/iris/blobs/uploads/1?_state=a%3D",
            ),
            ("1", "https://r.example/v2/iris/blobs/uploads/1"),
            ("https://storage.example/1?x=y", "https://storage.example/1?x=y"),
            ("//storage.example/1", "https://storage.example/1"),
        ] {
            assert_eq!(led(here, to), Ok(Some(wanted.into())), "{to}");
        }
        let plain =
            led(here, "http://r.example/v2/iris/blobs/uploads/1?_state=s3cr3t").unwrap_err();
        assert!(
            plain.starts_with(
                "it wants the bytes of an upload without TLS, at `http://r.example/v2/"
            )
        );
        assert!(!plain.contains("s3cr3t"), "{plain}");
        let plain = "http://r.example/v2/iris/blobs/uploads/";
        assert!(led(plain, "http://storage.example/1").is_ok());
        assert_eq!(
            led(plain, "http://["),
            Err("its upload location is not a valid upload location".into())
        );
    }
}

//! One registry: with TLS or without, and asked again while that may help.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use bytes::Bytes;
use reqwest::{
    Method, Response, StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderValue},
};
use tokio::{sync::Mutex, time::Instant};

use crate::{
    authorization::{Authorizations, Scope},
    body::{Progress, pieces},
    credentials::Credential,
    error::{RegistryError, is_busy},
    http::Http,
    reference::RepositoryName,
    refusal::Refusal,
};

const FIRST_PAUSE: Duration = Duration::from_millis(300);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
const RETRIES: usize = 5;
const RETRIES_OF_BYTES: usize = 3;

/// A registry, and how it is reached.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) http: Http,
    /// Plain HTTP where it speaks no TLS
    plain: bool,
    /// Longest time of one question with its repetitions
    timeout: Duration,
    /// Found with the first request: `https://HOST/v2/`
    base: Mutex<Option<Url>>,
}

/// Who asks.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) credential: Option<Credential>,
    pub(crate) authorizations: Authorizations,
}

/// What is asked, however often.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    /// Of a PUT
    pub(crate) body: Bytes,
    pub(crate) scope: Scope,
}

impl Account {
    pub(crate) async fn of(
        &self,
        http: &Http,
        scope: &Scope,
    ) -> Result<Option<HeaderValue>, RegistryError> {
        self.authorizations.of(http, scope, self.credential.as_ref()).await
    }
}

impl Connection {
    pub(crate) fn new(http: Http, plain: bool, timeout: Duration) -> Self {
        Self { http, plain, timeout, base: Mutex::default() }
    }

    /// With TLS, and without where that is allowed and there is none.
    pub(crate) async fn base(&self, name: &RepositoryName) -> Result<Url, RegistryError> {
        let mut base = self.base.lock().await;
        if let Some(base) = &*base {
            return Ok(base.clone());
        }
        let mut failed = RegistryError::Malformed("address");
        for scheme in ["https", "http"].into_iter().take(if self.plain { 2 } else { 1 }) {
            let Ok(url) = Url::parse(&format!("{scheme}://{}/v2/", name.authority())) else {
                continue;
            };
            match self.http.send(self.http.client.get(url.clone())).await {
                Ok(_) => return Ok(base.insert(url).clone()),
                Err(error) => failed = error,
            }
            if matches!(failed, RegistryError::Certificate(_)) {
                break; // it does speak TLS
            }
        }
        Err(failed)
    }

    /// Asks until there is an answer that will not change by asking, within the time.
    pub(crate) async fn ask(
        &self,
        account: &Account,
        request: &Request,
    ) -> Result<Response, RegistryError> {
        self.again(&request.scope, || self.once(account, request)).await
    }

    /// Tries a question until there is an answer, within the time.
    pub(crate) async fn again<T, F: Future<Output = Result<T, RegistryError>>>(
        &self,
        scope: &Scope,
        attempt: impl FnMut() -> F,
    ) -> Result<T, RegistryError> {
        let deadline = Instant::now() + self.timeout;
        let fits = |pause| Instant::now() + pause < deadline;
        again(&scope.repository.host, RETRIES, fits, attempt).await
    }

    /// Sends something until it is there, as long as the registry does not ask for more than the time of a question
    /// in between.
    pub(crate) async fn send_again<T, F: Future<Output = Result<T, RegistryError>>>(
        &self,
        scope: &Scope,
        attempt: impl FnMut() -> F,
    ) -> Result<T, RegistryError> {
        let fits = |pause| pause < self.timeout;
        again(&scope.repository.host, RETRIES_OF_BYTES, fits, attempt).await
    }

    /// Any answer but that of a registry that is busy.
    pub(crate) async fn once(
        &self,
        account: &Account,
        request: &Request,
    ) -> Result<Response, RegistryError> {
        let answer = self.authorized(account, request).await?;
        if is_busy(answer.status()) {
            Err(self.refused(answer, &request.scope).await)
        } else {
            Ok(answer)
        }
    }

    pub(crate) async fn refused(&self, answer: Response, scope: &Scope) -> RegistryError {
        Refusal::read(&self.http, answer).await.error(scope.right, &scope.repository)
    }

    /// With what the registry took before, or else with what it asks for. No other host gets any of it, whoever
    /// sends us there.
    async fn authorized(
        &self,
        account: &Account,
        request: &Request,
    ) -> Result<Response, RegistryError> {
        let base = self.base(&request.scope.repository).await?;
        if request.url.origin() != base.origin() {
            return self.send(request, None).await;
        }
        let known = account.of(&self.http, &request.scope).await?;
        let answer = self.send(request, known.clone()).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        if let Some(known) = known {
            account.authorizations.forget(&known).await;
        }
        let credential = account.credential.as_ref();
        let renewed = account
            .authorizations
            .renew(&self.http, &answer, &base, &request.scope, credential)
            .await?;
        drop(answer);
        self.send(request, Some(renewed)).await
    }

    async fn send(
        &self,
        request: &Request,
        authorization: Option<HeaderValue>,
    ) -> Result<Response, RegistryError> {
        let Request { method, url, headers, body, .. } = request.clone();
        let carries = method == Method::POST || method == Method::PUT;
        let mut sent = self.http.client.request(method.clone(), url).headers(headers);
        if let Some(value) = authorization {
            sent = sent.header(AUTHORIZATION, value);
        }
        if carries {
            sent = sent.header(CONTENT_LENGTH, body.len()); // some want to be told that there is nothing
        }
        if method != Method::PUT {
            return self.http.send(sent).await;
        }
        // Whatever is put is stored before there is an answer.
        let progress = if body.is_empty() { Progress::ended() } else { Progress::default() };
        if !body.is_empty() {
            sent = sent.body(pieces(body, &progress));
        }
        let answer = progress.watch(sent.send(), self.http.patience).await?;
        answer.map_err(|error| self.http.unreachable(&error))
    }
}

/// Again, after pauses or what the registry asks for; the last error where nothing helps.
async fn again<T, F: Future<Output = Result<T, RegistryError>>>(
    host: &str,
    times: usize,
    fits: impl Fn(Duration) -> bool,
    attempt: impl FnMut() -> F,
) -> Result<T, RegistryError> {
    let pauses = ExponentialBuilder::new()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .with_max_times(times)
        .with_jitter();
    attempt
        .retry(pauses)
        .when(RegistryError::is_retryable)
        .adjust(|error, pause| {
            let pause = error.retry_after().or(pause).filter(|_| pause.is_some())?;
            fits(pause).then_some(pause)
        })
        .notify(|error, _| tracing::warn!("{host}: {error}; asking again"))
        .await
}

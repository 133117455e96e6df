//! One repository of a registry, and who asks it.

use std::{sync::Arc, time::Duration};

use reqwest::{Certificate, Method, Response, StatusCode, Url, header::HeaderMap};
use sha2::{Digest as _, Sha256};
use step::{secret, text::hex};

use crate::{
    authorization::{Authorizations, Scope},
    connection::{Account, Connection, Request},
    credentials::Credential,
    error::{RegistryError, Right},
    http::Http,
    reference::RepositoryName,
};

/// How to reach a registry.
#[derive(Debug)]
pub struct Access {
    pub credential: Option<Credential>,
    /// Plain HTTP where it speaks no TLS
    pub insecure: bool,
    /// Additional CA certificates
    pub authorities: Vec<Certificate>,
    /// Longest time of one question: none of its repetitions begins later. Bytes of blobs take the time they take
    pub timeout: Duration,
    /// Longest silence: before an answer, within it, or while the registry takes nothing of what is sent
    pub idle_timeout: Duration,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            credential: None,
            insecure: false,
            authorities: Vec::new(),
            timeout: Duration::from_mins(1),
            idle_timeout: Duration::from_secs(30),
        }
    }
}

/// A repository: what it holds, and what is brought there. Clones share connections and tokens.
#[derive(Clone, Debug)]
pub struct Repository(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: RepositoryName,
    connection: Arc<Connection>,
    account: Account,
}

/// An answer with all of its body.
#[derive(Debug)]
pub(crate) struct Whole {
    /// Where it came from in the end
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Repository {
    /// Nothing is asked yet.
    pub fn new(name: RepositoryName, access: Access) -> Result<Self, RegistryError> {
        let Access { credential, insecure, authorities, timeout, idle_timeout } = access;
        let http = Http::new(&authorities, idle_timeout)?;
        let connection = Arc::new(Connection::new(http, insecure || name.is_nearby(), timeout));
        Ok(Self::of(name, connection, credential))
    }

    /// Another repository of this registry, over the same connections; who we are may differ there. None: that is
    /// on another host.
    pub fn beside(&self, name: RepositoryName, credential: Option<Credential>) -> Option<Self> {
        let is_here = name.host == self.name().host;
        is_here.then(|| Self::of(name, Arc::clone(&self.0.connection), credential))
    }

    fn of(
        name: RepositoryName,
        connection: Arc<Connection>,
        credential: Option<Credential>,
    ) -> Self {
        match &credential {
            Some(Credential::Password { user, password }) => secret::keep_user(user, password),
            Some(Credential::IdentityToken(token)) => secret::keep(token),
            None => {}
        }
        let account = Account { credential, authorizations: Authorizations::default() };
        Self(Arc::new(Inner { name, connection, account }))
    }

    pub fn name(&self) -> &RepositoryName {
        &self.0.name
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.0.connection
    }

    pub(crate) fn account(&self) -> &Account {
        &self.0.account
    }

    pub(crate) fn scope(&self, right: Right) -> Scope {
        Scope { right, repository: self.name().clone(), mounted_from: None }
    }

    /// For `path` within the repository.
    pub(crate) async fn request(
        &self,
        method: Method,
        right: Right,
        path: &str,
    ) -> Result<Request, RegistryError> {
        let base = self.connection().base(self.name()).await?;
        let url = base.join(&format!("{}/{path}", self.name().path));
        let url = url.map_err(|_| RegistryError::Malformed("address"))?;
        Ok(self.request_to(method, right, url))
    }

    pub(crate) fn request_to(&self, method: Method, right: Right, url: Url) -> Request {
        let (headers, body) = (HeaderMap::new(), bytes::Bytes::new());
        Request { method, url, headers, body, scope: self.scope(right) }
    }

    /// With retries. None: it has no such thing.
    pub(crate) async fn find(&self, request: &Request) -> Result<Option<Response>, RegistryError> {
        let answer = self.connection().ask(self.account(), request).await?;
        self.found(answer, request).await
    }

    /// The same with the answer's body, of at most `largest` bytes; after a cut within it all is asked again.
    pub(crate) async fn read(
        &self,
        request: &Request,
        largest: usize,
        what: &'static str,
    ) -> Result<Option<Whole>, RegistryError> {
        let connection = self.connection();
        connection
            .again(&request.scope, || async {
                let answer = connection.once(self.account(), request).await?;
                let Some(answer) = self.found(answer, request).await? else { return Ok(None) };
                let (url, headers) = (answer.url().clone(), answer.headers().clone());
                let bytes = connection.http.whole(answer, largest, what).await?;
                Ok(Some(Whole { url, headers, bytes }))
            })
            .await
    }

    pub(crate) async fn found(
        &self,
        answer: Response,
        request: &Request,
    ) -> Result<Option<Response>, RegistryError> {
        match answer.status() {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => Ok(Some(answer)),
            _ => Err(self.connection().refused(answer, &request.scope).await),
        }
    }
}

/// `sha256:` and 64 digits.
pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}

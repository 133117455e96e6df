//! An upload of bytes that come as they come: one PATCH, whose body is what was written.
//!
//! Pieces with Content-Range, each a request, are what registries agree on least; this is what `docker push` sends.

use bytes::Bytes;
use futures::stream;
use reqwest::{
    Body, StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use tokio::{
    runtime::Handle,
    sync::mpsc::{self, Sender},
    task::JoinHandle,
    time::timeout,
};

use super::session;
use crate::{
    body::{PIECE, Progress},
    error::{RegistryError, Right},
    refusal::Refusal,
    repository::Repository,
};

/// Pieces that wait for the registry; about as much again is in the client's and the system's own buffers.
const WAITING: usize = 4;

/// A blob on its way. Dropped before [`Upload::finish`], it leaves nothing behind, where the registry allows that.
#[derive(Debug)]
pub struct Upload {
    repository: Repository,
    /// None once it needs no end any more
    session: Option<Url>,
    body: Option<Sender<Bytes>>,
    /// None once its answer is known
    patch: Option<JoinHandle<Result<Url, RegistryError>>>,
    progress: Progress,
}

impl Repository {
    /// Begins an upload: the registry's word that we may is here before the first byte.
    pub async fn upload(&self) -> Result<Upload, RegistryError> {
        let scope = self.scope(Right::Push);
        let session = self.connection().again(&scope, || session::open(self)).await?;
        Ok(Upload::new(self.clone(), session))
    }
}

impl Upload {
    pub(super) fn new(repository: Repository, session: Url) -> Self {
        let (body, mut waiting) = mpsc::channel(WAITING);
        let progress = Progress::default();
        let pieces = progress.body(stream::poll_fn(move |context| waiting.poll_recv(context)));
        let patch = tokio::spawn(patch(repository.clone(), session.clone(), pieces));
        let (body, patch, session) = (Some(body), Some(patch), Some(session));
        Self { repository, session, body, patch, progress }
    }

    /// Hands over bytes, once the registry has room for them. The registry's own reason, as soon as it has refused;
    /// then nothing more can be written.
    pub async fn write(&mut self, mut bytes: Bytes) -> Result<(), RegistryError> {
        let patience = self.repository.connection().http.patience;
        while !bytes.is_empty() {
            let (Some(patch), Some(body)) = (&mut self.patch, &self.body) else {
                return Err(RegistryError::Ended("the upload has failed already".into()));
            };
            let piece = bytes.split_to(bytes.len().min(PIECE));
            let sent = tokio::select! {
                biased;
                answer = patch => {
                    self.patch = None;
                    return Err(early(answer.unwrap_or_else(|_| Err(broken()))));
                }
                sent = timeout(patience, body.send(piece)) => sent,
            };
            match sent {
                Ok(Ok(())) => {}
                // The connection has let go of the body, and says why in a moment.
                Ok(Err(_)) => return Err(early(self.answer().await)),
                Err(_) => {
                    self.stop();
                    return Err(RegistryError::silent("it took nothing", patience));
                }
            }
        }
        Ok(())
    }

    /// Ends its bytes: the registry need not wait for more until it is told the digest.
    pub fn end(&mut self) {
        self.body = None;
    }

    /// Ends the blob, which is in the repository then.
    pub async fn finish(mut self, digest: &str) -> Result<(), RegistryError> {
        self.body = None;
        let session = self.answer().await?;
        self.session = Some(session.clone());
        session::close(&self.repository, &session, digest).await?;
        self.session = None;
        Ok(())
    }

    /// Gives it up.
    pub async fn abandon(mut self) {
        self.stop();
        if let Some(session) = self.session.take() {
            session::abandon(&self.repository, session).await;
        }
    }

    /// Of the PATCH: where the session goes on.
    async fn answer(&mut self) -> Result<Url, RegistryError> {
        let Some(mut patch) = self.patch.take() else {
            return Err(RegistryError::Ended("the upload has failed already".into()));
        };
        let patience = self.repository.connection().http.patience;
        match self.progress.watch(&mut patch, patience).await {
            Ok(answer) => answer.unwrap_or_else(|_| Err(broken())),
            Err(silent) => {
                patch.abort();
                Err(silent)
            }
        }
    }

    /// Before the body, whose end would be that of the blob.
    fn stop(&mut self) {
        if let Some(patch) = self.patch.take() {
            patch.abort();
        }
        self.body = None;
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.stop();
        let Some(session) = self.session.take() else { return };
        let Ok(runtime) = Handle::try_current() else { return };
        let repository = self.repository.clone();
        runtime.spawn(async move { session::abandon(&repository, session).await });
    }
}

async fn patch(repository: Repository, session: Url, body: Body) -> Result<Url, RegistryError> {
    let http = &repository.connection().http;
    let base = repository.connection().base(repository.name()).await?;
    // The token that the POST has proved. Another host gets none.
    let is_there = session.origin() == base.origin();
    let scope = repository.scope(Right::Push);
    let known = if is_there { repository.account().of(http, &scope).await? } else { None };
    let mut request = http.client.patch(session.clone()).header(CONTENT_TYPE, session::OCTETS);
    if let Some(known) = &known {
        request = request.header(AUTHORIZATION, known);
    }
    let answer = request.body(body).send().await.map_err(|error| http.unreachable(&error))?;
    if answer.status().is_success() {
        return Ok(session::location(&answer)?.unwrap_or(session));
    }
    let refusal = Refusal::read(http, answer).await;
    match known {
        // It was good a moment ago: the next upload gets another one.
        Some(known) if refusal.status == StatusCode::UNAUTHORIZED => {
            repository.account().authorizations.forget(&known).await;
            Err(RegistryError::Ended(format!("its token expired: {}", refusal.text)))
        }
        _ => Err(session::refused(refusal, &repository)),
    }
}

/// What an answer means that came before the end of the bytes.
fn early(answer: Result<Url, RegistryError>) -> RegistryError {
    match answer {
        Ok(_) => RegistryError::Ended("it ended the upload before its bytes did".into()),
        Err(error) => error,
    }
}

/// The task that sends is gone.
fn broken() -> RegistryError {
    RegistryError::Ended("the upload was stopped".into())
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;
    use crate::Access;

    #[tokio::test]
    async fn no_more_than_a_megabyte_waits_for_a_registry_that_takes_nothing() {
        let name = "registry.example/models/iris".parse().unwrap();
        let repository = Repository::new(name, Access::default()).unwrap();
        let (body, mut waiting) = mpsc::channel(WAITING);
        let patch = Some(tokio::spawn(std::future::pending()));
        let progress = Progress::default();
        let mut upload = Upload { repository, session: None, body: Some(body), patch, progress };
        let many = Bytes::from(vec![0; 8 << 20]);
        assert!(upload.write(many).now_or_never().is_none());
        let mut found = 0;
        while let Ok(piece) = waiting.try_recv() {
            found += piece.len();
        }
        assert_eq!(found, 1 << 20);
    }
}

//! Blobs that can be sent again: from memory, or from where another repository has them.

use bytes::Bytes;
use reqwest::{Method, StatusCode};

use super::{session, upload::Upload};
use crate::{
    error::{RegistryError, Right},
    reference::is_digest,
    repository::Repository,
};

impl Repository {
    /// Brings a blob that is in memory, and says whether it had to be sent.
    pub async fn push_blob(
        &self,
        digest: &str,
        bytes: impl Into<Bytes> + Send,
    ) -> Result<bool, RegistryError> {
        if self.has_blob(digest).await? {
            return Ok(false);
        }
        let bytes = bytes.into();
        let scope = self.scope(Right::Push);
        let sent = self.connection().send_again(&scope, || async {
            let session = session::open(self).await?;
            let ended = session::fill(self, &session, digest, bytes.clone()).await;
            if ended.is_err() {
                session::abandon(self, session).await;
            }
            ended
        });
        sent.await.map(|()| true)
    }

    /// Makes a blob of another repository of the registry one of this, without its bytes. False: however it was
    /// refused, the registry wants them sent.
    pub async fn mount(&self, digest: &str, from: &Self) -> Result<bool, RegistryError> {
        if !is_digest(digest) {
            return Err(RegistryError::Malformed("digest"));
        }
        if self.name().host != from.name().host {
            return Ok(false);
        }
        let path = format!("blobs/uploads/?mount={digest}&from={}", from.name().path);
        let mut request = self.request(Method::POST, Right::Push, &path).await?;
        request.scope.mounted_from = Some(from.name().clone());
        match self.connection().once(self.account(), &request).await {
            Ok(answer) if answer.status() == StatusCode::CREATED => return Ok(true),
            Ok(answer) if answer.status().is_success() => {
                if let Ok(Some(session)) = session::location(&answer) {
                    session::abandon(self, session).await;
                }
            }
            Ok(answer) => {
                let why = self.connection().refused(answer, &request.scope).await;
                tracing::debug!("{}: no mount from {}: {why}", self.name(), from.name());
            }
            Err(why) => tracing::debug!("{}: no mount from {}: {why}", self.name(), from.name()),
        }
        Ok(false)
    }

    /// Brings a blob of `size` bytes from another repository, wherever that is, and says how many bytes were sent
    /// for it: none where it is here already or could be mounted.
    pub async fn copy_blob(
        &self,
        digest: &str,
        size: u64,
        from: &Self,
    ) -> Result<u64, RegistryError> {
        if self.has_blob(digest).await? || self.mount(digest, from).await? {
            return Ok(0);
        }
        let scope = self.scope(Right::Push);
        let sent = self.connection().send_again(&scope, || self.stream(digest, size, from));
        sent.await.map(|()| size)
    }

    async fn stream(&self, digest: &str, size: u64, from: &Self) -> Result<(), RegistryError> {
        let source = |error| RegistryError::Source {
            repository: from.name().clone(),
            error: Box::new(error),
        };
        let blob = from.open_blob(digest).await.map_err(source)?;
        let missing = || RegistryError::Answered(format!("it has no blob `{digest}`"));
        let mut blob = blob.ok_or_else(missing).map_err(source)?;
        let mut upload = Upload::new(self.clone(), session::open(self).await?);
        let mut left = size;
        while let Some(bytes) = blob.next().await.map_err(source)? {
            let fits = left.checked_sub(bytes.len() as u64);
            left = fits.ok_or(RegistryError::TooLarge("blob")).map_err(source)?;
            upload.write(bytes).await?;
        }
        upload.finish(digest).await
    }
}

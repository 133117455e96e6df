//! The blobs of a repository: whether they are there, and their bytes, hashed as they come.

use bytes::Bytes;
use reqwest::{Method, Response};
use sha2::{Digest as _, Sha256};
use step::text::hex;

use crate::{
    connection::Request,
    error::{RegistryError, Right},
    reference::is_digest,
    repository::{Repository, Whole, digest as hash},
};

/// A blob as it comes.
#[derive(Debug)]
pub struct BlobStream {
    repository: Repository,
    answer: Response,
    digest: String,
    hash: Sha256,
}

impl BlobStream {
    /// What the registry says of its size, in bytes.
    pub fn size(&self) -> Option<u64> {
        self.answer.content_length()
    }

    /// The next bytes. None: that was all, and it is what its digest says.
    pub async fn next(&mut self) -> Result<Option<Bytes>, RegistryError> {
        let chunk = self.repository.connection().http.chunk(&mut self.answer).await?;
        if let Some(chunk) = &chunk {
            self.hash.update(chunk);
        } else if format!("sha256:{}", hex(&self.hash.clone().finalize())) != self.digest {
            return Err(RegistryError::Digest("blob"));
        }
        Ok(chunk)
    }
}

impl Repository {
    /// Whether the repository holds this blob.
    pub async fn has_blob(&self, digest: &str) -> Result<bool, RegistryError> {
        let request = self.blob_request(Method::HEAD, digest).await?;
        Ok(self.find(&request).await?.is_some())
    }

    /// A blob of at most `limit` bytes, if it is there and is what its digest says.
    pub async fn blob(&self, digest: &str, limit: usize) -> Result<Option<Vec<u8>>, RegistryError> {
        let request = self.blob_request(Method::GET, digest).await?;
        match self.read(&request, limit, "blob").await? {
            Some(Whole { bytes, .. }) if hash(&bytes) == digest => Ok(Some(bytes)),
            Some(_) => Err(RegistryError::Digest("blob")),
            None => Ok(None),
        }
    }

    /// A blob of any size, if it is there. A cut in the middle is an error of the stream, which asks for nothing
    /// again.
    pub async fn open_blob(&self, digest: &str) -> Result<Option<BlobStream>, RegistryError> {
        let request = self.blob_request(Method::GET, digest).await?;
        let answer = self.find(&request).await?;
        Ok(answer.map(|answer| BlobStream {
            repository: self.clone(),
            answer,
            digest: digest.to_owned(),
            hash: Sha256::new(),
        }))
    }

    async fn blob_request(&self, method: Method, digest: &str) -> Result<Request, RegistryError> {
        if !is_digest(digest) {
            return Err(RegistryError::Malformed("digest"));
        }
        self.request(method, Right::Pull, &format!("blobs/{digest}")).await
    }
}

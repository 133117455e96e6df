//! A layer on its way to the registry: in memory while it is small, then as a stream.

use std::io::{self, Write};

use bytes::{Bytes, BytesMut};
use registry::{RegistryError, Repository, Upload};

use crate::waiting::Waiting;

/// Bytes of a layer that is pushed in one piece, once it is complete; a larger one is streamed.
const SMALL: usize = 1 << 20;
/// Bytes that are handed to an upload at once.
const CHUNK: usize = 256 << 10;

/// Where a layer's bytes go.
pub(crate) enum LayerOutput {
    /// Nowhere: their digest is compared with what the registry has
    Compared,
    Upload(LayerUpload),
}

/// A layer that is pushed.
pub(crate) struct LayerUpload {
    waiting: Waiting,
    repository: Repository,
    chunk: BytesMut,
    stream: Option<Upload>,
}

/// What is left to do for a layer that is complete.
#[derive(Debug)]
pub(crate) enum Ending {
    /// Nothing: the registry has it
    Stored,
    /// All of it
    Small(Bytes),
    /// To name its digest
    Stream(Upload),
}

impl LayerUpload {
    pub(crate) fn new(waiting: Waiting, repository: Repository) -> Self {
        Self { waiting, repository, chunk: BytesMut::new(), stream: None }
    }

    /// Sends what has gathered.
    fn send(&mut self) -> Result<(), RegistryError> {
        let stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.waiting.wait(self.repository.upload())?,
        };
        let stream = self.stream.insert(stream);
        self.waiting.wait(stream.write(self.chunk.split().freeze()))
    }

    fn end(mut self) -> Result<Ending, RegistryError> {
        if self.stream.is_none() {
            return Ok(Ending::Small(self.chunk.freeze()));
        }
        self.send()?;
        Ok(self.stream.map_or(Ending::Stored, |mut stream| {
            stream.end();
            Ending::Stream(stream)
        }))
    }
}

impl LayerOutput {
    /// Sends the rest.
    pub(crate) fn end(self) -> Result<Ending, RegistryError> {
        match self {
            Self::Compared => Ok(Ending::Stored),
            Self::Upload(upload) => upload.end(),
        }
    }
}

impl Write for LayerOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // The registry's own reason is inside of what fails here: see `PassError::registry`.
        let Self::Upload(upload) = self else { return Ok(bytes.len()) };
        upload.chunk.extend_from_slice(bytes);
        let most = if upload.stream.is_some() { CHUNK } else { SMALL };
        if upload.chunk.len() >= most
            && let Err(error) = upload.send()
        {
            return Err(io::Error::other(error));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

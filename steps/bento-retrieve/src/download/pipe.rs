//! A short pipe from the network's task to the unpacking thread.

use std::io::{self, BufRead, Read};

use bytes::Bytes;
use tokio::sync::mpsc::{self, Receiver, Sender};

/// Chunks that may wait between network and unpacking; more would take memory and not make it faster.
const WAITING: usize = 8;

pub fn pipe() -> (PipeWriter, PipeReader) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (PipeWriter(sender), PipeReader { chunks: receiver, chunk: Bytes::new(), ended: false })
}

/// The network's end. Dropped before [`PipeWriter::end`], it makes the other end fail.
pub struct PipeWriter(Sender<Option<Bytes>>);

impl PipeWriter {
    /// Fails when nobody reads.
    pub(crate) async fn write(&self, chunk: Bytes) -> Result<(), Unread> {
        self.0.send(Some(chunk)).await.map_err(|_| Unread)
    }

    /// Lets the other end know that this was all.
    pub(crate) async fn end(self) -> Result<(), Unread> {
        self.0.send(None).await.map_err(|_| Unread)
    }
}

/// The other end is gone: the unpacking has ended, and knows why.
pub(crate) struct Unread;

/// The unpacking thread's end. Ends only where the whole archive came and was the right one.
pub struct PipeReader {
    chunks: Receiver<Option<Bytes>>,
    chunk: Bytes,
    ended: bool,
}

impl BufRead for PipeReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.chunk.is_empty() && !self.ended {
            match self.chunks.blocking_recv() {
                Some(Some(chunk)) => self.chunk = chunk,
                Some(None) => self.ended = true,
                None => return Err(io::Error::other("the download failed")),
            }
        }
        Ok(&self.chunk)
    }

    fn consume(&mut self, count: usize) {
        let _ = self.chunk.split_to(count);
    }
}

impl Read for PipeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

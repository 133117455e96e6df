//! Reads an archive to its end through cuts, stalls and busy stores, and compares what came with what is known of it.

mod parallel;
mod pipe;
mod retry;
mod throughput;

use std::{sync::atomic::Ordering, time::Instant};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use step::text::hex;
use tokio::time::{sleep, timeout};

use crate::{
    archive::Format,
    download::{
        parallel::{Archive, ParallelReader, REQUESTED},
        pipe::Unread,
        throughput::ThroughputProbe,
    },
    progress::Progress,
    source::{Alteration, BodyError, ByteRange, Checksum, Opened, Source, SourceError},
};

pub use pipe::{PipeReader, PipeWriter, pipe};
pub use retry::RetryPolicy;

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub struct Received {
    /// In hexadecimal, of the archive as it lies in the store
    pub sha256: String,
    pub bytes: u64,
}

/// A download and how far it has come.
pub struct Download<'a> {
    source: &'a Source,
    /// The answer to the first request, until it is read
    opened: Option<Opened>,
    retries: RetryPolicy,
    pipe: PipeWriter,
    progress: &'a Progress,
    at: u64,
    total: Option<u64>,
    validator: Option<String>,
    checksum: Option<Checksum>,
    alteration: Option<Alteration>,
    sha256: Sha256,
    connections: usize,
    /// One connection turned out to be the limit
    is_parallel: bool,
}

/// Why reading ended without an error.
enum Ended {
    /// Everything came
    Whole,
    /// The unpacking has ended before
    Unread,
    /// More connections may bring more
    NetworkBound,
}

impl<'a> Download<'a> {
    /// Goes on with a source that was opened at its beginning, on so many connections at most.
    pub fn new(
        source: &'a Source,
        opened: Opened,
        retries: RetryPolicy,
        connections: usize,
        pipe: PipeWriter,
        progress: &'a Progress,
    ) -> Self {
        Self {
            source,
            opened: Some(opened),
            retries,
            pipe,
            progress,
            at: 0,
            total: None,
            validator: None,
            checksum: None,
            alteration: None,
            sha256: Sha256::new(),
            connections,
            is_parallel: false,
        }
    }

    /// Reads to the end. `None` if the other end of the pipe went away before.
    pub async fn run(mut self, expected: Option<&str>) -> Result<Option<Received>, SourceError> {
        let mut waits = self.retries.waits();
        loop {
            let before = self.at;
            let ended =
                if self.is_parallel { self.read_in_parallel().await } else { self.read_on().await };
            let error = match ended {
                Ok(Ended::Whole) => break,
                Ok(Ended::Unread) => return Ok(None),
                Ok(Ended::NetworkBound) => {
                    self.is_parallel = true;
                    continue;
                }
                Err(error) => error,
            };
            if self.at > before {
                waits = self.retries.waits(); // it got on, so the next try has all the patience again
            }
            if self.at > 0 && self.validator.is_none() && expected.is_none() && error.is_retryable()
            {
                tracing::info!("{error}");
                return Err(SourceError::CannotResume(self.at)); // the rest might be another archive's
            }
            let wait = waits.next().filter(|_| error.is_retryable());
            let Some(wait) = retry::adjust(&error, wait) else {
                return Err(error);
            };
            tracing::info!("{error}; going on from there");
            sleep(wait).await;
        }
        self.finish(expected).await
    }

    /// Compares what came with what is known of it, and only then lets the other end know that it is all.
    async fn finish(self, expected: Option<&str>) -> Result<Option<Received>, SourceError> {
        let sha256 = hex(&self.sha256.finalize());
        if expected.is_some_and(|expected| !expected.eq_ignore_ascii_case(&sha256)) {
            return Err(SourceError::Sha256(sha256, self.alteration));
        }
        if self.checksum.is_some_and(|checksum| !checksum.holds()) {
            return Err(SourceError::Checksum);
        }
        let ended = self.pipe.end().await;
        Ok(ended.is_ok().then_some(Received { sha256, bytes: self.at }))
    }

    /// One request for all the rest, and all that comes of it.
    async fn read_on(&mut self) -> Result<Ended, SourceError> {
        let idle = self.retries.idle;
        let stalled = |_| SourceError::Stalled(idle);
        let rest = ByteRange { from: self.at, end: None };
        let mut opened = match self.opened.take() {
            Some(opened) => opened,
            None => timeout(idle, self.source.open(rest, self.validator.as_deref()))
                .await
                .map_err(stalled)??,
        };
        self.begin(&mut opened)?;
        let mut probe = ThroughputProbe::default();
        loop {
            let asked = Instant::now();
            let chunk = timeout(idle, opened.body.next()).await.map_err(stalled)?;
            let came = Instant::now();
            match chunk {
                Some(Ok(chunk)) => {
                    let length = chunk.len() as u64;
                    if self.take(chunk).await.is_err() {
                        return Ok(Ended::Unread);
                    }
                    if probe.is_network_bound(length, came - asked, came.elapsed())
                        && self.could_be_parallel()
                    {
                        return Ok(Ended::NetworkBound);
                    }
                }
                None if self.total.is_none_or(|total| total == self.at) => return Ok(Ended::Whole),
                Some(Err(BodyError)) | None => return Err(SourceError::Cut(self.at)),
            }
        }
    }

    fn could_be_parallel(&self) -> bool {
        let left = self.total.map_or(0, |total| total - self.at);
        self.connections > 1 && self.validator.is_some() && left > 2 * REQUESTED
    }

    /// Several requests at once, each for a range of the rest.
    async fn read_in_parallel(&mut self) -> Result<Ended, SourceError> {
        let archive = Archive {
            source: self.source.clone(),
            validator: self.validator.clone(),
            total: self.total,
        };
        let mut chunks = ParallelReader::new(archive, self.at, self.connections, self.retries.idle);
        while let Some(chunk) = chunks.next().await {
            if self.take(chunk?).await.is_err() {
                return Ok(Ended::Unread);
            }
        }
        Ok(Ended::Whole)
    }

    fn begin(&mut self, opened: &mut Opened) -> Result<(), SourceError> {
        if self.at == 0 {
            self.total = opened.total;
            self.validator = opened.validator.take();
            self.checksum = opened.checksum.take();
            self.alteration = opened.alteration.take();
        } else if opened.validator != self.validator || opened.total != self.total {
            return Err(SourceError::Replaced);
        }
        Ok(())
    }

    async fn take(&mut self, chunk: Bytes) -> Result<(), Unread> {
        if self.at == 0 && self.source.is_named_gz() && Format::of(&chunk) == Some(Format::Tar) {
            self.alteration = Some(Alteration::Unpacked);
        }
        self.at += chunk.len() as u64;
        self.progress.fetched.store(self.at, Ordering::Relaxed);
        self.sha256.update(&chunk);
        if let Some(checksum) = &mut self.checksum {
            checksum.update(&chunk);
        }
        self.pipe.write(chunk).await
    }
}

//! Reads an archive to its end through cuts, stalls and busy stores, and hands it to a thread that unpacks it.

use std::{
    fmt::Write as _,
    io::{self, BufRead, Read},
    sync::atomic::Ordering,
    time::Duration,
};

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::{
    sync::mpsc::{self, Receiver, Sender},
    time::{sleep, timeout},
};

use crate::{
    fault::Fault,
    meter::Watch,
    source::{Broken, Checksum, Opened, Part, Source},
};

/// Pieces that may wait between network and unpacking. A piece has at most 400 kB, so this is all the memory that a
/// download takes; more would not make it faster.
const WAITING: usize = 8;
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// How long a download waits, and for what.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Without a byte
    pub idle: Duration,
    /// Tries in a row that bring no byte
    pub retries: usize,
}

impl Patience {
    pub(crate) fn waits(self) -> impl Iterator<Item = Duration> {
        ExponentialBuilder::default()
            .with_min_delay(FIRST_WAIT)
            .with_max_delay(LONGEST_WAIT)
            .with_max_times(self.retries)
            .with_jitter()
            .build()
    }

    /// Asks again while the fault may heal.
    pub async fn ask<T>(
        self,
        mut question: impl AsyncFnMut() -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let mut waits = self.waits();
        loop {
            let answer =
                timeout(self.idle, question()).await.unwrap_or(Err(Fault::Stalled(self.idle)));
            match (answer, waits.next()) {
                (Err(fault), Some(wait)) if fault.may_heal() => {
                    tracing::info!("{fault}; trying again");
                    sleep(wait).await;
                }
                (answer, _) => return answer,
            }
        }
    }
}

/// The two ends of a short pipe, from the network's task to the unpacking thread.
#[must_use]
pub fn pipe() -> (Feed, Pull) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (Feed(sender), Pull { pieces: receiver, piece: Bytes::new(), ended: false })
}

/// The network's end. Dropped before its end, it makes the other end fail.
pub struct Feed(Sender<Option<Bytes>>);

/// The unpacking thread's end. Ends only where the whole archive came and was the right one.
pub struct Pull {
    pieces: Receiver<Option<Bytes>>,
    piece: Bytes,
    ended: bool,
}

impl BufRead for Pull {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.piece.is_empty() && !self.ended {
            match self.pieces.blocking_recv() {
                Some(Some(piece)) => self.piece = piece,
                Some(None) => self.ended = true,
                None => return Err(io::Error::other("the download failed")),
            }
        }
        Ok(&self.piece)
    }

    fn consume(&mut self, count: usize) {
        let _ = self.piece.split_to(count);
    }
}

impl Read for Pull {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let found = self.fill_buf()?;
        let count = found.len().min(buffer.len());
        buffer[..count].copy_from_slice(&found[..count]);
        self.consume(count);
        Ok(count)
    }
}

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
    patience: Patience,
    feed: Feed,
    watch: &'a Watch,
    at: u64,
    total: Option<u64>,
    mark: Option<String>,
    checksum: Option<Checksum>,
    sha256: Sha256,
}

/// Nobody wants the rest: the unpacking has ended, and knows why.
struct Unwanted;

impl<'a> Download<'a> {
    /// Goes on with a source that was opened at its beginning.
    #[must_use]
    pub fn new(
        source: &'a Source,
        opened: Opened,
        patience: Patience,
        feed: Feed,
        watch: &'a Watch,
    ) -> Self {
        let (opened, sha256) = (Some(opened), Sha256::new());
        Self {
            source,
            opened,
            patience,
            feed,
            watch,
            at: 0,
            total: None,
            mark: None,
            checksum: None,
            sha256,
        }
    }

    /// Reads to the end. `None` if the other end of the pipe went away before.
    pub async fn run(mut self, expected: Option<&str>) -> Result<Option<Received>, Fault> {
        let mut waits = self.patience.waits();
        loop {
            let before = self.at;
            let fault = match self.attempt().await {
                Ok(Ok(())) => break,
                Ok(Err(Unwanted)) => return Ok(None),
                Err(fault) => fault,
            };
            if self.at > before {
                waits = self.patience.waits(); // it got on, so the next try has all the patience again
            }
            let Some(wait) = waits.next().filter(|_| fault.may_heal()) else { return Err(fault) };
            tracing::info!("{fault}; going on from there");
            sleep(wait).await;
        }
        let mut sha256 = String::new();
        for byte in self.sha256.finalize() {
            let _ = write!(sha256, "{byte:02x}");
        }
        if expected.is_some_and(|expected| !expected.eq_ignore_ascii_case(&sha256)) {
            return Err(Fault::Sha256(sha256));
        }
        if self.checksum.is_some_and(|checksum| !checksum.holds()) {
            return Err(Fault::Checksum);
        }
        let ended = self.feed.0.send(None).await;
        Ok(ended.is_ok().then_some(Received { sha256, bytes: self.at }))
    }

    /// One request, and all that comes of it.
    async fn attempt(&mut self) -> Result<Result<(), Unwanted>, Fault> {
        let idle = self.patience.idle;
        let stalled = |_| Fault::Stalled(idle);
        let mut opened = match self.opened.take() {
            Some(opened) => opened,
            None => timeout(
                idle,
                self.source.open(Part { from: self.at, end: None }, self.mark.as_deref()),
            )
            .await
            .map_err(stalled)??,
        };
        self.begin(&mut opened)?;
        loop {
            match timeout(idle, opened.body.next()).await.map_err(stalled)? {
                Some(Ok(piece)) => {
                    if self.take(piece).await.is_err() {
                        return Ok(Err(Unwanted));
                    }
                }
                None if self.total.is_none_or(|total| total == self.at) => return Ok(Ok(())),
                Some(Err(Broken)) | None => return Err(self.cut()),
            }
        }
    }

    fn begin(&mut self, opened: &mut Opened) -> Result<(), Fault> {
        if self.at == 0 {
            self.total = opened.total;
            self.mark = opened.mark.take();
            self.checksum = opened.checksum.take();
        } else if opened.mark != self.mark || opened.total != self.total {
            return Err(Fault::Replaced);
        }
        Ok(())
    }

    fn cut(&self) -> Fault {
        if self.at == 0 || self.mark.is_some() {
            Fault::Cut(self.at)
        } else {
            Fault::CannotResume(self.at)
        }
    }

    async fn take(&mut self, piece: Bytes) -> Result<(), Unwanted> {
        self.at += piece.len() as u64;
        self.watch.fetched.store(self.at, Ordering::Relaxed);
        self.sha256.update(&piece);
        if let Some(checksum) = &mut self.checksum {
            checksum.update(&piece);
        }
        self.feed.0.send(Some(piece)).await.map_err(|_| Unwanted)
    }
}

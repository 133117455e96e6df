//! Reads an archive to its end through cuts, stalls and busy stores, and hands it to a thread that unpacks it.

mod parallel;

use std::{
    io::{self, BufRead, Read},
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use step::text::hex;
use tokio::{
    sync::mpsc::{self, Receiver, Sender},
    time::{sleep, timeout},
};

use crate::{
    archive::Format,
    archive::limits::Watch,
    download::parallel::{Parts, Whole},
    source::error::Fault,
    source::{Broken, Checksum, Doubt, Opened, Part, Source},
};

/// Pieces that may wait between network and unpacking; more would take memory and not make it faster.
const WAITING: usize = 8;
/// Bytes and time after which it is judged whether one connection is the limit: less says nothing of what is to come.
const JUDGED_AFTER: Rate = Rate { bytes: 8 << 20, time: Duration::from_millis(200) };
/// The same for whether more connections brought more; they have to be made first.
const COMPARED_AFTER: Rate = Rate { bytes: 32 << 20, time: Duration::from_millis(400) };
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
    /// Before each further try.
    pub fn waits(self) -> impl Iterator<Item = Duration> {
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
    doubt: Option<Doubt>,
    sha256: Sha256,
    connections: usize,
    /// What one connection brought, once it turned out to be the limit
    alone: Option<Rate>,
}

/// Why reading ended without a fault.
enum Ended {
    /// Everything came
    Whole,
    /// Nobody wants the rest: the unpacking has ended, and knows why
    Unwanted,
    /// More connections may bring more than this
    Starved(Rate),
    /// They did not
    NoFaster,
}

impl<'a> Download<'a> {
    /// Goes on with a source that was opened at its beginning, on so many connections at most.
    #[must_use]
    pub fn new(
        source: &'a Source,
        opened: Opened,
        patience: Patience,
        connections: usize,
        feed: Feed,
        watch: &'a Watch,
    ) -> Self {
        Self {
            source,
            opened: Some(opened),
            patience,
            feed,
            watch,
            at: 0,
            total: None,
            mark: None,
            checksum: None,
            doubt: None,
            sha256: Sha256::new(),
            connections,
            alone: None,
        }
    }

    /// Reads to the end. `None` if the other end of the pipe went away before.
    pub async fn run(mut self, expected: Option<&str>) -> Result<Option<Received>, Fault> {
        let mut waits = self.patience.waits();
        loop {
            let before = self.at;
            let ended = match self.alone {
                Some(alone) => self.read_in_parts(alone).await,
                None => self.read_on().await,
            };
            let fault = match ended {
                Ok(Ended::Whole) => break,
                Ok(Ended::Unwanted) => return Ok(None),
                Ok(Ended::Starved(alone)) => {
                    self.alone = Some(alone);
                    continue;
                }
                Ok(Ended::NoFaster) => {
                    (self.alone, self.connections) = (None, 1);
                    continue;
                }
                Err(fault) => fault,
            };
            if self.at > before {
                waits = self.patience.waits(); // it got on, so the next try has all the patience again
            }
            if self.at > 0 && self.mark.is_none() && expected.is_none() && fault.may_heal() {
                tracing::info!("{fault}");
                return Err(Fault::CannotResume(self.at)); // the rest might be another archive's
            }
            let Some(wait) = waits.next().filter(|_| fault.may_heal()) else { return Err(fault) };
            tracing::info!("{fault}; going on from there");
            sleep(wait).await;
        }
        self.finish(expected).await
    }

    /// Compares what came with what is known of it, and only then lets the other end know that it is all.
    async fn finish(self, expected: Option<&str>) -> Result<Option<Received>, Fault> {
        let sha256 = hex(&self.sha256.finalize());
        if expected.is_some_and(|expected| !expected.eq_ignore_ascii_case(&sha256)) {
            return Err(Fault::Sha256(sha256, self.doubt));
        }
        if self.checksum.is_some_and(|checksum| !checksum.holds()) {
            return Err(Fault::Checksum);
        }
        let ended = self.feed.0.send(None).await;
        Ok(ended.is_ok().then_some(Received { sha256, bytes: self.at }))
    }

    /// One request for all the rest, and all that comes of it.
    async fn read_on(&mut self) -> Result<Ended, Fault> {
        let idle = self.patience.idle;
        let stalled = |_| Fault::Stalled(idle);
        let rest = Part { from: self.at, end: None };
        let mut opened = match self.opened.take() {
            Some(opened) => opened,
            None => timeout(idle, self.source.open(rest, self.mark.as_deref()))
                .await
                .map_err(stalled)??,
        };
        self.begin(&mut opened)?;
        let mut hunger = Hunger::default();
        loop {
            let asked = Instant::now();
            let piece = timeout(idle, opened.body.next()).await.map_err(stalled)?;
            let came = Instant::now();
            match piece {
                Some(Ok(piece)) => {
                    let length = piece.len() as u64;
                    if self.take(piece).await.is_err() {
                        return Ok(Ended::Unwanted);
                    }
                    let starved = hunger.after(length, came - asked, came.elapsed());
                    if let Some(alone) = starved.filter(|_| self.could_read_in_parts()) {
                        return Ok(Ended::Starved(alone));
                    }
                }
                None if self.total.is_none_or(|total| total == self.at) => return Ok(Ended::Whole),
                Some(Err(Broken)) | None => return Err(Fault::Cut(self.at)),
            }
        }
    }

    fn could_read_in_parts(&self) -> bool {
        let left = self.total.map_or(0, |total| total - self.at);
        self.connections > 1 && self.mark.is_some() && left > 2 * parallel::SIZE
    }

    /// Several requests at once, each for a part of the rest, as long as they bring more than one.
    async fn read_in_parts(&mut self, alone: Rate) -> Result<Ended, Fault> {
        let whole =
            Whole { source: self.source.clone(), mark: self.mark.clone(), total: self.total };
        let mut parts = Parts::new(whole, self.at, self.connections, self.patience.idle);
        let (from, start, mut compared) = (self.at, Instant::now(), false);
        loop {
            match parts.next().await {
                Some(Ok(piece)) => {
                    if self.take(piece).await.is_err() {
                        return Ok(Ended::Unwanted);
                    }
                    let together = Rate { bytes: self.at - from, time: start.elapsed() };
                    if !compared && together.reaches(COMPARED_AFTER) {
                        if !together.is_faster_than(alone) {
                            return Ok(Ended::NoFaster);
                        }
                        compared = true;
                    }
                }
                Some(Err(fault)) => return Err(fault),
                None => return Ok(Ended::Whole),
            }
        }
    }

    fn begin(&mut self, opened: &mut Opened) -> Result<(), Fault> {
        if self.at == 0 {
            self.total = opened.total;
            self.mark = opened.mark.take();
            self.checksum = opened.checksum.take();
            self.doubt = opened.doubt.take();
        } else if opened.mark != self.mark || opened.total != self.total {
            return Err(Fault::Replaced);
        }
        Ok(())
    }

    /// Fails when nobody takes it.
    async fn take(&mut self, piece: Bytes) -> Result<(), ()> {
        if self.at == 0 && self.source.is_named_gz() && Format::of(&piece) == Some(Format::Tar) {
            self.doubt = Some(Doubt::Unpacked);
        }
        self.at += piece.len() as u64;
        self.watch.fetched.store(self.at, Ordering::Relaxed);
        self.sha256.update(&piece);
        if let Some(checksum) = &mut self.checksum {
            checksum.update(&piece);
        }
        self.feed.0.send(Some(piece)).await.map_err(|_| ())
    }
}

/// Bytes that come in a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rate {
    bytes: u64,
    time: Duration,
}

impl Rate {
    fn reaches(self, other: Self) -> bool {
        self.bytes >= other.bytes && self.time >= other.time
    }

    /// By more than a fifth, which is worth the further requests.
    fn is_faster_than(self, other: Self) -> bool {
        let product = |bytes: u64, time: Duration| u128::from(bytes) * time.as_micros();
        5 * product(self.bytes, other.time) > 6 * product(other.bytes, self.time)
    }
}

/// What the time of a download goes into: waiting for the network, or for the unpacking.
#[derive(Default)]
struct Hunger {
    bytes: u64,
    for_the_network: Duration,
    for_the_unpacking: Duration,
}

impl Hunger {
    /// After another piece: what came over the last bytes, if the network was the limit.
    fn after(&mut self, bytes: u64, network: Duration, unpacking: Duration) -> Option<Rate> {
        self.bytes += bytes;
        self.for_the_network += network;
        self.for_the_unpacking += unpacking;
        let rate = Rate { bytes: self.bytes, time: self.for_the_network + self.for_the_unpacking };
        if !rate.reaches(JUDGED_AFTER) {
            return None;
        }
        let Self { for_the_network, for_the_unpacking, .. } = std::mem::take(self);
        (for_the_network > 2 * for_the_unpacking).then_some(rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_download_starves_when_most_of_its_time_goes_into_waiting_for_the_network() {
        let second = Duration::from_secs(1);
        let enough = JUDGED_AFTER.bytes;
        let too_early = Hunger::default().after(enough - 1, second, Duration::ZERO);
        assert_eq!(too_early, None);
        let too_soon = Hunger::default().after(enough, JUDGED_AFTER.time / 2, Duration::ZERO);
        assert_eq!(too_soon, None);
        let rate = Hunger::default().after(enough, second * 3, second);
        assert_eq!(rate, Some(Rate { bytes: enough, time: second * 4 }));
        let mut hunger = Hunger::default();
        assert_eq!(hunger.after(enough, second, second), None, "the unpacking is the limit");
        let next = hunger.after(enough, second, Duration::ZERO);
        assert!(next.is_some(), "each stretch is judged by itself");
    }

    #[test]
    fn more_connections_are_worth_it_when_they_bring_a_fifth_more() {
        let rate = |bytes, seconds| Rate { bytes, time: Duration::from_secs(seconds) };
        assert!(rate(13, 1).is_faster_than(rate(20, 2)));
        assert!(!rate(12, 1).is_faster_than(rate(20, 2)));
        assert!(!rate(1, 1).is_faster_than(rate(20, 2)));
        assert!(!rate(u64::MAX, 2).is_faster_than(rate(u64::MAX, 2)));
    }
}

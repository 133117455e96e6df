//! Counts what an archive takes, and stops it at its limits before the memory or the disk is gone.

use std::{
    cell::Cell,
    io::{self, BufRead, Read},
    sync::atomic::Ordering,
};

use thiserror::Error;

use crate::{progress::Progress, size::Size};

/// How much an archive may bring.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes once unpacked, the archive's own headers and padding included
    pub bytes: u64,
    /// Files, directories and symlinks
    pub entries: u64,
    /// Unpacked bytes for each byte of the archive, counted from [`RATIO_COUNTS_FROM`] on
    pub ratio: u64,
}

/// A small archive may be as dense as it likes: a table of zeros is no bomb.
pub(crate) const RATIO_COUNTS_FROM: u64 = 64 << 20;

/// Bytes of headers that an entry may need. Two names of 4,096 bytes with their times take 10 KiB;
/// `tar` keeps all of it in memory.
pub(crate) const HEADERS: u64 = 128 << 10;

/// The limit that an archive ran into.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Limit {
    #[error("it unpacks to more than {}, the limit", Size(*.0))]
    Bytes(u64),
    #[error("it has more than {0} entries, the limit")]
    Entries(u64),
    #[error("it unpacks to more than {0} times its own size, the limit")]
    Ratio(u64),
    #[error("the headers of one entry take more than {}, the limit", Size(HEADERS))]
    Headers,
}

/// The counters that the two ends of a decoder share.
#[derive(Debug)]
pub(crate) struct Meter<'a> {
    limits: &'a Limits,
    progress: &'a Progress,
    /// Bytes taken from the archive as it is
    packed: Cell<u64>,
    /// Bytes that came out of the decoder
    unpacked: Cell<u64>,
    /// Bytes that may still come out before someone allows more
    left: Cell<u64>,
    /// Length of the run of zeros at the end of what came out
    pub(crate) zeros: Cell<u64>,
    /// That the last read ran into
    pub(crate) limit: Cell<Option<Limit>>,
    /// The last read failed because the archive's own bytes did not come
    pub(crate) input_failed: Cell<bool>,
}

impl<'a> Meter<'a> {
    pub(crate) fn new(limits: &'a Limits, progress: &'a Progress) -> Self {
        Self {
            limits,
            progress,
            packed: Cell::new(0),
            unpacked: Cell::new(0),
            left: Cell::new(0),
            zeros: Cell::new(0),
            limit: Cell::new(None),
            input_failed: Cell::new(false),
        }
    }

    /// Lets so many bytes come out, and no more.
    pub(crate) fn allow(&self, bytes: u64) {
        self.left.set(bytes);
    }

    /// Refuses, before a byte of it is read, what is too large by its own account.
    pub(crate) fn announce(&self, bytes: u64) -> Result<(), Limit> {
        let limit = self.limits.bytes;
        if self.unpacked.get().saturating_add(bytes) > limit {
            Err(Limit::Bytes(limit))
        } else {
            Ok(())
        }
    }

    /// Counts a file that is made of what is there already, as if the archive had brought it once more.
    pub(crate) fn count_copy(&self, bytes: u64) -> Result<(), Limit> {
        self.unpacked.set(self.unpacked.get().saturating_add(bytes));
        self.check()
    }

    /// Refuses, before one of them is read, more entries than may be.
    pub(crate) fn check_entries(&self, count: u64) -> Result<(), Limit> {
        if count > self.limits.entries { Err(Limit::Entries(self.limits.entries)) } else { Ok(()) }
    }

    pub(crate) fn count_entry(&self) -> Result<(), Limit> {
        self.check_entries(self.progress.entries.fetch_add(1, Ordering::Relaxed) + 1)
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.progress.is_stopped()
    }

    fn came_out(&self, bytes: &[u8]) -> Result<(), Limit> {
        let count = bytes.len() as u64;
        self.left.set(self.left.get() - count);
        self.unpacked.set(self.unpacked.get() + count);
        let run = bytes.iter().rev().take_while(|byte| **byte == 0).count() as u64;
        self.zeros.set(if run == count { self.zeros.get() + run } else { run });
        self.check()
    }

    fn check(&self) -> Result<(), Limit> {
        let (packed, unpacked) = (self.packed.get(), self.unpacked.get());
        if unpacked > self.limits.bytes {
            Err(Limit::Bytes(self.limits.bytes))
        } else if unpacked > RATIO_COUNTS_FROM && unpacked / self.limits.ratio.max(1) > packed {
            Err(Limit::Ratio(self.limits.ratio))
        } else {
            Ok(())
        }
    }
}

/// Before the decoder: counts the bytes of the archive as it is.
pub(crate) struct MeteredInput<'a, R> {
    pub(crate) inner: R,
    pub(crate) meter: &'a Meter<'a>,
}

impl<R: BufRead> BufRead for MeteredInput<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let meter = self.meter;
        self.inner.fill_buf().inspect_err(|_| meter.input_failed.set(true))
    }

    fn consume(&mut self, count: usize) {
        self.meter.packed.set(self.meter.packed.get() + count as u64);
        self.inner.consume(count);
    }
}

impl<R: BufRead> Read for MeteredInput<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

/// After the decoder: hands on what is allowed, and fails at a limit.
pub(crate) struct MeteredOutput<'a, R> {
    pub(crate) inner: R,
    pub(crate) meter: &'a Meter<'a>,
}

impl<R: Read> Read for MeteredOutput<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let meter = self.meter;
        if meter.is_stopped() {
            return Err(io::Error::other("stopped"));
        }
        let fail = |limit: Limit| {
            meter.limit.set(Some(limit));
            io::Error::other(limit)
        };
        let most = usize::try_from(meter.left.get()).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 && !buffer.is_empty() {
            return Err(fail(Limit::Headers));
        }
        let count = self.inner.read(&mut buffer[..most])?;
        meter.came_out(&buffer[..count]).map_err(fail)?;
        Ok(count)
    }
}

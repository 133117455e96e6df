//! Reads ahead on several connections and hands the bytes on in order.

use std::{collections::VecDeque, ops::Range, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinSet,
    time::timeout,
};

use crate::source::{ByteRange, Source, SourceError};

/// Bytes that one request asks for. As many requests are under way as there are connections, and what comes early
/// waits in memory: 4 × 4 MiB. Less would be spent on waiting for the first byte of each.
pub(crate) const REQUESTED: u64 = 4 << 20;

/// What the ranges are of.
#[derive(Clone)]
pub(crate) struct Archive {
    pub(crate) source: Source,
    pub(crate) validator: Option<String>,
    pub(crate) total: Option<u64>,
}

/// The requests that are under way, in order. Dropped, they are given up.
pub(crate) struct ParallelReader {
    archive: Archive,
    /// The first byte that nothing has asked for
    next: u64,
    connections: usize,
    idle: Duration,
    under_way: VecDeque<UnboundedReceiver<Result<Bytes, SourceError>>>,
    tasks: JoinSet<()>,
}

impl ParallelReader {
    pub(crate) fn new(archive: Archive, from: u64, connections: usize, idle: Duration) -> Self {
        let (under_way, tasks) = (VecDeque::new(), JoinSet::new());
        Self { archive, next: from, connections, idle, under_way, tasks }
    }

    /// The next chunk, or `None` after the last one.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, SourceError>> {
        loop {
            self.ask();
            let chunk = self.under_way.front_mut()?.recv().await;
            if chunk.is_some() {
                return chunk;
            }
            self.under_way.pop_front();
            while self.tasks.try_join_next().is_some() {} // forget those that have ended
        }
    }

    fn ask(&mut self) {
        let total = self.archive.total.unwrap_or(0);
        while self.under_way.len() < self.connections && self.next < total {
            let range = self.next..(self.next + REQUESTED).min(total);
            self.next = range.end;
            let (send, receive) = unbounded_channel(); // bounded by the range
            let (archive, idle) = (self.archive.clone(), self.idle);
            self.tasks.spawn(async move {
                if let Err(error) = read(&archive, range, idle, &send).await {
                    let _ = send.send(Err(error));
                }
            });
            self.under_way.push_back(receive);
        }
    }
}

/// One request, from its first byte to its last.
async fn read(
    archive: &Archive,
    range: Range<u64>,
    idle: Duration,
    chunks: &UnboundedSender<Result<Bytes, SourceError>>,
) -> Result<(), SourceError> {
    let stalled = |_| SourceError::Stalled(idle);
    let opening = archive.source.open(ByteRange::from(range.clone()), archive.validator.as_deref());
    let mut opened = timeout(idle, opening).await.map_err(stalled)??;
    if opened.validator != archive.validator || opened.total != archive.total {
        return Err(SourceError::Replaced);
    }
    let Range { start: mut at, end } = range;
    while at < end {
        let Some(Ok(mut chunk)) = timeout(idle, opened.body.next()).await.map_err(stalled)? else {
            return Err(SourceError::Cut(at));
        };
        chunk.truncate(usize::try_from(end - at).unwrap_or(usize::MAX)); // of a server that sends more than was asked
        at += chunk.len() as u64;
        if chunks.send(Ok(chunk)).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

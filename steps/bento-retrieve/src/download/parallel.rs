//! Reads ahead on several connections and hands the bytes on in order.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinSet,
    time::timeout,
};

use crate::{
    source::error::Fault,
    source::{Part, Source},
};

/// Bytes that one request asks for. As many requests are under way as there are connections, and what comes early
/// waits in memory: 4 × 768 KiB. Larger parts would cost memory, smaller ones a round trip each.
pub(crate) const SIZE: u64 = 768 << 10;

/// What the parts are of.
#[derive(Clone)]
pub(crate) struct Whole {
    pub(crate) source: Source,
    pub(crate) mark: Option<String>,
    pub(crate) total: Option<u64>,
}

/// The parts that are under way, in order. Dropped, they are given up.
pub(crate) struct Parts {
    whole: Whole,
    /// Of the next part to ask for
    next: u64,
    connections: usize,
    idle: Duration,
    under_way: VecDeque<UnboundedReceiver<Result<Bytes, Fault>>>,
    tasks: JoinSet<()>,
}

impl Parts {
    pub(crate) fn new(whole: Whole, from: u64, connections: usize, idle: Duration) -> Self {
        Self {
            whole,
            next: from,
            connections,
            idle,
            under_way: VecDeque::new(),
            tasks: JoinSet::new(),
        }
    }

    /// The next piece, or `None` after the last one.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, Fault>> {
        loop {
            self.ask();
            let piece = self.under_way.front_mut()?.recv().await;
            if piece.is_some() {
                return piece;
            }
            self.under_way.pop_front();
            while self.tasks.try_join_next().is_some() {} // forget those that have ended
        }
    }

    fn ask(&mut self) {
        let total = self.whole.total.unwrap_or(0);
        while self.under_way.len() < self.connections && self.next < total {
            let end = (self.next + SIZE).min(total);
            let (send, receive) = unbounded_channel(); // bounded by the part
            let (whole, from, idle) = (self.whole.clone(), self.next, self.idle);
            self.tasks.spawn(async move {
                if let Err(fault) = read(&whole, from, end, idle, &send).await {
                    let _ = send.send(Err(fault));
                }
            });
            self.under_way.push_back(receive);
            self.next = end;
        }
    }
}

type Pieces = UnboundedSender<Result<Bytes, Fault>>;

/// One request, from its first byte to its last.
async fn read(
    whole: &Whole,
    from: u64,
    end: u64,
    idle: Duration,
    pieces: &Pieces,
) -> Result<(), Fault> {
    let stalled = |_| Fault::Stalled(idle);
    let opening = whole.source.open(Part::from(from..end), whole.mark.as_deref());
    let mut opened = timeout(idle, opening).await.map_err(stalled)??;
    if opened.mark != whole.mark || opened.total != whole.total {
        return Err(Fault::Replaced);
    }
    let mut at = from;
    while at < end {
        let Some(Ok(mut piece)) = timeout(idle, opened.body.next()).await.map_err(stalled)? else {
            return Err(Fault::Cut(at));
        };
        piece.truncate(usize::try_from(end - at).unwrap_or(usize::MAX)); // of a server that sends more than was asked
        at += piece.len() as u64;
        if pieces.send(Ok(piece)).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

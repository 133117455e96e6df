//! The counts as the body of an answer, a piece at a time.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use answer_counter::metrics::{Scrape, of_itself};
use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::sync::mpsc::{self, Receiver};

use crate::{troubles::Trouble, worker::Inbox};

/// Pieces that are made while they are sent
pub(crate) struct Pieces(Receiver<Bytes>);

/// `started` is the time of the start, in seconds since the epoch.
pub(crate) fn scrape(inbox: &Inbox, started: f64) -> Pieces {
    let (sender, receiver) = mpsc::channel(1);
    let inbox = inbox.clone();
    tokio::spawn(async move {
        inbox.count_lost(&mut *inbox.counts.lock().await);
        let mut scrape = Scrape::default();
        loop {
            let piece = scrape.next(&*inbox.counts.lock().await);
            let is_last = piece.is_none();
            let piece = match piece {
                Some(piece) => piece,
                None => of_itself(
                    &*inbox.counts.lock().await,
                    started,
                    inbox.troubles.many(Trouble::TooManyServices),
                ),
            };
            // Whoever has asked may be gone.
            if sender.send(piece.into()).await.is_err() || is_last {
                return;
            }
        }
    });
    Pieces(receiver)
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

//! Bodies on their way out: in pieces, and watched while the registry takes them.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use reqwest::Body;
use tokio::time::timeout;

use crate::error::RegistryError;

/// A slow line takes that much within the patience we have.
pub(crate) const PIECE: usize = 256 << 10;
/// Once it has everything, a registry may have to copy gigabytes within its store before it answers.
const AFTER_THE_END: u32 = 10;

/// How much of a body was taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress(Arc<Taken>);

#[derive(Debug, Default)]
struct Taken {
    pieces: AtomicU64,
    all: AtomicBool,
}

impl Progress {
    /// Of no body at all.
    pub(crate) fn ended() -> Self {
        let progress = Self::default();
        progress.0.all.store(true, Relaxed);
        progress
    }

    /// A body of these pieces.
    pub(crate) fn body(&self, pieces: impl Stream<Item = Bytes> + Send + 'static) -> Body {
        let (each, end) = (self.clone(), self.clone());
        let pieces = pieces.map(move |piece| {
            each.0.pieces.fetch_add(1, Relaxed);
            Ok::<_, Infallible>(piece)
        });
        let end = stream::poll_fn(move |_| {
            end.0.all.store(true, Relaxed);
            None.into()
        });
        Body::wrap_stream(pieces.chain(end))
    }

    /// Waits for what follows the body, as long as the body goes on.
    pub(crate) async fn watch<T>(
        &self,
        answer: impl Future<Output = T>,
        patience: Duration,
    ) -> Result<T, RegistryError> {
        let mut answer = std::pin::pin!(answer);
        let mut before = None;
        loop {
            let now = (self.0.pieces.load(Relaxed), self.0.all.load(Relaxed));
            let (what, patience) = match now {
                (_, true) => ("it did not answer", patience * AFTER_THE_END),
                (_, false) => ("it took nothing", patience),
            };
            if before == Some(now) {
                return Err(RegistryError::silent(what, patience));
            }
            before = Some(now);
            if let Ok(answer) = timeout(patience, &mut answer).await {
                return Ok(answer);
            }
        }
    }
}

/// A body that is there already.
pub(crate) fn pieces(mut bytes: Bytes, progress: &Progress) -> Body {
    let last = progress.clone();
    let pieces = std::iter::from_fn(move || {
        let piece = bytes.split_to(bytes.len().min(PIECE));
        // Nobody asks for more than the length that was said.
        last.0.all.store(bytes.is_empty(), Relaxed);
        (!piece.is_empty()).then_some(piece)
    });
    progress.body(stream::iter(pieces))
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    async fn watched(progress: &Progress) -> (String, Duration) {
        let begin = tokio::time::Instant::now();
        let failed = progress.watch(pending::<()>(), Duration::from_secs(30)).await.unwrap_err();
        (failed.to_string(), begin.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_waited_for_shorter_than_who_has_to_store_everything() {
        let (text, waited) = watched(&Progress::default()).await;
        assert_eq!((text.as_str(), waited.as_secs()), ("it took nothing for 30s", 30));
        let (text, waited) = watched(&Progress::ended()).await;
        assert_eq!((text.as_str(), waited.as_secs()), ("it did not answer for 300s", 300));
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_slow_is_waited_for() {
        let progress = Progress::default();
        let taking = progress.clone();
        let slow = async move {
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_secs(29)).await;
                taking.0.pieces.fetch_add(1, Relaxed);
            }
        };
        progress.watch(slow, Duration::from_secs(30)).await.unwrap();
    }
}

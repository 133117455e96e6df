//! Timeouts and retries of requests to a source.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder, Retryable};
use tokio::time::timeout;

use crate::source::SourceError;

const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// However long a server asks to be left alone.
const LONGEST_ASKED: Duration = Duration::from_mins(1);

/// How long a download waits, and for what.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// Without a byte
    pub idle: Duration,
    /// Tries in a row that bring no byte
    pub retries: usize,
}

impl RetryPolicy {
    fn backoff(self) -> ExponentialBuilder {
        ExponentialBuilder::default()
            .with_min_delay(FIRST_WAIT)
            .with_max_delay(LONGEST_WAIT)
            .with_max_times(self.retries)
            .with_jitter()
    }

    /// Before each further try.
    pub fn waits(self) -> impl Iterator<Item = Duration> {
        self.backoff().build()
    }

    /// Asks again while the error is retryable.
    pub async fn ask<T, Answer>(self, mut request: impl FnMut() -> Answer) -> Result<T, SourceError>
    where
        Answer: Future<Output = Result<T, SourceError>>,
    {
        let request = || {
            let answer = timeout(self.idle, request());
            async move { answer.await.unwrap_or(Err(SourceError::Stalled(self.idle))) }
        };
        let retrying = |error: &SourceError, _| tracing::info!("{error}; trying again");
        let retry = request.retry(self.backoff()).when(SourceError::is_retryable);
        retry.adjust(adjust).notify(retrying).await
    }
}

/// No sooner than a busy server asks for.
pub(crate) fn adjust(error: &SourceError, wait: Option<Duration>) -> Option<Duration> {
    let asked = match error {
        SourceError::Busy(_, asked) => asked.unwrap_or_default().min(LONGEST_ASKED),
        _ => Duration::ZERO,
    };
    wait.map(|wait| wait.max(asked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_as_long_as_the_server_asks_for_within_reason() {
        let wait = |error: &SourceError| adjust(error, Some(FIRST_WAIT));
        let busy = |seconds| SourceError::Busy(String::new(), Some(Duration::from_secs(seconds)));
        assert_eq!(wait(&SourceError::Checksum), Some(FIRST_WAIT));
        assert_eq!(wait(&SourceError::Busy(String::new(), None)), Some(FIRST_WAIT));
        assert_eq!(wait(&busy(0)), Some(FIRST_WAIT));
        assert_eq!(wait(&busy(7)), Some(Duration::from_secs(7)));
        assert_eq!(wait(&busy(86_400)), Some(LONGEST_ASKED));
        assert_eq!(adjust(&busy(7), None), None, "no try is left");
    }
}

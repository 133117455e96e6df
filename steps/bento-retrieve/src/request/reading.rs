//! Reads an archive to its end, as often as a network makes it necessary.

use std::{
    pin::{Pin, pin},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use anyhow::{Error, Result};
use step::Terminated;
use tokio::time::{Instant, sleep, timeout_at};

use crate::{
    archive::{ArchiveError, Sink, UnpackThread},
    download::{Download, PipeWriter, Received, RetryPolicy, pipe},
    hints,
    progress::Progress,
    request::{find::find, progress_line, wanted::Request},
    size::Size,
    source::SourceError,
};

/// An archive that was read to its end, and is the one that was asked for.
#[derive(Debug)]
pub struct Read<Output> {
    /// What the sink made of it
    pub output: Output,
    pub received: Received,
}

impl Request {
    /// Reads the archive into a sink, on a thread that may block. `None` when a signal has ended it.
    ///
    /// A sink is made for each attempt that begins at the archive's first byte. There is more than one only where the
    /// server cannot send the rest of what was cut; the sink before is gone by then. It is also gone when this returns.
    /// A sink that waits for something else than its contents looks at [`Progress::stopped`].
    ///
    /// # Errors
    /// With a hint, in the words of the Task. What the sink failed at comes back as it was returned.
    pub async fn read<S: Sink<Output: Send> + Send + 'static>(
        &self,
        sink: impl FnMut(&Arc<Progress>) -> Result<S>,
        terminated: &mut Terminated,
    ) -> Result<Option<Read<S::Output>>> {
        self.read_until(pin!(terminated.wait()), sink).await
    }

    /// The same, until something else happens.
    pub(crate) async fn read_until<S: Sink<Output: Send> + Send + 'static>(
        &self,
        mut stop: Pin<&mut impl Future<Output = ()>>,
        mut sink: impl FnMut(&Arc<Progress>) -> Result<S>,
    ) -> Result<Option<Read<S::Output>>> {
        let mut attempts = Attempts {
            until: Instant::now() + self.timeout,
            started_over: 0,
            wait: Duration::ZERO,
            connections: self.connections,
            ended_at: None,
        };
        loop {
            let progress = Arc::default();
            let sink = sink(&progress)?;
            match Box::pin(attempts.next(self, sink, progress, stop.as_mut())).await {
                Err(error) if attempts.may_start_over(&error, self.retries) => {}
                ended => return ended,
            }
        }
    }
}

/// Attempts that begin at the archive's first byte.
struct Attempts {
    until: Instant,
    started_over: usize,
    /// Before the next one
    wait: Duration,
    connections: usize,
    /// Where an archive without a length has ended too early. When it does so twice, that is all there is
    ended_at: Option<u64>,
}

impl Attempts {
    /// Gets the archive into the sink. `None` when it was stopped.
    async fn next<S: Sink<Output: Send> + Send + 'static>(
        &mut self,
        request: &Request,
        sink: S,
        progress: Arc<Progress>,
        stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<Option<Read<S::Output>>> {
        let (writer, reader) = pipe();
        let mut unpack_thread =
            UnpackThread::start(reader, sink, request.limits, Arc::clone(&progress));
        let (until, wait) = (self.until, self.wait);
        let fetched = async {
            sleep(wait).await;
            fetch(request, self, writer, &mut unpack_thread, &progress).await
        };
        let fetched = tokio::select! {
            fetched = timeout_at(until, fetched) => Some(fetched),
            () = stop => None,
        };
        unpack_thread.stop().await; // the next attempt, and whoever cleans up, finds nothing at work
        fetched
            .map(|fetched| fetched.unwrap_or_else(|_| Err(hints::too_slow(request.timeout))))
            .transpose()
    }

    /// Without a length, an end that comes too early is taken for a cut, unless it came at the same byte before.
    fn cut_at(&mut self, byte: u64) -> Option<SourceError> {
        (self.ended_at.replace(byte) != Some(byte)).then_some(SourceError::CannotResume(byte))
    }

    fn may_start_over(&mut self, error: &Error, retries: RetryPolicy) -> bool {
        let Some(error @ SourceError::CannotResume(_)) = error.downcast_ref() else { return false };
        let Some(wait) = retries.waits().nth(self.started_over) else { return false };
        tracing::info!("{error}; starting over");
        self.started_over += 1;
        self.wait = wait;
        self.connections = 1; // parts are what it cannot send
        true
    }
}

/// Finds the archive and reads it to its end, through the pipe that is unpacked from.
async fn fetch<Output: Send + 'static>(
    request: &Request,
    attempts: &mut Attempts,
    pipe: PipeWriter,
    unpack_thread: &mut UnpackThread<Output>,
    progress: &Progress,
) -> Result<Read<Output>> {
    let (source, opened) =
        find(&request.origin, request.bento.as_ref(), &request.access, request.retries).await?;
    let what = format!("failed to retrieve `{source}`");
    let size = opened.total.map(|total| format!(", {}", Size(total))).unwrap_or_default();
    tracing::info!("retrieving {source}{size}");
    let total = opened.total;
    let download =
        Download::new(&source, opened, request.retries, attempts.connections, pipe, progress);
    let downloading = download.run(request.sha256.as_deref());
    let work = async { (downloading.await, unpack_thread.ended().await) };
    let (received, unpacked) = progress_line::beside(work, progress, total).await;
    match (unpacked, received) {
        (Ok(output), Ok(Some(received))) => Ok(Read { output, received }),
        (Err(ArchiveError::Input) | Ok(_), Err(error)) => Err(hints::source(error, what)),
        (Err(error), _) => {
            let may_be_cut = matches!(error, ArchiveError::Truncated) && total.is_none();
            match may_be_cut
                .then(|| attempts.cut_at(progress.fetched.load(Ordering::Relaxed)))
                .flatten()
            {
                Some(cut) => Err(hints::source(cut, what)),
                None => Err(hints::archive(error, format!("failed to unpack `{source}`"))),
            }
        }
        (Ok(_), Ok(None)) => Err(hints::archive(ArchiveError::Input, what)),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{pending, ready},
        io::Read as _,
        path::Path,
        sync::atomic::AtomicUsize,
    };

    use tokio::runtime::Handle;

    use super::*;
    use crate::archive::{Contents, Last};

    /// Counts bytes, on the runtime's clock, and fails or waits where it is told to.
    struct Counting {
        progress: Arc<Progress>,
        alive: Arc<AtomicUsize>,
        fails_at: &'static str,
        waits_at: &'static str,
        bytes: u64,
    }

    #[derive(Debug, thiserror::Error)]
    #[error("seen enough")]
    struct Enough;

    impl Sink for Counting {
        type Output = u64;

        fn directory(&mut self, _: &str) -> Result<(), ArchiveError> {
            Ok(())
        }

        fn file(
            &mut self,
            path: String,
            _: bool,
            contents: &mut Contents,
        ) -> Result<(), ArchiveError> {
            if path == self.fails_at {
                return Err(ArchiveError::Sink(Enough.into()));
            }
            if path == self.waits_at {
                Handle::current().block_on(self.progress.stopped());
            }
            self.bytes += contents.size();
            Ok(())
        }

        fn finish(self, _: Last) -> Result<u64, ArchiveError> {
            Ok(self.bytes)
        }
    }

    impl Drop for Counting {
        fn drop(&mut self) {
            self.alive.fetch_sub(1, Ordering::SeqCst);
        }
    }

    fn archive(file: &Path) -> Request {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, size) in [("a", 10), ("b", 200_000), ("c", 30)] {
            let mut header = tar::Header::new_ustar();
            header.set_size(size);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, std::io::repeat(7).take(size)).unwrap();
        }
        std::fs::write(file, tar.into_inner().unwrap()).unwrap();
        Request::of_file(file)
    }

    /// Reads until it is stopped, and sees to it that the sink is gone by then.
    async fn read(
        request: &Request,
        [fails_at, waits_at]: [&'static str; 2],
        stop: impl Future<Output = ()>,
    ) -> Result<Option<Read<u64>>> {
        let alive = Arc::<AtomicUsize>::default();
        let sink = |progress: &Arc<Progress>| {
            alive.fetch_add(1, Ordering::SeqCst);
            let (progress, alive) = (Arc::clone(progress), Arc::clone(&alive));
            Ok(Counting { progress, alive, fails_at, waits_at, bytes: 0 })
        };
        let ended = request.read_until(pin!(stop), sink).await;
        assert_eq!(alive.load(Ordering::SeqCst), 0);
        ended
    }

    #[tokio::test]
    async fn what_a_sink_made_comes_back_with_what_was_received() {
        let home = tempfile::tempdir().unwrap();
        let mut request = archive(&home.path().join("bento.tar"));
        let came = read(&request, ["", ""], pending()).await.unwrap().unwrap();
        assert_eq!(came.output, 200_040);
        let size = std::fs::metadata(home.path().join("bento.tar")).unwrap().len();
        assert_eq!((came.received.bytes, came.received.sha256.len()), (size, 64));
        request.sha256 = Some("0".repeat(64));
        let error = read(&request, ["", ""], pending()).await.unwrap_err();
        assert!(matches!(error.downcast_ref(), Some(SourceError::Sha256(..))), "{error:?}");
    }

    #[tokio::test]
    async fn a_sink_s_own_error_comes_back_as_it_is_and_without_a_hint() {
        let home = tempfile::tempdir().unwrap();
        let request = archive(&home.path().join("bento.tar"));
        for at in ["a", "b", "c"] {
            let error = read(&request, [at, ""], pending()).await.unwrap_err();
            assert!(error.is::<Enough>() && !error.is::<step::Failure>(), "{error:?}");
            assert_eq!(error.chain().count(), 1);
        }
    }

    #[tokio::test]
    async fn a_signal_ends_a_sink_that_waits_for_something_else() {
        let home = tempfile::tempdir().unwrap();
        let request = archive(&home.path().join("bento.tar"));
        for at in ["a", "c"] {
            let ended = read(&request, ["", at], sleep(Duration::from_millis(50))).await;
            assert!(ended.unwrap().is_none());
        }
        assert!(read(&request, ["", ""], ready(())).await.unwrap().is_none());
    }
}

//! Shows how far it is: on a terminal in one line that changes, in a log every now and then.

use std::{
    io::{self, IsTerminal, Write},
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use tokio::time::{MissedTickBehavior, interval_at};

use crate::{progress::Progress, size::Size};

/// Often enough to look alive.
const ON_A_TERMINAL: Duration = Duration::from_millis(200);
/// Seldom enough to be read.
const IN_A_LOG: Duration = Duration::from_secs(10);
/// Back to the line's start, and clear it.
const CLEAR: &str = "\r\x1b[2K";

/// Does the work, and shows how far it is meanwhile. `total` is the archive's size in bytes.
pub(crate) async fn beside<T>(
    work: impl Future<Output = T>,
    progress: &Progress,
    total: Option<u64>,
) -> T {
    let is_terminal = io::stderr().is_terminal();
    let pause = if is_terminal { ON_A_TERMINAL } else { IN_A_LOG };
    let start = Instant::now();
    let mut ticks = interval_at((start + pause).into(), pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut work = std::pin::pin!(work);
    let done = loop {
        tokio::select! {
            done = &mut work => break done,
            _ = ticks.tick() => {
                let [fetched, entries] = [&progress.fetched, &progress.entries].map(|count| count.load(Ordering::Relaxed));
                let line = line(fetched, total, entries, start.elapsed());
                if is_terminal {
                    let _ = write!(io::stderr(), "{CLEAR}{line}");
                } else {
                    tracing::info!("{line}");
                }
            }
        }
    };
    if is_terminal {
        let _ = write!(io::stderr(), "{CLEAR}");
    }
    done
}

/// `164.2 MB of 446.7 MB (36 %), 98.1 MB/s, 1204 entries`
fn line(fetched: u64, total: Option<u64>, entries: u64, elapsed: Duration) -> String {
    let of = match total.filter(|total| *total > 0) {
        Some(total) => {
            format!(" of {} ({} %)", Size(total), u128::from(fetched) * 100 / u128::from(total))
        }
        None => String::new(),
    };
    let rate = u128::from(fetched) * 1_000 / elapsed.as_millis().max(1);
    let rate = Size(u64::try_from(rate).unwrap_or(u64::MAX));
    format!("{}{of}, {rate}/s, {entries} entries", Size(fetched))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_bytes_share_rate_and_entries() {
        let half = line(50_000_000, Some(100_000_000), 12, Duration::from_secs(2));
        assert_eq!(half, "50 MB of 100 MB (50 %), 25 MB/s, 12 entries");
        assert_eq!(line(0, None, 0, Duration::ZERO), "0 B, 0 B/s, 0 entries");
    }
}

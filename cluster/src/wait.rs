//! Looking again and again.

use std::{
    thread,
    time::{Duration, Instant},
};

/// What `look` finds, or none when it finds nothing within the limit. It looks at least once.
pub(crate) fn retry_until<T>(
    limit: Duration,
    pause: Duration,
    mut look: impl FnMut() -> Option<T>,
) -> Option<T> {
    let begun = Instant::now();
    loop {
        let found = look();
        if found.is_some() || begun.elapsed() > limit {
            return found;
        }
        thread::sleep(pause);
    }
}

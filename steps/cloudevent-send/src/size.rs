//! How large an event may be.

use step::Usage;

/// What brokers and proxies are sure to carry, by the CloudEvents specification.
const SMALL: usize = 64 << 10;
/// Above this, data belongs in a store and its address in the event.
const LARGE: usize = 256 << 10;

/// Refuses a body that belongs in a store, unless it is wanted.
pub(crate) fn check(bytes: usize, allow_large: bool) -> Result<(), Usage> {
    if bytes > LARGE && !allow_large {
        return Err(Usage {
            what: format!("the event has {bytes} bytes, more than {LARGE}"),
            hint: "put the data into a store and send its address, or pass `--allow-large`".into(),
        });
    }
    if bytes > SMALL {
        tracing::warn!("the event has {bytes} bytes; brokers are sure to carry {SMALL} only");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_event_is_refused_unless_it_is_wanted() {
        check(LARGE, false).unwrap();
        assert!(check(LARGE + 1, false).is_err());
        check(LARGE + 1, true).unwrap();
    }
}

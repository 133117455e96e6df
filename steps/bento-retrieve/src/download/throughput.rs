//! Whether the network is what a download waits for, so that more connections may bring more.

use std::time::Duration;

/// Bytes and time after which it is judged: less says nothing of what is to come.
const JUDGED_AFTER: (u64, Duration) = (8 << 20, Duration::from_millis(200));

/// What the time of a download goes into: waiting for the network, or for the unpacking.
#[derive(Default)]
pub(crate) struct ThroughputProbe {
    bytes: u64,
    network: Duration,
    unpacking: Duration,
}

impl ThroughputProbe {
    /// After another chunk: whether the network was the limit over the last bytes.
    pub(crate) fn is_network_bound(
        &mut self,
        bytes: u64,
        network: Duration,
        unpacking: Duration,
    ) -> bool {
        self.bytes += bytes;
        self.network += network;
        self.unpacking += unpacking;
        if self.bytes < JUDGED_AFTER.0 || self.network + self.unpacking < JUDGED_AFTER.1 {
            return false;
        }
        let Self { network, unpacking, .. } = std::mem::take(self);
        network > 2 * unpacking
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_is_the_limit_when_most_of_the_time_goes_into_waiting_for_it() {
        let second = Duration::from_secs(1);
        let (enough, time) = JUDGED_AFTER;
        let first = |bytes, network, unpacking| {
            ThroughputProbe::default().is_network_bound(bytes, network, unpacking)
        };
        assert!(!first(enough - 1, second, Duration::ZERO), "too early");
        assert!(!first(enough, time / 2, Duration::ZERO), "too soon");
        assert!(first(enough, second * 3, second));
        let mut probe = ThroughputProbe::default();
        assert!(!probe.is_network_bound(enough, second, second), "the unpacking is the limit");
        let next = probe.is_network_bound(enough, second, Duration::ZERO);
        assert!(next, "each stretch is judged by itself");
    }
}

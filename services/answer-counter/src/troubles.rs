//! What could not be counted, and a line about it now and then: a line for each event would be another flood.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::{MissedTickBehavior, interval};

const EVERY: Duration = Duration::from_mins(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    NoRoom,
    TooLarge,
    TooSlow,
    Unreadable,
    TooManyServices,
    TooManyConnections,
    Refused,
}

/// With the words for each, after a number
const ALL: [(Trouble, &str); 7] = [
    (Trouble::NoRoom, "dropped, as too many waited"),
    (Trouble::TooLarge, "dropped, as they were larger than 1 MiB"),
    (Trouble::TooSlow, "dropped, as they did not come to their end within 5 s"),
    (Trouble::Unreadable, "no JSON that can be read"),
    (Trouble::TooManyServices, "of services or versions for which there was no room"),
    (Trouble::TooManyConnections, "connections closed, as too many were open"),
    (Trouble::Refused, "refused, of services that the config does not name"),
];

#[derive(Debug, Default)]
pub(crate) struct Troubles([AtomicU64; ALL.len()]);

impl Troubles {
    pub(crate) fn add(&self, trouble: Trouble, many: u64) {
        self.0[trouble as usize].fetch_add(many, Ordering::Relaxed);
    }

    pub(crate) fn many(&self, trouble: Trouble) -> u64 {
        self.0[trouble as usize].load(Ordering::Relaxed)
    }

    /// What was added since it was last asked; nothing if nothing was.
    fn since(&self, before: &mut [u64; ALL.len()]) -> Option<String> {
        let mut words = Vec::new();
        for ((trouble, what), before) in ALL.iter().zip(before) {
            let now = self.many(*trouble);
            if now > *before {
                words.push(format!("{} {what}", now - *before));
            }
            *before = now;
        }
        (!words.is_empty()).then(|| words.join("; "))
    }
}

/// Warns while it is awaited.
pub(crate) async fn warn(troubles: Arc<Troubles>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = Default::default();
    loop {
        ticks.tick().await;
        if let Some(words) = troubles.since(&mut before) {
            tracing::warn!("events within the last {} s: {words}", EVERY.as_secs());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_what_was_added_since_the_last_one() {
        let troubles = Troubles::default();
        let mut before = Default::default();
        assert_eq!(troubles.since(&mut before), None);
        troubles.add(Trouble::NoRoom, 3);
        troubles.add(Trouble::Refused, 1);
        assert_eq!(
            troubles.since(&mut before).as_deref(),
            Some(
                "3 dropped, as too many waited; 1 refused, of services that the config does not name"
            )
        );
        assert_eq!(troubles.since(&mut before), None);
        assert!(ALL.iter().enumerate().all(|(at, (trouble, _))| *trouble as usize == at));
    }
}

//! What is desired, and what this run has learnt of it.

use std::time::{Duration, SystemTime};

use inference_service::{Live, Observed};
use ladder::Ladder;
use tokio::time::Instant;

#[derive(Clone, Debug, Default)]
pub(crate) struct Desired {
    /// The revision to promote
    pub(crate) canary: String,
    /// None: straight to 100
    pub(crate) ladder: Option<Ladder>,
    /// Percent that was judged, if that is said
    pub(crate) percent: Option<u8>,
    /// Whether it will be judged at 100 %, too
    pub(crate) bakes: bool,
    /// How long to wait for pods
    pub(crate) room_timeout: Duration,
    /// What the route gives the canary
    pub(crate) stands: Option<u8>,
    /// Percent that was judged, as said, or where it stood at first
    pub(crate) judged: Option<u8>,
    /// Since when it stands there, as far as this run has seen: one for people, and one that no clock moves
    pub(crate) reached: Option<(SystemTime, Instant)>,
}

impl Desired {
    /// Keeps what a later look does not show any more.
    pub(crate) fn learn(&mut self, observed: &Observed) {
        let stands = if observed.stable() == Some(&self.canary) {
            Some(100)
        } else {
            let live = observed.live().filter(|live| live.canary == self.canary);
            live.map(|Live { percent, .. }| percent)
        };
        if stands.is_some() && self.stands != stands {
            self.reached = Some((SystemTime::now(), Instant::now()));
            self.stands = stands;
        }
        self.judged = self.judged.or(self.percent).or(stands);
    }

    /// How long it has stood there, as far as this run has seen
    pub(crate) fn stood(&self) -> Duration {
        self.reached.map_or(Duration::ZERO, |(_, since)| since.elapsed())
    }

    /// When it got there, as far as this run has seen, RFC 3339
    pub(crate) fn started_at(&self) -> String {
        self.reached
            .map_or_else(String::new, |(at, _)| humantime::format_rfc3339_seconds(at).to_string())
    }

    /// The rung above the one that was judged, or above where it stands if somebody has lowered it. That
    /// one is forgotten with this process: killed, and run again, it may climb once more, but never
    /// higher than one above the judged.
    pub(crate) fn next(&self, stands: u8) -> u8 {
        let from = self.judged.unwrap_or(stands).min(stands);
        self.ladder.as_ref().map_or(100, |ladder| ladder.above(from))
    }

    /// Whether it stands higher than where it was judged, by whomever
    pub(crate) fn is_above(&self, stands: u8) -> bool {
        self.judged.is_some_and(|judged| stands > judged)
    }
}

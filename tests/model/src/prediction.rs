//! What the model does with a request.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use clap::ValueEnum;

use crate::species::Species;

/// How many times longer a `slow` model takes.
const SLOWER: u32 = 100;

/// What an `overloaded` model bears: so many requests in a stretch. Of 20 a second 10 % are about 20 in 10 s and stay
/// below it, and 25 % are about 50 and do not, in whatever way they come.
const BEARABLE: usize = 38;
const STRETCH: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Behaviour {
    /// Answers
    Good,
    /// Answers each prediction with status 500
    Failing,
    /// Answers one prediction in five with status 500
    Flaky,
    /// Answers with status 500 where it was asked more often than it can bear
    Overloaded,
    /// Answers each prediction with status 422
    Refusing,
    /// Answers a hundred times later than a good one
    Slow,
    /// Never answers every other prediction
    Hanging,
    /// Resets the connection of every other prediction
    Resetting,
    /// Breaks off in the middle of every other answer, with status 200
    Truncating,
    /// Is never ready
    Unready,
    /// Is ready for a while, then exits; in a container, again and again
    Crashing,
}

pub(crate) struct Model {
    version: String,
    behaviour: Behaviour,
    answers: Species,
    latency: Duration,
    predictions: AtomicU64,
    /// When the last ones came
    recent: Mutex<VecDeque<Instant>>,
}

/// What goes back over the connection.
pub(crate) enum Reply {
    Whole {
        status: &'static str,
        body: String,
    },
    /// Twice as much is announced as comes
    Half {
        body: String,
    },
    Reset,
}

impl Model {
    pub(crate) fn new(
        version: String,
        behaviour: Behaviour,
        answers: Species,
        latency: Duration,
    ) -> Self {
        Self {
            version,
            behaviour,
            answers,
            latency,
            predictions: AtomicU64::new(0),
            recent: Mutex::default(),
        }
    }

    /// Takes as long as the answer does, which may be for ever.
    pub(crate) async fn reply(&self, path: &str) -> Reply {
        if matches!(path, "/readyz" | "/livez" | "/healthz") {
            return self.probed();
        }
        let number = 1 + self.predictions.fetch_add(1, Ordering::Relaxed);
        let is_too_much = self.behaviour == Behaviour::Overloaded && self.recent() > BEARABLE;
        tokio::time::sleep(self.duration()).await;
        match self.behaviour {
            Behaviour::Hanging if number.is_multiple_of(2) => std::future::pending().await,
            Behaviour::Resetting if number.is_multiple_of(2) => Reply::Reset,
            Behaviour::Truncating if number.is_multiple_of(2) => {
                Reply::Half { body: self.species(number) }
            }
            Behaviour::Failing => self.error("500 Internal Server Error", "broken"),
            Behaviour::Flaky if number.is_multiple_of(5) => {
                self.error("500 Internal Server Error", "flaky")
            }
            _ if is_too_much => self.error("500 Internal Server Error", "overloaded"),
            Behaviour::Refusing => self.error("422 Unprocessable Content", "refused"),
            _ => Reply::Whole { status: "200 OK", body: self.species(number) },
        }
    }

    /// How many requests came in the last stretch, this one included.
    fn recent(&self) -> usize {
        let now = Instant::now();
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.push_back(now);
        while recent.front().is_some_and(|first| now.duration_since(*first) > STRETCH) {
            recent.pop_front();
        }
        recent.len()
    }

    fn probed(&self) -> Reply {
        let status = match self.behaviour {
            Behaviour::Unready => "503 Service Unavailable",
            _ => "200 OK",
        };
        Reply::Whole { status, body: String::new() }
    }

    fn duration(&self) -> Duration {
        match self.behaviour {
            Behaviour::Slow => SLOWER * self.latency,
            _ => self.latency,
        }
    }

    fn species(&self, number: u64) -> String {
        let species = self.answers.of(number);
        format!(r#"{{"species":"{species}","version":"{}"}}"#, self.version)
    }

    fn error(&self, status: &'static str, error: &str) -> Reply {
        Reply::Whole {
            status,
            body: format!(r#"{{"error":"{error}","version":"{}"}}"#, self.version),
        }
    }
}

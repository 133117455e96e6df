//! The model's users: a small, bounded stream of requests, and who answered them.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::task::{JoinHandle, JoinSet};

use crate::Site;

/// Nobody leaves a generator running: this is its end, whatever happens to its owner.
const LONGEST: Duration = Duration::from_hours(2);

/// What a client waits for an answer when nothing else is said.
const PATIENCE: Duration = Duration::from_secs(10);

/// Requests that wait at once. A model that never answers would keep any number of them: beyond this one, none is sent.
const MOST_OPEN: usize = 600;

/// Answers counted by the version that gave them; what is no prediction is counted by what it was instead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    pub by_version: BTreeMap<String, usize>,
    pub by_error: BTreeMap<String, usize>,
}

impl Answers {
    #[must_use]
    pub fn total(&self) -> usize {
        self.by_version.values().sum::<usize>() + self.errors()
    }

    #[must_use]
    pub fn errors(&self) -> usize {
        self.by_error.values().sum()
    }

    fn count(&mut self, answer: Result<Answer>) {
        let (answers, of) = match answer {
            Ok(Answer { version: Some(version), .. }) => (&mut self.by_version, version),
            Ok(answer) => {
                (&mut self.by_error, format!("{}: {}", answer.status, answer.text.trim()))
            }
            Err(error) => (&mut self.by_error, format!("{error:#}")),
        };
        *answers.entry(of).or_default() += 1;
    }
}

impl fmt::Display for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.total().max(1);
        for (version, answers) in &self.by_version {
            write!(f, "{version} {answers} ({} %), ", (answers * 100 + total / 2) / total)?;
        }
        write!(f, "errors {}", self.errors())
    }
}

/// What one user got.
pub struct Answer {
    pub status: StatusCode,
    pub text: String,
    /// Who gave it, if it is a prediction
    pub version: Option<String>,
}

/// A request that brought no prediction, and all that tells whose fault it was.
#[derive(Clone, Debug)]
pub struct Miss {
    /// When the user knew
    pub at: Instant,
    /// None where there was no answer at all
    pub status: Option<StatusCode>,
    /// The answer's text, or what became of the connection
    pub says: String,
}

impl Miss {
    /// The version whose server gave the answer, where it names itself.
    #[must_use]
    pub fn version(&self) -> Option<String> {
        named_version(&self.says)
    }
}

#[derive(Default)]
struct Seen {
    answers: Answers,
    misses: Vec<Miss>,
}

/// Requests at a steady rate, until it is dropped.
pub struct Traffic {
    seen: Arc<Mutex<Seen>>,
    stream: JoinHandle<()>,
}

impl Traffic {
    /// Starts asking a host through the gateway, `rate` times a second.
    pub fn start(site: &Site, host: &str, rate: u32) -> Result<Self> {
        Self::with_patience(site, host, rate, PATIENCE)
    }

    /// The same, by clients that give up on an answer after this time.
    pub fn with_patience(site: &Site, host: &str, rate: u32, patience: Duration) -> Result<Self> {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let user = User::of(site, host, patience)?;
        let stream = tokio::spawn(ask_on(user, rate, Arc::clone(&seen)));
        Ok(Self { seen, stream })
    }

    /// Answers since the start or the last call.
    pub fn take(&self) -> Answers {
        std::mem::take(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner).answers)
    }

    /// What brought no prediction since the start or the last call, in the order in which it was known.
    pub fn take_misses(&self) -> Vec<Miss> {
        std::mem::take(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner).misses)
    }

    /// Answers so far.
    pub fn seen(&self) -> Answers {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).answers.clone()
    }
}

/// Asks at each beat, whether or not the requests before have ended.
async fn ask_on(user: User, rate: u32, seen: Arc<Mutex<Seen>>) {
    let mut beat = tokio::time::interval(Duration::from_secs(1) / rate);
    let mut open = JoinSet::new();
    for _ in 0..LONGEST.as_secs() * u64::from(rate) {
        beat.tick().await;
        while open.try_join_next().is_some() {}
        if open.len() >= MOST_OPEN {
            continue;
        }
        let (user, seen) = (user.clone(), Arc::clone(&seen));
        open.spawn(async move {
            let answer = user.ask().await;
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.misses.extend(missed(&answer));
            seen.answers.count(answer);
        });
    }
}

fn missed(answer: &Result<Answer>) -> Option<Miss> {
    let (status, says) = match answer {
        Ok(Answer { version: Some(_), .. }) => return None,
        Ok(answer) => (Some(answer.status), answer.text.trim().to_owned()),
        Err(error) => (None, format!("{error:#}")),
    };
    Some(Miss { at: Instant::now(), status, says })
}

fn named_version(text: &str) -> Option<String> {
    let answer: Value = serde_json::from_str(text).ok()?;
    answer["version"].as_str().map(ToOwned::to_owned)
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stream.abort();
    }
}

impl Site {
    /// Asks a host for one prediction.
    pub async fn ask(&self, host: &str) -> Result<Answer> {
        User::of(self, host, PATIENCE)?.ask().await
    }

    /// Asks a host again and again, one request after the other.
    pub async fn ask_often(&self, host: &str, times: usize) -> Result<Answers> {
        let user = User::of(self, host, PATIENCE)?;
        let mut answers = Answers::default();
        for _ in 0..times {
            answers.count(user.ask().await);
        }
        Ok(answers)
    }
}

#[derive(Clone)]
struct User {
    http: reqwest::Client,
    url: String,
    host: String,
}

impl User {
    fn of(site: &Site, host: &str, patience: Duration) -> Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(patience)
            .build()
            .context("failed to start an HTTP client")?;
        Ok(Self { http, url: format!("{}/classify", site.cluster.gateway), host: host.into() })
    }

    async fn ask(&self) -> Result<Answer> {
        let flower = json!({ "sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2 });
        let request = self.http.post(&self.url).header("host", &self.host).json(&flower);
        let answer = request.send().await.context("failed to ask the model")?;
        let status = answer.status();
        let text = answer.text().await.context("failed to read the answer")?;
        let version = named_version(&text).filter(|_| status.is_success());
        Ok(Answer { status, text, version })
    }
}

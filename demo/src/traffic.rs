//! Requests to a service: one, some, or a small and bounded stream of them.

use std::{
    mem::take,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use tokio::task::{JoinHandle, JoinSet};

use crate::{
    answer::{Answer, Answers, FailedRequest},
    flowers::question,
    site::Site,
};

/// Nobody leaves a generator running: this is its end, whatever happens to its owner.
const LONGEST: Duration = Duration::from_hours(2);

/// What a client waits for an answer when nothing else is said.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Requests that wait at once. A model that never answers would keep any number of them: beyond this one, none is sent.
const MOST_OPEN: usize = 600;

#[derive(Default)]
struct Seen {
    answers: Answers,
    failed: Vec<FailedRequest>,
    durations: Vec<Duration>,
}

/// Requests at a steady rate, about one flower after the other, until it is dropped.
pub struct Traffic {
    seen: Arc<Mutex<Seen>>,
    stream: JoinHandle<()>,
}

impl Traffic {
    /// Starts asking a host through the gateway, `rate` times a second.
    pub fn start(site: &Site, host: &str, rate: u32) -> Result<Self> {
        Self::with_timeout(site, host, rate, TIMEOUT)
    }

    /// The same, by clients that give up on an answer after this time.
    pub fn with_timeout(site: &Site, host: &str, rate: u32, timeout: Duration) -> Result<Self> {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let client = Client::of(site, host, timeout)?;
        let stream = tokio::spawn(send_on(client, rate, Arc::clone(&seen)));
        Ok(Self { seen, stream })
    }

    /// Answers since the start or the last call.
    #[expect(clippy::must_use_candidate, reason = "whoever begins anew wants none")]
    pub fn take(&self) -> Answers {
        take(&mut lock(&self.seen).answers)
    }

    /// Requests that failed since the start or the last call, in the order in which they were over.
    pub fn take_failed(&self) -> Vec<FailedRequest> {
        take(&mut lock(&self.seen).failed)
    }

    /// How long each request took since the start or the last call, also those that failed.
    pub fn take_durations(&self) -> Vec<Duration> {
        take(&mut lock(&self.seen).durations)
    }

    /// Answers so far.
    pub fn seen(&self) -> Answers {
        lock(&self.seen).answers.clone()
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends one at each beat, whether or not the requests before have ended.
async fn send_on(client: Client, rate: u32, seen: Arc<Mutex<Seen>>) {
    let mut beat = tokio::time::interval(Duration::from_secs(1) / rate);
    let mut open = JoinSet::new();
    for number in 0..usize::try_from(LONGEST.as_secs()).unwrap_or(usize::MAX) * rate as usize {
        beat.tick().await;
        while open.try_join_next().is_some() {}
        if open.len() >= MOST_OPEN {
            continue;
        }
        let (client, seen) = (client.clone(), Arc::clone(&seen));
        open.spawn(async move {
            let begun = Instant::now();
            let answer = client.send(number).await;
            let mut seen = lock(&seen);
            seen.durations.push(begun.elapsed());
            let failed = seen.answers.count(answer, Instant::now());
            seen.failed.extend(failed);
        });
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stream.abort();
    }
}

impl Site {
    /// Asks a host for one prediction.
    pub async fn ask(&self, host: &str) -> Result<Answer> {
        Client::of(self, host, TIMEOUT)?.send(0).await
    }

    /// Asks a host again and again, one request after the other.
    pub async fn ask_often(&self, host: &str, times: usize) -> Result<Answers> {
        let client = Client::of(self, host, TIMEOUT)?;
        let mut answers = Answers::default();
        for number in 0..times {
            answers.count(client.send(number).await, Instant::now());
        }
        Ok(answers)
    }
}

/// Sends requests to one host, through the gateway.
#[derive(Clone)]
struct Client {
    http: reqwest::Client,
    url: String,
    host: String,
}

impl Client {
    fn of(site: &Site, host: &str, timeout: Duration) -> Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(timeout)
            .build()
            .context("failed to start an HTTP client")?;
        Ok(Self { http, url: format!("{}/classify", site.cluster.gateway), host: host.into() })
    }

    async fn send(&self, number: usize) -> Result<Answer> {
        let request = self.http.post(&self.url).header("host", &self.host).json(&question(number));
        let answer = request.send().await.context("failed to ask the model")?;
        let status = answer.status();
        let text = answer.text().await.context("failed to read the answer")?;
        Ok(Answer { status, text })
    }
}

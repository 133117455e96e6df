//! One release after the other, each judged at its end.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use demo::{Event, Mode, Traffic};

use super::{
    attribution::Attribution,
    environment::{Environment, LOOK, Observed, retry_until_answered},
    injection::Injected,
    plan::{Fault, Kind, Plan, Stage},
};
use crate::{bento, sink::Accepted};

/// The longest that a canary may be left which no run will end, with half a minute for the looking.
const TAKEN_BACK: Duration = Duration::from_secs(5 * 60 + 30);

/// The longest that a release of these small models may take with all that befalls it.
const LIMIT: Duration = Duration::from_mins(15);

/// What is settled stays so: a step that was cancelled may have a last word to say, and who asked a crashed canary
/// waits ten seconds for the answer, which is still this release's.
const STAYS: Duration = Duration::from_secs(12);

/// A request that nobody took up is sent again, as who sent it would.
const ASK_AGAIN: Duration = Duration::from_secs(20);

/// The releases of one service.
pub(crate) struct Series {
    pub(crate) service: &'static str,
    pub(crate) plans: Vec<Plan>,
    /// Requests a second
    pub(crate) rate: u32,
}

/// How a release went.
pub(crate) struct Row {
    pub(crate) release: String,
    pub(crate) plan: Plan,
    pub(crate) moment: String,
    pub(crate) ended: &'static str,
    pub(crate) took: Duration,
    pub(crate) events: Vec<String>,
    pub(crate) requests: usize,
    /// Errors that the model made
    pub(crate) own_errors: usize,
    /// What should not be, each in a sentence
    pub(crate) complaints: Vec<String>,
    pub(crate) begun: Instant,
}

/// One release on its way.
struct Release<'a> {
    environment: &'a Environment,
    service: &'a str,
    version: String,
    /// Version that served everybody before
    before: String,
    plan: Plan,
    begun: Instant,
    /// The service before it
    seen: Observed,
}

impl Series {
    /// Runs them all. What it could not even run is in its last row.
    pub(crate) async fn run(self, environment: &Environment) -> Vec<Row> {
        let mut rows = Vec::new();
        if let Err(error) = self.each(environment, &mut rows).await {
            let complaint = format!("the test itself failed: {error:#}");
            match rows.last_mut() {
                Some(row) => row.complaints.push(complaint),
                None => panic!("{}: {complaint}", self.service),
            }
        }
        rows
    }

    async fn each(&self, environment: &Environment, rows: &mut Vec<Row>) -> Result<()> {
        let service = self.service;
        let host =
            retry_until_answered("find the host", async || environment.site.host(service).await)
                .await?;
        let traffic = Traffic::start(&environment.site, &host, self.rate)?;
        let mut before = "v1".to_owned();
        for (at, plan) in self.plans.iter().enumerate() {
            let release = Release {
                environment,
                service,
                version: format!("v{}", at + 2),
                before: before.clone(),
                plan: *plan,
                begun: Instant::now(),
                seen: environment.look(service).await?,
            };
            super::log(&format!("{service} {}: {}, {}", release.version, plan.kind, plan.fault));
            let (row, serves) = release.run(&host, &traffic).await?;
            super::log(&format!("{row}"));
            let is_over = row.ended != NOT_AT_ALL;
            rows.push(row);
            if is_over {
                before = if serves.is_empty() { before } else { serves };
            } else {
                environment.put_back(service, &release.seen.spec).await?;
            }
        }
        Ok(())
    }
}

const NOT_AT_ALL: &str = "NOT AT ALL";

impl Release<'_> {
    /// Takes the release to its end. Returns its row of the summary and the version that serves then.
    async fn run(&self, host: &str, traffic: &Traffic) -> Result<(Row, String)> {
        let Self { environment, service, version, plan, .. } = self;
        bento::save(&environment.site, service, version, plan.kind.model()).await;
        self.ask().await?;
        let injected = environment.inject(plan, service, version).await?;
        let missing = self.wait_for_the_end(&injected).await?;

        let events = environment.sink.about(service, version);
        let serves =
            retry_until_answered("ask the model", async || environment.who_serves(host, 10).await)
                .await?;
        let (requests, failed) = (traffic.take().total(), traffic.take_failed());
        let serves = serves.unwrap_or_default();
        let seen = environment.look(service).await?;
        let ended = match serves == *version {
            _ if !seen.unsettled().is_empty() => NOT_AT_ALL,
            true => "promoted",
            false if self.is_withdrawn(&seen, &injected) => "withdrawn",
            false => "taken back",
        };
        let attribution = Attribution { kind: plan.kind, version, begun: self.begun, requests };
        let (own_errors, mut complaints) = attribution.share(&failed);
        complaints.extend(missing);
        if ended != NOT_AT_ALL && serves != *version && serves != self.before {
            complaints.push(format!("`{serves}` serves, not {} nor {version}", self.before));
        }
        complaints.extend(self.verdict(ended, &events));
        if !complaints.is_empty() {
            super::log(&format!("✘ {}\n{}", complaints.join("\n✘ "), self.describe().await));
        }
        let row = Row {
            release: format!("{service} {version}"),
            plan: *plan,
            moment: injected.moment,
            ended,
            took: self.begun.elapsed(),
            events: events.iter().map(Accepted::brief).collect(),
            requests,
            own_errors,
            complaints,
            begun: self.begun,
        };
        Ok((row, serves))
    }

    /// Asks for the release until its run is there.
    async fn ask(&self) -> Result<()> {
        let Self { environment, service, version, .. } = self;
        let event = Event::requested(&format!("{service}-{version}"), service, version);
        loop {
            retry_until_answered("ask for a release", async || {
                let status = environment.site.send(&event, Mode::Structured).await?;
                ensure!(status == 202, "the EventListener answers {status}");
                Ok(())
            })
            .await?;
            let asked = Instant::now();
            while asked.elapsed() < ASK_AGAIN {
                if environment.look(service).await?.run(Stage::Release, version).is_some() {
                    return Ok(());
                }
                tokio::time::sleep(LOOK).await;
            }
            ensure!(self.begun.elapsed() < LIMIT, "failed to see a run of {service} {version}");
        }
    }

    /// Waits until nothing is left to happen. Returns what is still missing when that takes too long.
    async fn wait_for_the_end(&self, injected: &Injected) -> Result<Option<String>> {
        let (mut settled, mut idle) = (None, None);
        loop {
            let seen = self.environment.look(self.service).await?;
            let mut missing = seen.unsettled();
            if missing.is_empty() && !self.is_reported() && !self.is_withdrawn(&seen, injected) {
                missing = "no event says how it ended".into();
            }
            if !missing.is_empty() {
                settled = None;
            } else if settled.get_or_insert_with(Instant::now).elapsed() > STAYS {
                return Ok(None);
            }
            if !seen.is_idle() {
                idle = None;
            } else if idle.get_or_insert_with(Instant::now).elapsed() > TAKEN_BACK
                && settled.is_none()
            {
                let waited = TAKEN_BACK.as_secs();
                return Ok(Some(format!("{waited} s after the end of its last run: {missing}")));
            }
            if self.begun.elapsed() > LIMIT {
                return Ok(Some(format!(
                    "{} s after it was asked for: {missing}",
                    LIMIT.as_secs()
                )));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn is_reported(&self) -> bool {
        let events = self.environment.sink.about(self.service, &self.version);
        events.iter().any(|event| {
            ["canary.promoted", "canary.rolledback", "failed"].iter().any(|end| event.is(end))
        })
    }

    /// Someone cancelled or deleted the run before it touched the service: nothing was, and nobody is left to send an event.
    fn is_withdrawn(&self, now: &Observed, injected: &Injected) -> bool {
        injected.hit
            && matches!(self.plan.fault, Fault::RunCancelled | Fault::RunDeleted)
            && now.generation == self.seen.generation
    }

    /// What is wrong about an end and its events.
    fn verdict(&self, ended: &str, events: &[Accepted]) -> Vec<String> {
        let Plan { kind, fault, .. } = self.plan;
        let has = |name: &str| events.iter().any(|event| event.is(name));
        let mut wrong = Vec::new();
        match ended {
            "promoted" => {
                if kind != Kind::Good {
                    wrong.push(format!("a {kind} version serves all requests"));
                }
                if !has("canary.promoted") {
                    wrong.push(
                        "it serves all requests, and no event says that it was promoted".into(),
                    );
                }
                if has("canary.rolledback") {
                    wrong.push(
                        "it serves all requests, and an event says that it was rolled back".into(),
                    );
                }
            }
            "taken back" => {
                if has("canary.promoted") {
                    wrong.push("it serves nobody, and an event says that it was promoted".into());
                }
                let disturbed = self.environment.was_disturbed(self.begun);
                if kind == Kind::Good && fault == Fault::Nothing && !disturbed {
                    wrong.push("nothing befell a good version, and it was not promoted".into());
                }
            }
            _ => {}
        }
        wrong
    }

    /// All that its runs say, for who has to find out why.
    async fn describe(&self) -> String {
        let Ok(seen) = self.environment.look(self.service).await else { return String::new() };
        let mut text = String::new();
        for run in seen.runs.iter().filter(|run| run.version == self.version) {
            text += &self.environment.site.run(&run.name).describe().await.unwrap_or_default();
        }
        text
    }
}

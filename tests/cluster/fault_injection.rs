//! Releases under traffic while steps, pods, runs and parts of the cluster are killed, cancelled and taken
//! away: whatever happens, each ends at all or nothing, says so by an event, and costs its users nothing but what the
//! model itself did to them.
//!
//! - `plan`: what is released, and the fault that befalls it
//! - `environment`: the site that it happens in, and what is seen there
//! - `injection`: the fault, at its moment
//! - `release`: one release, taken through it and judged at its end
//! - `attribution`: whose errors the failed requests were
//! - `summary`: all releases

mod attribution;
mod environment;
mod injection;
mod plan;
mod release;
mod summary;

use std::{env, sync::Arc, time::Duration};

use demo::Site;
use tokio::task::{JoinSet, LocalSet};

use crate::{
    bento::{self, Model},
    namespace::in_namespace,
    sink::Sink,
};

use environment::Environment;
pub(crate) use plan::Fault;
use release::Series;
use summary::Summary;

/// What is released, under what.
pub(crate) struct Campaign {
    /// One word, also the name of the file that the summary is written to
    pub(crate) name: &'static str,
    /// What prints its summary
    pub(crate) command: &'static str,
    pub(crate) seed: u64,
    pub(crate) releases: usize,
    /// Each releases one version after the other, all of them at the same time.
    pub(crate) services: &'static [&'static str],
    pub(crate) faults: &'static [Fault],
    /// Begins with [`PERCENT`]
    pub(crate) ladder: &'static str,
}

/// Requests a second, to all services together.
const RATE: u32 = 50;

/// The canary's first share: enough of so few requests for a gate to see them.
const PERCENT: u32 = 20;

/// A first version takes a build and a pod; all services do so at once.
const FIRST: Duration = Duration::from_mins(10);

/// The catalog's settings, so that a gate ends in less than a minute and nobody waits long for a dead canary.
const SETTINGS: [(&str, &str); 5] = [
    ("hold", "20s"),
    ("deadline", "3m"),
    ("min-requests", "10"),
    ("cpu", "10m"),
    ("memory", "64Mi"),
];

/// Reads a number from the variable, or gives its own.
pub(crate) fn from_env(variable: &str, otherwise: u64) -> u64 {
    let set = env::var(variable).ok().filter(|value| !value.is_empty());
    set.map_or(otherwise, |value| value.parse().expect("the variable is a whole number"))
}

impl Campaign {
    /// Runs it in a namespace of its own and prints its summary, and panics with everything that went
    /// otherwise than it should.
    pub(crate) async fn run(self) {
        log(&format!("{}: seed {}", self.name, self.seed));
        in_namespace(self.name, async |site| {
            let summary = LocalSet::new().run_until(self.in_site(site)).await;
            let table = summary.to_string();
            log(&table);
            summary.write().unwrap();
            let complaints = summary.complaints();
            assert!(complaints.is_empty(), "{}", complaints.join("\n"));
        })
        .await;
    }

    async fn in_site(&self, mut site: Site) -> Summary {
        let sink = Sink::before(&mut site).await;
        self.set_up(&site).await;
        let environment = Arc::new(Environment::new(site, sink));
        let faults = environment.possible(self.faults);
        let plans = plan::draw(self.seed, self.releases, &faults);

        let mut going = JoinSet::new();
        let rate = RATE.div_ceil(u32::try_from(self.services.len()).unwrap());
        for (at, service) in self.services.iter().enumerate() {
            let mine = plans.iter().skip(at).step_by(self.services.len()).copied().collect();
            let (environment, series) =
                (Arc::clone(&environment), Series { service, plans: mine, rate });
            going.spawn_local(async move { series.run(&environment).await });
        }
        let mut summary = Summary::new(self);
        while let Some(ended) = going.join_next().await {
            summary.add(ended.unwrap());
        }
        for service in self.services {
            let wrong = environment.wrong_in_the_end(service).await.unwrap();
            summary.complain(wrong.into_iter().map(|text| format!("{service}: in the end {text}")));
        }
        summary
    }

    async fn set_up(&self, site: &Site) {
        for (name, value) in SETTINGS {
            site.set(name, value).await.unwrap();
        }
        site.set("ladder", self.ladder).await.unwrap();
        environment::shorten_progress_deadline(site).await.unwrap();
        if !site.sweep_every_minute().await.unwrap() {
            log("this catalog has no sweep: what falls through stays");
        }
        let mut first = JoinSet::new();
        for service in self.services {
            let site = site.clone();
            first.spawn_local(async move {
                bento::save(&site, service, "v1", Model::Good).await;
                let asked = demo::Event::requested(&format!("{service}-v1"), service, "v1");
                site.send(&asked, demo::Mode::Structured).await.unwrap();
                environment::first_answer(&site, service, FIRST).await.unwrap();
            });
        }
        while let Some(served) = first.join_next().await {
            served.unwrap();
        }
    }
}

/// A line for who watches.
#[expect(clippy::print_stderr, reason = "a test of many minutes says what it is doing")]
fn log(line: &str) {
    eprintln!("{line}");
}

/// Only what its own namespace feels: the cluster's other tests go on beside it. The API server and
/// Prometheus are taken away by `make soak`, which runs alone.
const LOCAL: [Fault; 5] = [
    Fault::StepKilled,
    Fault::PodDeleted,
    Fault::RunCancelled,
    Fault::RunDeleted,
    Fault::ListenerRestarted,
];

#[tokio::test]
#[ignore = "needs the cluster"]
async fn four_releases_under_faults_end_at_all_or_nothing() {
    let campaign = Campaign {
        name: "faults",
        command: "make cluster-tests",
        seed: from_env("FAULTS_SEED", 1),
        releases: 4,
        services: &["oak", "elm"],
        faults: &LOCAL,
        ladder: "20",
    };
    campaign.run().await;
}

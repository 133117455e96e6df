//! Watches Prometheus and says whether a canary may have more traffic.
//!
//! The modules, in the order in which data goes through them:
//!
//! - `args`, `spec_file`, `expression`, `plan`: from flags or a spec to a `spec` of timing and criteria
//! - `presets`, `sources`, `codes`, `queries`: criteria that know their series, and how to ask for them
//! - `gate`: the loop; `discovery` finds the series, `forecast` says how long it will take
//! - `prometheus`: the client; `samples`, `counters`: what it answered, and by how much counters grew
//! - `track`, `comparison`: one criterion from point to point; `evidence`, `dispersion`, `unended`: what
//!   counts against the canary
//! - `verdict`: the pure function over all of it; `override_file`: a person's word before it
//! - `ledger`, `record`, `second_source`, `results`: what leaves the gate for programs
//! - `view`, `report`, `lane`, `subject`: what leaves it for people
//! - `check`, `simulate`: a spec looked at, and tried, before a release rests on it

mod args;
mod check;
mod codes;
mod comparison;
mod counters;
mod counts;
mod discovery;
mod dispersion;
mod evidence;
#[cfg(test)]
mod example;
mod expression;
mod forecast;
mod gate;
mod lane;
mod ledger;
mod override_file;
mod plan;
mod presets;
mod prometheus;
mod queries;
mod record;
mod report;
mod results;
mod samples;
mod second_source;
mod simulate;
#[cfg(test)]
#[path = "../benches/false_alarms/simulation.rs"]
mod simulation;
mod sources;
mod spec;
mod spec_file;
mod subject;
mod track;
mod unended;
mod verdict;
mod view;

use std::{
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context, Result};
use args::{Args, Job, WatchArgs};
use gate::{Question, watch};
use ledger::{Account, Ledger, replay, rfc3339};
use results::Results;
use step::{
    Failure, Outcome, Terminated, run_to_safe_point,
    text::{clean, is_plain_path},
};
use verdict::{Judgement, Reason, Verdict, length};

fn main() -> ExitCode {
    // TLS needs to know whose ciphers to use before the first client is made.
    let _ = rustls::crypto::ring::default_provider().install_default();
    run_to_safe_point(start)
}

async fn start(args: Args, terminated: Terminated) -> Result<Outcome> {
    match args.job {
        None => judge(args.watch, terminated).await,
        Some(Job::Check { spec, server, about }) => check::check(&spec, &server, &about).await,
        Some(Job::Replay { record, report }) => again(&record, report.as_deref()),
        Some(Job::Simulate { tests, report }) => simulate::simulate(&tests, report.as_deref()),
    }
}

async fn judge(args: WatchArgs, mut terminated: Terminated) -> Result<Outcome> {
    let results = Results { verdict: &args.result_verdict, reason: &args.result_reason };
    results.begin()?;

    let gate = plan::plan(&args).inspect_err(|error| results.explain(error))?;
    let service =
        args.about.service.as_deref().map(|service| format!(" of {service}")).unwrap_or_default();
    let names: Vec<&str> = gate.questions.iter().map(Question::name).collect();
    tracing::info!(
        "watching {}{service} on {} since {}: hold {}, deadline {}",
        names.join(", "),
        gate.address,
        gate.start.map_or_else(|| "now".to_owned(), rfc3339),
        length(gate.timing.hold),
        length(gate.timing.deadline)
    );

    let watched = watch(gate, &mut terminated).await.inspect_err(|error| results.explain(error))?;
    if let Err(error) = write_report(args.report.as_deref(), &watched) {
        without_report(&error, &watched.1);
    }
    let Judgement { verdict, reason, message, .. } = &watched.0.judgement;
    let told = format!("{reason}: {message}");
    results.end(*verdict, &told)?;
    tracing::info!("{verdict}: {told}");
    Ok(match (reason, verdict) {
        (Reason::Aborted, _) => Outcome::Terminated,
        (_, Verdict::Pass) => Outcome::Done,
        _ => Outcome::No,
    })
}

/// The verdict of a record, on stdout.
fn again(record: &Path, report: Option<&Path>) -> Result<Outcome> {
    let replayed = replay(record)?;
    write_report(report, &replayed)?;
    print(&replayed.0.json())?;
    Ok(if replayed.0.judgement.verdict == Verdict::Pass { Outcome::Done } else { Outcome::No })
}

fn write_report(folder: Option<&Path>, (account, ledger): &(Account, Ledger)) -> Result<()> {
    let Some(folder) = folder else { return Ok(()) };
    report::write(folder, account, ledger)?;
    tracing::info!("the evidence is in `{}`", folder.join("report.html").display());
    Ok(())
}

/// A gate does not depend on its evidence.
fn without_report(error: &anyhow::Error, ledger: &Ledger) {
    if ledger.record_failed() {
        // The same volume, most likely: one warning is enough.
        tracing::info!("{error:#}");
        return;
    }
    let cause = error.downcast_ref::<io::Error>().map_or(io::ErrorKind::Other, io::Error::kind);
    record::warn(format!("{error:#}"), cause);
}

/// A line that a person asked to see.
fn say(line: &str) -> Result<()> {
    print(&(clean(line) + "\n"))
}

/// On stdout.
fn print(text: &str) -> Result<()> {
    io::stdout().write_all(text.as_bytes()).with_context(|| Failure {
        what: "failed to write to stdout".to_owned(),
        hint: "the reader of the pipe has gone".to_owned(),
    })
}

/// Reads a spec: a file, or the text itself, which has several lines or is JSON.
fn spec_text(spec: &str) -> Result<String> {
    if spec.contains('\n') || spec.trim_start().starts_with('{') {
        return Ok(spec.to_owned());
    }
    std::fs::read_to_string(spec).with_context(|| Failure {
        // One line of YAML may have a password in its `prometheus.url`.
        what: if is_plain_path(spec) {
            format!("failed to read spec `{spec}`")
        } else {
            "failed to read the spec, which names no file".to_owned()
        },
        hint: "give a file, or the text of the spec itself, in several lines or as JSON".to_owned(),
    })
}

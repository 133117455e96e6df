//! The command line: what was typed, to its exit code.

pub(crate) mod args;
mod check;
mod promtool_series;
mod replay;
pub(crate) mod resolve;
pub(crate) mod simulate;

use anyhow::Result;
use step::{Outcome, Terminated};

use self::{
    args::{Args, Command, WatchArgs},
    replay::{replay_record, write_report},
};
use crate::judge::verdict::{Judgement, Reason, Verdict};
use crate::output::results::Results;
use crate::record::file::without_report;
use crate::spec::candidates::Question;
use crate::time::{length, rfc3339};
use crate::watch::watch;

/// Runs what was typed to its exit code.
pub async fn start(args: Args, mut terminated: Terminated) -> Result<Outcome> {
    match args.command {
        None => Box::pin(judge(args.watch, terminated)).await,
        Some(Command::Check { spec, server, rollout }) => {
            check::check(&spec, &server, &rollout).await
        }
        Some(Command::Replay { record, from, report }) => {
            replay_record(record, &from, &report, &mut terminated).await
        }
        Some(Command::Simulate { tests, report }) => simulate::simulate(&tests, report.as_deref()),
    }
}

async fn judge(args: WatchArgs, mut terminated: Terminated) -> Result<Outcome> {
    let results = Results { verdict: &args.result_verdict, reason: &args.result_reason };
    results.begin()?;

    let gate = resolve::resolve(&args).inspect_err(|error| results.explain(error))?;
    let service =
        args.rollout.service.as_deref().map(|service| format!(" of {service}")).unwrap_or_default();
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
    for folder in &args.report {
        if let Err(error) = write_report(folder, &watched) {
            without_report(&error, watched.1.failed_in(folder));
        }
    }
    let Judgement { verdict, reason, message, .. } = &watched.0.judgement;
    let described = format!("{reason}: {message}");
    results.end(*verdict, &described)?;
    tracing::info!("{verdict}: {described}");
    Ok(match (reason, verdict) {
        (Reason::Aborted, _) => Outcome::Terminated,
        (_, Verdict::Pass) => Outcome::Done,
        _ => Outcome::No,
    })
}

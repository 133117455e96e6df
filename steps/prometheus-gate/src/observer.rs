//! A gate that runs elsewhere, as it stands: for a page that shows it while it watches.

use std::{path::PathBuf, time::Duration};

use anyhow::Result;
use jiff::Timestamp;
use reqwest::Url;
use serde_json::Value;
use step::{SecretFolder, Usage, secret, text};

use crate::cli::args::{Args, WatchArgs, address};
use crate::cli::resolve::{asked, gate, url};
use crate::judge::permission::blocked;
use crate::judge::verdict::{Judgement, Verdict};
use crate::judge::waiting::{Obstacle, Waiting};
use crate::output::report::{HATCHES, cards_and_notes};
use crate::record::line::{End, Last};
use crate::spec::{file::is_text, file::usage, permission::Permission};
use crate::watch::{gate::Gate, looking::Looking};

/// How long one look may take
const LOOK_MAY_TAKE: Duration = Duration::from_secs(4);

/// Where a gate runs, and by what right its Prometheus is asked
#[derive(Clone, Debug, Default)]
pub struct ObserverOptions {
    /// Namespace of its TaskRun
    pub namespace: String,
    /// When it began, for a gate that was not told its start
    pub began: Option<Timestamp>,
    /// The only Prometheus that may be asked. Without it each gate's own is, and gets no credentials: who
    /// writes a TaskRun writes where they would be sent
    pub prometheus_url: Option<String>,
    /// Where that one is reached from here, as by a forwarded port; the credentials go there
    pub prometheus_at: Option<String>,
    /// Folder of the credentials for `prometheus_url`, in place of the gate's `--credentials`
    pub credentials: Option<PathBuf>,
}

/// A gate that is looked at from outside. It asks what the gate asks, from the start on, and judges by the same
/// rules; it decides, writes and logs nothing, and hears nobody
pub struct Observer {
    looking: Looking,
    permission: Permission,
}

/// How a gate stands
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// As `verdict.json`: `verdict`, `reason`, `message`, `t0`, `deadline`, `holdSeconds`, `waiting: {since, for}`, and
    /// for each of `criteria` its `name`, `state`, `points: {good, bad, missing, unknown, warmup}`, `heldSeconds`,
    /// `missingRequests`, `description`, and as `evidence` its `logE` and the `threshold` that fails the canary
    pub summary: Value,
    /// A card for each criterion: markup, every text escaped, which [`STYLE`](crate::STYLE) is for
    pub cards: String,
    /// `pass`, `fail`, `inconclusive` or `pending`; of a gate that heeds people no more than `pending` while they may
    /// hold it
    pub verdict: String,
    /// A word for machines, such as `hold`, `evidence` or `pending`
    pub reason: String,
    /// A sentence for people
    pub message: String,
    /// Whether all criteria hold, so that nothing but permission keeps it from its next rung
    pub holds: bool,
    /// What it waits for then, other than people who hold it: an approval, or a window
    pub waiting: Option<String>,
    /// By the clock of Prometheus
    pub seen_at: Timestamp,
    /// Why Prometheus did not answer all; what it said before is shown
    pub error: Option<String>,
}

impl Observer {
    /// From the arguments of a gate's step, as its TaskRun has them, without the program's name. Where they name
    /// results, evidence, credentials and an API server, these are not touched.
    ///
    /// # Errors
    /// What this gate does not understand, what names a file, and another Prometheus than the one that may be asked.
    pub fn new(args: &[String], options: ObserverOptions) -> Result<Self> {
        let gate = observed(args, options)?;
        let permission = gate.permission.clone();
        Ok(Self { looking: Looking::new(gate, LOOK_MAY_TAKE), permission })
    }

    /// Asks for the points that have become final since the last look, and judges. It takes a few seconds at most; a
    /// gate with a long past is caught up with by several looks.
    ///
    /// # Errors
    /// What does not heal by looking again: Prometheus refuses, or finds the question wrong.
    pub async fn look(&mut self) -> Result<Seen> {
        let error = self.looking.look().await?;
        let error = error.map(|error| {
            format!("failed to query Prometheus `{}`: {error}", self.looking.address())
        });
        let now = self.looking.now();
        let record = self.looking.record();
        let mut summary = record.summary(&End { now, last: Last::Judged, ..End::default() });
        let holds =
            summary.judgement.waiting.is_some() || summary.judgement.verdict == Verdict::Pass;
        summary.judgement = without_people(&self.permission, summary.judgement, now);
        let judgement = &summary.judgement;
        Ok(Seen {
            cards: format!(
                "<div class=\"gate cards\">\n{HATCHES}{}</div>\n",
                cards_and_notes(judgement, record)
            ),
            verdict: judgement.verdict.to_string(),
            reason: judgement.reason.to_string(),
            message: judgement.message.clone(),
            holds,
            waiting: judgement.waiting.as_ref().map(|waiting| waiting.words.clone()),
            seen_at: now,
            error,
            summary: serde_json::to_value(&summary)?,
        })
    }
}

/// Nobody asked people here, and what they decided is not what it waits for.
fn without_people(permission: &Permission, judgement: Judgement, now: Timestamp) -> Judgement {
    let Some(Waiting { since, words, obstacle: Obstacle::Unknown }) = &judgement.waiting else {
        return judgement;
    };
    let message = judgement.message.strip_suffix(&format!("; {words}"));
    let message = message.unwrap_or(&judgement.message).to_owned();
    let without = Judgement { message, waiting: None, ..judgement.clone() };
    match blocked(permission, now) {
        Some(waiting) => without.waiting(Waiting { since: *since, ..waiting }),
        None => without,
    }
}

/// The gate that a TaskRun's arguments ask for, without anything of the place where it runs.
fn observed(line: &[String], options: ObserverOptions) -> Result<Gate> {
    let namespace = format!("--namespace={}", options.namespace);
    let name = "prometheus-gate".to_owned();
    let line = [name, namespace].into_iter().chain(line.iter().cloned());
    let Args { command: None, watch } = step::parse(line).map_err(|error| Usage {
        what: format!("the gate's arguments are not understood: {}", error.kind()),
        hint: "the gate's image may be of another version than this".to_owned(),
    })?
    else {
        return Err(usage("the arguments are those of no gate", ""));
    };
    let mut args = WatchArgs {
        api_server: None,
        service_account: None,
        report: Vec::new(),
        record: None,
        start: watch.start.or(options.began),
        ..watch
    };
    if args.spec.as_ref().is_some_and(|spec| !is_text(spec)) {
        let hint = "give the gate the text of its spec in place of a file";
        return Err(usage("the gate's spec is a file, which is not here", hint));
    }
    let mut file = asked(&args)?;
    file.prometheus.credentials = None;
    args.server.credentials = None;
    let whom = url(&file, &args.server)?;
    match &options.prometheus_url {
        Some(allowed) if is_same(allowed, &whom) => {
            if let Some(at) = &options.prometheus_at {
                let wrong = |hint: String| usage("the address is not valid", &hint);
                args.server.prometheus_url = Some(address(at).map_err(wrong)?);
            }
            let folder = options.credentials.map(PathBuf::into_os_string);
            args.server.credentials = folder.map(SecretFolder::from);
        }
        Some(_) => {
            secret::keep_address(whom.as_str());
            let address = text::address(whom.as_str().trim_end_matches('/'));
            let what = format!("the gate asks another Prometheus, `{address}`");
            return Err(usage(what, "only the one that was given is asked"));
        }
        None if args.server.sigv4_region.is_some() || file.prometheus.sigv4_region.is_some() => {
            let hint = "give the address of Prometheus; then its requests are signed";
            return Err(usage("the gate signs its requests", hint));
        }
        None => {}
    }
    let gate = gate(&args, file)?;
    Ok(Gate { people: None, ..gate })
}

fn is_same(allowed: &str, whom: &Url) -> bool {
    let plain = |url: &Url| url.as_str().trim_end_matches('/').to_owned();
    address(allowed).is_ok_and(|allowed| plain(&allowed) == plain(whom))
}

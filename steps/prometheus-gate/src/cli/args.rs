//! What can be typed: commands, flags and their help.

use std::path::PathBuf;

use bento_retrieve::request::AccessArgs;
use clap::{Parser, Subcommand};
use jiff::Timestamp;
use reqwest::{
    Url,
    header::{HeaderName, HeaderValue},
};
use step::{ResultFile, SecretFolder, secret};

use crate::spec::answered::AnswersState;
use crate::spec::expression::{Combine, Condition};
use crate::spec::file::{OnInconclusive, OnNoTraffic, TimingSpec};
use crate::spec::permission::PermissionSpec;
use crate::spec::{presets::Preset, rollout::RolloutSpec, status_codes::Codes};
use crate::time::{Length, timestamp};

/// Watch Prometheus until it is clear whether a canary may have more traffic
///
/// The verdict is `pass` when every criterion held without a break for `--hold`, `fail` when one is proven bad, and
/// `inconclusive` when there was too little to see: no data is never a pass.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(disable_help_subcommand = true)]
pub struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) watch: WatchArgs,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Look for mistakes in a spec, and with an address also in how it fits the server
    Check {
        /// A spec in YAML
        #[arg(value_name = "SPEC")]
        spec: String,
        #[command(flatten)]
        server: Box<ServerArgs>,
        #[command(flatten)]
        rollout: Box<RolloutSpec>,
    },
    /// Come to the verdict of a record again, without Prometheus, and print it as JSON
    Replay {
        /// What `--record` has written, packed by gzip or not: a path, `s3://BUCKET/KEY` or `https://…`
        record: String,
        #[command(flatten)]
        from: Box<AccessArgs>,
        /// Folder for the evidence: verdict.json and report.html; may be given several times
        #[arg(long, value_name = "DIR")]
        report: Vec<PathBuf>,
    },
    /// Run a spec on written series, and compare the verdict with the one that is expected
    Simulate {
        /// Tests in YAML
        tests: PathBuf,
        /// Folder for the evidence of each test, below its name
        #[arg(long, value_name = "DIR")]
        report: Option<PathBuf>,
    },
}

#[derive(clap::Args)]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,

    /// Query that returns one number, such as `sum(rate(errors_total[1m])) / sum(rate(requests_total[1m]))`; `$canary`,
    /// `$baseline`, `$namespace` and `$service` in it are filled in
    #[arg(long, value_name = "PROMQL", requires = "when", help_heading = "What to ask")]
    pub(crate) query: Option<String>,
    /// What that number has to be: `value <= 0.01`, `value between 1 and 5 or value == 0`
    #[arg(long, value_name = "CONDITION", requires = "query", help_heading = "What to ask")]
    pub(crate) when: Option<Condition>,
    /// Presets about a canary of KServe, joined by commas [default: no-restarts,errors,rejections,latency where nothing
    /// else is asked, and answers where `--answers` is compared or observed]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', help_heading = "What to ask")]
    pub(crate) criteria: Vec<Preset>,
    /// A spec in YAML: a file, or the text itself
    #[arg(long, value_name = "SPEC", conflicts_with_all = ["query", "criteria"], help_heading = "What to ask")]
    pub(crate) spec: Option<String>,
    #[command(flatten)]
    pub(crate) rollout: RolloutSpec,
    /// How many times the baseline's share of failed, rejected or slow requests is tolerated [default: 1.25]
    #[arg(long, value_name = "RATIO", value_parser = above_zero, help_heading = "What to ask")]
    pub(crate) max_ratio: Option<f64>,
    /// Share of failed requests that `slo` allows, between 0 and 1 [default: 0.02]
    #[arg(long, value_name = "SHARE", value_parser = chance, help_heading = "What to ask")]
    pub(crate) objective: Option<f64>,
    /// Chance of failing a canary that is no worse, however long it is watched; between 0 and 1 [default: 0.05]
    #[arg(long, value_name = "CHANCE", value_parser = chance, help_heading = "What to ask")]
    pub(crate) alpha: Option<f64>,
    /// What the release says of its answers: `compared` judges them where `answers` is asked, `observed` shows them and decides
    /// nothing by them, and any other text is why they are not judged, which the report then says
    #[arg(long, value_name = "STATE", value_parser = AnswersState::parse, help_heading = "What to ask")]
    pub(crate) answers: Option<AnswersState>,
    /// What is a change to `answers`: a share that is so many times the baseline's, or that part of it. One that changed by the
    /// square root of it or less is tolerated, which fails at most `--alpha` of all releases; one between the two may go either
    /// way, as in any sequential test; above 1 [default: 2]
    #[arg(long, value_name = "RATIO", value_parser = above_one, help_heading = "What to ask")]
    pub(crate) max_answer_ratio: Option<f64>,
    /// Share below which no answer matters to `answers`, on neither side, between 0 and 1 [default: 0.02]
    #[arg(long, value_name = "SHARE", value_parser = chance, help_heading = "What to ask")]
    pub(crate) least_answer_share: Option<f64>,
    /// Codes of answers that `rejections` counts, joined by commas: statuses, `3xx` or `4xx`. All others but 1xx, 2xx and
    /// the rest of 3xx and 4xx have failed and count for `errors`, 429 and 499 too unless they are given here
    /// [default: 3xx,4xx]
    #[arg(long, value_name = "CODE,…", help_heading = "What to ask")]
    pub(crate) rejection_codes: Option<Codes>,
    /// Requests to the canary, compared with the baseline's, without which `errors`, `rejections`, `latency` and `answers`
    /// cannot pass [default: 50]
    #[arg(long, value_name = "NUMBER", help_heading = "What to ask")]
    pub(crate) min_requests: Option<u32>,
    /// How criteria make one verdict: `all`, `any`, or a formula such as `errors and (latency or slo)`
    /// [default: all]
    #[arg(long, value_name = "FORMULA", help_heading = "What to ask")]
    pub(crate) combine: Option<Combine>,

    #[command(flatten)]
    pub(crate) timing: TimingSpec,
    /// When the canary got its first request at this percent, as RFC 3339 or `@SECONDS` since 1970 [default: now, by
    /// Prometheus's clock]
    #[arg(long, value_parser = timestamp, value_name = "TIME", help_heading = "Timing")]
    pub(crate) start: Option<Timestamp>,
    /// What becomes of a canary without one request for as long as `--hold` [default: wait]
    #[arg(long, value_name = "POLICY", help_heading = "Timing")]
    pub(crate) on_no_traffic: Option<OnNoTraffic>,
    /// What an inconclusive verdict becomes; never a pass [default: inconclusive]
    #[arg(long, value_name = "VERDICT", help_heading = "Timing")]
    pub(crate) on_inconclusive: Option<OnInconclusive>,

    #[command(flatten)]
    pub(crate) permission: PermissionSpec,
    /// Address of the API server in place of the pod's own, for tests
    #[arg(long, hide = true, value_parser = address)]
    pub(crate) api_server: Option<Url>,
    /// Folder of the service account in place of the pod's own, for tests
    #[arg(long, hide = true)]
    pub(crate) service_account: Option<PathBuf>,

    /// Folder for the evidence: verdict.json, report.html to look at, and record.ndjson; may be given several times
    #[arg(long, value_name = "DIR", help_heading = "Results")]
    pub(crate) report: Vec<PathBuf>,
    /// File that keeps every answer, for `prometheus-gate replay` [default: record.ndjson in each folder of `--report`]
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    pub(crate) record: Option<PathBuf>,
    /// File for the verdict: `pass`, `fail` or `inconclusive`
    #[arg(long)]
    pub(crate) result_verdict: ResultFile,
    /// File for the reason: a word for machines, a colon, a sentence for people
    #[arg(long)]
    pub(crate) result_reason: ResultFile,
}

#[derive(clap::Args)]
pub(crate) struct ServerArgs {
    /// Address of Prometheus, or of anything that answers like it below `/api/v1`
    #[arg(long, value_name = "URL", env = "PROMETHEUS_URL", value_parser = address)]
    pub(crate) prometheus_url: Option<Url>,
    /// Folder like a mounted Secret: `token`, or `username` and `password`; `ca.crt`; `tls.crt` and `tls.key`;
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`. What is there is used, and read again for each
    /// request
    #[arg(long, help_heading = "Access")]
    pub(crate) credentials: Option<SecretFolder>,
    /// Header to send, such as `X-Scope-OrgID: team-a`; may be given several times
    #[arg(long, value_name = "NAME: VALUE", value_parser = header, help_heading = "Access")]
    pub(crate) header: Vec<(HeaderName, HeaderValue)>,
    /// Sign requests for Amazon Managed Service for Prometheus in this region (AWS Signature Version 4), with the keys of
    /// `--credentials`, of the environment or of the pod's role
    #[arg(long, value_name = "REGION", value_parser = region, help_heading = "Access")]
    pub(crate) sigv4_region: Option<String>,
    /// How long one answer may take [default: 10s]
    #[arg(long, value_name = "DURATION", help_heading = "Access")]
    pub(crate) timeout: Option<Length>,
}

const EXAMPLES: &str = "\
Examples:
  No error for five minutes:
    prometheus-gate --prometheus-url http://prometheus:9090 --when 'value == 0' \\
      --query 'sum(increase(errors_total{app=\"shop\"}[1m]))'
  The canary of an InferenceService against the version before it:
    prometheus-gate --prometheus-url http://prometheus:9090 --criteria no-restarts,errors \\
      --namespace models --canary-revision iris-predictor-00002 \\
      --baseline-revision iris-predictor-00001 --start 2026-11-24T12:00:00Z
  The step to 100 % in office hours, once somebody has approved it, such as by
  kubectl annotate lease iris-canary-decision --overwrite kanaria.dev/approve='v2 ada: p99 is fine':
    prometheus-gate --prometheus-url http://prometheus:9090 --criteria no-restarts,errors \\
      --namespace models --canary-revision iris-predictor-00002 \\
      --baseline-revision iris-predictor-00001 --start 2026-11-24T12:00:00Z \\
      --service iris --canary-version v2 --percent 50 --ladder 10,50,100 --decisions \\
      --approval last --windows 'Mon-Fri 09:00-17:00 Europe/Berlin'
  What a gate saw, and a gate's own tests:
    prometheus-gate replay record.ndjson --report evidence
    prometheus-gate replay s3://bentos/releases/iris/v2/models.RUN/record.ndjson.gz --report evidence
    prometheus-gate simulate gate-tests.yaml

Exit codes:
  0 pass   3 fail or inconclusive   1 Prometheus refused   2 the question is wrong   143 stopped";

/// An address of a server.
pub(crate) fn address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    url.ok_or_else(|| "write it like `http://prometheus:9090`".to_owned())
}

pub(crate) fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("write `NAME: VALUE`")?;
    let mut value: HeaderValue =
        value.trim().parse().map_err(|_| "the value has characters that no header can carry")?;
    value.set_sensitive(true);
    secret::keep_header(value.to_str().unwrap_or_default());
    Ok((
        name.trim()
            .parse()
            .map_err(|_| "what is before `:` is not a valid header name".to_owned())?,
        value,
    ))
}

/// An AWS region, which becomes a part of a host name.
pub(crate) fn region(text: &str) -> Result<String, String> {
    let part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_region = text.contains('-') && text.chars().all(part);
    if is_region {
        Ok(text.to_owned())
    } else {
        Err("write a region such as `eu-west-1`".to_owned())
    }
}

fn above_zero(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
    number.ok_or("it has to be a number above 0".to_owned())
}

fn above_one(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number > 1.0);
    number.ok_or("it has to be a number above 1".to_owned())
}

fn chance(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|chance: &f64| *chance > 0.0 && *chance < 1.0)
        .ok_or("it has to be between 0 and 1".to_owned())
}

//! Watches Prometheus and says whether a canary may have more users.

mod condition;
mod criteria;
mod evidence;
mod gate;
mod prometheus;
mod report;
mod samples;
mod spec;
mod verdict;

use std::{fs, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, Result};
use clap::Parser;
use condition::Condition;
use criteria::{ReadyMade, Release};
use gate::{Gate, Question, rfc3339, watch};
use prometheus::{Access, Prometheus, local_clock};
use reqwest::{
    Url,
    header::{HeaderName, HeaderValue},
};
use spec::{CompareTest, Criterion, Ms, SECOND, Test, Timing, ValueTest};
use step::{Failure, Outcome, ResultFile, Terminated, Usage, run_to_safe_point};
use verdict::{Judgement, Reason, Verdict, length};

/// Watch Prometheus until it is clear whether a canary may have more users
///
/// The verdict is `pass` when every criterion held without a break for `--hold`, `fail` when one
/// is proven bad, and `inconclusive` when there was too little to see: no data is never a pass.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Args {
    /// Address of Prometheus, or of anything that answers like it below `/api/v1`
    #[arg(long, value_name = "URL", env = "PROMETHEUS_URL")]
    prometheus_url: Url,

    /// Query that returns one number, such as `sum(rate(errors_total[1m])) / sum(rate(requests_total[1m]))`
    #[arg(long, value_name = "PROMQL", requires = "when", help_heading = "What to ask")]
    query: Option<String>,
    /// What that number has to be: `value <= 0.01`, `value between 1 and 5 or value == 0`
    #[arg(long, value_name = "CONDITION", requires = "query", help_heading = "What to ask")]
    when: Option<Condition>,
    /// Ready-made questions about a canary of KServe, joined by commas [default: no-restarts,errors
    /// where there is no query]
    #[arg(
        long,
        value_name = "NAME,…",
        value_delimiter = ',',
        requires = "canary_revision",
        help_heading = "What to ask"
    )]
    criteria: Vec<ReadyMade>,
    /// The InferenceService, for the log
    #[arg(long, value_name = "NAME", help_heading = "What to ask")]
    service: Option<String>,
    /// The Knative revision that is on trial, such as `iris-predictor-00002`
    #[arg(long, value_name = "REVISION", help_heading = "What to ask")]
    canary_revision: Option<String>,
    /// The Knative revision that it has to be no worse than
    #[arg(long, value_name = "REVISION", help_heading = "What to ask")]
    baseline_revision: Option<String>,
    /// Namespace of both [default: the pod's own]
    #[arg(long, env = "POD_NAMESPACE", help_heading = "What to ask")]
    namespace: Option<String>,
    /// How many times the baseline's share of failed requests is tolerated
    #[arg(long, value_name = "RATIO", default_value_t = 1.25, value_parser = above_zero, help_heading = "What to ask")]
    max_ratio: f64,
    /// Chance of failing a canary that is no worse, however long it is watched; between 0 and 1
    #[arg(long, value_name = "CHANCE", default_value_t = 0.05, value_parser = chance, help_heading = "What to ask")]
    alpha: f64,
    /// Requests to the canary without which `errors` cannot pass
    #[arg(long, value_name = "NUMBER", default_value_t = 50, help_heading = "What to ask")]
    min_requests: u32,

    /// How long everything has to be good without a break
    #[arg(long, default_value = "5m", value_parser = duration, value_name = "DURATION", help_heading = "When")]
    hold: Ms,
    /// When to give up, counted from the start
    #[arg(long, default_value = "30m", value_parser = duration, value_name = "DURATION", help_heading = "When")]
    deadline: Ms,
    /// When the canary got its first user, as RFC 3339 or `@SECONDS` since 1970 [default: now]
    #[arg(long, value_parser = moment, value_name = "TIME", help_heading = "When")]
    start: Option<Ms>,
    /// How long after the start nothing is judged, because a model's first answers are slow
    #[arg(long, default_value = "15s", value_parser = duration, value_name = "DURATION", help_heading = "When")]
    warmup: Ms,
    /// Distance of the points that are judged
    #[arg(long, default_value = "5s", value_parser = duration, value_name = "DURATION", help_heading = "When")]
    step: Ms,
    /// Age at which a point is final: as long as a scrape, a rule or a remote write may take
    #[arg(long, default_value = "10s", value_parser = duration, value_name = "DURATION", help_heading = "When")]
    settle: Ms,
    /// How often to ask
    #[arg(long, default_value = "5s", value_parser = duration, value_name = "DURATION", help_heading = "When")]
    poll: Ms,
    /// How long Prometheus may give no usable answer
    #[arg(long, default_value = "5m", value_parser = duration, value_name = "DURATION", help_heading = "When")]
    max_outage: Ms,

    /// Folder like a mounted Secret: `token`, or `username` and `password`; `ca.crt`; `tls.crt` and
    /// `tls.key`. What is there is used, and read again for each request
    #[arg(long, value_name = "DIR", help_heading = "Access")]
    credentials: Option<PathBuf>,
    /// Header to send, such as `X-Scope-OrgID: team-a`; may be given several times
    #[arg(long, value_name = "NAME: VALUE", value_parser = header, help_heading = "Access")]
    header: Vec<(HeaderName, HeaderValue)>,
    /// How long one answer may take
    #[arg(long, default_value = "10s", value_parser = duration, value_name = "DURATION", help_heading = "Access")]
    timeout: Ms,

    /// Folder for the evidence: verdict.json
    #[arg(long, value_name = "DIR", help_heading = "Results")]
    report: Option<PathBuf>,
    /// File for the verdict: `pass`, `fail` or `inconclusive`
    #[arg(
        long,
        value_name = "FILE",
        default_value_t,
        hide_default_value = true,
        help_heading = "Results"
    )]
    result_verdict: ResultFile,
    /// File for the reason: a word for machines, a colon, a sentence for people
    #[arg(
        long,
        value_name = "FILE",
        default_value_t,
        hide_default_value = true,
        help_heading = "Results"
    )]
    result_reason: ResultFile,
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

Exit codes:
  0 pass   3 fail or inconclusive   1 Prometheus refused   2 the question is wrong   143 stopped";

fn main() -> ExitCode {
    install_crypto();
    run_to_safe_point(judge)
}

/// TLS needs to know whose ciphers to use before the first client is made.
fn install_crypto() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

async fn judge(args: Args, mut terminated: Terminated) -> Result<Outcome> {
    let Args { result_verdict, result_reason, .. } = &args;
    // Killed from here on, it must not read as a pass, and a `finally` task must find a result.
    result_verdict.write("inconclusive")?;
    result_reason.write("unfinished: the gate was stopped before a verdict")?;

    let gate = plan(&args).inspect_err(|error| tell_why(result_reason, error))?;
    let service =
        args.service.as_deref().map(|service| format!(" of {service}")).unwrap_or_default();
    let names: Vec<&str> = gate.questions.iter().map(Question::name).collect();
    tracing::info!(
        "watching {}{service} on {} since {}: hold {}, deadline {}",
        names.join(", "),
        gate.address,
        rfc3339(gate.t0),
        length(gate.timing.hold),
        length(gate.timing.deadline)
    );

    let account =
        watch(gate, &mut terminated).await.inspect_err(|error| tell_why(result_reason, error))?;
    let Judgement { verdict, reason, message, .. } = &account.judgement;
    let told = format!("{reason}: {message}");
    result_verdict.write(verdict.to_string())?;
    result_reason.write(short(&told))?;
    tracing::info!("{verdict}: {told}");
    if let Some(folder) = &args.report {
        report::write(folder, &account)?;
        tracing::info!("the evidence is in `{}`", folder.display());
    }
    Ok(match (reason, verdict) {
        (Reason::Aborted, _) => Outcome::Terminated,
        (_, Verdict::Pass) => Outcome::Done,
        _ => Outcome::No,
    })
}

/// Everything that is wrong with the question is said before the first query.
fn plan(args: &Args) -> Result<Gate> {
    let timing = Timing {
        step: args.step,
        hold: args.hold,
        warmup: args.warmup,
        skew: 2 * SECOND, // clocks of machines that are set by NTP differ by less
        settle: args.settle,
        deadline: args.deadline,
        max_outage: args.max_outage,
    };
    let questions = questions(args)?;
    refuse_impossible(timing, &questions)?;
    let access = Access {
        credentials: args.credentials.clone(),
        headers: args.header.clone(),
        timeout: Duration::from_millis(args.timeout.unsigned_abs()),
    };
    let prometheus = Prometheus::new(args.prometheus_url.clone(), access).with_context(|| Failure {
        what: "failed to prepare for queries".to_owned(),
        hint: "the image has to bring a bundle of certificate authorities, or SSL_CERT_FILE names one".to_owned(),
    })?;
    Ok(Gate {
        prometheus,
        address: shown(&args.prometheus_url),
        timing,
        t0: args.start.unwrap_or_else(local_clock),
        poll: Duration::from_millis(args.poll.unsigned_abs()),
        questions,
    })
}

fn questions(args: &Args) -> Result<Vec<Question>> {
    let mut questions = Vec::new();
    if let (Some(query), Some(when)) = (&args.query, &args.when) {
        questions.push(Question::Asked(asked(query, when)?));
    }
    let mut ready_made = args.criteria.as_slice();
    if questions.is_empty() && ready_made.is_empty() {
        if args.canary_revision.is_none() {
            let hint =
                "give `--query` and `--when`, or `--canary-revision` and `--baseline-revision`"
                    .to_owned();
            return Err(Usage { what: "there is nothing to ask".to_owned(), hint }.into());
        }
        ready_made = &[ReadyMade::NoRestarts, ReadyMade::Errors];
    }
    for question in ready_made {
        questions.push(Question::Open(question.candidates(&release(args, *question)?)));
    }
    Ok(questions)
}

fn asked(query: &str, when: &Condition) -> Result<Criterion> {
    let window = spec::window(query).map_err(|why| Usage {
        what: format!("the query is no PromQL: {why}"),
        hint: "try it in Prometheus's own page".to_owned(),
    })?;
    if let Some(name) = when.names().first() {
        let what =
            format!("`--when` names another criterion, `{name}`, and there is only one query");
        return Err(Usage { what, hint: "compare `value` with a number".to_owned() }.into());
    }
    Ok(Criterion {
        name: "query".to_owned(),
        query: query.to_owned(),
        window,
        coverage: 0.9,
        max_gap: 45 * SECOND,
        unit: String::new(),
        test: Test::Value(ValueTest {
            when: when.clone(),
            fail_limit: None,
            consecutive_fail: Some(12),
        }),
    })
}

fn release(args: &Args, question: ReadyMade) -> Result<Release> {
    let namespace =
        match &args.namespace {
            Some(namespace) => namespace.clone(),
            None => fs::read_to_string(OWN_NAMESPACE).map(|name| name.trim().to_owned()).map_err(
                |_| Usage {
                    what: "the namespace of the revisions is not known".to_owned(),
                    hint: "give it as `--namespace`".to_owned(),
                },
            )?,
        };
    let canary = args.canary_revision.clone().unwrap_or_default();
    let baseline = args.baseline_revision.clone();
    if baseline.is_none() && question == ReadyMade::Errors {
        let what = "`errors` compares the canary with a baseline, and there is none".to_owned();
        return Err(Usage {
            what,
            hint: "give the revision before it as `--baseline-revision`".to_owned(),
        }
        .into());
    }
    Ok(Release {
        namespace,
        canary,
        baseline: baseline.unwrap_or_default(),
        compare: CompareTest {
            max_ratio: args.max_ratio,
            alpha: args.alpha,
            min_requests: f64::from(args.min_requests),
        },
    })
}

/// Where Kubernetes tells a pod its namespace.
const OWN_NAMESPACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// A gate that can never pass says so at once, not at its deadline.
fn refuse_impossible(timing: Timing, questions: &[Question]) -> Result<()> {
    let usage = |what: String, hint: &str| Err(Usage { what, hint: hint.to_owned() }.into());
    if timing.step < SECOND {
        return usage(
            format!("`--step` is {}", length(timing.step)),
            "use 1s or more: no server is scraped more often",
        );
    }
    if timing.hold < timing.step {
        let what = format!("`--hold` is {}, shorter than `--step`", length(timing.hold));
        return usage(what, "one look does not show that something holds: use several steps");
    }
    let window = questions.iter().map(Question::window).max().unwrap_or_default();
    let needed =
        timing.skew + timing.warmup + window + timing.hold + timing.settle + 2 * timing.step;
    if timing.deadline < needed {
        let what = format!("`--deadline` of {} can never be met", length(timing.deadline));
        let hint = format!(
            "warm-up, the query's own window, hold and settling take {} together: use at least that",
            length(needed)
        );
        return usage(what, &hint);
    }
    Ok(())
}

/// An error before or instead of a verdict goes to the result too, where a pipeline reads it.
fn tell_why(result: &ResultFile, error: &anyhow::Error) {
    let _ = result.write(short(&format!("error: {error:#}")));
}

/// A step's results have 4,096 bytes in all, and Tekton's own entries share them.
fn short(text: &str) -> String {
    const LONGEST: usize = 800;
    if text.len() <= LONGEST {
        return text.to_owned();
    }
    let mut end = LONGEST;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

/// An address without the name and password that it may carry.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.as_str().trim_end_matches('/').to_owned()
}

fn duration(text: &str) -> Result<Ms, String> {
    let length = humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write `90s`, `5m` or `1h30m`"))?;
    Ms::try_from(length.as_millis()).map_err(|_| "that is too long".to_owned())
}

/// RFC 3339 with any offset, or `@` and seconds since 1970.
fn moment(text: &str) -> Result<Ms, String> {
    let wrong = || "write RFC 3339 such as `2026-11-24T12:00:00Z`, or `@1795521600`".to_owned();
    if let Some(seconds) = text.strip_prefix('@') {
        return seconds
            .parse()
            .ok()
            .and_then(|seconds: f64| spec::millis(seconds * 1000.0))
            .ok_or_else(wrong);
    }
    let (local, offset) = match text.len().checked_sub(6).and_then(|at| text.split_at_checked(at)) {
        Some((local, offset)) if offset.starts_with(['+', '-']) => {
            (format!("{local}Z"), Some(offset))
        }
        _ => (text.to_owned(), None),
    };
    let since = humantime::parse_rfc3339(&local)
        .map_err(|_| wrong())?
        .duration_since(std::time::UNIX_EPOCH);
    let moment = Ms::try_from(since.map_err(|_| wrong())?.as_millis()).map_err(|_| wrong())?;
    let ahead = match offset.map(|offset| (offset.starts_with('-'), offset[1..].split_once(':'))) {
        None => 0,
        Some((west, Some((hours, minutes)))) => {
            let part = |text: &str| text.parse::<Ms>().map_err(|_| wrong());
            let length = (part(hours)? * 60 + part(minutes)?) * 60 * SECOND;
            if west { -length } else { length }
        }
        Some((_, None)) => return Err(wrong()),
    };
    Ok(moment - ahead)
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("write `NAME: VALUE`")?;
    let mut value: HeaderValue =
        value.trim().parse().map_err(|_| "the value has characters that no header can carry")?;
    value.set_sensitive(true);
    Ok((name.trim().parse().map_err(|_| format!("`{name}` is no header's name"))?, value))
}

fn above_zero(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|number: &f64| number.is_finite() && *number > 0.0)
        .ok_or("it has to be a number above 0".to_owned())
}

fn chance(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|chance: &f64| *chance > 0.0 && *chance < 1.0)
        .ok_or("it has to be between 0 and 1".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_told_in_any_time_zone() {
        let noon = Ok(1_795_521_600_000);
        assert_eq!(moment("2026-11-24T12:00:00Z"), noon);
        assert_eq!(moment("2026-11-24T14:00:00+02:00"), noon);
        assert_eq!(moment("2026-11-24T07:30:00.000-04:30"), noon);
        assert_eq!(moment("@1795521600"), noon);
        for wrong in ["yesterday", "", "2026-11-24", "2026-11-24T12:00:00+2", "@now"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_address_is_shown_without_its_password() {
        assert_eq!(
            shown(&"http://me:secret@prometheus:9090/".parse().unwrap()),
            "http://prometheus:9090"
        );
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        assert!(short(&"ü".repeat(1000)).ends_with("ü…"));
        assert_eq!(short("hold"), "hold");
    }
}

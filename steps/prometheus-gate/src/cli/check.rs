//! Looks for mistakes in a spec before a release has to rest on it.

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use step::{Failure, Outcome, print_line};

use crate::cli::args::ServerArgs;
use crate::cli::resolve::{fill_in, server};
use crate::prometheus::discovery::{existing, labels_there, several, shape};
use crate::prometheus::{client::Prometheus, error::PrometheusError};
use crate::series::Labels;
use crate::spec::file::{parse, spec_text};
use crate::spec::promql::{filters, ranges};
use crate::spec::resolved::{Criterion, ExpectedSeries, Missing, Test, Timing};
use crate::spec::{candidates::Question, criteria::refuse_impossible, rollout::RolloutSpec};
use crate::time::{duration_of, length, local_clock};

/// What was found, in the words of the spec.
#[derive(Debug, PartialEq)]
enum Finding {
    /// With this it cannot work.
    Wrong(String),
    /// With this it may not show what was meant.
    Doubtful(String),
}

pub(crate) async fn check(
    spec: &str,
    server_args: &ServerArgs,
    rollout: &RolloutSpec,
) -> Result<Outcome> {
    let mut file = parse(&spec_text(spec)?)?;
    fill_in(&mut file, rollout);
    let questions = file.questions()?;
    let timing = file.timing();
    refuse_impossible(timing, &questions)?;
    let live = server_args.prometheus_url.is_some() || file.prometheus.url.is_some();
    let server = if live { Some(server(&file, server_args, false)?) } else { None };
    let (mut wrong, mut doubtful) = (0, 0);
    for question in &questions {
        let mut findings = by_itself(question.criterion(), timing);
        if let Some((prometheus, address)) = &server {
            let asked = against(prometheus, question).await;
            findings.extend(asked.with_context(|| Failure {
                what: format!("failed to query Prometheus `{address}`"),
                hint:
                    "the address is `--prometheus-url`, or `prometheus.url` in the spec".to_owned(),
            })?);
        }
        for finding in &findings {
            let name = question.name();
            match finding {
                Finding::Wrong(why) => {
                    wrong += 1;
                    print_line(&format!("wrong     {name}: {why}"))?;
                }
                Finding::Doubtful(why) => {
                    doubtful += 1;
                    print_line(&format!("doubtful  {name}: {why}"))?;
                }
            }
        }
        if findings.is_empty() {
            print_line(&format!("ok        {}", question.name()))?;
        }
    }
    let asked = if live { "" } else { "; give `--prometheus-url` to look at the series too" };
    print_line(&format!(
        "{} criteria, {wrong} wrong, {doubtful} doubtful{asked}",
        questions.len()
    ))?;
    Ok(if wrong == 0 { Outcome::Done } else { Outcome::No })
}

/// What shows without a server.
fn by_itself(criterion: &Criterion, timing: Timing) -> Vec<Finding> {
    let Test::Value(test) = &criterion.test else { return Vec::new() };
    let mut findings = Vec::new();
    let query = &criterion.query;
    if let Some(operator) = filters(query) {
        findings.push(Finding::Doubtful(format!(
            "`{operator}` in the query takes series away, and no series is no data; return the value, or use `{operator} bool`"
        )));
    }
    if query.contains("vector(0)") && test.missing != Missing::Zero {
        findings.push(Finding::Doubtful(
            "`or vector(0)` is 0 without any traffic, too; use `missing: zero` with a `presence` query".to_owned(),
        ));
    }
    let shortest = ranges(query).into_iter().map(|(_, range)| range).min();
    if let Some(range) = shortest.filter(|range| timing.step > *range) {
        findings.push(Finding::Doubtful(format!(
            "points are {} apart, and each looks back {} only: what is between is never seen",
            length(timing.step),
            length(range)
        )));
    }
    findings
}

/// What a server says to it.
async fn against(
    prometheus: &Prometheus,
    question: &Question,
) -> Result<Vec<Finding>, PrometheusError> {
    let now = local_clock() + prometheus.clock_offset().await?;
    let criterion = question.criterion();
    if let Question::Candidates(candidates) = question {
        let Some(candidate) = existing(prometheus, candidates, now).await? else {
            let there = labels_there(prometheus, candidates, now).await?;
            return Ok(vec![Finding::Wrong(there.join("; "))]);
        };
        let doubts = candidate.settled(&shape(prometheus, candidate, now).await?).notes;
        return Ok(doubts.into_iter().map(Finding::Doubtful).collect());
    }
    let answer = match prometheus.instant(&criterion.query, now).await {
        Ok(answer) => answer,
        Err(
            error @ (PrometheusError::Query(_)
            | PrometheusError::Execution(_)
            | PrometheusError::Warned(_)),
        ) => {
            return Ok(vec![Finding::Wrong(error.to_string())]);
        }
        Err(error) => return Err(error),
    };
    let mut findings = Vec::new();
    let series: Vec<&Labels> = answer.series.iter().map(|series| &series.labels).collect();
    if series.is_empty() {
        findings.push(Finding::Wrong(
            "the query gives no series now: is a name or a label wrong?".to_owned(),
        ));
    }
    let one = matches!(&criterion.test, Test::Value(test) if test.series == ExpectedSeries::One);
    if one && series.len() > 1 {
        findings.push(Finding::Wrong(several(&criterion.name, &series).what));
    }
    for (selector, range) in ranges(&criterion.query) {
        findings.extend(scraped_often_enough(prometheus, &selector, range, now).await?);
    }
    Ok(findings)
}

/// A range needs two samples to say anything, and four to go on when a scrape fails.
async fn scraped_often_enough(
    prometheus: &Prometheus,
    selector: &str,
    range: SignedDuration,
    now: Timestamp,
) -> Result<Option<Finding>, PrometheusError> {
    const LOOK: f64 = 600.0;
    let answer = prometheus.instant(&format!("max(count_over_time({selector}[10m]))"), now).await?;
    let count =
        answer.series.first().and_then(|series| series.values.first()).map(|(_, count)| *count);
    let Some(apart) =
        count.filter(|count| *count > 1.0).and_then(|count| duration_of(LOOK / count))
    else {
        return Ok(None);
    };
    let described = format!(
        "`{selector}[…]` looks back {}, and its samples are about {} apart",
        length(range),
        length(apart)
    );
    Ok(if range < apart * 2 {
        Some(Finding::Wrong(format!("{described}: a rate needs two")))
    } else if range < apart * 4 {
        Some(Finding::Doubtful(format!("{described}: one failed scrape leaves a hole")))
    } else {
        None
    })
}

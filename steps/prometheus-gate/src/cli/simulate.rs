//! A team's own tests of its gates: a spec, written series, and the verdict that is expected.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use ladder::Climbed;
use serde::Deserialize;
use step::{Failure, Outcome, print_line, text::without_values};

use crate::cli::promtool_series::{at_points, values};
use crate::judge::verdict::Verdict;
use crate::output::report;
use crate::record::line::{End, Last, QueryKind};
use crate::record::{run::Record, summary::Summary};
use crate::series::{Labels, ROLE, Series};
use crate::spec::file::{SpecFile, parse, usage};
use crate::spec::permission::Permission;
use crate::spec::presets::Preset;
use crate::spec::{criteria::refuse_impossible, resolved::Spec, rollout::Subject};
use crate::time::{Grid, Length, length};

/// A file of tests.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Tests {
    /// The spec, beside this file.
    gate: PathBuf,
    tests: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Case {
    name: String,
    /// Distance of the samples.
    interval: Length,
    /// The rungs of a ladder from the first on; the gate is that of the last.
    #[serde(default)]
    rungs: Vec<Rung>,
    /// For each criterion its values, in promtool's notation; `NAME/ROLE` for one of several series.
    series: BTreeMap<String, String>,
    expect: Expected,
}

/// A rung, and how long after the first it begins.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rung {
    percent: u8,
    after: Length,
}

impl Rung {
    fn start(&self) -> Timestamp {
        let Length(after) = self.after;
        Timestamp::UNIX_EPOCH + after
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Expected {
    verdict: Verdict,
    reason: Option<String>,
    /// How long after the start at most, on a ladder after that of its first rung.
    within: Option<Length>,
}

pub(crate) fn simulate(path: &Path, report: Option<&Path>) -> Result<Outcome> {
    let text = read(path)?;
    let tests: Tests = serde_saphyr::from_str(&text).map_err(|error| {
        let why = without_values(error.to_string().lines().next().unwrap_or_default());
        let what = format!("`{}` cannot be read: {why}", path.display());
        usage(what, "tests are `gate: FILE` and `tests: [{name, interval, series, expect}]`")
    })?;
    let file = parse(&read(&path.with_file_name(&tests.gate))?)?;
    let mut failed = 0;
    for case in &tests.tests {
        let (summary, record) = run(file.clone(), case)?;
        if let Some(folder) = report {
            report::write(&folder.join(&case.name), &summary, &record)?;
        }
        let after = summary.judgement.decided_at.as_duration();
        let described = format!(
            "{} ({}) after {}",
            summary.judgement.verdict,
            summary.judgement.reason,
            length(after)
        );
        match difference(&case.expect, &summary) {
            None => print_line(&format!("ok      {}: {described}", case.name))?,
            Some(difference) => {
                failed += 1;
                let message = &summary.judgement.message;
                print_line(&format!(
                    "FAILED  {}: {difference}, found {described}: {message}",
                    case.name
                ))?;
            }
        }
    }
    print_line(&format!("{} tests, {failed} failed", tests.tests.len()))?;
    Ok(if failed == 0 { Outcome::Done } else { Outcome::No })
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| Failure {
        what: format!("failed to read `{}`", path.display()),
        hint: "name a file that is there; `gate` is looked for beside the tests".to_owned(),
    })
}

fn difference(expected: &Expected, summary: &Summary) -> Option<String> {
    let judgement = &summary.judgement;
    if judgement.verdict != expected.verdict {
        return Some(format!("expected {}", expected.verdict));
    }
    if let Some(reason) =
        expected.reason.as_ref().filter(|reason| **reason != judgement.reason.to_string())
    {
        return Some(format!("expected the reason {reason}"));
    }
    let late =
        expected.within.filter(|Length(within)| judgement.decided_at.as_duration() > *within);
    late.map(|Length(within)| format!("expected it within {}", length(within)))
}

/// The start is second 0; on a ladder that of its first rung.
fn run(mut file: SpecFile, case: &Case) -> Result<(Summary, Record)> {
    name_what_is_compared(&mut file);
    let rollout = &mut file.rollout;
    if let Some((last, below)) = case.rungs.split_last() {
        rollout.climbed = Some(climbed(&case.name, below, last)?);
        rollout.percent = Some(f64::from(last.percent));
    }
    let questions = file.questions()?;
    refuse_impossible(file.timing(), &questions)?;
    let criteria = questions.iter().map(|question| question.criterion().clone()).collect();
    let combine = file.combine.clone().unwrap_or_default();
    let spec = Spec {
        timing: file.timing(),
        rungs: file.rungs(),
        criteria,
        combine,
        policy: file.policy(),
        // Nobody is asked in a simulation.
        permission: Permission::default(),
    };
    for key in case.series.keys() {
        let known =
            |name: &str| part_of(key, name).is_some() || part_of(key, &presence_of(name)).is_some();
        if !spec.criteria.iter().any(|criterion| known(&criterion.name)) {
            let what =
                format!("test `{}` has a series `{key}`, which belongs to no criterion", case.name);
            let hint = "name series after the criteria of the spec, `NAME` or `NAME/ROLE`";
            return Err(usage(what, hint));
        }
    }
    let timing = spec.timing;
    let begun = Timestamp::UNIX_EPOCH;
    let start = case.rungs.last().map_or(begun, Rung::start);
    let now = start + timing.deadline;
    let grid = Grid { from: begun, to: timing.last_final(now), step: timing.step };
    let mut record = Record::new(spec, Subject::from(&file.rollout), start);
    for at in 0..record.spec.criteria.len() {
        let name = record.spec.criteria[at].name.clone();
        record.take(at, QueryKind::Points, grid, &written(case, &name, grid)?);
        record.take(at, QueryKind::Presence, grid, &written(case, &presence_of(&name), grid)?);
        record.take(at, QueryKind::History, Grid { to: begun, ..grid }, &[]);
    }
    let end = End {
        now,
        clock_offset: SignedDuration::ZERO,
        polls: 0,
        queries: 0,
        failing_since: None,
        last: Last::Judged,
        remarks: Vec::new(),
    };
    Ok((record.end(&end), record))
}

/// What presets need to be asked. In written series nothing depends on it.
fn name_what_is_compared(file: &mut SpecFile) {
    let counts_answers =
        file.criteria.iter().any(|criterion| criterion.preset == Some(Preset::Answers));
    let rollout = &mut file.rollout;
    if counts_answers {
        rollout.service.get_or_insert_with(|| "service".to_owned());
        rollout.canary_version.get_or_insert_with(|| "canary".to_owned());
    }
    for (field, name) in [
        (&mut rollout.namespace, "namespace"),
        (&mut rollout.canary_revision, "canary"),
        (&mut rollout.baseline_revision, "baseline"),
    ] {
        field.get_or_insert_with(|| name.to_owned());
    }
}

/// The rungs below the last one, as a gate is told of them.
fn climbed(test: &str, below: &[Rung], last: &Rung) -> Result<Climbed> {
    let written = |rung: &Rung| format!("{}@{}", rung.percent, rung.start());
    let all: Vec<String> = below.iter().chain([last]).map(written).collect();
    let begins = below.first().is_none_or(|first| first.start() == Timestamp::UNIX_EPOCH);
    let parsed: Option<Climbed> = all.join(",").parse().ok().filter(|_| begins);
    let Some(Climbed(mut rungs)) = parsed else {
        let what = format!("the rungs of test `{test}` are not a ladder");
        let hint = "write them like `[{percent: 10, after: 0s}, {percent: 50, after: 5m}]`, each above the one before";
        return Err(usage(what, hint));
    };
    rungs.pop();
    Ok(Climbed(rungs))
}

/// How the series of a criterion's presence query are called.
fn presence_of(name: &str) -> String {
    format!("{name} presence")
}

fn written(case: &Case, name: &str, grid: Grid) -> Result<Vec<Series>> {
    let Length(interval) = case.interval;
    let one = |part: &str, notation: &str| -> Result<Series> {
        let samples = values(notation).map_err(|why| {
            let test = &case.name;
            let what = format!("test `{test}`: the values of `{name}` cannot be read: {why}");
            usage(what, "write them like promtool: `0x20 1 0+1x10 _x3 stale`")
        })?;
        Ok(Series { labels: labels(part), values: at_points(&samples, interval, grid) })
    };
    let own =
        case.series.iter().filter_map(|(key, notation)| Some((part_of(key, name)?, notation)));
    own.map(|(part, notation)| one(part, notation)).collect()
}

/// The part that a series has in a criterion, if it is one of its: empty, or what follows the slash.
fn part_of<'a>(key: &'a str, name: &str) -> Option<&'a str> {
    let rest = key.strip_prefix(name)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

/// `canary_errors`, or `canary_bucket{le="0.25"}`.
fn labels(part: &str) -> Labels {
    let (part, rest) = part.split_once('{').unwrap_or((part, ""));
    let mut labels: Labels = rest
        .trim_end_matches('}')
        .split(',')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().trim_matches('"').to_owned()))
        .collect();
    if !part.is_empty() {
        labels.insert(ROLE.to_owned(), part.to_owned());
    }
    labels
}

/// What came of a spec and written series, 5 s apart, for tests of what is shown of it.
#[cfg(test)]
pub(crate) fn example(spec: &str, series: &[(String, &str)]) -> (Summary, Record) {
    let series =
        series.iter().map(|(name, notation)| (name.clone(), (*notation).to_owned())).collect();
    let expect = Expected { verdict: Verdict::Pass, reason: None, within: None };
    let interval = Length(SignedDuration::from_secs(5));
    let name = "example".to_owned();
    let case = Case { name, interval, rungs: Vec::new(), series, expect };
    parse(spec).and_then(|spec| run(spec, &case)).unwrap_or_else(|error| panic!("{error:#}"))
}

#[cfg(test)]
mod tests;

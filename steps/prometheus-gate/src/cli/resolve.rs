//! From what was typed to a gate that can run. Everything that is wrong with a question is said
//! here, before the first query.

use std::{collections::BTreeMap, fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use reqwest::{
    Url,
    header::{HeaderName, HeaderValue},
};
use step::{Failure, SecretFolder, secret, text};

use crate::cli::args::{ServerArgs, WatchArgs, address, header, region};
use crate::decisions::{api_server::ApiServer, people::People};
use crate::prometheus::{access::Access, client::Prometheus};
use crate::spec::file::{CriterionSpec, SpecFile, parse, spec_text, usage};
use crate::spec::{
    answered::AnswersState,
    criteria::refuse_impossible,
    presets::{self, Preset},
    rollout::{RolloutSpec, Subject},
};
use crate::time::{Length, local_clock, timestamp};
use crate::watch::gate::{Gate, in_the_future};

/// The gate that the flags ask for.
pub(crate) fn resolve(args: &WatchArgs) -> Result<Gate> {
    gate(args, asked(args)?)
}

/// The spec that the flags name, or what they ask by themselves.
pub(crate) fn asked(args: &WatchArgs) -> Result<SpecFile> {
    match &args.spec {
        Some(spec) => parse(&spec_text(spec)?),
        None => Ok(from_flags(args)),
    }
}

/// The gate of a spec, with the flags that go before it.
pub(crate) fn gate(args: &WatchArgs, mut file: SpecFile) -> Result<Gate> {
    overlay(&mut file, args);
    let note = args.answers.as_ref().and_then(|state| file.heed(state));
    if note.is_some() && file.criteria.is_empty() {
        // Answers alone were asked for, and nobody counts them: what is asked by default is left.
        file.criteria = of_presets(&presets::DEFAULT, args);
    }
    fill_in(&mut file, &args.rollout);
    if file.criteria.is_empty() {
        let hint = "give `--query` and `--when`, or `--canary-revision` and `--baseline-revision`";
        return Err(usage("there is nothing to ask", hint));
    }
    let questions = file.questions()?;
    let timing = file.timing();
    refuse_impossible(timing, &questions)?;
    let permission = file.permission.at(file.rollout.percent, file.rollout.ladder.as_ref())?;
    let (prometheus, address) =
        server(&file, &args.server, args.record.is_some() || !args.report.is_empty())?;
    Ok(Gate {
        prometheus,
        address,
        timing,
        rungs: file.rungs(),
        combine: file.combine.clone().unwrap_or_default(),
        policy: file.policy(),
        start: started(&file, args.start)?,
        poll: file.timing.poll.map_or(Duration::from_secs(5), |Length(poll)| poll.unsigned_abs()),
        questions,
        subject: Subject { notes: note.into_iter().collect(), ..Subject::from(&file.rollout) },
        permission,
        people: people(args, &file),
        reports: args.report.clone(),
        records: match &args.record {
            Some(file) => vec![file.clone()],
            None => args.report.iter().map(|folder| folder.join("record.ndjson")).collect(),
        },
    })
}

/// The criteria that flags ask for.
fn from_flags(args: &WatchArgs) -> SpecFile {
    let mut criteria = Vec::new();
    if let (Some(query), Some(when)) = (&args.query, &args.when) {
        criteria.push(CriterionSpec {
            name: Some("query".to_owned()),
            query: Some(query.clone()),
            when: Some(when.clone()),
            ..CriterionSpec::default()
        });
    }
    let mut presets = args.criteria.clone();
    if presets.is_empty() && criteria.is_empty() && args.rollout.canary_revision.is_some() {
        presets = presets::DEFAULT.to_vec();
        if args.answers.as_ref().is_some_and(AnswersState::is_counted) {
            presets.push(Preset::Answers);
        }
    }
    criteria.extend(of_presets(&presets, args));
    SpecFile { criteria, ..SpecFile::default() }
}

fn of_presets(presets: &[Preset], args: &WatchArgs) -> Vec<CriterionSpec> {
    let criterion = |preset: &Preset| CriterionSpec {
        preset: Some(*preset),
        max_ratio: if *preset == Preset::Answers { args.max_answer_ratio } else { args.max_ratio },
        least_share: args.least_answer_share,
        min_requests: args.min_requests,
        objective: args.objective,
        rejection_codes: args.rejection_codes.clone(),
        ..CriterionSpec::default()
    };
    presets.iter().map(criterion).collect()
}

/// Flags go before what a file says.
fn overlay(file: &mut SpecFile, args: &WatchArgs) {
    file.timing = args.timing.or(file.timing);
    file.alpha = args.alpha.or(file.alpha);
    file.combine = args.combine.clone().or(file.combine.take());
    file.on_no_traffic = args.on_no_traffic.unwrap_or(file.on_no_traffic);
    file.on_inconclusive = args.on_inconclusive.unwrap_or(file.on_inconclusive);
    file.permission = args.permission.clone().or(std::mem::take(&mut file.permission));
}

/// The canary and its baseline, by the flags, the file, and the pod that it runs in.
pub(crate) fn fill_in(file: &mut SpecFile, flags: &RolloutSpec) {
    /// Where Kubernetes tells a pod its namespace.
    const OWN_NAMESPACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
    let rollout = &mut file.rollout;
    overlay_rollout(rollout, flags);
    if rollout.namespace.is_none() {
        rollout.namespace =
            fs::read_to_string(OWN_NAMESPACE).ok().map(|name| name.trim().to_owned());
    }
}

/// Whoever may decide about the release, where they are heeded.
fn people(args: &WatchArgs, file: &SpecFile) -> Option<People> {
    let server = || ApiServer::new(args.api_server.clone(), args.service_account.clone());
    file.permission.decisions.then(|| People::new(server(), &Subject::from(&file.rollout)))
}

/// The client, and the server's address for people.
pub(crate) fn server(
    file: &SpecFile,
    flags: &ServerArgs,
    keeps_bodies: bool,
) -> Result<(Prometheus, String)> {
    let url = url(file, flags)?;
    let mut headers = headers(&file.prometheus.headers)?;
    headers.extend(flags.header.iter().cloned());
    let timeout = flags.timeout.or(file.prometheus.timeout);
    let in_file = file.prometheus.credentials.clone().map(PathBuf::into_os_string);
    let access = Access {
        credentials: flags.credentials.clone().or_else(|| in_file.map(SecretFolder::from)),
        headers: headers.into_iter().collect(),
        sigv4_region: sigv4_region(file, flags)?,
        keeps_bodies,
        timeout: timeout.map_or(Duration::from_secs(10), |Length(timeout)| timeout.unsigned_abs()),
    };
    secret::keep_address(url.as_str());
    let address = text::address(url.as_str().trim_end_matches('/'));
    let prometheus = Prometheus::new(url, access).with_context(|| Failure {
        what: "failed to prepare for queries".to_owned(),
        hint:
            "the image has to bring a bundle of certificate authorities, or SSL_CERT_FILE names one"
                .to_owned(),
    })?;
    Ok((prometheus, address))
}

/// Whom it asks.
pub(crate) fn url(file: &SpecFile, flags: &ServerArgs) -> Result<Url> {
    let written = file.prometheus.url.as_ref().map(|url| {
        address(url).map_err(|hint| usage("`prometheus.url` is not a valid address", &hint))
    });
    match (&flags.prometheus_url, written.transpose()?) {
        (Some(url), _) => Ok(url.clone()),
        (None, Some(url)) => Ok(url),
        (None, None) => {
            let hint = "give it as `--prometheus-url`, or in the variable PROMETHEUS_URL";
            Err(usage("the address of Prometheus is not known", hint))
        }
    }
}

fn sigv4_region(file: &SpecFile, flags: &ServerArgs) -> Result<Option<String>> {
    match (&flags.sigv4_region, &file.prometheus.sigv4_region) {
        (None, Some(text)) => {
            let what = format!("`prometheus.sigv4Region` is `{text}`, which is not a valid region");
            region(text).map(Some).map_err(|hint| usage(what, &hint))
        }
        (flag, _) => Ok(flag.clone()),
    }
}

fn headers(written: &BTreeMap<String, String>) -> Result<Vec<(HeaderName, HeaderValue)>> {
    let one = |(name, value): (&String, &String)| {
        let wrong = |why| usage(format!("header `{name}` cannot be sent: {why}"), "");
        header(&format!("{name}: {value}")).map_err(wrong)
    };
    written.iter().map(one).collect()
}

/// When the canary got its first request, as far as somebody says so. Whether that is to come is
/// for the server's clock to tell; what is far off by any clock is refused before it is asked.
fn started(file: &SpecFile, flag: Option<Timestamp>) -> Result<Option<Timestamp>> {
    let start = match (flag, &file.rollout.start) {
        (None, Some(text)) => Some(timestamp(text).map_err(|hint| {
            usage(format!("`rollout.start` is `{text}`, which is not a valid time"), &hint)
        })?),
        (flag, _) => flag,
    };
    let latest = local_clock() + SignedDuration::from_hours(1);
    let last_climbed = file.rollout.climbed.as_ref().and_then(|climbed| climbed.0.last());
    if let Some(rung) =
        last_climbed.filter(|rung| start.is_none_or(|start| start < rung.started_at))
    {
        let what = format!("this rung is said to begin before the one at {} %", rung.percent);
        let hint = "give the moment at which the canary got its first request at this percent as `--start`, and the rungs before it as `--climbed`";
        return Err(usage(what, hint));
    }
    match start {
        Some(start) if start > latest => Err(in_the_future(start)),
        start => Ok(start),
    }
}

/// Flags override what a file says of the rollout.
fn overlay_rollout(rollout: &mut RolloutSpec, flags: &RolloutSpec) {
    for (flag, field) in [
        (&flags.service, &mut rollout.service),
        (&flags.namespace, &mut rollout.namespace),
        (&flags.canary_revision, &mut rollout.canary_revision),
        (&flags.baseline_revision, &mut rollout.baseline_revision),
        (&flags.canary_image, &mut rollout.canary_image),
        (&flags.baseline_image, &mut rollout.baseline_image),
        (&flags.canary_version, &mut rollout.canary_version),
        (&flags.baseline_version, &mut rollout.baseline_version),
        (&flags.run, &mut rollout.run),
    ] {
        if flag.is_some() {
            field.clone_from(flag);
        }
    }
    rollout.percent = flags.percent.or(rollout.percent);
    rollout.climbed = flags.climbed.clone().or(rollout.climbed.take());
    rollout.ladder = flags.ladder.clone().or(rollout.ladder.take());
}

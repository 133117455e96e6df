//! What `canary-promote` does next, from what it sees.

use std::{fmt, time::Duration};

use anyhow::{Result, bail};
use inference_service::{Guarded, Live, Next, Seen};
use step::Failure;

#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The revision to promote
    pub(crate) canary: String,
    /// Percents on the way, in any order
    pub(crate) ladder: Vec<u8>,
    /// Time on each of them
    pub(crate) pause: Duration,
}

/// The canary serves all requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended;

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the canary serves all requests")
    }
}

pub(crate) fn next(asked: &Asked, seen: &Seen) -> Result<Next<Ended>> {
    let canary = asked.canary.as_str();
    if seen.service.is_none() {
        bail!(refusal(asked, seen, "there is no such service"));
    }
    if seen.latest() != canary {
        bail!(refusal(asked, seen, &format!("the latest revision is `{}`", seen.latest())));
    }
    if !seen.is_latest_of_spec() {
        let image = seen.image().unwrap_or_default();
        bail!(refusal(
            asked,
            seen,
            &format!("the service asks for another image by now, `{image}`")
        ));
    }
    match (seen.percent(), seen.live()) {
        (None, _) if seen.stable() == Some(canary) => Ok(Next::Done(Ended)),
        (Some(100..), _) => Ok(Next::Patch(Guarded::without_percent(seen))),
        (Some(0), _) => {
            bail!(refusal(asked, seen, "it has 0 %: it was taken back, or its release did not end"))
        }
        (Some(_), Some(live)) => Ok(climb(asked, seen, live)),
        (None, _) | (Some(_), None) => Ok(Next::Wait(waiting(seen)?)),
    }
}

/// Whether another revision or image than the one that was judged is there by now
pub(crate) fn is_changed(asked: &Asked, seen: &Seen) -> bool {
    seen.service.is_some() && (seen.latest() != asked.canary || !seen.is_latest_of_spec())
}

/// The next percent of the ladder, or all.
fn climb(asked: &Asked, seen: &Seen, Live { percent, .. }: Live) -> Next<Ended> {
    if seen.patches > 0 && seen.waited < asked.pause {
        return Next::Wait(format!(
            "{}: stay at {percent} % for {} s",
            seen.full_name(),
            asked.pause.as_secs()
        ));
    }
    match asked.ladder.iter().copied().filter(|rung| *rung > percent).min() {
        Some(rung) => Next::Patch(Guarded::percent(seen, rung)),
        // Not 100: that would stay in the spec, and the next image would inherit it.
        None => Next::Patch(Guarded::without_percent(seen)),
    }
}

fn waiting(seen: &Seen) -> Result<String> {
    seen.waiting_for("canary").map_err(|diagnosis| {
        let what = format!(
            "failed to promote `{}` of `{}`: {}",
            seen.latest(),
            seen.full_name(),
            diagnosis.why
        );
        Failure { what, hint: "canary-rollback takes it back".into() }.into()
    })
}

fn refusal(asked: &Asked, seen: &Seen, why: &str) -> Failure {
    Failure {
        what: format!("failed to promote `{}` of `{}`: {why}", asked.canary, seen.full_name()),
        hint: "only the revision that was judged is promoted: release again with canary-create"
            .into(),
    }
}

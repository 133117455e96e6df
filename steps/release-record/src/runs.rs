//! Keeps the runs that have ended, and deletes what has been kept for long enough.

use std::time::SystemTime;

use anyhow::Result;
use bento_retrieve::request::{access, location};
use inference_service::connect;
use release_record::{
    kept::Kept,
    key::{KeptFile, RunKey},
};
use step::{Outcome, print_line};
use tokio::time::timeout;

use crate::{
    args::{RunsArgs, too_slow},
    cluster::{ended_runs, with_tasks},
    plan::Plan,
};

pub(crate) async fn runs(args: RunsArgs) -> Result<Outcome> {
    let Some(releases) = args.releases.clone() else {
        tracing::info!("nothing is kept: `releases` names no store");
        return Ok(Outcome::Done);
    };
    let within = args.timeout;
    let done = timeout(within, keep_and_delete(args, releases)).await;
    done.unwrap_or_else(|_| Err(too_slow(within))).map(|()| Outcome::Done)
}

/// One that cannot be kept holds up no other; the first error is told at the end.
async fn keep_and_delete(args: RunsArgs, releases: String) -> Result<()> {
    let RunsArgs { retention, namespace, dry_run, timeout, patience, access: reach, .. } = args;
    let retries = patience.within(timeout);
    let place = location("releases", &releases)?;
    let store = Kept::new(place, &access(&reach, retries).await?, retries.policy()).await;
    let kept = store.runs().await?;
    let client = connect().await?;
    let namespace = namespace.unwrap_or_else(|| client.default_namespace().to_owned());
    let plan = Plan { namespace: &namespace, kept: &kept, retention, now: SystemTime::now() };
    let missing = ended_runs(&client, &namespace, |run| plan.is_missing(run)).await?;
    let (mut written, mut deleted, mut failed) = (0, 0, None);
    for run in missing {
        let run = with_tasks(&client, run).await?;
        let key = RunKey::of(&run);
        if !plan.is_settled(&run) {
            tracing::info!("`{}` waits for its last task", key.folder());
        } else if dry_run {
            print_line(&format!("would keep   {}", key.folder()))?;
        } else {
            match store.put(&key, KeptFile::Run, run.to_json()?.into()).await {
                Ok(()) => written += 1,
                Err(error) => drop(failed.get_or_insert(error)),
            }
        }
    }
    for key in plan.too_old() {
        if dry_run {
            print_line(&format!("would delete {}", key.folder()))?;
        } else {
            match store.delete(key).await {
                Ok(()) => deleted += 1,
                Err(error) => drop(failed.get_or_insert(error)),
            }
        }
    }
    if !dry_run {
        tracing::info!("kept {written} runs, deleted {deleted}, in `{}`", store.location());
    }
    failed.map_or(Ok(()), Err)
}

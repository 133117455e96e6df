//! One release from its begin to its end.

use std::{collections::BTreeSet, future, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use bento_retrieve::request::Output;
use clap::Parser;
use jiff::Timestamp;
use release_record::release::Outcome as Ending;
use step::{Failure, Outcome, Terminated, Usage, print};
use tokio::{
    sync::watch::Receiver,
    time::{Instant, sleep, timeout},
};

use crate::{
    interest::Interest,
    known::{Known, Source},
    options::Options,
    sources::{Sources, start},
    terminal::{
        args::{WatchArgs, refuse_surplus},
        follow::{Event, Followed},
        json,
        show::{Shown, names},
        timeline::Timeline,
    },
};

/// How often one looks without being told of a change: what goes on for long is told again now and then.
const LOOK: Duration = Duration::from_secs(1);

/// What is read first, before it is known what there is.
const FIRST: Duration = Duration::from_secs(30);

/// A release that is not shown for so long is gone: lists that are read anew are whole again within it.
const GONE: Duration = Duration::from_secs(10);

/// Follows a release of a service, and tells how it ended.
pub async fn watch(args: WatchArgs, mut terminated: Terminated) -> Result<Outcome> {
    let WatchArgs { service, surplus, namespace, version, output, timeout: limit } = args;
    refuse_surplus(
        &surplus,
        "`watch` follows one service",
        "write `watch SERVICE`, with `--version VERSION` for the release of one version; `list` shows all services",
    )?;
    let sources = start(of_cluster(namespace.into_iter().collect())?).await?;
    let told = async {
        let first = first_picture(&mut sources.known.clone(), FIRST).await?;
        for sentence in &first.missing {
            tracing::warn!("{sentence}");
        }
        let service = service.map_or_else(|| only_service(&first), Ok)?;
        let followed = tell(Follower::new(sources, &service, version.as_deref()), output);
        within(limit, &service, followed).await
    };
    tokio::select! {
        ending = told => Ok(match ending? {
            Ending::Promoted => Outcome::Done,
            _ => Outcome::No,
        }),
        () = terminated.wait() => Ok(Outcome::Terminated),
    }
}

/// What happens to a release, as it happens.
pub struct Follower {
    known: Receiver<Arc<Known>>,
    interest: Interest,
    followed: Followed,
    missed_since: Option<Instant>,
    ending: Option<Ending>,
}

impl Follower {
    /// Of the newest release of a service that has not ended, or else the next one; of a version that is named
    /// also one that has ended.
    pub fn new(sources: Sources, service: &str, version: Option<&str>) -> Self {
        let Sources { mut known, interest, .. } = sources;
        known.mark_changed();
        let followed = Followed::new(service, version);
        Self { known, interest, followed, missed_since: None, ending: None }
    }

    /// What is new; nothing after a second in which nothing was. None when the release has ended and all of
    /// it was told.
    pub async fn next(&mut self) -> Result<Option<Vec<Event>>> {
        if self.ending.is_some() {
            return Ok(None);
        }
        if let Ok(changed) = timeout(LOOK, self.known.changed()).await {
            changed.context("failed to watch the cluster: what reads it has ended")?;
        }
        let known = Arc::clone(&self.known.borrow_and_update());
        let events = self.followed.changes(&known);
        for event in &events {
            if let Event::Ended(release) = event {
                self.ending = Some(release.outcome);
            }
        }
        if let Some(release) = self.followed.release(&known) {
            self.interest.look(&release.namespace, &release.service);
        }
        self.missed_since =
            self.followed.is_gone(&known).then(|| self.missed_since.unwrap_or_else(Instant::now));
        if self.missed_since.is_some_and(|since| since.elapsed() >= GONE) {
            return Err(Failure {
                what: "failed to see the end of the release: its runs are not there any more"
                    .into(),
                hint:
                    "somebody has deleted them; `release-page list` shows what the service has now"
                        .into(),
            }
            .into());
        }
        Ok(Some(events))
    }

    /// How it ended, once it has.
    pub const fn ending(&self) -> Option<Ending> {
        self.ending
    }
}

async fn tell(mut follower: Follower, output: Output) -> Result<Ending> {
    let (mut timeline, mut shown) = (Timeline::default(), Shown::default());
    while let Some(events) = follower.next().await? {
        for event in events {
            match output {
                Output::Text => shown.show(&mut timeline, event, Timestamp::now()),
                Output::Json => print(json::line(&event))?,
            }
        }
        shown.refresh(&mut timeline);
    }
    follower.ending().context("failed to see how the release ended")
}

async fn within<T>(
    limit: Option<Duration>,
    service: &str,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let over = async {
        match limit {
            Some(limit) => sleep(limit).await,
            None => future::pending().await,
        }
    };
    tokio::select! {
        done = work => done,
        () = over => Err(Failure {
            what: format!("failed to see the end of a release of `{service}` within `--timeout`"),
            hint: "watch it again, or with a longer `--timeout`: a release goes on by itself, and may not have begun".into(),
        }
        .into()),
    }
}

/// The cluster alone, as the environment has it: what the store keeps is of releases that have ended.
pub fn of_cluster(namespaces: Vec<String>) -> Result<Options> {
    #[derive(Parser)]
    struct Environment {
        #[command(flatten)]
        options: Options,
    }
    let Environment { options } = step::parse(["release-page"]).map_err(|_| Failure {
        what: "failed to read the environment".into(),
        hint: "`release-page list --help` names the variables, and what their values have to be"
            .into(),
    })?;
    Ok(Options { namespaces, all_namespaces: false, store: None, releases: None, ..options })
}

/// What the cluster has, once all of it was read. An API server that is away is told of, and waited for.
async fn first_picture(known: &mut Receiver<Arc<Known>>, limit: Duration) -> Result<Arc<Known>> {
    let ended = || "failed to read the cluster: what reads it has ended";
    let is_loading = |known: &Known| known.api_server == Source::Loading;
    let read = timeout(limit, async {
        let source = known.wait_for(|known| !is_loading(known)).await?.api_server.clone();
        if let Source::Away { error, .. } = source {
            tracing::warn!("the API server is away, and is asked again: {error}");
        }
        let read = known.wait_for(|known| known.api_server == Source::Current).await?;
        anyhow::Ok(Arc::clone(&read))
    });
    match read.await {
        Ok(read) => read.with_context(ended),
        Err(_) => Err(unread(&known.borrow().api_server, limit).into()),
    }
}

/// That the API server was not read in time, and why.
pub(crate) fn unread(api_server: &Source, limit: Duration) -> Failure {
    let why = match api_server {
        Source::Away { error, .. } => format!(": {error}"),
        _ => String::new(),
    };
    Failure {
        what: format!("failed to read all of the API server's lists within {} s{why}", limit.as_secs()),
        hint: "at a terminal, let KUBECONFIG name a file with which `kubectl get inferenceservices,pipelineruns` works; in a pod, set the serviceAccount `release-page`".into(),
    }
}

/// The service that needs no name.
fn only_service(known: &Known) -> Result<String> {
    let services = known.services.iter().map(|service| service.name.clone());
    let begin = known.releases.iter().filter(|release| release.outcome == Ending::Underway);
    let all: BTreeSet<_> = services.chain(begin.map(|release| release.service.clone())).collect();
    let all: Vec<_> = all.into_iter().collect();
    match &all[..] {
        [only] => Ok(only.clone()),
        [] => Err(Failure {
            what: "failed to find a service to watch: the namespace has none".into(),
            hint:
                "name the service, whose first release is then waited for, or another `--namespace`"
                    .into(),
        }
        .into()),
        several => Err(Usage {
            what: format!("the namespace has {} services, and none was named", several.len()),
            hint: format!("name one: {}", names(several)),
        }
        .into()),
    }
}

#[cfg(test)]
mod tests;

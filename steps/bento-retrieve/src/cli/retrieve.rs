//! Gets a bento and unpacks it.

use std::{
    path::{Path, PathBuf, absolute},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use anyhow::{Context, Error, Result};
use bento_retrieve::{
    archive::{ArchiveError, UnpackThread, Unpacked},
    bento::{
        Bento, Tag,
        dockerfile::{Unsupported, ca_bundle},
    },
    destination::{Destination, Receipt, Staging},
    download::{Download, PipeWriter, Received, RetryPolicy, pipe},
    progress::Progress,
    size::Size,
    source::{Access, SourceError, Store},
};
use step::{Failure, Outcome, Terminated, Usage};
use tokio::time::{Instant, sleep, timeout_at};

use crate::cli::{
    args::RetrieveArgs,
    hints,
    list::newest,
    origin::{Origin, access, find},
    progress,
};

/// What will be done, once the words make sense.
struct Plan {
    origin: Origin,
    access: Access,
    into: PathBuf,
    args: RetrieveArgs,
}

pub(crate) async fn retrieve(args: RetrieveArgs, mut terminated: Terminated) -> Result<Outcome> {
    let plan = plan(args).await?;
    if let Some(tag) = plan.args.bento.as_ref().filter(|tag| tag.is_latest()) {
        return Err(latest(tag, &plan).await);
    }
    let destination = Destination::new(&plan.into).map_err(hints::destination)?;
    let wanted = plan.args.bento.as_ref().map(ToString::to_string);
    let there = destination.receipt(
        wanted.as_deref(),
        plan.args.sha256.as_deref(),
        &plan.origin.to_string(),
    );
    if let Some(receipt) = there.map_err(hints::destination)? {
        tracing::info!("`{}` holds {} already", plan.into.display(), receipt.bento);
        report(&plan, &receipt)?;
        return Ok(Outcome::Done);
    }

    let mut attempts = Attempts {
        until: Instant::now() + plan.args.retries.timeout,
        started_over: 0,
        wait: Duration::ZERO,
        connections: plan.args.limits.connections,
        ended_at: None,
    };
    let (staging, (received, unpacked)) = loop {
        let staging = destination.stage().map_err(hints::destination)?;
        match attempts.next(&plan, &staging, &mut terminated).await {
            Ok(Some(came)) => break (staging, came),
            Ok(None) => {
                tracing::warn!(
                    "stopped by a signal; nothing is left behind, run it again to start over"
                );
                return Ok(Outcome::Terminated);
            }
            Err(error) if attempts.may_start_over(&error, plan.args.retries.policy()) => {}
            Err(error) => return Err(error),
        }
    };

    let (bento, receipt) = inspect(&plan, &staging, received, unpacked)?;
    destination.commit(staging, &bento.root, &receipt).map_err(hints::destination)?;
    let (files, size) = (receipt.files, Size(receipt.bytes));
    tracing::info!("unpacked {} into `{}`: {files} files, {size}", bento.tag, plan.into.display());
    report(&plan, &receipt)?;
    Ok(Outcome::Done)
}

/// `latest` where one bento has to be named, and which one that would be today.
async fn latest(tag: &Tag, plan: &Plan) -> Error {
    let mut hint =
        "name the version, so that the same run brings the same model tomorrow".to_owned();
    if let Origin::Store(location) = &plan.origin {
        let store = Store::new(location.clone(), &plan.access).await;
        // Asked once: the answer is a courtesy.
        let once = RetryPolicy { retries: 0, ..plan.args.retries.policy() };
        if let Ok((_, details)) = newest(&store, tag, once).await {
            hint = format!("{hint}: today the newest is `{}`", details.bento);
        }
    }
    Usage { what: format!("`{tag}` is not one bento but whichever is the newest"), hint }.into()
}

async fn plan(mut args: RetrieveArgs) -> Result<Plan> {
    let access = self::access(&args.access, args.retries).await?;
    let origin = Origin::new(args.store.take(), args.from.take(), &access)?;
    let into = args.into.take().unwrap_or_default(); // clap has seen to it that there is one
    Ok(Plan { origin, access, into, args })
}

/// Attempts that begin at the archive's first byte. There is more than one only where the server cannot send the rest of
/// what was cut; the files of the one before are gone by then.
struct Attempts {
    until: Instant,
    started_over: usize,
    /// Before the next one
    wait: Duration,
    connections: usize,
    /// Where an archive without a length has ended too early. When it does so twice, that is all there is
    ended_at: Option<u64>,
}

impl Attempts {
    /// Gets the archive into the staging folder. `None` when a signal has ended it.
    async fn next(
        &mut self,
        plan: &Plan,
        staging: &Staging,
        terminated: &mut Terminated,
    ) -> Result<Option<(Received, Unpacked)>> {
        let (writer, reader) = pipe();
        let progress = Arc::new(Progress::default());
        let mut unpack_thread = UnpackThread::start(
            reader,
            staging.path(),
            plan.args.limits.limits(),
            Arc::clone(&progress),
        );
        let (until, wait) = (self.until, self.wait);
        let fetched = async {
            sleep(wait).await;
            fetch(plan, self, writer, &mut unpack_thread, &progress).await
        };
        let fetched = tokio::select! {
            fetched = timeout_at(until, fetched) => Some(fetched),
            () = terminated.wait() => None,
        };
        unpack_thread.stop().await; // before the staging folder is removed
        fetched
            .map(|fetched| {
                fetched.unwrap_or_else(|_| Err(hints::too_slow(plan.args.retries.timeout)))
            })
            .transpose()
    }

    /// Without a length, an end that comes too early is taken for a cut, unless it came at the same byte before.
    fn cut_at(&mut self, byte: u64) -> Option<SourceError> {
        (self.ended_at.replace(byte) != Some(byte)).then_some(SourceError::CannotResume(byte))
    }

    fn may_start_over(&mut self, error: &Error, retries: RetryPolicy) -> bool {
        let Some(error @ SourceError::CannotResume(_)) = error.downcast_ref() else { return false };
        let Some(wait) = retries.waits().nth(self.started_over) else { return false };
        tracing::info!("{error}; starting over");
        self.started_over += 1;
        self.wait = wait;
        self.connections = 1; // parts are what it cannot send
        true
    }
}

/// Finds the archive and reads it to its end, through the pipe that is unpacked from.
async fn fetch(
    plan: &Plan,
    attempts: &mut Attempts,
    pipe: PipeWriter,
    unpack_thread: &mut UnpackThread,
    progress: &Progress,
) -> Result<(Received, Unpacked)> {
    let (source, opened) =
        find(&plan.origin, plan.args.bento.as_ref(), &plan.access, plan.args.retries.policy())
            .await?;
    let what = format!("failed to retrieve `{source}`");
    let size = opened.total.map(|total| format!(", {}", Size(total))).unwrap_or_default();
    tracing::info!("retrieving {source}{size}");
    let total = opened.total;
    let download = Download::new(
        &source,
        opened,
        plan.args.retries.policy(),
        attempts.connections,
        pipe,
        progress,
    );
    let downloading = download.run(plan.args.sha256.as_deref());
    let work = async { (downloading.await, unpack_thread.ended().await) };
    let (received, unpacked) = progress::beside(work, progress, total).await;
    match (unpacked, received) {
        (Ok(unpacked), Ok(Some(received))) => Ok((received, unpacked)),
        (Err(ArchiveError::Input) | Ok(_), Err(error)) => Err(hints::source(error, what)),
        (Err(error), _) => {
            let may_be_cut = matches!(error, ArchiveError::Truncated) && total.is_none();
            match may_be_cut
                .then(|| attempts.cut_at(progress.fetched.load(Ordering::Relaxed)))
                .flatten()
            {
                Some(cut) => Err(hints::source(cut, what)),
                None => Err(hints::archive(error, format!("failed to unpack `{source}`"))),
            }
        }
        (Ok(_), Ok(None)) => Err(hints::archive(ArchiveError::Input, what)),
    }
}

/// What lies in the staging folder is a bento, whole, and the one that was asked for.
fn inspect(
    plan: &Plan,
    staging: &Staging,
    received: Received,
    unpacked: Unpacked,
) -> Result<(Bento, Receipt)> {
    let what = || format!("failed to read `{}` as a bento", plan.origin);
    let bento = Bento::find(staging.path()).map_err(|error| hints::bento(error, what()))?;
    if let Some(wanted) = plan.args.bento.as_ref().filter(|wanted| **wanted != bento.tag) {
        return Err(Failure {
            what: format!(
                "failed to retrieve the bento `{wanted}`: the manifest says `{}`",
                bento.tag
            ),
            hint: "the archive lies under a wrong name; export it again, or ask for what it is"
                .into(),
        }
        .into());
    }
    for warning in &bento.warnings {
        tracing::warn!("{warning}");
    }
    let stops = |one: &&Unsupported| plan.args.builder.is_some_and(|builder| one.stops(builder));
    let stop = bento.unsupported.iter().find(stops);
    for unsupported in bento.unsupported.iter().filter(|one| Some(*one) != stop) {
        tracing::warn!("{unsupported}");
    }
    if let Some(unsupported) = stop {
        return Err(hints::unsupported(unsupported, &bento.tag));
    }
    let receipt = Receipt {
        bento: bento.tag.to_string(),
        from: plan.origin.to_string(),
        sha256: received.sha256,
        dockerfile: bento.dockerfile.into(),
        files: unpacked.files,
        bytes: unpacked.bytes,
    };
    Ok((bento, receipt))
}

fn report(plan: &Plan, receipt: &Receipt) -> Result<()> {
    let tag: Option<Tag> = receipt.bento.parse().ok();
    let image = plan.args.image.as_ref().zip(tag).map(|(repository, tag)| repository.image(&tag));
    let results = &plan.args.results;
    results.result_bento.write(&receipt.bento)?;
    results.result_sha256.write(&receipt.sha256)?;
    results.result_context.write(plan.into.to_string_lossy())?;
    results.result_dockerfile.write(dockerfile(plan, receipt)?)?;
    results.result_image_url.write(image.unwrap_or_default())?;
    tracing::info!("sha256 {}", receipt.sha256);
    Ok(())
}

/// The CA certificates that this step itself trusts.
const CA_CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The Dockerfile to build with: the bento's, or a copy whose commands trust the site's CA certificates.
fn dockerfile(plan: &Plan, receipt: &Receipt) -> Result<String> {
    let failed = || {
        Failure {
        what: "failed to let the Dockerfile's commands trust `ca.crt`".into(),
        hint: "`ca.crt` of the Secret that `build-secret` names must be readable, and the volume of --into writable".into(),
    }
    };
    let folder = plan.args.build_credentials.as_ref();
    let own = folder.map_or(Ok(None), |folder| folder.bytes("ca.crt")).with_context(failed)?;
    let Some(own) = own else { return Ok(receipt.dockerfile.clone()) };
    let bento = absolute(&plan.into).with_context(failed)?;
    let copy = ca_bundle::lay_out(&bento, &receipt.dockerfile, &own, Path::new(CA_CERTIFICATES));
    let copy = copy.with_context(failed)?;
    tracing::info!("`{}` declares variables for the CA certificates in `ca.crt`", copy.display());
    Ok(copy.display().to_string())
}

//! Gets a bento and unpacks it.

use std::{
    fs, io,
    path::{Path, PathBuf, absolute},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use anyhow::{Context, Error, Result};
use bento_retrieve::{
    archive::BadArchive,
    archive::limits::{Limits, Watch},
    archive::thread::Unpacking,
    archive::writer::Filled,
    bento::dockerfile::ca_bundle,
    bento::dockerfile::unsupported::{Builder, Obstacle},
    bento::image_name::Repository,
    bento::manifest::Bento,
    bento::tag::Tag,
    destination::{Draft, Place, Receipt},
    download::{Download, Feed, Patience, Received, pipe},
    size::Size,
    source::error::Fault,
    source::s3::Access,
};
use step::{Failure, Outcome, Terminated};
use tokio::time::{Instant, sleep, timeout_at};

use crate::{
    cli::args::{Results, RetrieveArgs},
    cli::hints,
    cli::origin::{Origin, access, find, patience},
    cli::progress,
};

/// What will be done, once the words make sense.
struct Plan {
    origin: Origin,
    access: Access,
    /// Which bento it has to be, where that is known
    tag: Option<Tag>,
    sha256: Option<String>,
    into: PathBuf,
    image: Option<Repository>,
    builder: Option<Builder>,
    build_credentials: Option<PathBuf>,
    limits: Limits,
    patience: Patience,
    connections: usize,
    timeout: Duration,
}

pub(crate) async fn retrieve(args: RetrieveArgs, mut terminated: Terminated) -> Result<Outcome> {
    let (plan, results) = plan(args).await?;
    if let Some(tag) = plan.tag.as_ref().filter(|tag| tag.is_latest()) {
        return Err(hints::latest(tag, &plan.origin, &plan.access, plan.patience).await);
    }
    let place = Place::new(&plan.into).map_err(hints::place)?;
    let wanted = plan.tag.as_ref().map(ToString::to_string);
    let there = place.receipt(wanted.as_deref(), plan.sha256.as_deref(), &plan.origin.to_string());
    if let Some(receipt) = there.map_err(hints::place)? {
        tracing::info!("`{}` holds {} already", plan.into.display(), receipt.bento);
        report(&plan, &results, &receipt)?;
        return Ok(Outcome::Done);
    }

    let mut tries = Tries::new(&plan);
    let (draft, (received, filled)) = loop {
        let draft = place.draft().map_err(hints::place)?;
        match tries.next(&plan, &draft, &mut terminated).await {
            Ok(Some(came)) => break (draft, came),
            Ok(None) => {
                tracing::warn!(
                    "stopped by a signal; nothing is left behind, run it again to start over"
                );
                return Ok(Outcome::Terminated);
            }
            Err(error) if tries.may_start_over(&error, plan.patience) => {}
            Err(error) => return Err(error),
        }
    };

    let (bento, receipt) = inspect(&plan, &draft, received, filled)?;
    place.settle(draft, &bento.root, &receipt).map_err(hints::place)?;
    let (files, size) = (receipt.files, Size(receipt.bytes));
    tracing::info!("unpacked {} into `{}`: {files} files, {size}", bento.tag, plan.into.display());
    report(&plan, &results, &receipt)?;
    Ok(Outcome::Done)
}

async fn plan(args: RetrieveArgs) -> Result<(Plan, Results)> {
    let RetrieveArgs {
        store,
        bento,
        from,
        sha256,
        into,
        image,
        builder,
        build_credentials,
        access,
        patience,
        limits,
        results,
    } = args;
    let access = self::access(access, patience).await?;
    let plan = Plan {
        origin: Origin::new(store, from, &access)?,
        access,
        tag: bento,
        sha256,
        into: into.unwrap_or_default(), // clap has seen to it that there is one
        image,
        builder,
        build_credentials,
        limits: Limits {
            bytes: limits.max_size.0,
            entries: limits.max_entries,
            ratio: limits.max_ratio,
        },
        patience: self::patience(patience),
        connections: limits.connections,
        timeout: patience.timeout,
    };
    Ok((plan, results))
}

/// Tries that begin at the archive's first byte. There is more than one only where the server cannot send the rest of
/// what was cut; the files of the one before are gone by then.
struct Tries {
    until: Instant,
    started_over: usize,
    /// Before the next one
    wait: Duration,
    connections: usize,
    /// Where an archive without a length has ended too early. When it does so twice, that is all there is
    ended_at: Option<u64>,
}

impl Tries {
    fn new(plan: &Plan) -> Self {
        Self {
            until: Instant::now() + plan.timeout,
            started_over: 0,
            wait: Duration::ZERO,
            connections: plan.connections,
            ended_at: None,
        }
    }

    /// Gets the archive into the draft. `None` when a signal has ended it.
    async fn next(
        &mut self,
        plan: &Plan,
        draft: &Draft,
        terminated: &mut Terminated,
    ) -> Result<Option<(Received, Filled)>> {
        let (feed, pull) = pipe();
        let watch = Arc::new(Watch::default());
        let mut unpacking = Unpacking::start(pull, draft.path(), plan.limits, Arc::clone(&watch));
        let (until, wait) = (self.until, self.wait);
        let fetched = async {
            sleep(wait).await;
            fetch(plan, self, feed, &mut unpacking, &watch).await
        };
        let fetched = tokio::select! {
            fetched = timeout_at(until, fetched) => Some(fetched),
            () = terminated.wait() => None,
        };
        unpacking.stop().await; // before the draft is removed
        fetched
            .map(|fetched| fetched.unwrap_or_else(|_| Err(hints::too_slow(plan.timeout))))
            .transpose()
    }

    /// Without a length, an end that comes too early is taken for a cut, unless it came at the same byte before.
    fn cut_at(&mut self, byte: u64) -> Option<Fault> {
        (self.ended_at.replace(byte) != Some(byte)).then_some(Fault::CannotResume(byte))
    }

    fn may_start_over(&mut self, error: &Error, patience: Patience) -> bool {
        let Some(fault @ Fault::CannotResume(_)) = error.downcast_ref() else { return false };
        let Some(wait) = patience.waits().nth(self.started_over) else { return false };
        tracing::info!("{fault}; starting over");
        self.started_over += 1;
        self.wait = wait;
        self.connections = 1; // parts are what it cannot send
        true
    }
}

/// Finds the archive and reads it to its end, through the pipe that is unpacked from.
async fn fetch(
    plan: &Plan,
    tries: &mut Tries,
    feed: Feed,
    unpacking: &mut Unpacking,
    watch: &Watch,
) -> Result<(Received, Filled)> {
    let (source, opened) =
        find(&plan.origin, plan.tag.as_ref(), &plan.access, plan.patience).await?;
    let what = format!("failed to retrieve `{source}`");
    let size = opened.total.map(|total| format!(", {}", Size(total))).unwrap_or_default();
    tracing::info!("retrieving {source}{size}");
    let total = opened.total;
    let download = Download::new(&source, opened, plan.patience, tries.connections, feed, watch);
    let downloading = download.run(plan.sha256.as_deref());
    let work = async { (downloading.await, unpacking.ended().await) };
    let (received, unpacked) = progress::beside(work, watch, total).await;
    match (unpacked, received) {
        (Ok(filled), Ok(Some(received))) => Ok((received, filled)),
        (Err(BadArchive::Input) | Ok(_), Err(fault)) => Err(hints::fault(fault, what)),
        (Err(bad), _) => {
            let may_be_cut = matches!(bad, BadArchive::CutShort) && total.is_none();
            match may_be_cut.then(|| tries.cut_at(watch.fetched.load(Ordering::Relaxed))).flatten()
            {
                Some(cut) => Err(hints::fault(cut, what)),
                None => Err(hints::archive(bad, format!("failed to unpack `{source}`"))),
            }
        }
        (Ok(_), Ok(None)) => Err(hints::archive(BadArchive::Input, what)),
    }
}

/// What lies in the draft is a bento, whole, and the one that was asked for.
fn inspect(
    plan: &Plan,
    draft: &Draft,
    received: Received,
    filled: Filled,
) -> Result<(Bento, Receipt)> {
    let what = || format!("failed to take what came from `{}` for a bento", plan.origin);
    let bento = Bento::find(draft.path()).map_err(|bad| hints::bento(bad, what()))?;
    if let Some(wanted) = plan.tag.as_ref().filter(|wanted| **wanted != bento.tag) {
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
    let stops = |obstacle: &&Obstacle| plan.builder.is_some_and(|builder| obstacle.stops(builder));
    let stop = bento.obstacles.iter().find(stops);
    for obstacle in bento.obstacles.iter().filter(|obstacle| Some(*obstacle) != stop) {
        tracing::warn!("{obstacle}");
    }
    if let Some(obstacle) = stop {
        return Err(hints::obstacle(obstacle, &bento.tag));
    }
    let receipt = Receipt {
        bento: bento.tag.to_string(),
        from: plan.origin.to_string(),
        sha256: received.sha256,
        dockerfile: bento.dockerfile.into(),
        files: filled.files,
        bytes: filled.bytes,
    };
    Ok((bento, receipt))
}

fn report(plan: &Plan, results: &Results, receipt: &Receipt) -> Result<()> {
    let tag: Option<Tag> = receipt.bento.parse().ok();
    let image = plan.image.as_ref().zip(tag).map(|(repository, tag)| repository.image(&tag));
    results.result_bento.write(&receipt.bento)?;
    results.result_sha256.write(&receipt.sha256)?;
    results.result_context.write(plan.into.to_string_lossy())?;
    results.result_dockerfile.write(dockerfile(plan, receipt)?)?;
    results.result_image_url.write(image.unwrap_or_default())?;
    tracing::info!("sha256 {}", receipt.sha256);
    Ok(())
}

/// Of the certificate authorities that this step itself trusts.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The Dockerfile to build with: the bento's, or a copy whose commands trust the site's authorities.
fn dockerfile(plan: &Plan, receipt: &Receipt) -> Result<String> {
    let failed = || {
        Failure {
        what: "failed to let the Dockerfile's commands trust `ca.crt`".into(),
        hint: "`ca.crt` of the Secret that `build-secret` names must be readable, and the volume of --into writable".into(),
    }
    };
    let Some(folder) = &plan.build_credentials else { return Ok(receipt.dockerfile.clone()) };
    let own = match fs::read(folder.join("ca.crt")) {
        Ok(own) => own,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(receipt.dockerfile.clone());
        }
        Err(error) => return Err(error).with_context(failed),
    };
    let bento = absolute(&plan.into).with_context(failed)?;
    let copy = ca_bundle::lay_out(&bento, &receipt.dockerfile, &own, Path::new(AUTHORITIES));
    let copy = copy.with_context(failed)?;
    tracing::info!("`{}` declares variables for the authorities in `ca.crt`", copy.display());
    Ok(copy.display().to_string())
}

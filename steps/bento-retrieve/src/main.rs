//! Gets a bento from a store, for a pipeline or a person.

mod args;
mod hint;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Result;
use bento_retrieve::{
    archive::BadArchive,
    download::{Download, Feed, Patience, Received, pipe},
    fault::Fault,
    image::Repository,
    manifest::Bento,
    meter::Limits,
    place::{Draft, Place, Receipt},
    size::Size,
    source::{Opened, Source},
    store::{Access, Found, Location, Store},
    tag::Tag,
    unpacking::Unpacking,
};
use step::{Failure, Outcome, Terminated, Usage};
use tokio::time::timeout;

use crate::args::{Args, Results};

fn main() -> ExitCode {
    step::run_to_safe_point(retrieve)
}

/// What will be done, once the words make sense.
struct Plan {
    location: Location,
    access: Access,
    tag: Tag,
    sha256: Option<String>,
    into: PathBuf,
    image: Option<Repository>,
    limits: Limits,
    patience: Patience,
    timeout: Duration,
}

async fn retrieve(args: Args, mut terminated: Terminated) -> Result<Outcome> {
    let (plan, results) = plan(args)?;
    let place = Place::new(&plan.into).map_err(hint::place)?;
    if let Some(receipt) =
        place.receipt(Some(&plan.tag), plan.sha256.as_deref()).map_err(hint::place)?
    {
        tracing::info!("`{}` holds {} already", plan.into.display(), receipt.bento);
        report(&plan, &results, &receipt)?;
        return Ok(Outcome::Done);
    }

    let draft = place.draft().map_err(hint::place)?;
    let (feed, pull) = pipe();
    let mut unpacking = Unpacking::start(pull, draft.path(), plan.limits);
    let fetched = tokio::select! {
        fetched = timeout(plan.timeout, fetch(&plan, feed, &mut unpacking)) => Some(fetched),
        () = terminated.wait() => None,
    };
    unpacking.stop().await; // before the draft is removed
    let Some(fetched) = fetched else {
        tracing::warn!("stopped by a signal; nothing is left behind, run it again to start over");
        return Ok(Outcome::Terminated);
    };
    let received = fetched.unwrap_or_else(|_| Err(hint::too_slow(plan.timeout)))?;

    let (bento, receipt) = inspect(&plan, &place, &draft, received)?;
    place.settle(draft, &bento.root, &receipt).map_err(hint::place)?;
    let (files, size) = (receipt.files, Size(receipt.bytes));
    tracing::info!("unpacked {} into `{}`: {files} files, {size}", bento.tag, plan.into.display());
    report(&plan, &results, &receipt)?;
    Ok(Outcome::Done)
}

fn plan(args: Args) -> Result<(Plan, Results)> {
    let Args { store, bento: tag, sha256, into, image, access, limits, results } = args;
    if tag.is_latest() {
        return Err(Usage {
            what: format!("`{tag}` is not one bento but whichever is the newest"),
            hint: "name the version, so that the same run brings the same model tomorrow".into(),
        }
        .into());
    }
    let location = Location::parse(&store).map_err(|bad| Usage {
        what: format!("`store` is not the address of a store: {bad}"),
        hint: "write `s3://BUCKET/PREFIX`; keys and endpoints go into AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and --s3-endpoint".into(),
    })?;
    let plan = Plan {
        location,
        access: Access {
            endpoint: access.s3_endpoint,
            path_style: access.s3_path_style,
            anonymous: access.anonymous,
            idle: limits.idle_timeout,
        },
        tag,
        sha256,
        into,
        image,
        limits: Limits {
            bytes: limits.max_size.0,
            entries: limits.max_entries,
            ratio: limits.max_ratio,
        },
        patience: Patience { idle: limits.idle_timeout, retries: limits.retries },
        timeout: limits.timeout,
    };
    Ok((plan, results))
}

/// Finds the archive and reads it to its end, through the pipe that is unpacked from.
async fn fetch(plan: &Plan, feed: Feed, unpacking: &mut Unpacking) -> Result<Received> {
    let store = Store::new(plan.location.clone(), &plan.access).await;
    let (source, opened) = find(plan, &store).await?;
    let what = format!("failed to retrieve `{source}`");
    tracing::info!("retrieving {} from {source}", plan.tag);
    let received =
        Download::new(&source, opened, plan.patience, feed).run(plan.sha256.as_deref()).await;
    match (unpacking.ended().await, received) {
        (Ok(()), Ok(Some(received))) => Ok(received),
        (Err(BadArchive::Input) | Ok(()), Err(fault)) => Err(hint::fault(fault, what)),
        (Err(bad), _) => Err(hint::archive(bad, format!("failed to unpack `{source}`"))),
        (Ok(()), Ok(None)) => Err(hint::archive(BadArchive::Input, what)),
    }
}

/// Opens the archive under its conventional name, or under another that `bentoml export` may have given it.
async fn find(plan: &Plan, store: &Store) -> Result<(Source, Opened)> {
    let conventional = Source::Object(store.conventional(&plan.tag));
    match plan.patience.ask(async || conventional.open(0, None).await).await {
        Ok(opened) => return Ok((conventional, opened)),
        Err(Fault::NoObject) => {}
        Err(fault) => {
            return Err(hint::fault(fault, format!("failed to retrieve `{conventional}`")));
        }
    }
    let what = format!("failed to find the bento `{}` in `{}`", plan.tag, plan.location);
    let refused = |why: &str, hint| Failure { what: format!("{what}: {why}"), hint }.into();
    match plan.patience.ask(async || store.search(&plan.tag).await).await {
        Ok(Found::Object(object)) => {
            let found = Source::Object(object);
            let opened = plan.patience.ask(async || found.open(0, None).await).await;
            let opened = opened.map_err(|fault| hint::fault(fault, format!("failed to retrieve `{found}`")))?;
            Ok((found, opened))
        }
        Ok(Found::Folder(folder)) => Err(refused(
            &format!("`{folder}` has its files one by one"),
            "such an export may be half there: export one archive, `bentoml export TAG s3://…/NAME/VERSION.tar.gz`".into(),
        )),
        Ok(Found::Nothing { versions }) => Err(refused(
            &format!("there is no `{conventional}`, nor with another ending"),
            match versions.as_slice() {
                [] => "check `store` and `bento`: there is no bento of that name".into(),
                versions => format!("check the version: there is {}", versions.join(", ")),
            },
        )),
        Err(fault) => Err(hint::fault(fault, what)),
    }
}

/// What lies in the draft is a bento, whole, and the one that was asked for.
fn inspect(
    plan: &Plan,
    place: &Place,
    draft: &Draft,
    received: Received,
) -> Result<(Bento, Receipt)> {
    let what = || format!("failed to take what was unpacked for the bento `{}`", plan.tag);
    let bento = Bento::find(draft.path()).map_err(|bad| hint::bento(bad, what()))?;
    if bento.tag != plan.tag {
        return Err(Failure {
            what: format!("{}: its manifest says `{}`", what(), bento.tag),
            hint: "the archive lies under a wrong name in the store; export it again, or ask for what it is".into(),
        }
        .into());
    }
    for warning in &bento.warnings {
        tracing::warn!("{warning}");
    }
    let (files, bytes) = place.measure(draft.path()).map_err(hint::place)?;
    let Received { sha256, .. } = received;
    let receipt = Receipt {
        bento: bento.tag.to_string(),
        sha256,
        dockerfile: bento.dockerfile.into(),
        files,
        bytes,
    };
    Ok((bento, receipt))
}

fn report(plan: &Plan, results: &Results, receipt: &Receipt) -> Result<()> {
    results.result_bento.write(&receipt.bento)?;
    results.result_sha256.write(&receipt.sha256)?;
    results.result_context.write(plan.into.to_string_lossy())?;
    results.result_dockerfile.write(&receipt.dockerfile)?;
    let image = plan.image.as_ref().map(|repository| repository.image(&plan.tag));
    results.result_image_url.write(image.unwrap_or_default())?;
    tracing::info!("sha256 {}", receipt.sha256);
    Ok(())
}

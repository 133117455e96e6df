//! Gets a bento and unpacks it.

use anyhow::Result;
use bento_retrieve::{
    bento::Tag,
    request::Request,
    retrieve::{Retrieved, retrieve as retrieve_into},
};
use step::{Outcome, Terminated};

use crate::cli::args::RetrieveArgs;

pub(crate) async fn retrieve(args: RetrieveArgs, mut terminated: Terminated) -> Result<Outcome> {
    let RetrieveArgs { bento, into, image, builder, build_credentials, access, retries, .. } = args;
    let into = into.unwrap_or_default(); // clap has seen to it that there is one
    let request = Request::new(bento, &access, retries, args.limits).await?;
    let retrieved =
        retrieve_into(&request, &into, builder, build_credentials.as_ref(), &mut terminated)
            .await?;
    let Some(Retrieved { receipt, dockerfile }) = retrieved else { return Ok(Outcome::Terminated) };

    let tag: Option<Tag> = receipt.bento.parse().ok();
    let image = image.zip(tag).map(|(repository, tag)| repository.image(&tag));
    let results = args.results;
    results.result_bento.write(&receipt.bento)?;
    results.result_sha256.write(&receipt.sha256)?;
    results.result_context.write(into.to_string_lossy())?;
    results.result_dockerfile.write(dockerfile)?;
    results.result_image_url.write(image.unwrap_or_default())?;
    tracing::info!("sha256 {}", receipt.sha256);
    Ok(Outcome::Done)
}

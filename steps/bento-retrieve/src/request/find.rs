//! From where an archive is said to be to one that has begun to come.

use anyhow::Result;
use step::Failure;

use crate::{
    bento::{
        Tag,
        store_layout::{Found, conventional, search},
    },
    download::RetryPolicy,
    hints,
    request::origin::Origin,
    source::{Access, ByteRange, Opened, Source, SourceError, Store},
};

/// Opens the archive. Errors have their hint.
pub async fn find(
    origin: &Origin,
    tag: Option<&Tag>,
    access: &Access,
    retries: RetryPolicy,
) -> Result<(Source, Opened)> {
    let source = match (origin, tag) {
        (Origin::Store(location), Some(tag)) => {
            return in_store(&Store::new(location.clone(), access).await, tag, retries).await;
        }
        (Origin::Store(location) | Origin::Object(location), _) => {
            Source::Object(Store::new(location.clone(), access).await.exactly())
        }
        (Origin::Http(page), _) => Source::Http(page.clone()),
        (Origin::File(path), _) => Source::File(path.clone()),
    };
    open(source, retries).await
}

async fn open(source: Source, retries: RetryPolicy) -> Result<(Source, Opened)> {
    match retries.ask(|| source.open(ByteRange::ALL, None)).await {
        Ok(opened) => Ok((source, opened)),
        Err(error) => Err(hints::source(error, format!("failed to retrieve `{source}`"))),
    }
}

/// Under its conventional name, or under another that `bentoml export` may have given it.
async fn in_store(store: &Store, tag: &Tag, retries: RetryPolicy) -> Result<(Source, Opened)> {
    let conventional = Source::Object(conventional(store, tag));
    match open(conventional.clone(), retries).await {
        Err(error) if matches!(error.downcast_ref(), Some(SourceError::NoObject)) => {}
        opened => return opened,
    }
    let what = format!("failed to find the bento `{tag}` in `{}`", store.location);
    let refused = |why: &str, hint| Failure { what: format!("{what}: {why}"), hint }.into();
    match retries.ask(|| search(store, tag)).await {
        Ok(Found::Object(object)) => open(Source::Object(object), retries).await,
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
        Err(error) => Err(hints::source(error, what)),
    }
}

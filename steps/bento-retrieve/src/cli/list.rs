//! Prints what teammates have saved.

use anyhow::Result;
use bento_retrieve::{
    hints,
    listing::{ListedBento, list_newest_first},
    request::{Output, access, location},
    size::Size,
    source::Store,
};
use serde_json::json;
use step::{Outcome, columns, print, text};
use tokio::time::timeout;

use crate::cli::{
    args::ListArgs,
    output::{minutes, pairs},
};

pub(crate) async fn list(args: ListArgs) -> Result<Outcome> {
    let ListArgs { store, bento, output, access: reach, retries: wait } = args;
    let location = location("store", &store)?;
    let store = Store::new(location, &access(&reach, wait).await?).await;
    let (name, version) = match bento.as_deref().map(|bento| bento.split_once(':')) {
        Some(Some((name, version))) => (Some(name), Some(version)),
        _ => (bento.as_deref(), None),
    };
    let listed = timeout(wait.timeout, list_newest_first(&store, name, wait.policy())).await;
    let mut bentos = listed.unwrap_or_else(|_| Err(hints::too_slow(wait.timeout)))?;
    match version {
        Some("latest") => {
            bentos.retain(|bento| bento.details.is_ok());
            bentos.truncate(1);
        }
        Some(version) => bentos.retain(|bento| bento.is(version)),
        None => {}
    }
    print(match output {
        Output::Text if bentos.is_empty() => {
            let what = bento.map(|bento| format!(" `{bento}`")).unwrap_or_default();
            tracing::info!("there is no bento{what} in `{}`", store.location);
            return Ok(Outcome::Done);
        }
        Output::Text => table(&bentos),
        Output::Json => json(&bentos)?,
    })?;
    Ok(Outcome::Done)
}

fn table(bentos: &[ListedBento]) -> String {
    let mut rows = vec![["BENTO", "CREATED", "SIZE", "FRAMEWORK", "LABELS"].map(str::to_owned)];
    for bento in bentos {
        let [name, framework, labels] = match &bento.details {
            Ok(details) => {
                [details.bento.clone(), details.framework.clone(), pairs(&details.labels)]
            }
            Err(error) => {
                tracing::warn!("{error:#}");
                [bento.archive.object.key.clone(), "?".into(), String::new()]
            }
        };
        let size = Size(bento.archive.size).to_string();
        rows.push([name, minutes(bento.created()), size, framework, labels]);
    }
    columns(&rows)
}

fn json(bentos: &[ListedBento]) -> Result<String> {
    let rows: Vec<_> = bentos
        .iter()
        .map(|bento| {
            let archive = json!({"url": bento.archive.object.to_string(), "size": bento.archive.size, "saved": bento.archive.modified});
            match &bento.details {
                Ok(details) => json!({
                    "bento": details.bento, "name": details.name, "version": details.version,
                    "created": bento.created(), "framework": details.framework, "labels": details.labels,
                    "archive": archive,
                }),
                Err(error) => json!({"archive": archive, "error": format!("{error:#}")}),
            }
        })
        .collect();
    Ok(text::json(&serde_json::to_string_pretty(&rows)?) + "\n")
}

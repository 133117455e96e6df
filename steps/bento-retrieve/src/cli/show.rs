//! Prints what a bento says of itself.

use anyhow::Result;
use bento_retrieve::{
    bento::{Details, Model, peek},
    hints,
    listing::newest,
    request::{Origin, Output, access, find},
    source::{Source, Store},
};
use step::{Outcome, columns, print, text::json};
use tokio::time::timeout;

use crate::cli::{
    args::ShowArgs,
    output::{minutes, pairs},
};

pub(crate) async fn show(args: ShowArgs) -> Result<Outcome> {
    let ShowArgs { bento, store, from, output, access: reach, retries: wait } = args;
    let access = access(&reach, wait).await?;
    let origin = Origin::new(store, from, &access)?;
    let look = async {
        let source = match (&origin, &bento) {
            (Origin::Store(location), Some(tag)) if tag.is_latest() => {
                let store = Store::new(location.clone(), &access).await;
                Source::Object(newest(&store, tag, wait.policy()).await?.0)
            }
            _ => find(&origin, bento.as_ref(), &access, wait.policy()).await?.0,
        };
        let what = || format!("failed to read the manifest of `{source}`");
        let files = peek(&source, wait.policy()).await;
        let files = files.map_err(|error| hints::peek(error, what()))?;
        let details = Details::read(&files).map_err(|error| hints::bento(error, what()))?;
        anyhow::Ok((source, details))
    };
    let looked = timeout(wait.timeout, look).await;
    let (source, details) = looked.unwrap_or_else(|_| Err(hints::too_slow(wait.timeout)))?;
    print(match output {
        Output::Text => text(&details, &source.to_string()),
        Output::Json => json(&serde_json::to_string_pretty(&details.manifest)?) + "\n",
    })?;
    Ok(Outcome::Done)
}

fn text(details: &Details, archive: &str) -> String {
    let mut rows: Vec<[String; 2]> = Vec::new();
    let mut row = |name: &str, value: String| {
        if !value.is_empty() {
            rows.push([name.to_owned(), value]);
        }
    };
    row("created", minutes(&details.created));
    row("archive", archive.to_owned());
    row("service", details.service.clone());
    row("bentoml", details.bentoml.clone());
    row("python", details.python.clone());
    row("image", details.base_image.clone());
    row("labels", pairs(&details.labels));
    for (at, model) in details.models.iter().enumerate() {
        row(if at == 0 { "models" } else { "" }, model_line(model));
    }
    for (at, route) in details.routes.iter().enumerate() {
        row(
            if at == 0 { "routes" } else { "" },
            format!("{}({})", route.path, route.takes.join(", ")),
        );
    }
    row("variables", details.variables.join(" "));
    let rows = columns(&rows);
    rows.lines().fold(format!("{}\n", details.bento), |text, row| text + "  " + row + "\n")
}

fn model_line(model: &Model) -> String {
    let parts = [
        model.tag.clone(),
        model.module.clone(),
        pairs(&model.framework_versions),
        pairs(&model.labels),
        pairs(&model.metadata),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ")
}

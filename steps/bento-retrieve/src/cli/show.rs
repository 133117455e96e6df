//! Prints what a bento says of itself.

use std::collections::BTreeMap;

use anyhow::Result;
use bento_retrieve::{
    bento::details::{Details, Model},
    bento::peek::glance,
    bento::tag::Tag,
    download::Patience,
    source::Source,
    source::s3::Store,
};
use step::{Failure, Outcome, text::json};
use tokio::time::timeout;

use crate::{
    cli::args::{Output, ShowArgs},
    cli::hints,
    cli::list::{columns, minutes, print, shelf},
    cli::origin::{Origin, access, find, patience},
};

pub(crate) async fn show(args: ShowArgs) -> Result<Outcome> {
    let ShowArgs { bento, store, from, output, access: reach, patience: wait } = args;
    let access = access(reach, wait).await?;
    let origin = Origin::new(store, from, &access)?;
    let look = async {
        let source = match (&origin, &bento) {
            (Origin::Store(location), Some(tag)) if tag.is_latest() => {
                let store = Store::new(location.clone(), &access).await;
                Source::Object(newest(&store, tag, patience(wait)).await?.0)
            }
            _ => find(&origin, bento.as_ref(), &access, patience(wait)).await?.0,
        };
        let what = || format!("failed to read the manifest of `{source}`");
        let seen = glance(&source, patience(wait))
            .await
            .map_err(|unseen| hints::unseen(unseen, what()))?;
        let details = Details::read(&seen).map_err(|bad| hints::bento(bad, what()))?;
        anyhow::Ok((source, details))
    };
    let looked = timeout(wait.timeout, look).await;
    let (source, details) = looked.unwrap_or_else(|_| Err(hints::too_slow(wait.timeout)))?;
    print(&match output {
        Output::Text => text(&details, &source.to_string()),
        Output::Json => json(&serde_json::to_string_pretty(&details.manifest)?) + "\n",
    })?;
    Ok(Outcome::Done)
}

/// The newest bento of a name, by what the manifests say: versions do not sort by time.
pub(crate) async fn newest(
    store: &Store,
    tag: &Tag,
    patience: Patience,
) -> Result<(bento_retrieve::source::s3::Object, Details)> {
    let books = shelf(store, Some(&tag.name), patience).await?;
    let newest = books.into_iter().find_map(|book| Some((book.saved.object, book.details.ok()?)));
    newest.ok_or_else(|| {
        Failure {
            what: format!("failed to find a bento `{}` in `{}`", tag.name, store.location),
            hint: "`bento-retrieve list` prints what there is".into(),
        }
        .into()
    })
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

fn pairs(map: &BTreeMap<String, String>) -> String {
    map.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
}

//! The events that flags, a file or a folder describe, each checked.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use anyhow::{Context, Error, Result, anyhow, bail};
use chrono::{SecondsFormat, Utc};
use cloudevent::{
    event::Draft,
    id::{derived_id, is_label},
    json_format::{self, FormatError},
};
use cloudevents::{Event, event::ExtensionValue};
use serde_json::{Map, Value};
use step::{
    Failure, Usage,
    text::{from_trigger, without_values},
};

use crate::{
    args::{DataArgs, EventArgs, RunArgs},
    fields,
    identity::{Identity, full_type},
};

/// An event, and its own text where it must go out unchanged.
pub(crate) struct Composed {
    pub(crate) event: Event,
    pub(crate) verbatim: Option<Vec<u8>>,
}

/// One event that the flags describe, or those of a file or folder: none is an answer, too.
pub(crate) fn events(
    event: EventArgs,
    data: DataArgs,
    run: &RunArgs,
    overrides: Option<&str>,
) -> Result<Vec<Composed>> {
    let overrides = parse_overrides(overrides)?;
    let Some(path) = &event.event_file else {
        return Ok(vec![finish(draft(event, data, run)?, None, &overrides)?]);
    };
    if !(event.extension.is_empty() && data.field.is_empty()) {
        bail!(Usage {
            what: "`--event-file` holds the whole event".into(),
            hint: "leave out `--field` and `--extension`, or describe the event by flags".into(),
        });
    }
    let read = |file: PathBuf| {
        let text = read_input(&file)?;
        let draft = json_format::read(&text).map_err(|error| unreadable(&file, error))?;
        finish(draft, Some(text), &overrides)
            .with_context(|| format!("failed to use `{}`", file.display()))
    };
    event_files(path)?.into_iter().map(read).collect()
}

fn finish(
    mut draft: Draft,
    mut verbatim: Option<Vec<u8>>,
    overrides: &BTreeMap<String, ExtensionValue>,
) -> Result<Composed> {
    for (name, value) in overrides {
        draft.override_extension(name.clone(), value.clone());
        verbatim = None;
    }
    Ok(Composed { event: draft.build()?, verbatim })
}

/// The file itself, or what a folder has of the kind, in the order of names.
fn event_files(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = entries.with_context(|| unread(path))?;
    let mut files: Vec<_> = entries
        .into_iter()
        .map(|entry| entry.path())
        .filter(|file| file.extension().is_some_and(|end| end == "json"))
        .collect();
    files.sort();
    Ok(files)
}

/// The attributes and data that the flags give, with ids and chain filled in.
fn draft(event: EventArgs, data: DataArgs, run: &RunArgs) -> Result<Draft> {
    let EventArgs {
        ty,
        type_prefix,
        source,
        subject,
        id,
        time,
        dataschema,
        correlation_id,
        causation_id,
        chainhops,
        extension,
        event_file: _,
    } = event;
    let ty = full_type(type_prefix.as_deref(), &ty.unwrap_or_default());
    let source = source.or_else(|| run.source()).ok_or_else(|| Usage {
        what: "the event has no source".into(),
        hint: "say who sends with `--source`, such as `/notebooks/ada/iris`".into(),
    })?;
    let datacontenttype = Some(data.datacontenttype.clone());
    let data = read_data(data, run)?;
    let subject_text = subject.clone().unwrap_or_default();
    let derive = |correlation: &str| {
        let [revision, weight] = canary(&data);
        let run = run.uid().unwrap_or_default();
        derived_id(&[&source, &ty, &subject_text, correlation, run, &revision, &weight])
    };
    let correlation = correlation_id.or_else(|| run.uid().map(ToOwned::to_owned));
    let Identity { id, correlation } = Identity::new(id, correlation, derive);
    if !is_label(&correlation) {
        bail!(Usage {
            what: format!("correlation id `{correlation}` does not fit a label"),
            hint: "use a UUID, or at most 63 letters, digits, `-`, `_` and `.` that begin and end with a letter or digit".into(),
        });
    }

    // Without a cause this is the first event of its chain.
    let hops = chainhops.or(causation_id.as_ref().map(|_| 0)).map_or(0, |hops| i64::from(hops) + 1);
    let mut extensions = vec![
        ("correlationid".to_owned(), correlation.into()),
        ("chainhops".to_owned(), hops.into()),
    ];
    extensions
        .extend(causation_id.map(|cause| ("causationid".to_owned(), from_trigger(&cause).into())));
    extensions.extend(
        extension.into_iter().filter_map(|extension| Some((extension.name, extension.value?))),
    );

    let time = time.unwrap_or_else(|| Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true));
    Ok(Draft {
        id,
        source,
        ty,
        subject,
        time: Some(time),
        datacontenttype,
        dataschema,
        extensions,
        data,
    })
}

/// Revision and weight of the canary that the data tells of, as text; empty where there is none.
fn canary(data: &[u8]) -> [String; 2] {
    let data: Value = serde_json::from_slice(data).unwrap_or_default();
    ["/canary/revision", "/canary/weight"].map(|place| match data.pointer(place) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    })
}

fn read_data(data: DataArgs, run: &RunArgs) -> Result<Vec<u8>> {
    let DataArgs { data, data_file, field, datacontenttype: _, allow_large: _ } = data;
    if !field.is_empty() && (data.is_some() || data_file.is_some()) {
        bail!(Usage {
            what: "the data is given twice".into(),
            hint: "use fields, or `data`, or a file of data".into(),
        });
    }
    match (data, data_file) {
        (Some(text), _) if text != "-" => Ok(text.into_bytes()),
        (Some(_stdin), _) => read_input(Path::new("-")),
        (None, Some(file)) => read_input(&file),
        (None, None) => {
            let Some(mut object) = fields::object(field)? else { return Ok(Vec::new()) };
            run.complete(&mut object);
            Ok(Value::Object(object).to_string().into_bytes())
        }
    }
}

fn parse_overrides(text: Option<&str>) -> Result<BTreeMap<String, ExtensionValue>> {
    let Some(text) = text else { return Ok(BTreeMap::new()) };
    serde_json::from_str::<Map<String, Value>>(text)
        .and_then(|mut overrides| {
            overrides
                .remove("extensions")
                .map_or_else(|| Ok(BTreeMap::new()), serde_json::from_value)
        })
        .map_err(|error| anyhow!(without_values(&error.to_string())))
        .with_context(|| Usage {
            what: "failed to read the overrides".into(),
            hint: r#"K_CE_OVERRIDES is JSON such as {"extensions": {"team": "iris"}}"#.into(),
        })
}

fn read_input(file: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = if file == Path::new("-") {
        io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(file)
    };
    read.with_context(|| unread(file))
}

fn unread(path: &Path) -> Failure {
    Failure {
        what: format!("failed to read `{}`", path.display()),
        hint: "name a file or folder in a workspace or volume that this step mounts".into(),
    }
}

fn unreadable(file: &Path, error: FormatError) -> Error {
    Error::new(error).context(Usage {
        what: format!("`{}` is not a valid event", file.display()),
        hint: r#"it must be one JSON object with "specversion": "1.0", id, source and type"#.into(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::args::Args;

    /// The id of the event that announces a canary, in a run of a release.
    fn id(run: &str, revision: &str, weight: u8) -> String {
        let line = [
            "cloudevent-send",
            "--sink=http://sink",
            "--type=canary.created.v1",
            "--subject=team/iris",
            "--namespace=team",
            "--pipeline=canary-release",
            "--correlation-id=r-1",
            &format!("--pipeline-run-uid={run}"),
            "--field",
            &format!("canary.revision={revision}"),
            &format!("canary.weight:int={weight}"),
        ];
        let Args { event, data, run, .. } = step::parse(line).unwrap();
        let mut events = events(event, data, &run, None).unwrap();
        cloudevents::AttributesReader::id(&events.remove(0).event).to_owned()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn two_canaries_of_one_release_never_share_an_id_and_a_retry_says_the_same(
            one in ("[a-f0-9]{1,3}", "[a-z]-0000[0-3]", 0..4_u8),
            other in ("[a-f0-9]{1,3}", "[a-z]-0000[0-3]", 0..4_u8),
        ) {
            let of = |canary: &(String, String, u8)| id(&canary.0, &canary.1, canary.2);
            prop_assert_eq!(of(&one), of(&one));
            prop_assert_eq!(of(&one) == of(&other), one == other);
        }
    }

    #[test]
    fn the_canary_is_found_in_data_of_any_form() {
        assert_eq!(canary(br#"{"canary": {"revision": "a", "weight": 10}}"#), ["a", "10"]);
        assert_eq!(canary(br#"{"canary": {"weight": "10"}}"#), ["", "10"]);
        for none in [&b""[..], b"text", b"[1]", br#"{"canary": null}"#] {
            assert_eq!(canary(none), ["", ""]);
        }
    }
}

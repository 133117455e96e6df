//! Sends one CloudEvent: checked before it leaves, the same bytes on every try, and no answer taken
//! for more than it says.

mod args;
mod credentials;
mod dry_run;
mod fields;
mod identity;
mod sink;
mod size;

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _, Write as _},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context, Error, Result, bail};
use chrono::{SecondsFormat, Utc};
use cloudevent::{
    event::{self, Draft, ReadError},
    id::{derived_id, is_label},
    wire,
};
use cloudevents::{AttributesReader as _, Event, event::ExtensionValue};
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::{Map, Value};
use step::{Failure, Outcome, Usage};

use crate::{
    args::{Args, DataArgs, DeliveryArgs, EventArgs, Header, ResultArgs},
    credentials::{Credentials, shown},
    identity::{Identity, full_type},
    sink::{Limits, Meaning, Reply, Sink, Trouble},
};

const WEBHOOK_ORIGIN: HeaderName = HeaderName::from_static("webhook-request-origin");

fn main() -> ExitCode {
    step::run(send)
}

async fn send(args: Args) -> Result<Outcome> {
    let Args { event, data, delivery, credentials, results } = args;
    let DeliveryArgs {
        sink,
        mode,
        header,
        webhook_origin,
        timeout,
        attempt_timeout,
        retries,
        overrides,
        dry_run,
        print,
    } = delivery;
    let ResultArgs {
        result_event_id,
        result_correlation_id,
        result_status_code,
        result_listener_event_id,
    } = results;
    // Tekton skips a `finally` task that reads a result which was never written.
    let all =
        [&result_event_id, &result_correlation_id, &result_status_code, &result_listener_event_id];
    all.iter().try_for_each(|result| result.write(""))?;

    let allow_large = data.allow_large;
    let (event, verbatim) = compose(event, data, overrides.as_deref())?;
    let message = wire::message(&event, mode, verbatim);
    size::check(message.body.len(), allow_large)?;
    let credentials = credentials.read(&sink)?;
    warn(&event, mode, &credentials);
    let extra = extra_headers(header, webhook_origin);
    let headers = sink::headers(&message, &extra, &credentials)?;

    result_event_id.write(event.id())?;
    result_correlation_id
        .write(event.extension("correlationid").map(ToString::to_string).unwrap_or_default())?;
    if dry_run || print.is_some() {
        let form = print.unwrap_or(dry_run::Form::Http);
        let request = dry_run::print(form, &sink, &headers, &message.body, &credentials);
        io::stdout().write_all(&request).context("failed to print the request")?;
        return Ok(Outcome::Done);
    }

    let address = shown(&sink);
    announce(&event, &address, message.body.len());
    let limits = Limits { total: timeout.into(), attempt: attempt_timeout.into(), retries };
    let answer = Sink::new(sink, &credentials)?.deliver(&headers, message.body, limits).await;
    if let Some(status) = answered(&answer) {
        result_status_code.write(status)?;
    }
    match answer {
        Ok(reply) => {
            let listener_event_id = reply.listener_event_id().unwrap_or_default();
            result_listener_event_id.write(&listener_event_id)?;
            Ok(conclude(&event, &address, &reply, &listener_event_id))
        }
        Err(trouble) => Err(undelivered(&event, &address, trouble)),
    }
}

/// The event that the arguments describe, and its own text where it must go out unchanged.
fn compose(
    event: EventArgs,
    data: DataArgs,
    overrides: Option<&str>,
) -> Result<(Event, Option<Vec<u8>>)> {
    let overrides = parse_overrides(overrides)?;
    let (mut draft, mut verbatim) = match &event.event_file {
        Some(file) => {
            if !(event.extension.is_empty() && data.field.is_empty()) {
                bail!(Usage {
                    what: "`--event-file` holds the whole event".into(),
                    hint: "leave out `--field` and `--extension`, or describe the event by flags"
                        .into(),
                });
            }
            let text = read_input(file)?;
            (event::read(&text).map_err(|error| unreadable(file, error))?, Some(text))
        }
        None => (draft(event, data)?, None),
    };
    for (name, value) in overrides {
        draft.override_extension(name, value);
        verbatim = None;
    }
    Ok((draft.build()?, verbatim))
}

/// The attributes and data that the flags give, with ids and chain filled in.
fn draft(event: EventArgs, data: DataArgs) -> Result<Draft> {
    let EventArgs {
        ty,
        type_prefix,
        source,
        subject,
        id,
        time,
        dataschema,
        correlation_id,
        run_uid,
        causation_id,
        chainhops,
        extension,
        event_file: _,
    } = event;
    let (ty, source) =
        (full_type(type_prefix.as_deref(), &ty.unwrap_or_default()), source.unwrap_or_default());
    let derive =
        |key: &str| derived_id(&[&source, &ty, subject.as_deref().unwrap_or_default(), key]);
    let Identity { id, correlation } = Identity::new(id, correlation_id.or(run_uid), derive);
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
    extensions.extend(causation_id.map(|cause| ("causationid".to_owned(), cause.into())));
    extensions.extend(
        extension.into_iter().filter_map(|extension| Some((extension.name, extension.value?))),
    );

    let time = time.unwrap_or_else(|| Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true));
    let datacontenttype = Some(data.datacontenttype.clone());
    let data = read_data(data)?;
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

fn read_data(data: DataArgs) -> Result<Vec<u8>> {
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
        (None, None) => Ok(fields::object(field)?
            .map(|object| object.to_string().into_bytes())
            .unwrap_or_default()),
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
    read.with_context(|| Failure {
        what: format!("failed to read `{}`", file.display()),
        hint: "name a file in a workspace or volume that this step mounts".into(),
    })
}

fn unreadable(file: &Path, error: ReadError) -> Error {
    Error::new(error).context(Usage {
        what: format!("`{}` is no event", file.display()),
        hint: r#"it must be one JSON object with "specversion": "1.0", id, source and type"#.into(),
    })
}

fn extra_headers(
    header: Vec<Header>,
    webhook_origin: Option<HeaderValue>,
) -> Vec<(HeaderName, HeaderValue)> {
    let given = header.into_iter().map(|Header(name, value)| (name, value));
    given.chain(webhook_origin.map(|origin| (WEBHOOK_ORIGIN, origin))).collect()
}

/// What is allowed and will surprise.
fn warn(event: &Event, mode: wire::Mode, credentials: &Credentials) {
    if mode == wire::Mode::Binary
        && event
            .data()
            .is_none_or(|data| matches!(data, cloudevents::Data::Binary(bytes) if bytes.is_empty()))
    {
        tracing::warn!("a Tekton EventListener refuses a binary event without data");
    }
    if mode == wire::Mode::Binary && credentials.signer.is_some() {
        tracing::warn!(
            "the signature covers the data only; use structured mode to sign the attributes too"
        );
    }
}

fn announce(event: &Event, sink: &str, bytes: usize) {
    let about = event.subject().map(|subject| format!(" about `{subject}`")).unwrap_or_default();
    tracing::info!("sending {} `{}`{about} to {sink} ({bytes} bytes)", event.ty(), event.id());
}

fn answered(answer: &Result<Reply, Trouble>) -> Option<String> {
    match answer {
        Ok(reply) => Some(reply.status.as_u16().to_string()),
        Err(Trouble::Answered(said, _)) => Some(said.status.as_u16().to_string()),
        Err(Trouble::Silent(_) | Trouble::Unreachable(_)) => None,
    }
}

/// Reports an answer that stands.
fn conclude(event: &Event, sink: &str, reply: &Reply, listener_event_id: &str) -> Outcome {
    let hint = match Meaning::of(reply.status) {
        Meaning::Accepted => {
            let known_as = if listener_event_id.is_empty() {
                String::new()
            } else {
                format!("; its listener calls it `{listener_event_id}`")
            };
            tracing::info!("accepted by {sink} with {}{known_as}", reply.status);
            return Outcome::Done;
        }
        Meaning::Moved => "redirects are not followed: set `sink` to the final address",
        Meaning::Gone => "this address takes no events any more: remove it from the settings",
        Meaning::Refused | Meaning::Later => match reply.status.as_u16() {
            401 | 403 => {
                "does the Secret that `sink-secret` names hold the token or HMAC secret that the sink expects?"
            }
            400 if wire::data(event).is_empty() => {
                "a Tekton EventListener wants a JSON object as data: add fields"
            }
            400 => "the sink could not read the event: try the other `mode`, and see its log",
            405 => "the sink takes no POST: is the path of `sink` right?",
            413 => "put the data into a store and send its address",
            415 => "the sink does not take this mode: try the other `mode`",
            _ => "see the log of the sink",
        },
    };
    tracing::error!(
        "failed to send event `{}` to {sink}: it answered {}\n\nhint: {hint}",
        event.id(),
        reply.said()
    );
    Outcome::No
}

fn undelivered(event: &Event, sink: &str, trouble: Trouble) -> Error {
    let hint = match &trouble {
        Trouble::Answered(said, _) if said.status == 404 => {
            "is the path of `sink` right, and does an EventListener of that name exist?"
        }
        Trouble::Answered(..) => {
            "the sink is there and not well: see its log, then run this again; the event keeps its id"
        }
        Trouble::Silent(_) => {
            "does a network policy or proxy swallow the request? A longer `timeout` may help"
        }
        Trouble::Unreachable(_) => {
            "is `sink` an address that this pod can reach, and its certificate one that it trusts?"
        }
    };
    let what = format!("failed to send event `{}` to {sink}", event.id());
    Error::new(trouble).context(Failure { what, hint: hint.into() })
}

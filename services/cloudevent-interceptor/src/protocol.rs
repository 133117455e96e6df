//! The JSON that Tekton's EventListener and its interceptors exchange.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{event::Event, refusal::Refusal};

/// What came to the EventListener. Its body is text: bytes that are not UTF-8 arrive as `�`.
#[derive(Default, Deserialize)]
pub(crate) struct Request {
    #[serde(default)]
    pub(crate) body: String,
    #[serde(default)]
    pub(crate) header: Headers,
    #[serde(default)]
    pub(crate) context: Context,
}

#[derive(Default, Deserialize)]
pub(crate) struct Context {
    /// The id that the listener gave to the request, which its answer to the sender has too
    #[serde(default)]
    pub(crate) event_id: String,
}

/// Headers by name, with every value that was sent.
#[derive(Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Headers(pub(crate) BTreeMap<String, Vec<String>>);

impl Headers {
    /// All values of a header, whatever the case of its name.
    pub(crate) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let same = move |(known, _): &(&String, &Vec<String>)| known.eq_ignore_ascii_case(name);
        self.0.iter().filter(same).flat_map(|(_, values)| values).map(String::as_str)
    }

    /// The value of a header that may be there once.
    pub(crate) fn one(&self, name: &str) -> Result<Option<&str>, Refusal> {
        let mut values = self.all(name);
        let first = values.next();
        if values.next().is_some() {
            return Err(Refusal::invalid(
                format!("header `{name}` is there more than once"),
                "send it once: receivers disagree on which of two counts",
            ));
        }
        Ok(first)
    }
}

/// Answers to the EventListener: the triggers see the event.
pub(crate) fn proceed(event: &Event) -> Value {
    json!({ "continue": true, "extensions": { "event": event }, "status": { "code": 0, "message": "" } })
}

pub(crate) fn ignore() -> Value {
    stop(0, "nothing here waits for this event")
}

pub(crate) fn refuse(refusal: &Refusal) -> Value {
    stop(refusal.code as u8, &refusal.line())
}

fn stop(code: u8, message: &str) -> Value {
    json!({ "continue": false, "status": { "code": code, "message": message } })
}

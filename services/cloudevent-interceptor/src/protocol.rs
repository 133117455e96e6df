//! The JSON that Tekton's EventListener and its interceptors exchange.

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Deserialize, Serialize};

use crate::{event::Event, refusal::Refusal};

/// What came to the EventListener. Its body is text: bytes that are not UTF-8 arrive as `�`.
#[derive(Default, Deserialize)]
pub(crate) struct Request<'a> {
    #[serde(borrow, default)]
    pub(crate) body: Cow<'a, str>,
    #[serde(default)]
    pub(crate) header: Headers,
    #[serde(default)]
    pub(crate) context: Context,
}

impl Request<'_> {
    /// Apart from the bytes that it was read from, which then need not be kept.
    pub(crate) fn into_owned(self) -> Request<'static> {
        Request { body: self.body.into_owned().into(), header: self.header, context: self.context }
    }
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

/// The answer to the EventListener.
#[derive(Serialize)]
pub(crate) struct Answer {
    #[serde(rename = "continue")]
    proceeds: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    extensions: Option<Extensions>,
    status: Status,
}

#[derive(Serialize)]
struct Extensions {
    event: Event,
}

#[derive(Serialize)]
struct Status {
    code: u8,
    message: String,
}

impl Answer {
    pub(crate) fn proceed(event: Event) -> Self {
        let status = Status { code: 0, message: String::new() };
        Self { proceeds: true, extensions: Some(Extensions { event }), status }
    }

    pub(crate) fn ignore() -> Self {
        let message = "nothing here waits for this event".into();
        Self { proceeds: false, extensions: None, status: Status { code: 0, message } }
    }

    pub(crate) fn refuse(refusal: &Refusal) -> Self {
        let status = Status { code: refusal.code as u8, message: refusal.line() };
        Self { proceeds: false, extensions: None, status }
    }
}

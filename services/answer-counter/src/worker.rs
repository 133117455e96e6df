//! Counts what waits, on a thread of its own beside the one that receives.

use std::{
    borrow::Cow,
    collections::HashMap,
    mem,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, Sender},
    },
    thread::{self, JoinHandle},
    time::Instant,
};

use answer_counter::{
    answers::answers,
    config::Config,
    counts::{Counts, Outcome, Place},
};
use anyhow::{Context as _, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    intake::{Form, is_response},
    room::Held,
    troubles::{Trouble, Troubles},
};

/// Of services and versions whose lost events wait to be counted
const MOST_LOST: usize = 1_000;

/// An event to be counted. What it holds is bounded by the room that it holds.
pub(crate) struct Job {
    pub(crate) place: Place,
    pub(crate) form: Form,
    pub(crate) body: Vec<u8>,
    pub(crate) held: Held,
}

enum Message {
    Event(Box<Job>),
    End,
}

/// Where events wait, and what they are counted in
#[derive(Clone)]
pub(crate) struct Inbox {
    messages: Sender<Message>,
    pub(crate) counts: Arc<tokio::sync::Mutex<Counts>>,
    lost: Arc<Mutex<HashMap<Place, (IpAddr, u64)>>>,
    pub(crate) troubles: Arc<Troubles>,
}

pub(crate) struct Worker {
    pub(crate) inbox: Inbox,
    thread: JoinHandle<u64>,
}

impl Worker {
    pub(crate) fn start(config: Arc<Config>) -> Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let inbox = Inbox {
            messages: sender,
            counts: Arc::default(),
            lost: Arc::default(),
            troubles: Arc::default(),
        };
        let own = inbox.clone();
        let thread = thread::Builder::new().name("worker".into());
        let thread = thread
            .spawn(move || work(&receiver, &config, &own))
            .context("failed to start a thread")?;
        Ok(Self { inbox, thread })
    }

    /// Counts what waits, and ends.
    pub(crate) fn end(self) {
        let _ = self.inbox.messages.send(Message::End); // it waits for nothing else
        if let Ok(events) = self.thread.join() {
            tracing::info!("stopped: {events} events were counted");
        }
    }
}

impl Inbox {
    pub(crate) fn put(&self, job: Job) {
        let _ = self.messages.send(Message::Event(Box::new(job))); // the worker ends last
    }

    /// Remembers an event that was dropped: the counts themselves may be in use for long.
    pub(crate) fn lose(&self, place: Place, from: IpAddr, trouble: Trouble) {
        self.troubles.add(trouble, 1);
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        if lost.len() < MOST_LOST || lost.contains_key(&place) {
            lost.entry(place).or_insert((from, 0)).1 += 1;
        } else {
            drop(lost);
            self.troubles.add(Trouble::TooManyServices, 1);
        }
    }

    /// Counts the events that were dropped.
    pub(crate) fn count_lost(&self, counts: &mut Counts) {
        let lost = mem::take(&mut *self.lost.lock().unwrap_or_else(PoisonError::into_inner));
        for (place, (from, many)) in lost {
            match counts.version(&place, from, Instant::now()) {
                Some(mut version) => version.events(Outcome::Dropped, many),
                None => self.troubles.add(Trouble::TooManyServices, many),
            }
        }
    }
}

/// How many events it has counted when it ends
fn work(messages: &Receiver<Message>, config: &Config, inbox: &Inbox) -> u64 {
    let mut events = 0;
    while let Ok(Message::Event(job)) = messages.recv() {
        let Job { place, form, body, held } = *job;
        let Some(answer) = answer(form, &body) else { continue };
        let Some(selection) = config.of(&place.namespace, &place.service) else { continue };
        let mut counts = inbox.counts.blocking_lock();
        let Some(mut version) = counts.version(&place, held.peer(), Instant::now()) else {
            inbox.troubles.add(Trouble::TooManyServices, 1);
            continue;
        };
        let counted = answers(selection, &place.version, &answer, |field, answer| {
            version.answer(field, answer);
        });
        // One that is counted in part would look like a change of what the model answers.
        version.event(match counted {
            Ok(()) if version.lacks_room => Outcome::Dropped,
            Ok(()) => Outcome::Taken,
            Err(_) => Outcome::Unreadable,
        });
        if counted.is_err() {
            inbox.troubles.add(Trouble::Unreadable, 1);
        }
        events += 1;
    }
    events
}

/// The answer that an event brings; nothing if it is about something else. What is no event, and no JSON, is
/// an answer that cannot be read.
fn answer(form: Form, body: &[u8]) -> Option<Cow<'_, [u8]>> {
    #[derive(Deserialize)]
    struct Event<'a> {
        #[serde(rename = "type", borrow)]
        ty: Cow<'a, str>,
        #[serde(borrow)]
        data: Option<&'a RawValue>,
        #[serde(borrow)]
        data_base64: Option<Cow<'a, str>>,
    }
    if form == Form::Binary {
        return Some(body.into());
    }
    let Ok(event) = serde_json::from_slice::<Event<'_>>(body) else { return Some(Cow::default()) };
    is_response(&event.ty).then(|| match (event.data, event.data_base64) {
        (Some(data), None) => data.get().as_bytes().into(),
        (None, Some(text)) => BASE64.decode(&*text).unwrap_or_default().into(),
        _ => Cow::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_in_structured_mode_brings_its_data() {
        let of = |body: &str| {
            let found = answer(Form::Structured, body.as_bytes());
            found.map(|found| String::from_utf8(found.into_owned()).unwrap())
        };
        let with = |more: &str| {
            of(&format!(
                r#"{{"specversion":"1.0","type":"org.kubeflow.serving.inference.response"{more}}}"#
            ))
        };
        assert_eq!(with(r#","data":{"a": 1}"#).as_deref(), Some(r#"{"a": 1}"#));
        assert_eq!(with(r#","data_base64":"eyJhIjoxfQ==""#).as_deref(), Some(r#"{"a":1}"#));
        assert_eq!(with("").as_deref(), Some(""));
        assert_eq!(with(r#","data":1,"data_base64":"""#).as_deref(), Some(""));
        assert_eq!(of("[]").as_deref(), Some(""));
        assert_eq!(of(r#"{"type":"org.kubeflow.serving.inference.request","data":1}"#), None);
        assert_eq!(answer(Form::Binary, b"x").as_deref(), Some(&b"x"[..]));
    }
}

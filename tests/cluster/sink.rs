//! A sink of events in the test's own process: it passes each on to the EventListener and keeps what was
//! accepted, so that a test knows which events were sent, by whom and how often.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use demo::{Site, within};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::HeaderMap,
};
use serde_json::Value;

use crate::http_server::{HttpServer, answer};

/// What all our types begin with.
const PREFIX: &str = "build.canary.release.";

/// An event that was sent and accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) id: String,
    pub(crate) source: String,
    pub(crate) r#type: String,
    pub(crate) data: Value,
}

impl Accepted {
    /// In a word or two: `canary.rolledback(gate-failed)`.
    pub(crate) fn brief(&self) -> String {
        let name = self.r#type.strip_prefix(PREFIX).unwrap_or(&self.r#type);
        let name = name.rsplit_once(".v").map_or(name, |(name, _)| name);
        match self.data["stage"].as_str().or(self.data["reason"].as_str()) {
            Some(why) => format!("{name}({why})"),
            None => name.to_owned(),
        }
    }

    /// Whether the event's type is this one, without its prefix and version.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.r#type.strip_prefix(PREFIX).is_some_and(|of| of.starts_with(&format!("{name}.v")))
    }

    fn read(headers: &HeaderMap, body: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let header = |name| {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let member = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        if header("content-type").starts_with("application/cloudevents+json") {
            let (id, source, r#type) = (member("id"), member("source"), member("type"));
            return Self { id, source, r#type, data: body["data"].clone() };
        }
        Self {
            id: header("ce-id"),
            source: header("ce-source"),
            r#type: header("ce-type"),
            data: body,
        }
    }
}

/// The sink, until it is dropped.
pub(crate) struct Sink {
    accepted: Arc<Mutex<Vec<Accepted>>>,
    /// URL of the EventListener behind it
    pub(crate) listener: String,
    _server: HttpServer,
}

impl Sink {
    /// Puts a sink before the site's EventListener: for its steps by the setting `event-sink`, for its
    /// sweep, and for who sends by this `Site`.
    pub(crate) async fn before(site: &mut Site) -> Self {
        let accepted = Arc::default();
        let forward = Forward {
            listener: site.listener.clone(),
            http: reqwest::Client::new(),
            accepted: Arc::clone(&accepted),
        };
        let server = HttpServer::start(site, move |request| forward.clone().pass(request)).await;
        let url = format!("http://{}", server.address);
        site.set("event-sink", &url).await.unwrap();
        site.kubectl(["set", "env", "cronjob/canary-sweep", &format!("K_SINK={url}")]).unwrap();
        let listener = std::mem::replace(&mut site.listener, url);
        Self { accepted, listener, _server: server }
    }

    /// All events so far, in the order in which they were accepted, repeated ones once.
    pub(crate) fn accepted(&self) -> Vec<Accepted> {
        let mut all: Vec<Accepted> = Vec::new();
        for event in self.accepted.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            if !all.iter().any(|known| (&known.id, &known.source) == (&event.id, &event.source)) {
                all.push(event.clone());
            }
        }
        all
    }

    /// Those about one version of a service.
    pub(crate) fn about(&self, service: &str, version: &str) -> Vec<Accepted> {
        let mut events = self.accepted();
        events.retain(|Accepted { data, .. }| {
            data["serviceName"] == service && data["serviceVersion"] == version
        });
        events
    }

    /// The last event about a version that has one of these names, as soon as there is one.
    pub(crate) async fn event(
        &self,
        limit: Duration,
        (service, version): (&str, &str),
        names: &[&str],
    ) -> Accepted {
        within(limit, &format!("{names:?} about {service} {version}"), async || {
            let events = self.about(service, version).into_iter().rev();
            Ok(events.into_iter().find(|event| names.iter().any(|name| event.is(name))))
        })
        .await
        .unwrap()
    }
}

#[derive(Clone)]
struct Forward {
    listener: String,
    http: reqwest::Client,
    accepted: Arc<Mutex<Vec<Accepted>>>,
}

impl Forward {
    /// Passes an event on as it is, and keeps it when it was accepted, also when its sender is killed meanwhile.
    async fn pass(self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let Ok(body) = body.collect().await else { return answer(StatusCode::BAD_REQUEST, "") };
        let body = body.to_bytes();
        let mut headers = head.headers.clone();
        for ours in ["host", "connection", "content-length", "transfer-encoding"] {
            headers.remove(ours);
        }
        let sent = self.http.post(&self.listener).headers(headers).body(body.clone()).send().await;
        // A listener that is away is away for the sender too.
        let Ok(answered) = sent else { return answer(StatusCode::SERVICE_UNAVAILABLE, "") };
        if answered.status().is_success() {
            let event = Accepted::read(&head.headers, &body);
            self.accepted.lock().unwrap_or_else(PoisonError::into_inner).push(event);
        }
        answer(answered.status(), "")
    }
}

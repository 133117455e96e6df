//! A sink of events in the test's own process: it passes each on to the EventListener and keeps what was
//! accepted, so that a test knows what was told, by whom and how often.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
};

use demo::Site;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::HeaderMap,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// What all our types begin with.
const PREFIX: &str = "build.canary.release.";

/// An event that was told and accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) id: String,
    pub(crate) source: String,
    pub(crate) r#type: String,
    pub(crate) data: Value,
}

impl Told {
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
    told: Arc<Mutex<Vec<Told>>>,
    /// URL of the EventListener behind it
    pub(crate) listener: String,
    server: JoinHandle<()>,
}

impl Sink {
    /// Puts a sink before the site's EventListener: for its steps by the setting `event-sink`, for its
    /// sweep, and for who sends by this `Site`.
    pub(crate) async fn before(site: &mut Site) -> Self {
        let machine = &site.cluster.machine;
        assert!(
            !machine.is_empty(),
            "set KANARIA_MACHINE to this machine's address as pods call it"
        );
        let socket = TcpListener::bind((&machine[..], 0)).await.unwrap();
        let url = format!("http://{}", socket.local_addr().unwrap());
        let listener = std::mem::replace(&mut site.listener, url.clone());
        site.set("event-sink", &url).await.unwrap();
        let sweep = ["set", "env", "cronjob/canary-sweep", &format!("K_SINK={url}")];
        let namespace = ["-n", site.namespace.as_str()];
        site.cluster.kubectl(namespace.into_iter().chain(sweep)).unwrap();

        let told = Arc::default();
        let passing = Passing {
            listener: listener.clone(),
            http: reqwest::Client::new(),
            told: Arc::clone(&told),
        };
        Self { told, listener, server: tokio::spawn(listen(socket, passing)) }
    }

    /// All events so far, in the order in which they were accepted, repeated ones once.
    pub(crate) fn told(&self) -> Vec<Told> {
        let mut all: Vec<Told> = Vec::new();
        for event in self.told.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            if !all.iter().any(|known| (&known.id, &known.source) == (&event.id, &event.source)) {
                all.push(event.clone());
            }
        }
        all
    }

    /// Those about one version of a service.
    pub(crate) fn told_of(&self, service: &str, version: &str) -> Vec<Told> {
        let mut told = self.told();
        let is_of =
            |data: &Value| data["serviceName"] == service && data["serviceVersion"] == version;
        told.retain(|event| is_of(&event.data));
        told
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[derive(Clone)]
struct Passing {
    listener: String,
    http: reqwest::Client,
    told: Arc<Mutex<Vec<Told>>>,
}

async fn listen(socket: TcpListener, passing: Passing) {
    let mut open = JoinSet::new();
    loop {
        let Ok((stream, _)) = socket.accept().await else { continue };
        while open.try_join_next().is_some() {}
        open.spawn(serve(stream, passing.clone()));
    }
}

async fn serve(stream: TcpStream, passing: Passing) {
    let answer = service_fn(|request| {
        // A sender that is killed in the middle must not take back what it has told.
        let passed = tokio::spawn(passing.clone().pass(request));
        async move {
            let status = passed.await.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut answer = Response::new(Full::<Bytes>::default());
            *answer.status_mut() = status;
            Ok::<_, Infallible>(answer)
        }
    });
    // What becomes of the connection is the sender's concern.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
}

impl Passing {
    /// Passes an event on as it is, and keeps it when it was accepted. Returns what the sender is told.
    async fn pass(self, request: Request<Incoming>) -> StatusCode {
        let (head, body) = request.into_parts();
        let Ok(body) = body.collect().await else { return StatusCode::BAD_REQUEST };
        let body = body.to_bytes();
        let mut headers = head.headers.clone();
        for ours in ["host", "connection", "content-length", "transfer-encoding"] {
            headers.remove(ours);
        }
        let sent = self.http.post(&self.listener).headers(headers).body(body.clone()).send().await;
        // A listener that is away is away for the sender too.
        let Ok(answer) = sent else { return StatusCode::SERVICE_UNAVAILABLE };
        if answer.status().is_success() {
            let event = Told::read(&head.headers, &body);
            self.told.lock().unwrap_or_else(PoisonError::into_inner).push(event);
        }
        answer.status()
    }
}

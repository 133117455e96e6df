//! An API server that does what a test tells it to: lists in pages, watches, absences and refusals.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    sync::{Arc, Mutex},
};

use futures::StreamExt as _;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Bytes, Frame};
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_stream::wrappers::UnboundedReceiverStream;

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

#[derive(Clone, Default)]
pub(crate) struct Api(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// By resource, and namespace and name
    objects: BTreeMap<String, BTreeMap<(String, String), Value>>,
    watches: Vec<(String, UnboundedSender<String>)>,
    version: u64,
    is_away: bool,
    /// Resources that may not be read, and those that there are not
    refused: BTreeMap<String, u16>,
    /// Resources whose next watch begins at a place that is forgotten
    forgotten: BTreeSet<String>,
    /// Verb and resource of each request
    asked: Vec<String>,
}

impl Api {
    pub(crate) fn client(&self) -> Client {
        let api = self.clone();
        let answer = tower::service_fn(move |request: Request<Body>| {
            let answer = api.answer(&request);
            async move { answer }
        });
        Client::new(answer, "models")
    }

    /// Creates or changes an object, and tells the watches.
    pub(crate) fn put(&self, resource: &str, object: &Value) {
        let mut state = self.0.lock().unwrap();
        state.version += 1;
        let mut object = object.clone();
        object["metadata"]["resourceVersion"] = state.version.to_string().into();
        let objects = state.objects.entry(resource.to_owned()).or_default();
        let kind = if objects.contains_key(&key(&object)) { "MODIFIED" } else { "ADDED" };
        objects.insert(key(&object), object.clone());
        state.tell(resource, kind, &object);
    }

    pub(crate) fn delete(&self, resource: &str, object: &Value) {
        let mut state = self.0.lock().unwrap();
        state.version += 1;
        let mut object = state.objects.get_mut(resource).unwrap().remove(&key(object)).unwrap();
        object["metadata"]["resourceVersion"] = state.version.to_string().into();
        state.tell(resource, "DELETED", &object);
    }

    /// The same without a word: it happened while nobody watched.
    pub(crate) fn lose(&self, resource: &str, object: &Value) {
        self.0.lock().unwrap().objects.get_mut(resource).unwrap().remove(&key(object)).unwrap();
    }

    /// Ends all watches.
    pub(crate) fn cut(&self) {
        self.0.lock().unwrap().watches.clear();
    }

    /// Answers no more, or again.
    pub(crate) fn set_away(&self, is_away: bool) {
        self.0.lock().unwrap().is_away = is_away;
        self.cut();
    }

    /// Answers a resource by this status.
    pub(crate) fn refuse(&self, resource: &str, status: u16) {
        self.0.lock().unwrap().refused.insert(resource.to_owned(), status);
    }

    pub(crate) fn allow(&self, resource: &str) {
        self.0.lock().unwrap().refused.remove(resource);
    }

    /// The next watch of a resource is told that its place is too old.
    pub(crate) fn forget(&self, resource: &str) {
        self.0.lock().unwrap().forgotten.insert(resource.to_owned());
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.0.lock().unwrap().asked.clone()
    }

    fn answer(&self, request: &Request<Body>) -> Result<Answer, &'static str> {
        let mut state = self.0.lock().unwrap();
        let mut path = request.uri().path().rsplit('/');
        let last = path.next().unwrap();
        let resource = if last.starts_with("gate-") { path.next().unwrap() } else { last };
        let asked = |name: &str| {
            let query = request.uri().query().unwrap_or_default().split('&');
            let mut found = query.filter_map(|pair| pair.split_once('='));
            found.find(|(found, _)| *found == name).map(|(_, value)| value.to_owned())
        };
        let is_watch = asked("watch").is_some();
        let verb = match (resource == last, is_watch) {
            (false, _) => "get",
            (true, true) => "watch",
            (true, false) => "list",
        };
        state.asked.push(format!("{verb} {resource}"));
        if state.is_away {
            return Err("connection refused");
        }
        if let Some(status) = state.refused.get(resource) {
            return Ok(refusal(*status, &format!("{resource} is forbidden")));
        }
        if verb == "get" {
            let found =
                state.objects[resource].values().find(|found| found["metadata"]["name"] == last);
            return Ok(whole(found.unwrap()));
        }
        if !is_watch {
            let limit: usize = asked("limit").unwrap().parse().unwrap();
            let from = asked("continue").map_or(0, |token| token.parse().unwrap());
            return Ok(whole(&state.page(resource, from, limit)));
        }
        let (sender, receiver) = unbounded_channel::<String>();
        if state.forgotten.remove(resource) {
            let status = json!({"code": 410, "reason": "Expired", "message": "too old", "status": "Failure"});
            sender.send(line("ERROR", &status)).unwrap();
        } else {
            state.watches.push((resource.to_owned(), sender));
        }
        let lines = UnboundedReceiverStream::new(receiver);
        let frames = lines.map(|line| Ok::<_, Infallible>(Frame::data(Bytes::from(line))));
        Ok(Response::new(StreamBody::new(frames).boxed_unsync()))
    }
}

impl State {
    fn tell(&mut self, resource: &str, kind: &str, object: &Value) {
        let told = line(kind, object);
        self.watches.retain(|(of, sender)| of != resource || sender.send(told.clone()).is_ok());
    }

    fn page(&self, resource: &str, from: usize, limit: usize) -> Value {
        let empty = BTreeMap::new();
        let objects = self.objects.get(resource).unwrap_or(&empty);
        let items: Vec<_> = objects.values().skip(from).take(limit).collect();
        let next = from + items.len();
        let token = if next < objects.len() { next.to_string() } else { String::new() };
        let metadata =
            json!({"resourceVersion": self.version.max(1).to_string(), "continue": token});
        json!({"apiVersion": "v1", "kind": "List", "metadata": metadata, "items": items})
    }
}

fn key(object: &Value) -> (String, String) {
    let text = |name: &str| object["metadata"][name].as_str().unwrap().to_owned();
    (text("namespace"), text("name"))
}

fn line(kind: &str, object: &Value) -> String {
    json!({"type": kind, "object": object}).to_string() + "\n"
}

fn whole(value: &Value) -> Answer {
    Response::new(Full::new(Bytes::from(value.to_string())).boxed_unsync())
}

fn refusal(code: u16, message: &str) -> Answer {
    let reason = if code == 403 { "Forbidden" } else { "NotFound" };
    let mut response = whole(&json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    }));
    *response.status_mut() = code.try_into().unwrap();
    response
}

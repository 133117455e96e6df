//! A made-up site, asked without a network.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode, header},
};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use release_page::{
    interest::Interest,
    known::Known,
    server::{Archive, Peer, Settings, Shown, router},
};
use tokio::sync::watch;
use tower::ServiceExt as _;

use crate::sample;

pub(crate) const SERVICE: &str = "/services/models/iris";

pub(crate) struct Site {
    pub(crate) router: Router,
    pub(crate) known: watch::Sender<Arc<Known>>,
    pub(crate) stopping: watch::Sender<bool>,
}

pub(crate) fn shown(store: Option<Arc<dyn Archive>>) -> (Shown, watch::Sender<Arc<Known>>) {
    let (sender, known) = watch::channel(Arc::new(sample::sample(Timestamp::now())));
    (Shown { known, store, interest: Interest::default(), counts: Arc::default() }, sender)
}

pub(crate) fn site(settings: Settings) -> Site {
    site_with(settings, Some(Arc::new(sample::manifests::Store)))
}

pub(crate) fn site_with(settings: Settings, store: Option<Arc<dyn Archive>>) -> Site {
    let (stopping, stops) = watch::channel(false);
    let (shown, known) = shown(store);
    Site {
        router: router(shown, Settings { site: sample::site(), ..settings }, stops),
        known,
        stopping,
    }
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn header(&self, name: impl header::AsHeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Site {
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let (head, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer { status: head.status, headers: head.headers, text }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(get(path, &[])).await
    }
}

pub(crate) fn get(path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let request = headers
        .iter()
        .fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
    request.body(Body::empty()).unwrap()
}

/// As if it came from this address.
pub(crate) fn from(peer: &str, mut request: Request<Body>) -> Request<Body> {
    request.extensions_mut().insert(Peer(peer.parse().unwrap()));
    request
}

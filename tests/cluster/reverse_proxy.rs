//! A reverse proxy before the cluster's registry, or a forward one before the world.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use demo::Site;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
};

use crate::http_server::{HttpServer, answer};

/// What it does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// The registry, with tags that never change: this is what it answers to a second push of one
    Immutable { status: u16, body: &'static str },
    /// A proxy of HTTP. It passes on what is for the registry, and answers the rest itself
    Proxy,
}

impl Kind {
    pub(crate) const ECR: Self = Self::Immutable {
        status: 400,
        body: r#"{"errors":[{"code":"TAG_INVALID","message":"The image tag 'v1' already exists in the 'models/fixed' repository and cannot be overwritten because the repository is immutable."}]}"#,
    };
    pub(crate) const HARBOR: Self = Self::Immutable {
        status: 412,
        body: r#"{"errors":[{"code":"PRECONDITION","message":"Failed to process request due to 'fixed:v1' configured as immutable."}]}"#,
    };
}

/// The proxy, until it is dropped.
pub(crate) struct ReverseProxy {
    pub(crate) server: HttpServer,
    requests: Arc<AtomicUsize>,
}

impl ReverseProxy {
    pub(crate) async fn start(site: &Site, kind: Kind) -> Self {
        let registry = site.cluster.registry.host.clone();
        let requests = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&requests);
        let server = HttpServer::start(site, move |request| {
            count.fetch_add(1, Relaxed);
            kind.answer(request, registry.clone())
        });
        Self { server: server.await, requests }
    }

    /// Requests so far.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Relaxed)
    }
}

impl Kind {
    async fn answer(self, request: Request<Incoming>, registry: String) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let path = head.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let there = format!("http://{registry}{path}");
        match self {
            Self::Immutable { status, body } if head.method == Method::PUT && is_tag(&path) => {
                let known = http.head(&there).header("accept", "*/*").send().await.unwrap();
                if known.status().is_success() {
                    return answer(StatusCode::from_u16(status).unwrap(), body);
                }
            }
            Self::Proxy if !path.starts_with("/v2/") => {
                return answer(StatusCode::OK, "through the proxy");
            }
            _ => {}
        }
        let body = body.collect().await.unwrap().to_bytes();
        let mut headers = head.headers;
        for hop in [
            "connection",
            "proxy-authorization",
            "proxy-connection",
            "content-length",
            "transfer-encoding",
        ] {
            headers.remove(hop);
        }
        let passed =
            http.request(head.method, there).headers(headers).body(body).send().await.unwrap();
        let mut answer = Response::builder().status(passed.status());
        for (name, value) in
            passed.headers().iter().filter(|(name, _)| *name != "transfer-encoding")
        {
            answer = answer.header(name, value);
        }
        answer.body(Full::new(passed.bytes().await.unwrap())).unwrap()
    }
}

/// A manifest under a name, not under its digest.
fn is_tag(path: &str) -> bool {
    path.rsplit_once("/manifests/").is_some_and(|(_, name)| !name.starts_with("sha256:"))
}

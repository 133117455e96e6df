//! A server in the test's own process that stands before the cluster's registry, or before the world.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use demo::Site;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::JoinHandle};

/// What the server is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Front {
    /// The registry, with tags that never change: this is what it answers to a second push of one
    Immutable { status: u16, body: &'static str },
    /// A proxy of HTTP. It passes on what is for the registry, and answers the rest itself
    Proxy,
}

impl Front {
    pub(crate) const ECR: Self = Self::Immutable {
        status: 400,
        body: r#"{"errors":[{"code":"TAG_INVALID","message":"The image tag 'v1' already exists in the 'models/fixed' repository and cannot be overwritten because the repository is immutable."}]}"#,
    };
    pub(crate) const HARBOR: Self = Self::Immutable {
        status: 412,
        body: r#"{"errors":[{"code":"PRECONDITION","message":"Failed to process request due to 'fixed:v1' configured as immutable."}]}"#,
    };
}

/// The server, until it is dropped.
pub(crate) struct Server {
    /// `HOST:PORT` as pods call it
    pub(crate) address: String,
    asked: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(site: &Site, front: Front) -> Self {
        let machine = &site.cluster.machine;
        assert!(
            !machine.is_empty(),
            "set KANARIA_MACHINE to this machine's address as pods call it"
        );
        let socket = TcpListener::bind((&machine[..], 0)).await.unwrap();
        let address = socket.local_addr().unwrap().to_string();
        let registry = site.cluster.registry.host.clone();
        let asked = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = socket.accept().await else { continue };
                let (registry, count) = (registry.clone(), Arc::clone(&count));
                tokio::spawn(async move {
                    let answer = service_fn(|request| {
                        count.fetch_add(1, Relaxed);
                        let registry = registry.clone();
                        async move { Ok::<_, Infallible>(front.answer(request, &registry).await) }
                    });
                    // What becomes of the connection is the client's concern.
                    let _ =
                        http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
                });
            }
        });
        Self { address, asked, task }
    }

    /// Requests so far.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Front {
    async fn answer(self, request: Request<Incoming>, registry: &str) -> Response<Full<Bytes>> {
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

fn answer(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    let answer = Response::builder().status(status).header("content-type", "application/json");
    answer.body(Full::new(body.into())).unwrap()
}

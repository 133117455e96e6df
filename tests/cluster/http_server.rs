//! An HTTP server in the test's own process, which pods reach.

use std::convert::Infallible;

use demo::Site;
use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::JoinHandle};

/// The server, until it is dropped.
pub(crate) struct HttpServer {
    /// `HOST:PORT` as pods call it
    pub(crate) address: String,
    task: JoinHandle<()>,
}

impl HttpServer {
    /// Begins to answer, each request in a task of its own that goes on when its client has left.
    pub(crate) async fn start<Answer>(
        site: &Site,
        answer: impl Fn(Request<Incoming>) -> Answer + Clone + Send + 'static,
    ) -> Self
    where
        Answer: Future<Output = Response<Full<Bytes>>> + Send + 'static,
    {
        let machine = &site.cluster.machine;
        assert!(
            !machine.is_empty(),
            "set KANARIA_MACHINE to this machine's address as pods call it"
        );
        let socket = TcpListener::bind((&machine[..], 0)).await.unwrap();
        let address = socket.local_addr().unwrap().to_string();
        let task = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = socket.accept().await else { continue };
                let answer = answer.clone();
                let service = service_fn(move |request| {
                    let answered = tokio::spawn(answer(request));
                    async { Ok::<_, Infallible>(answered.await.unwrap_or_else(|_| failed())) }
                });
                // What becomes of the connection is the client's concern.
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { address, task }
    }
}

fn failed() -> Response<Full<Bytes>> {
    answer(StatusCode::INTERNAL_SERVER_ERROR, "")
}

pub(crate) fn answer(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    let answer = Response::builder().status(status).header("content-type", "application/json");
    answer.body(Full::new(body.into())).unwrap()
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

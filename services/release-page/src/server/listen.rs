//! Connections, bounded in time.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use axum::{Router, http::StatusCode};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulConnection,
};
use socket2::SockRef;
use step::{
    Terminated,
    connections::{Connections, until_stopped},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};
use tower::ServiceExt as _;

use crate::server::{answer::plain, proxies::Peer};

/// Of a request's headers: cookies of a site's proxy are long.
const LONGEST_HEAD: usize = 32 * 1024;
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// Until an answer begins: longer than the store may take.
const ANSWERS_WITHIN: Duration = Duration::from_secs(15);
/// A client that takes nothing of its answer for so long loses its connection.
const READS_WITHIN: Duration = Duration::from_secs(30);

/// What is served where
pub struct Listeners {
    pub pages: (TcpListener, Router),
    pub metrics: Option<(TcpListener, Router)>,
    /// Ends the streams of the pages
    pub stopping: watch::Sender<bool>,
}

/// Serves until the end is asked for, and then what has begun.
pub async fn serve(listeners: Listeners, terminated: &mut Terminated) {
    let Listeners { pages, metrics, stopping } = listeners;
    let connections = Connections::default();
    let accept = async |(listener, router): (TcpListener, Router)| {
        let serve = |stream, peer: SocketAddr| connection(stream, Peer(peer.ip()), router.clone());
        connections.accept(listener, serve).await;
    };
    let both = async {
        let other = async {
            match metrics {
                Some(metrics) => accept(metrics).await,
                None => std::future::pending().await,
            }
        };
        tokio::join!(accept(pages), other);
    };
    tokio::select! {
        () = both => {}
        () = until_stopped(terminated) => {}
    }
    let _ = stopping.send(true); // nobody may listen
    connections.end().await;
}

fn connection(
    stream: TcpStream,
    peer: Peer,
    router: Router,
) -> impl GracefulConnection<Error = hyper::Error> {
    let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(READS_WITHIN));
    let answer = move |mut request: Request<Incoming>| {
        let router = router.clone();
        async move {
            request.extensions_mut().insert(peer);
            let answered = timeout(ANSWERS_WITHIN, router.oneshot(request)).await;
            Ok::<_, Infallible>(match answered {
                Ok(Ok(response)) => response,
                Ok(Err(never)) => match never {},
                Err(_late) => plain(StatusCode::GATEWAY_TIMEOUT, "it takes too long"),
            })
        }
    };
    http1::Builder::new()
        .max_buf_size(LONGEST_HEAD)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .serve_connection(TokioIo::new(stream), service_fn(answer))
}

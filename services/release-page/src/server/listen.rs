//! Connections, bounded in number and time.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{Router, http::StatusCode};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use socket2::SockRef;
use step::Terminated;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    time::{sleep, timeout},
};
use tower::ServiceExt as _;

use crate::server::{answer::plain, proxies::Peer};

const MOST_CONNECTIONS: usize = 256;
/// Of a request's headers: cookies of a site's proxy are long.
const LONGEST_HEAD: usize = 32 * 1024;
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// Until an answer begins: longer than the store may take.
const ANSWERS_WITHIN: Duration = Duration::from_secs(15);
/// A client that takes nothing of its answer for so long loses its connection.
const READS_WITHIN: Duration = Duration::from_secs(30);
/// Kubernetes tells of a pod's end everywhere at once: until all know, requests still come.
const GOES_ON_FOR: Duration = Duration::from_secs(3);
const ENDS_WITHIN: Duration = Duration::from_secs(5);

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
    let graceful = GracefulShutdown::new();
    let slots = || Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let both = async {
        let other = async {
            match metrics {
                Some((listener, router)) => accept(listener, router, slots(), &graceful).await,
                None => std::future::pending().await,
            }
        };
        tokio::join!(accept(pages.0, pages.1, slots(), &graceful), other);
    };
    let ending = async {
        terminated.wait().await;
        tracing::info!("stopping: requests are served for {} s more", GOES_ON_FOR.as_secs());
        sleep(GOES_ON_FOR).await;
    };
    tokio::select! {
        () = both => {}
        () = ending => {}
    }
    let _ = stopping.send(true); // nobody may listen
    if timeout(ENDS_WITHIN, graceful.shutdown()).await.is_err() {
        tracing::warn!("stopped with requests that did not end within {} s", ENDS_WITHIN.as_secs());
    }
}

async fn accept(
    listener: TcpListener,
    router: Router,
    slots: Arc<Semaphore>,
    graceful: &GracefulShutdown,
) {
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let serving = graceful.watch(connection(stream, Peer(peer.ip()), router.clone()));
                tokio::spawn(async move {
                    // A client that breaks off loses its own answer.
                    let _ = serving.await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!("failed to accept a connection: {error}");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn connection(
    stream: TcpStream,
    peer: Peer,
    router: Router,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> {
    let _ = stream.set_nodelay(true);
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

//! Connections of a service: bounded in number, and served to their end when it is stopped.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown};
use tokio::{
    net::{TcpListener, TcpStream},
    signal::unix::SignalKind,
    sync::Semaphore,
    time::{sleep, timeout},
};

use crate::{error::Failure, run::Terminated};

/// Of each listener, at a time
const MOST: usize = 256;
/// Kubernetes tells of a pod's end everywhere at once: until all know, requests still come.
const GOES_ON_FOR: Duration = Duration::from_secs(3);
const ENDS_WITHIN: Duration = Duration::from_secs(5);

/// Listens on the address that a flag gives.
pub async fn bind(address: SocketAddr, flag: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| Failure {
        what: format!("failed to listen on `{address}`"),
        hint: format!("choose another address with `{flag}`; a port below 1024 needs a capability"),
    })
}

/// Waits for the signal, and then as long as requests still come. After Ctrl-C none do: no pod is stopped so.
pub async fn until_stopped(terminated: &mut Terminated) {
    if terminated.signal().await == SignalKind::interrupt() {
        return;
    }
    tracing::info!("stopping: requests are served for {} s more", GOES_ON_FOR.as_secs());
    sleep(GOES_ON_FOR).await;
}

/// Those that are open
#[derive(Default)]
pub struct Connections(GracefulShutdown);

impl Connections {
    /// Accepts and serves until it is dropped, which closes the listener and not what is open. Where as many
    /// are open as may be, the next one waits.
    pub async fn accept<C>(&self, listener: TcpListener, serve: impl Fn(TcpStream, SocketAddr) -> C)
    where
        C: GracefulConnection + Send + 'static,
        C::Error: Send,
    {
        let slots = Arc::new(Semaphore::new(MOST));
        loop {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
            let (stream, peer) = next(&listener).await;
            self.serve(serve(stream, peer), slot);
        }
    }

    /// The same for clients that are not to wait: what `serve` does not take is closed at once, and how many
    /// it takes is its own matter.
    pub async fn admit<C>(
        &self,
        listener: TcpListener,
        serve: impl Fn(TcpStream, SocketAddr) -> Option<C>,
    ) where
        C: GracefulConnection + Send + 'static,
        C::Error: Send,
    {
        loop {
            let (stream, peer) = next(&listener).await;
            if let Some(connection) = serve(stream, peer) {
                self.serve(connection, ());
            }
        }
    }

    fn serve<C>(&self, connection: C, slot: impl Send + 'static)
    where
        C: GracefulConnection + Send + 'static,
        C::Error: Send,
    {
        let serving = self.0.watch(connection);
        tokio::spawn(async move {
            // A client that breaks off loses its own answer.
            let _ = serving.await;
            drop(slot);
        });
    }

    /// Waits for the answers that have begun.
    pub async fn end(self) {
        if timeout(ENDS_WITHIN, self.0.shutdown()).await.is_err() {
            tracing::warn!(
                "stopped with requests that did not end within {} s",
                ENDS_WITHIN.as_secs()
            );
        }
    }
}

/// The next connection, however long there is none
async fn next(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let _ = stream.set_nodelay(true);
                return (stream, peer);
            }
            Err(error) => {
                tracing::warn!("failed to accept a connection: {error}");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

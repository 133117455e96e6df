//! HTTP: bounded in what it reads, holds and waits for. A sender is never kept waiting, because KServe's agent
//! keeps in the memory of the model's pod what is not taken from it.

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use answer_counter::config::Config;
use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{ALLOW, CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulConnection,
};
use socket2::SockRef;
use step::{
    Terminated,
    connections::{Connections, until_stopped},
    metrics,
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::{
    intake::{Read, Sort, drained, place, read, sort},
    room::Room,
    scrape::{Pieces, scrape},
    troubles::{Trouble, Troubles, warn},
    worker::{Inbox, Job, Worker},
};

/// Bytes of events that are being read or wait to be counted
const MOST_BYTES: usize = 4 * 1024 * 1024;
const MOST_SENDERS: usize = 512;
const MOST_READERS: usize = 32;
/// Of a request's headers
const LONGEST_HEAD: usize = 8 * 1024;
/// Of one event's body
const READ_WITHIN: Duration = Duration::from_secs(5);
/// KServe's agent keeps a connection for 90 s; closed before, it could lose an event.
const IDLE: Duration = Duration::from_mins(2);
/// A client that takes nothing of its answer for so long loses its connection.
const TAKES_WITHIN: Duration = Duration::from_secs(10);

type Answer = Response<Either<Full<Bytes>, Pieces>>;

pub(crate) struct Server {
    config: Arc<Config>,
    inbox: Inbox,
    bytes: Arc<Room>,
    /// Seconds since the epoch
    started: f64,
}

/// What is served at an address
#[derive(Clone, Copy)]
enum Part {
    Events,
    Metrics,
}

impl Server {
    pub(crate) fn new(config: Arc<Config>, worker: &Worker) -> Self {
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let inbox = worker.inbox.clone();
        Self { config, inbox, bytes: Room::new(MOST_BYTES), started: started.as_secs_f64() }
    }
}

/// Serves until the end is asked for, and then what has begun.
pub(crate) async fn run(
    events: TcpListener,
    metrics: TcpListener,
    server: Arc<Server>,
    terminated: &mut Terminated,
) {
    let connections = Connections::default();
    let troubles = &server.inbox.troubles;
    let admit = async |listener, part, most| {
        let guests = Room::new(most);
        let serve = |stream, peer: SocketAddr| {
            let connection = connection(stream, peer.ip(), part, &guests, &server);
            if connection.is_none() {
                troubles.add(Trouble::TooManyConnections, 1);
            }
            connection
        };
        connections.admit(listener, serve).await;
    };
    tokio::select! {
        () = admit(events, Part::Events, MOST_SENDERS) => {}
        () = admit(metrics, Part::Metrics, MOST_READERS) => {}
        () = warn(Arc::clone(troubles)) => {}
        () = until_stopped(terminated) => {}
    }
    connections.end().await;
}

fn connection(
    stream: TcpStream,
    peer: IpAddr,
    part: Part,
    guests: &Arc<Room>,
    server: &Arc<Server>,
) -> Option<impl GracefulConnection<Error = hyper::Error> + use<>> {
    let guest = guests.hold(peer, 1)?;
    let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(TAKES_WITHIN));
    let server = Arc::clone(server);
    let answer = move |request| {
        let (server, peer) = (Arc::clone(&server), guest.peer());
        async move {
            Ok::<_, Infallible>(match part {
                Part::Events => server.event(request, peer).await,
                Part::Metrics => server.told(&request),
            })
        }
    };
    let connection = http1::Builder::new()
        .max_buf_size(LONGEST_HEAD)
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .serve_connection(TokioIo::new(stream), service_fn(answer));
    Some(connection)
}

impl Server {
    fn told(&self, request: &Request<Incoming>) -> Answer {
        match (request.method(), request.uri().path()) {
            (&Method::GET | &Method::HEAD, "/healthz") => text(StatusCode::OK, "ok"),
            (&Method::GET, "/metrics") => {
                let pieces = scrape(&self.inbox, self.started);
                let mut response = Response::new(Either::Right(pieces));
                let content_type = HeaderValue::from_static(metrics::CONTENT_TYPE);
                response.headers_mut().insert(CONTENT_TYPE, content_type);
                response
            }
            (_, "/healthz") => only("GET, HEAD"),
            (_, "/metrics") => only("GET"),
            _ => text(StatusCode::NOT_FOUND, "only /metrics and /healthz"),
        }
    }

    async fn event(&self, request: Request<Incoming>, peer: IpAddr) -> Answer {
        let path = request.uri().path();
        if path == "/healthz" {
            return match *request.method() {
                Method::GET | Method::HEAD => text(StatusCode::OK, "ok"),
                _ => only("GET, HEAD"),
            };
        }
        let Some(place) = place(path) else {
            return text(StatusCode::NOT_FOUND, "only /NAMESPACE/SERVICE/VERSION and /healthz");
        };
        let is_event = request.method() == Method::POST;
        // Before the method: `canary-create` asks by GET whether a service is counted, before it sends answers here.
        if self.config.of(&place.namespace, &place.service).is_none() {
            if is_event {
                self.troubles().add(Trouble::Refused, 1);
            }
            return text(StatusCode::NOT_FOUND, "a service that the config does not name");
        }
        if !is_event {
            return only("POST");
        }
        let sort = sort(request.headers());
        let body = request.into_body();
        let form = match sort {
            Sort::Answer(form) => form,
            Sort::Other => {
                return match timeout(READ_WITHIN, drained(body, Read::NoRoom)).await {
                    Ok(_) => taken(),
                    Err(_late) => late(),
                };
            }
            Sort::NoEvent => {
                return text(StatusCode::BAD_REQUEST, "no CloudEvent: no header `ce-type`");
            }
        };
        let trouble = match timeout(READ_WITHIN, read(body, &self.bytes, peer)).await {
            Ok(Read::Whole(body, held)) => {
                self.inbox.put(Job { place, form, body, held });
                return taken();
            }
            Ok(Read::Broken) => return text(StatusCode::BAD_REQUEST, "the request breaks off"),
            Ok(Read::TooLarge) => Trouble::TooLarge,
            Ok(Read::NoRoom) => Trouble::NoRoom,
            Err(_late) => Trouble::TooSlow,
        };
        self.inbox.lose(place, peer, trouble);
        // What is lost stays lost: nobody sends it again, and a refusal would fill the log of the model's pod.
        if trouble == Trouble::TooSlow { late() } else { taken() }
    }

    fn troubles(&self) -> &Troubles {
        &self.inbox.troubles
    }
}

fn taken() -> Answer {
    let mut response = Response::new(Either::Left(Full::default()));
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

fn late() -> Answer {
    text(StatusCode::REQUEST_TIMEOUT, "the request takes too long")
}

fn only(methods: &'static str) -> Answer {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "not by this method");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    response
}

fn text(status: StatusCode, body: &'static str) -> Answer {
    let body = Full::new(Bytes::from(format!("{body}\n")));
    let mut response = Response::new(Either::Left(body));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

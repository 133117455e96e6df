//! HTTP: bounded in what it reads, holds and waits for, and never slower than Tekton waits.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body as _, Incoming},
    header::CONTENT_TYPE,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulConnection,
};
use serde_json::Value;
use step::{
    Terminated,
    connections::{Connections, until_stopped},
    text::clean,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};

use crate::{
    event_recorder::EventRecorder,
    interceptor::{Decision, Interceptor},
    protocol,
    refusal::{Refusal, shown},
};

/// An event of a megabyte, and what writing it as a JSON string adds to it.
const LONGEST_REQUEST: usize = 2 * 1024 * 1024;
/// Of all requests that are being read at a time. The unit is KiB.
const MOST_READ: usize = 3 * LONGEST_REQUEST / 2 / 1024;
const READ_AT_ONCE: usize = 64 * 1024;
/// Tekton gives up after 3 s.
const READ_WITHIN: Duration = Duration::from_secs(2);
/// Tekton's client keeps a connection for 90 s; closed before, it could lose an event.
const IDLE: Duration = Duration::from_mins(2);

struct Server {
    interceptor: Interceptor,
    recorder: EventRecorder,
    reading: Semaphore,
}

/// Serves until the end is asked for, and then what has begun.
pub(crate) async fn run(
    listener: TcpListener,
    interceptor: Interceptor,
    recorder: EventRecorder,
    terminated: &mut Terminated,
) {
    let server = Arc::new(Server { interceptor, recorder, reading: Semaphore::new(MOST_READ) });
    let connections = Connections::default();
    tokio::select! {
        () = connections.accept(listener, |stream, _| connection(stream, Arc::clone(&server))) => {}
        () = until_stopped(terminated) => {}
    }
    connections.end().await;
}

fn connection(
    stream: TcpStream,
    server: Arc<Server>,
) -> impl GracefulConnection<Error = hyper::Error> {
    http1::Builder::new()
        .max_buf_size(READ_AT_ONCE)
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .serve_connection(
            TokioIo::new(stream),
            service_fn(move |request| {
                let server = Arc::clone(&server);
                async move { Ok::<_, Infallible>(server.respond(request).await) }
            }),
        )
}

impl Server {
    async fn respond(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        match (request.method(), request.uri().path()) {
            (&Method::GET | &Method::HEAD, "/healthz") => text(StatusCode::OK, "ok"),
            (_, "/healthz") => text(StatusCode::METHOD_NOT_ALLOWED, "only GET"),
            (&Method::POST, "/") => self.intercept(request.into_body()).await,
            (_, "/") => text(StatusCode::METHOD_NOT_ALLOWED, "only POST"),
            _ => text(StatusCode::NOT_FOUND, "only / and /healthz"),
        }
    }

    async fn intercept(&self, body: Incoming) -> Response<Full<Bytes>> {
        match timeout(READ_WITHIN, self.read(body)).await {
            Ok(Ok(Some(body))) => self.answer(body),
            Ok(Ok(None)) => {
                let refusal = Refusal::invalid(
                    format!("the request is larger than {} MiB", LONGEST_REQUEST / 1024 / 1024),
                    "send less data: what is large belongs in the store, and its address in the event",
                );
                self.refuse("", "", "", &refusal)
            }
            Ok(Err(error)) => {
                tracing::warn!("failed to read a request: {error}");
                text(StatusCode::BAD_REQUEST, "the request breaks off")
            }
            Err(_late) => {
                tracing::warn!("failed to read a request within {} s", READ_WITHIN.as_secs());
                text(StatusCode::REQUEST_TIMEOUT, "the request takes too long")
            }
        }
    }

    /// The whole body; nothing if it is too large, which is then read on and dropped, so that the
    /// other side comes to read the answer.
    async fn read(&self, mut body: Incoming) -> Result<Option<Bytes>, hyper::Error> {
        let announced = body.size_hint().exact().and_then(|size| usize::try_from(size).ok());
        let room = announced.unwrap_or(LONGEST_REQUEST).min(LONGEST_REQUEST);
        let wanted = u32::try_from(room / 1024 + 1).unwrap_or(u32::MAX);
        let _room = self.reading.acquire_many(wanted).await;
        let fits = announced.is_none_or(|size| size <= LONGEST_REQUEST);
        let mut whole = BytesMut::with_capacity(if fits { announced.unwrap_or(0) } else { 0 });
        let mut fits = fits;
        while let Some(frame) = body.frame().await {
            let Ok(part) = frame?.into_data() else { continue };
            fits = fits && whole.len() + part.len() <= LONGEST_REQUEST;
            if fits {
                whole.extend_from_slice(&part);
            } else {
                whole = BytesMut::new();
            }
        }
        Ok(fits.then(|| whole.freeze()))
    }

    fn answer(&self, body: Bytes) -> Response<Full<Bytes>> {
        let request = match serde_json::from_slice::<protocol::Request>(&body) {
            Ok(request) => request,
            Err(error) => {
                tracing::warn!(
                    "refused a request that no EventListener of Tekton sends: {}",
                    shown(&error.to_string())
                );
                let hint = "this speaks the protocol of Tekton's interceptors";
                return text(StatusCode::BAD_REQUEST, hint);
            }
        };
        drop(body);
        match self.interceptor.process(&request, SystemTime::now()) {
            Decision::Continue(event) => {
                tracing::info!(
                    "took event `{}` from `{}`: {} of {}, as {}",
                    shown(&event.id),
                    shown(&event.source),
                    shown(&event.ty),
                    format!("{} {}", event.service, event.version).trim_end(),
                    event.name
                );
                json(&protocol::proceed(&event))
            }
            Decision::Ignore { id, ty } => {
                tracing::debug!("event `{}` starts nothing here: {}", shown(&id), shown(&ty));
                json(&protocol::ignore())
            }
            Decision::Refuse { id, source, refusal } => {
                self.refuse(&id, &source, &request.context.event_id, &refusal)
            }
        }
    }

    fn refuse(
        &self,
        id: &str,
        source: &str,
        event_id: &str,
        refusal: &Refusal,
    ) -> Response<Full<Bytes>> {
        let event = match (id, source) {
            ("", "") => "an event".to_owned(),
            (id, "") => format!("event `{}`", shown(id)),
            (id, source) => format!("event `{}` from `{}`", shown(id), shown(source)),
        };
        let received = match event_id {
            "" => String::new(),
            event_id => format!(" (eventID {})", shown(event_id)),
        };
        let line = clean(&format!("refused {event}{received}: {}", refusal.line()));
        tracing::warn!("{line}");
        self.recorder.record(&line);
        json(&protocol::refuse(refusal))
    }
}

fn json(answer: &Value) -> Response<Full<Bytes>> {
    respond(StatusCode::OK, "application/json", answer.to_string())
}

fn text(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    respond(status, "text/plain", format!("{body}\n"))
}

fn respond(
    status: StatusCode,
    media_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(media_type));
    response
}

//! From an event's path, headers and body to a job for the worker, in bounded time and memory.

use std::{net::IpAddr, sync::Arc};

use answer_counter::{config::is_name, counts::Place};
use http_body_util::BodyExt as _;
use hyper::{
    HeaderMap,
    body::{Body as _, Incoming},
};
use percent_encoding::percent_decode_str;
use step::text::clean;

use crate::room::{Held, Room};

/// Of an event's body
pub(crate) const LARGEST: usize = 1024 * 1024;
/// What an event takes beside its body
const OVERHEAD: usize = 512;
/// Of a version, in bytes: a tag of an image has no more.
const LONGEST_VERSION: usize = 128;

/// The service and version in a path `/NAMESPACE/SERVICE/VERSION`
pub(crate) fn place(path: &str) -> Option<Place> {
    let mut segments = path.strip_prefix('/')?.split('/');
    let (namespace, service) = (segments.next()?, segments.next()?);
    let version = percent_decode_str(segments.next()?).decode_utf8().ok()?;
    let is_version = (1..=LONGEST_VERSION).contains(&version.len()) && clean(&version) == version;
    let is_place = is_name(namespace) && is_name(service) && is_version;
    (is_place && segments.next().is_none()).then(|| Place {
        namespace: namespace.into(),
        service: service.into(),
        version: version.into(),
    })
}

/// How an event's answer lies in its body
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The body is the answer.
    Binary,
    /// The body is the event, in CloudEvents' JSON format.
    Structured,
}

/// What an event is, by its headers
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    /// It may have an answer.
    Answer(Form),
    /// It tells of something else, such as a request.
    Other,
    NoEvent,
}

pub(crate) fn sort(headers: &HeaderMap) -> Sort {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let media_type = text("content-type").unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/cloudevents+json") {
        return Sort::Answer(Form::Structured);
    }
    match text("ce-type") {
        Some(ty) if is_response(ty) => Sort::Answer(Form::Binary),
        Some(_) => Sort::Other,
        None => Sort::NoEvent,
    }
}

/// `org.kubeflow.serving.inference.response` is the only one there is; its domain is of KServe's past.
pub(crate) fn is_response(ty: &str) -> bool {
    ty.ends_with(".inference.response")
}

/// A body as far as it was kept; read to its end in any case, so that the sender comes to read the answer.
pub(crate) enum Read {
    Whole(Vec<u8>, Held),
    TooLarge,
    NoRoom,
    Broken,
}

pub(crate) async fn read(mut body: Incoming, room: &Arc<Room>, peer: IpAddr) -> Read {
    let announced =
        body.size_hint().exact().map(|size| usize::try_from(size).unwrap_or(usize::MAX));
    let size = announced.unwrap_or_default();
    if size > LARGEST {
        return drained(body, Read::TooLarge).await;
    }
    let Some(mut held) = room.hold(peer, OVERHEAD + size) else {
        return drained(body, Read::NoRoom).await;
    };
    let mut whole = Vec::with_capacity(size);
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Read::Broken };
        let Ok(part) = frame.into_data() else { continue };
        if whole.len() + part.len() > LARGEST {
            drop((whole, held));
            return drained(body, Read::TooLarge).await;
        }
        if whole.capacity() - whole.len() < part.len() {
            // Twice as much each time, so that it is not copied for each part.
            let more = part.len().max(whole.capacity()).min(LARGEST);
            if !held.grow(more) {
                drop((whole, held));
                return drained(body, Read::NoRoom).await;
            }
            whole.reserve_exact(whole.capacity() - whole.len() + more);
        }
        whole.extend_from_slice(&part);
    }
    Read::Whole(whole, held)
}

/// Reads a body on and drops it.
pub(crate) async fn drained(mut body: Incoming, then: Read) -> Read {
    while let Some(frame) = body.frame().await {
        if frame.is_err() {
            return Read::Broken;
        }
    }
    then
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place_of(path: &str) -> Option<[String; 3]> {
        place(path).map(|place| [place.namespace, place.service, place.version].map(String::from))
    }

    #[test]
    fn a_path_is_namespace_service_and_version_and_nothing_else() {
        let of = |version: &str| Some(["models", "iris", version].map(str::to_owned));
        assert_eq!(place_of("/models/iris/v2"), of("v2"));
        assert_eq!(place_of("/models/iris/v%2F2%25"), of("v/2%"));
        assert_eq!(place_of("/models/iris/sch%C3%B6n"), of("schön"));
        for path in [
            "",
            "/",
            "/models",
            "/models/iris",
            "/models/iris/",
            "/models/iris/v2/",
            "/models/iris/v2/x",
            "//iris/v2",
            "models/iris/v2",
            "/Models/iris/v2",
            "/models/ir_is/v2",
            "/models/-iris/v2",
            "/models/iris/%ff",
            "/models/iris/a%0ab",
            "/models/iris/a%E2%80%AEb",
            "/models/iris/%20v",
        ] {
            assert_eq!(place_of(path), None, "{path}");
        }
        assert_eq!(place_of(&format!("/models/iris/{}", "v".repeat(129))), None);
        assert_eq!(place_of(&format!("/models/{}/v", "i".repeat(64))), None);
    }

    #[test]
    fn only_responses_have_answers() {
        let of = |headers: &[(&'static str, &'static str)]| {
            let headers =
                headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            sort(&headers.collect())
        };
        let response = ("ce-type", "org.kubeflow.serving.inference.response");
        assert_eq!(of(&[response]), Sort::Answer(Form::Binary));
        assert_eq!(
            of(&[response, ("content-type", "application/json")]),
            Sort::Answer(Form::Binary)
        );
        assert_eq!(of(&[("ce-type", "org.kubeflow.serving.inference.request")]), Sort::Other);
        assert_eq!(of(&[("ce-type", "x")]), Sort::Other);
        assert_eq!(of(&[("content-type", "application/json")]), Sort::NoEvent);
        let structured = ("content-type", "Application/CloudEvents+JSON; charset=utf-8");
        assert_eq!(of(&[structured]), Sort::Answer(Form::Structured));
    }
}

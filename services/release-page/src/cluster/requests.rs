//! A client that counts what it asks, gives up on what is not answered, and notes that the server answers: a
//! watch that goes on after a cut has nothing to say of that.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use http::{Method, Request, Response, Uri};
use kube::{Client, client::Body};
use tokio::time::timeout;
use tower::{BoxError, Service};

use super::health::Health;
use crate::{counts::Counts, shared::Shared};

/// Within this the API server begins its answer, also to a watch.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);

/// The same client, but its requests are counted and begin to be answered in time.
pub(super) fn counted(client: Client, counts: Arc<Counts>, health: Shared<Health>) -> Client {
    let namespace = client.default_namespace().to_owned();
    Client::new(Counted { client, counts, health }, namespace)
}

struct Counted {
    client: Client,
    counts: Arc<Counts>,
    health: Shared<Health>,
}

impl Service<Request<Body>> for Counted {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<Body>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(())) // the client inside has a queue of its own
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Asked { verb, resource, namespace } = Asked::by(request.method(), request.uri());
        self.counts.api_request(verb, &resource);
        let (client, health) = (self.client.clone(), self.health.clone());
        Box::pin(async move {
            let late = || format!("no answer within {} s", ANSWERS_WITHIN.as_secs());
            let answer = timeout(ANSWERS_WITHIN, client.send(request)).await.map_err(|_| late())?;
            let answer = answer.map_err(unwrapped)?;
            if answer.status().is_success() {
                health.change(|health| health.answered(&resource, namespace.as_deref()));
            }
            Ok(answer)
        })
    }
}

/// The client around this one wraps it again.
fn unwrapped(error: kube::Error) -> BoxError {
    match error {
        kube::Error::Service(cause) => cause,
        error => error.into(),
    }
}

/// As rights name it
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    verb: &'static str,
    resource: String,
    namespace: Option<String>,
}

impl Asked {
    fn by(method: &Method, uri: &Uri) -> Self {
        let parts = uri.path().trim_matches('/').split('/');
        let parts: Vec<_> = parts.skip_while(|part| !is_version(part)).skip(1).collect();
        let (namespace, resource, name) = match parts.as_slice() {
            ["namespaces", namespace, resource, rest @ ..] => {
                (Some(*namespace), *resource, rest.first())
            }
            [resource, rest @ ..] => (None, *resource, rest.first()),
            [] => (None, "", None),
        };
        let mut query = uri.query().unwrap_or_default().split('&');
        let verb = match (method, name) {
            (&Method::GET, None) if query.any(|pair| pair == "watch=true") => "watch",
            (&Method::GET, None) => "list",
            (&Method::GET, Some(_)) => "get",
            _ => "write",
        };
        Self { verb, resource: resource.to_owned(), namespace: namespace.map(str::to_owned) }
    }
}

/// `v1`, `v1beta1` …: what follows it is the resource
fn is_version(part: &str) -> bool {
    part.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_counted_by_the_verb_and_the_resource_that_rights_name() {
        for (path, verb, resource, namespace) in [
            ("/apis/tekton.dev/v1/namespaces/a/taskruns?&limit=50", "list", "taskruns", Some("a")),
            (
                "/apis/tekton.dev/v1/taskruns?&watch=true&resourceVersion=7",
                "watch",
                "taskruns",
                None,
            ),
            (
                "/apis/tekton.dev/v1/namespaces/v1/taskruns/watch=true",
                "get",
                "taskruns",
                Some("v1"),
            ),
            ("/api/v1/namespaces/a/configmaps?&watch=true", "watch", "configmaps", Some("a")),
            (
                "/apis/serving.kserve.io/v1beta1/inferenceservices",
                "list",
                "inferenceservices",
                None,
            ),
        ] {
            let found = Asked::by(&Method::GET, &path.parse().unwrap());
            let namespace = namespace.map(str::to_owned);
            assert_eq!(found, Asked { verb, resource: resource.into(), namespace }, "{path}");
        }
        let written =
            Asked::by(&Method::PATCH, &"/api/v1/namespaces/a/configmaps/b".parse().unwrap());
        assert_eq!((written.verb, written.resource.as_str()), ("write", "configmaps"));
    }
}

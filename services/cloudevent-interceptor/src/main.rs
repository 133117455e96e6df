//! Reads every event that comes to Tekton's EventListener before a trigger sees it, and gives the
//! triggers one plain object or nothing.
//!
//! - `args`: the command line
//! - `server`: HTTP, bounded in what it reads, holds and waits for
//! - `protocol`: the JSON that Tekton's EventListener and its interceptors exchange
//! - `interceptor`: what becomes of a request, from the first look to the decision
//! - `http_binding`: the event in it, structured or binary
//! - `authentication`: its signature or token
//! - `credentials`: the keys of a mounted Secret, with which that is checked
//! - `normalise`: the event in the form that the triggers read
//! - `event_type`: which types are known here
//! - `data`: which fields the data must have, of which form
//! - `encoding`: UTF-8 without a byte order mark
//! - `container`: what a request brings for the model's container
//! - `canary`: what is said of a canary, and of the rungs that it has climbed
//! - `people`: what people ask for, who they are, and why
//! - `field`: a text, a percent or an object of the data
//! - `patterns`: of names, versions, stores and images
//! - `event`: what the triggers get
//! - `refusal`: why an event starts nothing, and what to write instead
//! - `event_recorder`: Events of Kubernetes about refusals, on the EventListener

mod args;
mod authentication;
mod canary;
mod container;
mod credentials;
mod data;
mod encoding;
mod event;
mod event_recorder;
mod event_type;
mod field;
mod http_binding;
mod interceptor;
mod normalise;
mod patterns;
mod people;
mod protocol;
mod refusal;
mod server;

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use step::{Outcome, Terminated, connections::bind};

use crate::{
    args::Args, credentials::CredentialFolder, event_recorder::EventRecorder,
    event_type::EventTypes, interceptor::Interceptor,
};

fn main() -> ExitCode {
    step::serve(serve)
}

async fn serve(args: Args, mut terminated: Terminated) -> Result<Outcome> {
    let Args { listen, credentials, replay_window, type_prefix, event_listener } = args;
    let credentials = CredentialFolder::open(credentials)?;
    if let Some(what) = credentials.asks_for() {
        tracing::info!("an event must carry {what}");
    } else {
        tracing::warn!(
            "no key, so every event is taken, whoever sends it: a Secret `canary-listener` with the key `hmac` or `token` demands a signature"
        );
    }
    let interceptor = Interceptor {
        credentials,
        window: replay_window.into(),
        types: EventTypes::new(&type_prefix),
    };

    let listener = bind(listen, "--listen").await?;
    tracing::info!("serving on {}", listener.local_addr().context("failed to read the address")?);
    let recorder = EventRecorder::start(event_listener);
    server::run(listener, interceptor, recorder, &mut terminated).await;
    Ok(Outcome::Terminated)
}

//! Reads every event that comes to Tekton's EventListener before a trigger sees it, and gives the
//! triggers one plain object or nothing.
//!
//! A request comes in by [`server`], in the form of Tekton's [`protocol`]. [`binding`] finds the
//! CloudEvent in it, [`signature`] asks with the [`keys`] of a Secret who sent it, [`event`] holds
//! its type and its fields to their [`forms`]. What is refused leaves a line in the log and, by
//! [`notice`], an Event of Kubernetes on the EventListener.

mod args;
mod binding;
mod container;
mod event;
mod forms;
mod judge;
mod keys;
mod notice;
mod protocol;
mod refusal;
mod server;
mod signature;

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use step::{Failure, Outcome, Terminated};
use tokio::net::TcpListener;

use crate::{args::Args, event::Types, judge::Judge, keys::KeyRing, notice::Notices};

fn main() -> ExitCode {
    step::serve(serve)
}

async fn serve(args: Args, mut terminated: Terminated) -> Result<Outcome> {
    let Args { listen, credentials, replay_window, type_prefix, event_listener } = args;
    let keys = KeyRing::open(credentials)?;
    if let Some(what) = keys.asks_for() {
        tracing::info!("an event must carry {what}");
    } else {
        tracing::warn!(
            "no key, so every event is taken, whoever sends it: a Secret `canary-listener` with the key `hmac` or `token` demands a signature"
        );
    }
    let judge = Judge { keys, window: replay_window.into(), types: Types::new(&type_prefix) };

    let listener = TcpListener::bind(listen).await.with_context(|| Failure {
        what: format!("failed to listen on `{listen}`"),
        hint: "choose another address with `--listen`; a port below 1024 needs a capability".into(),
    })?;
    tracing::info!("serving on {}", listener.local_addr().context("failed to read the address")?);
    let notices = Notices::start(event_listener);
    server::run(listener, judge, notices, &mut terminated).await;
    Ok(Outcome::Terminated)
}

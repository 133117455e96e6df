//! What is known of a cluster and of a store, whatever happens to them.
//!
//! - `api`: an API server that does what a test tells it to
//! - `objects`: objects of a cluster
//! - `bucket`: a store that does what a test tells it to
//! - `cluster`: what is known of the cluster
//! - `store`: what is known of the store
//! - `gates`: what is known of gates that are deciding

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod api;
mod bucket;
mod cluster;
mod gates;
mod objects;
mod store;

use std::{sync::Arc, time::Duration};

use clap::Parser;
use kube::Client;
use release_page::{
    known::Known,
    options::Options,
    sources::{Sources, start_with},
};

#[derive(Parser)]
struct Args {
    #[command(flatten)]
    options: Options,
}

async fn start(client: Client, flags: &[&str]) -> Sources {
    let args = Args::parse_from([&["release-page"], flags].concat());
    start_with(client, args.options).await.unwrap()
}

/// The first picture that is as it should be. That it never comes is a failure, and not how soon.
async fn until(sources: &Sources, what: &str, is_so: impl Fn(&Known) -> bool) -> Arc<Known> {
    let mut known = sources.known.clone();
    let wait = known.wait_for(|known| is_so(known));
    let found = tokio::time::timeout(Duration::from_mins(1), wait).await;
    let late = |_| panic!("it is never so: {what}: {:#?}", sources.known.borrow());
    found.unwrap_or_else(late).unwrap().clone()
}

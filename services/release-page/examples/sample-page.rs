//! Serves the page of a site that is made up, for browser tests and for whoever changes how it looks.
//!
//! `cargo run -p release-page --example sample-page -- 127.0.0.1:8080` prints its address. With a second address, a
//! `POST /climb`, `/away` or `/back` there changes what is known.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "it is for tests")]

#[path = "../tests/sample/mod.rs"]
mod sample;

use std::{
    env,
    sync::{Arc, Mutex},
};

use axum::{Router, extract::Path, routing::post};
use jiff::Timestamp;
use release_page::{
    counts::Counts,
    interest::Interest,
    known::{Known, Source},
    server::{Settings, Shown, router},
};
use tokio::{net::TcpListener, sync::watch};

/// What is known after this word.
fn changed(word: &str, known: &mut Known) {
    let now = Timestamp::now();
    match word {
        "climb" => {
            let service = known.services.iter_mut().find(|service| service.name == "iris").unwrap();
            let service = Arc::make_mut(service);
            (service.split[0].percent, service.split[1].percent) = (50, 50);
            service.canary.as_mut().unwrap().percent = 50;
            let is_it = |release: &&mut Arc<_>| {
                let release: &release_record::release::Release = release;
                release.service == "iris" && release.version == "v3"
            };
            let release = Arc::make_mut(known.releases.iter_mut().find(is_it).unwrap());
            release.shares.push((50, now));
        }
        "away" => {
            let error = "failed to list `s3://bentos`: connection refused".to_owned();
            known.store = Source::Away { since: now, error };
            known.api_server = Source::Away { since: now, error: "connection refused".into() };
        }
        _ => *known = sample::sample(now),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut addresses = env::args().skip(1);
    let listener =
        TcpListener::bind(addresses.next().unwrap_or("127.0.0.1:0".into())).await.unwrap();
    let (sender, known) = watch::channel(Arc::new(sample::sample(Timestamp::now())));
    let (_stopping, stops) = watch::channel(false);
    let shown = Shown {
        known,
        store: Some(Arc::new(sample::manifests::Store)),
        interest: Interest::default(),
        counts: Arc::<Counts>::default(),
    };
    let settings = Settings { site: sample::site(), is_local: true, ..Settings::default() };
    println!("http://{}", listener.local_addr().unwrap());
    if let Some(address) = addresses.next() {
        let listener = TcpListener::bind(address).await.unwrap();
        println!("http://{}", listener.local_addr().unwrap());
        let sender = Arc::new(Mutex::new(sender));
        let change = async move |Path(word): Path<String>| {
            sender.lock().unwrap().send_modify(|known| changed(&word, Arc::make_mut(known)));
        };
        tokio::spawn(async move {
            axum::serve(listener, Router::new().route("/{word}", post(change))).await
        });
    }
    axum::serve(listener, router(shown, settings, stops)).await.unwrap();
}

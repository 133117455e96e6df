//! A page of many services, releases and models: what it takes, and what it asks.
//!
//! - `servers`: an API server without controllers, and a store, of their own
//! - `objects`: what they are filled with
//! - `page`: the real binary, and what it takes
//!
//! `make bench` has the binary of the image, which `RELEASE_PAGE` names, and prints the table. Without it, it is a build
//! for development, which takes some more memory and is held to nothing there.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod objects;
mod page;
mod servers;

use std::{collections::BTreeMap, env, path::Path, time::Duration};

use self::{objects::Size, page::Page, servers::Servers};

const SIZE: Size = Size { services: 200, runs: 20, tasks: 3, bentos: 1_000, kept: 10 };
/// Of the whole process, in kB
const MEMORY: u64 = 32 * 1024;
/// Of the first page, packed as a browser asks for it
const FIRST_PAGE: usize = 100 * 1024;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the cluster's binaries"]
async fn a_page_of_two_hundred_services_and_a_thousand_models_is_small_and_only_watches() {
    let binary = env::var_os("RELEASE_PAGE");
    let is_of_an_image = binary.is_some();
    let binary = binary.unwrap_or_else(|| env!("CARGO_BIN_EXE_release-page").into());
    let servers = Servers::start().await;
    objects::fill(&servers, SIZE).await;
    let page = Page::start(Path::new(&binary), &servers).await;
    let loaded = page.until_it_has(SIZE).await;
    let memory = page.memory();
    let first = page.get("/").await;
    let (service, models) = (page.get(&objects::a_service()).await, page.get("/models").await);
    let again = page.get("/").await;
    tokio::time::sleep(Duration::from_secs(90)).await; // a minute's listing of the store, and bookmarks
    let later = page.memory();
    let requests = servers.requests_of_the_page();
    eprintln!("| what | found |\n|---|---|");
    eprintln!("| all is known after | {:.1} s |", loaded.as_secs_f64());
    eprintln!(
        "| memory then, now and at most | {} kB, {} kB, {} kB |",
        memory.now, later.now, later.most
    );
    eprintln!("| of it not of files | {} kB |", later.anonymous);
    eprintln!(
        "| first page, packed | {} bytes in {:.0} ms, then {:.0} ms |",
        first.bytes, first.millis, again.millis
    );
    for (what, page) in [("a service's page", service), ("first models", models)] {
        eprintln!("| {what}, packed | {} bytes in {:.0} ms |", page.bytes, page.millis);
    }
    for ((verb, resource), count) in &requests {
        eprintln!("| {verb} {resource} | {count} |");
    }
    let pages = |objects: usize| u64::try_from(objects.div_ceil(50)).unwrap();
    let lists: BTreeMap<_, _> = requests
        .iter()
        .filter(|((verb, _), _)| verb == "list")
        .map(|((_, resource), count)| (resource.as_str(), *count))
        .collect();
    let runs = SIZE.services * SIZE.runs;
    assert_eq!(lists["taskruns"], pages(runs * SIZE.tasks), "each page of the first list, once");
    assert_eq!(lists["pipelineruns"], pages(runs));
    let others = requests.keys().filter(|(verb, _)| verb != "list" && verb != "watch");
    assert_eq!(others.collect::<Vec<_>>(), Vec::<&(String, String)>::new());
    assert!(first.bytes <= FIRST_PAGE, "{} bytes", first.bytes);
    if is_of_an_image {
        assert!(later.most <= MEMORY, "{} kB", later.most);
    }
}

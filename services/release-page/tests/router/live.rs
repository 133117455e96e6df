//! Changes, as a page's script hears of them.

use std::{sync::Arc, time::Duration};

use axum::http::{StatusCode, header};
use futures::StreamExt as _;
use release_page::server::Settings;
use tower::ServiceExt as _;

use crate::site::{SERVICE, Site, get, site};

/// Events as they come.
fn events(response: axum::response::Response) -> impl futures::Stream<Item = String> + Unpin {
    Box::pin(
        response
            .into_body()
            .into_data_stream()
            .map(|part| String::from_utf8(part.unwrap().to_vec()).unwrap()),
    )
}

impl Site {
    /// What the script of this page listens to.
    async fn listen(&self, path: &str) -> axum::response::Response {
        let page = self.get(path).await.text;
        let live = page
            .split_once("data-live=\"")
            .unwrap()
            .1
            .split('"')
            .next()
            .unwrap()
            .replace("&amp;", "&");
        let response = self.router.clone().oneshot(get(&live, &[])).await.unwrap();
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
        response
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_is_told_to_who_looks_at_what_it_changes() {
    let site = site(Settings::default());
    let mut models = events(site.listen("/models").await);
    let mut service = events(site.listen(SERVICE).await);
    site.known.send_modify(|known| {
        let known = Arc::make_mut(known);
        let iris = known.services.iter_mut().find(|service| service.name == "iris").unwrap();
        Arc::make_mut(iris).split[1].percent = 77;
    });
    let told = service.next().await.unwrap();
    assert!(told.starts_with("event: changed\ndata: <main "), "{}", &told[..200]);
    assert!(told.contains("77\u{a0}%"));
    // The list of models names services' percents, too; its own words come with them.
    assert!(models.next().await.unwrap().contains("77\u{a0}%"));
    site.known.send_modify(|known| Arc::make_mut(known).missing.push("something".into()));
    assert!(models.next().await.unwrap().contains("something"));
}

#[tokio::test(start_paused = true)]
async fn what_changes_nothing_on_a_page_is_not_told() {
    let site = site(Settings::default());
    let mut models = events(site.listen("/models?q=digits").await);
    site.known.send_modify(|known| Arc::make_mut(known).gates.clear());
    let comment =
        tokio::time::timeout(Duration::from_mins(1), models.next()).await.unwrap().unwrap();
    assert!(comment.starts_with(':'), "only a comment that keeps it open: {comment}");
}

#[tokio::test(start_paused = true)]
async fn streams_end_at_shutdown_and_when_nothing_more_can_change() {
    let site = site(Settings::default());
    let mut first = events(site.listen("/models").await);
    site.stopping.send(true).unwrap();
    assert_eq!(first.next().await, None);
}

#[tokio::test]
async fn there_are_only_so_many_streams() {
    let site = site(Settings::default());
    let mut open = Vec::new();
    for _ in 0..64 {
        open.push(site.listen("/models").await);
    }
    assert_eq!(site.get("/live?of=/models").await.status, StatusCode::SERVICE_UNAVAILABLE);
    open.pop();
    assert_eq!(site.listen("/models").await.status(), StatusCode::OK);
    assert_eq!(site.get("/live?of=/nowhere").await.status, StatusCode::NOT_FOUND);
}

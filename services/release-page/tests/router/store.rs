//! A store that is away, and what it does not have any more.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use anyhow::{Result, bail};
use axum::http::{StatusCode, header};
use bento_retrieve::bento::Details;
use futures::future::BoxFuture;
use release_page::{
    known::Source,
    server::{Archive, Settings},
};
use release_record::key::{KeptFile, RunKey};

use crate::site::{get, site, site_with};

/// A store that hangs at first, and then fails.
#[derive(Default)]
struct Hangs(AtomicUsize);

impl Archive for Hangs {
    fn details<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
    ) -> BoxFuture<'a, Result<Option<Arc<Details>>>> {
        Box::pin(async {
            if self.0.fetch_add(1, Ordering::Relaxed) == 0 {
                std::future::pending::<()>().await;
            }
            bail!("connection refused")
        })
    }

    fn evidence<'a>(
        &'a self,
        _: &'a RunKey,
        _: KeptFile,
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_or_fails_leaves_a_page_with_a_place_holder() {
    let site = site_with(Settings::default(), Some(Arc::new(Hangs::default())));
    for words in ["did not answer within 5 s", "connection refused"] {
        let answer = site.get("/models/iris/v3").await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.text.contains(words) && answer.text.contains("48.3 MB"), "{words}");
    }
    let report = site.get("/services/models/iris/runs/promotion-iris-v2-10/report.html").await;
    assert_eq!(report.status, StatusCode::GATEWAY_TIMEOUT);
    let none = site_with(Settings::default(), None);
    assert!(none.get("/models/iris/v3").await.text.contains("no store was given"));
}

#[tokio::test]
async fn a_version_that_is_deleted_under_its_page_says_so() {
    let site = site(Settings::default());
    let gone = site.get("/models/fraud/2026.11.2").await;
    assert_eq!(gone.status, StatusCode::OK);
    assert!(gone.text.contains("was deleted from the store"));
    site.known.send_modify(|known| {
        let known = Arc::make_mut(known);
        known.bentos.clear();
        known.releases.clear();
    });
    assert_eq!(site.get("/models/fraud/2026.11.2").await.status, StatusCode::NOT_FOUND);
    site.known.send_modify(|known| Arc::make_mut(known).store = Source::Loading);
    assert_eq!(site.get("/models/fraud/2026.11.2").await.status, StatusCode::OK, "it may come yet");
}

#[tokio::test]
async fn evidence_is_served_live_or_as_it_was_kept() {
    let site = site(Settings::default());
    let file = |run: &str, name: &str| format!("/services/models/iris/runs/{run}/{name}");
    let live = site.get(&file("promotion-iris-v3-25", "verdict.json")).await;
    assert_eq!(live.header(header::CONTENT_TYPE), "application/json");
    assert!(live.text.contains("\"pending\""));
    let kept = site.get(&file("promotion-iris-v2-10", "verdict.json")).await;
    assert_eq!(kept.text, r#"{"verdict":"pass"}"#);
    let record = site.get(&file("promotion-iris-v2-10", "record.ndjson.gz")).await;
    assert!(record.header(header::CONTENT_DISPOSITION).starts_with("attachment"));
    let report = site.get(&file("promotion-iris-v2-10", "report.html")).await;
    assert!(report.text.starts_with("<!doctype html>"));
    // Packed for a browser, which asks a body for more after its end.
    let packed = get(&file("promotion-iris-v2-10", "report.html"), &[("accept-encoding", "gzip")]);
    let packed = site.send(packed).await;
    assert_eq!(packed.header(header::CONTENT_ENCODING), "gzip");
}

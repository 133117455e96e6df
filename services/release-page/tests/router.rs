//! The server without a network: addresses, headers, sign-in, base paths.

#![allow(clippy::unwrap_used, reason = "the helpers below belong to tests, too")]

#[path = "router/live.rs"]
mod live;
mod sample;
#[path = "router/site.rs"]
mod site;
#[path = "router/store.rs"]
mod store;

use std::fs;

use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header},
};
use release_page::server::{Settings, TokenFile, metrics_router};
use tempfile::TempDir;
use tower::ServiceExt as _;

use crate::site::{SERVICE, Site, from, get, shown, site};

#[tokio::test]
async fn every_page_is_there_and_no_other_one() {
    let site = site(Settings::default());
    let zoo = "%3Cscript%3Ealert(1)%3C%2Fscript%3E";
    for path in [
        "/",
        "/?q=iris",
        "/?page=7",
        "/models",
        "/models?q=team%3Dflowers&page=2",
        "/models/iris/v3",
        "/models/spam/v1",
        SERVICE,
        "/services/models/iris/releases/release-iris-v3",
        &format!("/services/zoo/{zoo}"),
        &format!("/services/zoo/{zoo}/releases/{zoo}"),
        &format!("/models/{zoo}/x"),
        "/healthz",
        "/metrics",
        "/assets/page.css",
    ] {
        assert_eq!(site.get(path).await.status, StatusCode::OK, "{path}");
    }
    for path in [
        "/x",
        "/models/iris",
        "/models/fraud/v9",
        "/services",
        "/services/models/rose",
        "/services/models/iris/releases/x",
        "/services/models/iris/runs/x/report.html",
        "/services/models/iris/runs/release-iris-v3/other",
        "/assets/x",
        "/%ff",
        "/login",
    ] {
        assert_eq!(site.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let post = Request::post("/models").body(Body::empty()).unwrap();
    assert_eq!(site.send(post).await.status, StatusCode::METHOD_NOT_ALLOWED);
    let head = Request::builder().method(Method::HEAD).uri("/").body(Body::empty()).unwrap();
    assert_eq!(site.send(head).await.status, StatusCode::OK);
}

#[tokio::test]
async fn who_opens_a_page_is_settled_where_browsers_heed_it() {
    let settings =
        || Settings { trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()], ..Settings::default() };
    let https = [("host", "ml.acme.com"), ("x-forwarded-proto", "https")];
    for (peer, headers, is_sent) in [
        ("10.1.2.3", &https[..], true),
        ("192.168.1.1", &https[..], false),
        ("10.1.2.3", &[("host", "ml.acme.com")][..], false),
        ("192.168.1.1", &[("host", "10.96.0.7:8080")][..], false),
        ("127.0.0.1", &[("host", "localhost:8080")][..], true),
        ("127.0.0.1", &[("host", "[::1]:8080")][..], true),
    ] {
        let answer = site(settings()).send(from(peer, get("/", headers))).await;
        let policy = answer.header("cross-origin-opener-policy");
        assert_eq!(policy == "same-origin", is_sent, "{peer} {headers:?}");
    }
}

#[tokio::test]
async fn every_answer_has_a_strict_policy_and_a_report_one_of_its_own() {
    let site = site(Settings::default());
    let report = "/services/models/iris/runs/promotion-iris-v2-10/report.html";
    for path in ["/", "/x", "/healthz", "/metrics", "/assets/page.js", "/live?of=/x", report] {
        let answer = site.get(path).await;
        let policy = answer.header(header::CONTENT_SECURITY_POLICY);
        assert!(policy.contains("default-src 'none'"), "{path}");
        assert_eq!(policy.contains("unsafe"), path == report, "{path}");
        assert_eq!(policy.starts_with("sandbox;"), path == report, "{path}");
        assert_eq!(answer.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
        assert_eq!(answer.header(header::REFERRER_POLICY), "same-origin");
        assert!(!answer.header(header::CACHE_CONTROL).is_empty(), "{path}");
    }
    let missing = site.get("/services/models/iris/runs/release-iris-v3/report.html").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert!(
        missing.header(header::CONTENT_SECURITY_POLICY).contains("frame-ancestors 'self'"),
        "it is in a frame"
    );
}

#[tokio::test]
async fn pages_have_no_style_or_script_within() {
    let site = site(Settings::default());
    for path in ["/", "/models/iris/v3", SERVICE, "/services/models/iris/releases/release-iris-v3"]
    {
        let text = site.get(path).await.text;
        for inline in [" style=", "<style", "<script>", " onclick", " onload"] {
            assert!(!text.contains(inline), "{path}: {inline}");
        }
    }
}

#[tokio::test]
async fn assets_are_kept_as_long_as_their_contents_are_the_same() {
    let site = site(Settings::default());
    let page = site.get("/").await.text;
    let at = page.find("/assets/page.css?v=").unwrap();
    let path = page[at..].split('"').next().unwrap();
    let answer = site.get(path).await;
    assert!(answer.header(header::CACHE_CONTROL).contains("immutable"));
    let tag = answer.header(header::ETAG).to_owned();
    let again = site.send(get("/assets/page.css", &[("if-none-match", &tag)])).await;
    assert_eq!((again.status, again.text.as_str()), (StatusCode::NOT_MODIFIED, ""));
    assert!(!again.header(header::CACHE_CONTROL).contains("immutable"), "without its hash");
}

/// A site that asks for the token in a file of the folder.
fn behind_a_token() -> (Site, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "open-sesame-open\n").unwrap();
    let token = Some(TokenFile::open(file).unwrap());
    (site(Settings { token, ..Settings::default() }), folder)
}

#[tokio::test]
async fn who_has_no_token_sees_nothing_but_a_form() {
    let (site, _folder) = behind_a_token();
    for path in [
        "/",
        "/models",
        "/metrics",
        "/live?of=/",
        "/services/models/iris/runs/promotion-iris-v3-25/verdict.json",
    ] {
        let answer = site.get(path).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
        assert!(
            answer.text.contains("name=\"token\"") && !answer.text.contains("iris-predictor"),
            "{path}"
        );
    }
    assert_eq!(site.get("/healthz").await.status, StatusCode::OK);
    for (value, status) in [
        ("Bearer open-sesame-open", 200),
        ("bearer open-sesame-open", 200),
        ("Bearer open-sesame-ope", 401),
        ("Basic open-sesame-open", 401),
        ("open-sesame-open", 401),
    ] {
        assert_eq!(
            site.send(get("/", &[("authorization", value)])).await.status,
            status,
            "{value}"
        );
    }
}

#[tokio::test]
async fn a_browser_signs_in_once_and_a_new_token_counts_at_once() {
    let (site, folder) = behind_a_token();
    let file = folder.path().join("token");
    let sign_in = |token: &str, next: &str| {
        Request::post("/login").body(Body::from(format!("token={token}&next={next}"))).unwrap()
    };
    tokio::time::pause();
    assert_eq!(site.send(sign_in("wrong", "/")).await.status, StatusCode::UNAUTHORIZED);
    let answer = site.send(sign_in("open-sesame-open", "/models?q=a")).await;
    assert_eq!(
        (answer.status, answer.header(header::LOCATION)),
        (StatusCode::SEE_OTHER, "/models?q=a")
    );
    let cookie = answer.header(header::SET_COOKIE).to_owned();
    assert!(
        cookie.contains("HttpOnly; SameSite=Strict") && !cookie.contains("open-sesame-open"),
        "{cookie}"
    );
    assert!(cookie.contains("Path=/;"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    // Another page that is forwarded to a port of this machine has left its own.
    let both = format!("release-page=stale; {cookie}");
    assert_eq!(site.send(get("/", &[("cookie", &both)])).await.status, StatusCode::OK);
    let elsewhere = Request::post("/logout").header("sec-fetch-site", "cross-site");
    let kept = site.send(elsewhere.body(Body::empty()).unwrap()).await;
    assert_eq!(kept.header(header::SET_COOKIE), "", "a page elsewhere signs nobody out");
    let page = site.send(get("/", &[("cookie", cookie)])).await;
    assert!(page.status == StatusCode::OK && page.text.contains("Sign out"));
    for next in ["https://evil.example/", "//evil.example", "/\\evil.example", "%0d%0aset-cookie:x"]
    {
        let to =
            site.send(sign_in("open-sesame-open", next)).await.header(header::LOCATION).to_owned();
        assert!(
            to.starts_with('/')
                && !to.starts_with("//")
                && !to.contains('\\')
                && !to.contains("evil.example:"),
            "{next}: {to}"
        );
    }

    fs::write(&file, "another-open-sesame").unwrap();
    assert_eq!(
        site.send(get("/", &[("cookie", cookie)])).await.status,
        StatusCode::UNAUTHORIZED,
        "a new token counts at once"
    );
    fs::remove_file(&file).unwrap();
    assert_eq!(
        site.send(get("/", &[("authorization", "Bearer ")])).await.status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn a_user_header_counts_from_a_trusted_proxy_only() {
    let settings = Settings {
        user_header: Some(header::HeaderName::from_static("x-forwarded-user")),
        trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
        ..Settings::default()
    };
    let site = site(settings);
    let user = || get("/", &[("x-forwarded-user", "ada")]);
    assert_eq!(site.send(from("10.1.2.3", user())).await.status, StatusCode::OK);
    assert_eq!(site.send(from("::ffff:10.1.2.3", user())).await.status, StatusCode::OK);
    assert_eq!(site.send(from("192.0.2.1", user())).await.status, StatusCode::FORBIDDEN);
    assert_eq!(site.send(user()).await.status, StatusCode::FORBIDDEN);
    assert_eq!(site.send(from("10.1.2.3", get("/", &[]))).await.status, StatusCode::FORBIDDEN);
    assert_eq!(
        site.send(from("10.1.2.3", get("/", &[("x-forwarded-user", "")]))).await.status,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn links_begin_with_the_base_path_whether_requests_have_it_or_not() {
    let settings = || Settings {
        base_path: "/releases".parse().unwrap(),
        trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
        ..Settings::default()
    };
    let site = site(settings());
    for path in ["/", "/releases", "/releases/", "/models", "/releases/models"] {
        let answer = site.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert!(answer.text.contains("href=\"/releases/models\""), "{path}");
        assert!(answer.text.contains("data-live=\"/releases/live?of="), "{path}");
    }
    assert_eq!(site.get("/releasesmodels").await.status, StatusCode::NOT_FOUND);
    let with = |value: &str| get("/models", &[("x-forwarded-prefix", value)]);
    let trusted = site.send(from("10.0.0.1", with("/ml/pages"))).await;
    assert!(trusted.text.contains("href=\"/ml/pages/models\""));
    for value in ["//evil.example", "/a\"><script>", "javascript:x", "/../x"] {
        let answer = site.send(from("10.0.0.1", with(value))).await;
        assert!(answer.text.contains("href=\"/releases/models\""), "{value}");
    }
    assert!(
        site.send(from("192.0.2.1", with("/ml"))).await.text.contains("href=\"/releases/models\"")
    );
}

#[tokio::test]
async fn a_name_that_was_made_to_mean_this_machine_is_refused() {
    let site = site(Settings { is_local: true, ..Settings::default() });
    for (host, status) in [
        ("localhost:8080", 200),
        ("127.0.0.1:8080", 200),
        ("[::1]:8080", 200),
        ("[::1]", 200),
        ("evil.example", 421),
        ("localhost.evil.example:8080", 421),
        ("", 421),
    ] {
        assert_eq!(site.send(get("/", &[("host", host)])).await.status, status, "{host}");
    }
}

#[tokio::test]
async fn a_page_is_compressed_for_who_takes_that() {
    let site = site(Settings::default());
    let answer = site.send(get("/", &[("accept-encoding", "gzip")])).await;
    assert_eq!(answer.header(header::CONTENT_ENCODING), "gzip");
    assert_eq!(site.get("/").await.header(header::CONTENT_ENCODING), "");
}

#[tokio::test]
async fn metrics_have_a_door_of_their_own_that_leads_nowhere_else() {
    let (shown, _known) = shown(None);
    let status = async |path: &str| {
        metrics_router(shown.clone()).oneshot(get(path, &[])).await.unwrap().status()
    };
    assert_eq!(status("/metrics").await, StatusCode::OK);
    assert_eq!(status("/healthz").await, StatusCode::OK);
    assert_eq!(status("/").await, StatusCode::NOT_FOUND);
    assert_eq!(status("/models").await, StatusCode::NOT_FOUND);
}

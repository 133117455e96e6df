//! The client against a registry that answers as each test wants it.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use registry::{Access, Credential, RegistryError, Repository};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{body_string_contains, header, method, path, query_param},
};

const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";

fn registry(server: &MockServer, credential: Option<Credential>) -> Repository {
    let name = format!("{}/models/iris", server.address()).parse().unwrap();
    Repository::new(name, Access { credential, ..Access::default() }).unwrap()
}

fn digest(text: &str) -> String {
    Sha256::digest(text).iter().fold("sha256:".to_owned(), |all, byte| format!("{all}{byte:02x}"))
}

fn ok(text: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw(text.to_owned(), DOCKER)
}

async fn serves(server: &MockServer, at: &str, answer: ResponseTemplate) {
    Mock::given(path(format!("/v2/models/iris/{at}"))).respond_with(answer).mount(server).await;
}

/// An image with this label under this name; returns its digest.
async fn holds(server: &MockServer, at: &str, label: &str) -> String {
    let config = json!({ "config": { "Labels": { "kind": label } } }).to_string();
    let manifest =
        json!({ "schemaVersion": 2, "config": { "digest": digest(&config) }, "layers": [] })
            .to_string();
    serves(server, &format!("blobs/{}", digest(&config)), ok(&config)).await;
    serves(server, &format!("manifests/{at}"), ok(&manifest)).await;
    digest(&manifest)
}

async fn label(registry: &Repository) -> Option<String> {
    registry.image("v1").await.unwrap()?.labels.get("kind").cloned()
}

fn password() -> Credential {
    Credential::Password { user: "lea".into(), password: "s3cr3t".into() }
}

#[tokio::test]
async fn a_tag_tells_its_digest_and_its_labels() {
    let server = MockServer::start().await;
    let wanted = holds(&server, "v1", "model").await;
    let image = registry(&server, None).image("v1").await.unwrap().unwrap();
    assert_eq!((image.digest, image.labels["kind"].as_str()), (wanted, "model"));
}

#[tokio::test]
async fn of_an_index_the_labels_are_those_of_this_node_s_image() {
    let server = MockServer::start().await;
    let [own, other] =
        if cfg!(target_arch = "x86_64") { ["amd64", "arm64"] } else { ["arm64", "amd64"] };
    let entry = |digest: &str, architecture: &str| json!({ "digest": digest, "platform": { "os": "linux", "architecture": architecture } });
    // Each manifest lies under its own digest.
    let mut entries: Vec<Value> = Vec::new();
    for (architecture, label) in [(other, "other"), (own, "own")] {
        let config = json!({ "config": { "Labels": { "kind": label } } }).to_string();
        let manifest = json!({ "config": { "digest": digest(&config) } }).to_string();
        serves(&server, &format!("blobs/{}", digest(&config)), ok(&config)).await;
        serves(&server, &format!("manifests/{}", digest(&manifest)), ok(&manifest)).await;
        entries.push(entry(&digest(&manifest), architecture));
    }
    let index = json!({ "manifests": entries }).to_string();
    serves(&server, "manifests/v1", ok(&index)).await;
    let image = registry(&server, None).image("v1").await.unwrap().unwrap();
    assert_eq!((image.digest, image.labels["kind"].as_str()), (digest(&index), "own"));
}

#[tokio::test]
async fn what_is_not_there_is_no_error() {
    let server = MockServer::start().await;
    holds(&server, "v2", "x").await;
    let registry = registry(&server, None);
    assert_eq!(registry.image("v1").await.unwrap(), None);
    assert!(registry.has("v2").await.unwrap());
    assert!(!registry.has(&digest("y")).await.unwrap());
}

#[tokio::test]
async fn an_image_without_labels_has_none() {
    let server = MockServer::start().await;
    for config in ["{}", r#"{"config":{}}"#, r#"{"config":{"Labels":null}}"#] {
        server.reset().await;
        let manifest = json!({ "config": { "digest": digest(config) } }).to_string();
        serves(&server, &format!("blobs/{}", digest(config)), ok(config)).await;
        serves(&server, "manifests/v1", ok(&manifest)).await;
        assert!(registry(&server, None).image("v1").await.unwrap().unwrap().labels.is_empty());
    }
}

#[tokio::test]
async fn a_password_goes_to_a_registry_that_asks_for_it() {
    let server = MockServer::start().await;
    let wants = ResponseTemplate::new(401).insert_header("www-authenticate", "Basic realm=\"r\"");
    Mock::given(header("authorization", "Basic bGVhOnMzY3IzdA=="))
        .and(path("/v2/models/iris/manifests/v1"))
        .respond_with(ok("{}"))
        .mount(&server)
        .await;
    serves(&server, "manifests/v1", wants).await;
    assert!(registry(&server, Some(password())).image("v1").await.unwrap().is_some());
    let refused = registry(&server, None).image("v1").await.unwrap_err();
    assert!(matches!(refused, RegistryError::Denied { .. }), "{refused:?}");
}

#[tokio::test]
async fn a_token_is_got_for_this_repository_and_used_again() {
    let server = MockServer::start().await;
    let challenge = format!(
        "Bearer realm=\"{}/token\",service=\"r\",scope=\"repository:user/image:pull\"",
        server.uri()
    );
    Mock::given(path("/token"))
        .and(query_param("scope", "repository:models/iris:pull"))
        .and(query_param("service", "r"))
        .and(header("authorization", "Basic bGVhOnMzY3IzdA=="))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({ "token": "t0ken" })))
        .expect(1)
        .mount(&server)
        .await;
    Mock::given(header("authorization", "Bearer t0ken"))
        .respond_with(ok("{}"))
        .expect(2)
        .mount(&server)
        .await;
    serves(
        &server,
        "manifests/v1",
        ResponseTemplate::new(401).insert_header("www-authenticate", challenge.as_str()),
    )
    .await;
    let registry = registry(&server, Some(password()));
    assert!(registry.image("v1").await.unwrap().is_some());
    assert!(registry.has("v1").await.unwrap());
}

#[tokio::test]
async fn an_identity_token_is_exchanged() {
    let server = MockServer::start().await;
    let challenge = format!("Bearer realm=\"{}/oauth2\",service=\"r\"", server.uri());
    Mock::given(method("POST"))
        .and(path("/oauth2"))
        .and(body_string_contains("refresh_token=1d"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({ "access_token": "t0ken" })))
        .mount(&server)
        .await;
    Mock::given(header("authorization", "Bearer t0ken"))
        .respond_with(ok("{}"))
        .mount(&server)
        .await;
    serves(
        &server,
        "manifests/v1",
        ResponseTemplate::new(401).insert_header("www-authenticate", challenge.as_str()),
    )
    .await;
    let token = Credential::IdentityToken("1d".into());
    assert!(registry(&server, Some(token)).image("v1").await.unwrap().is_some());
}

#[tokio::test]
async fn what_may_pass_is_asked_again_and_the_rest_fails_at_once() {
    let server = MockServer::start().await;
    Mock::given(path("/v2/models/iris/manifests/v1"))
        .respond_with(ResponseTemplate::new(503))
        .up_to_n_times(2)
        .mount(&server)
        .await;
    holds(&server, "v1", "model").await;
    assert_eq!(label(&registry(&server, None)).await.as_deref(), Some("model"));

    server.reset().await;
    let body = json!({ "errors": [{ "code": "DENIED", "message": "no\u{1b}[2J right" }] });
    let denied = ResponseTemplate::new(403).set_body_json(body);
    Mock::given(path("/v2/models/iris/manifests/v1"))
        .respond_with(denied)
        .expect(1)
        .mount(&server)
        .await;
    let refused = registry(&server, Some(password())).image("v1").await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!(
            "it answered 403 Forbidden DENIED (no\\u{{1b}}[2J right): the right to pull from `{}/models/iris` is missing",
            server.address()
        )
    );
    assert!(matches!(refused, RegistryError::Denied { .. }));
}

#[tokio::test]
async fn what_is_not_what_its_digest_says_or_too_large_is_refused() {
    let server = MockServer::start().await;
    let wrong = json!({ "config": { "digest": digest("something else") } }).to_string();
    serves(&server, "manifests/v1", ok(&wrong)).await;
    serves(&server, &format!("blobs/{}", digest("something else")), ok("{}")).await;
    assert!(matches!(registry(&server, None).image("v1").await, Err(RegistryError::Digest(_))));
    server.reset().await;
    serves(&server, "manifests/v1", ok(&" ".repeat(5 << 20))).await;
    assert!(matches!(registry(&server, None).image("v1").await, Err(RegistryError::TooLarge(_))));
    server.reset().await;
    serves(&server, "manifests/v1", ok("<html>")).await;
    assert!(matches!(registry(&server, None).image("v1").await, Err(RegistryError::Malformed(_))));
}

#[tokio::test]
async fn a_password_does_not_follow_a_redirect_to_another_host() {
    let [server, elsewhere] = [MockServer::start().await, MockServer::start().await];
    let config = json!({ "config": { "Labels": { "kind": "model" } } }).to_string();
    let manifest = json!({ "config": { "digest": digest(&config) } }).to_string();
    let wants = ResponseTemplate::new(401).insert_header("www-authenticate", "Basic");
    let known = header("authorization", "Basic bGVhOnMzY3IzdA==");
    let away = format!("http://localhost:{}/blob", elsewhere.address().port());
    Mock::given(path("/v2/models/iris/manifests/v1"))
        .and(known)
        .respond_with(ok(&manifest))
        .mount(&server)
        .await;
    serves(&server, "manifests/v1", wants).await;
    serves(
        &server,
        &format!("blobs/{}", digest(&config)),
        ResponseTemplate::new(307).insert_header("location", away.as_str()),
    )
    .await;
    Mock::given(path("/blob")).respond_with(ok(&config)).mount(&elsewhere).await;
    assert_eq!(label(&registry(&server, Some(password()))).await.as_deref(), Some("model"));
    for request in elsewhere.received_requests().await.unwrap() {
        assert!(!request.headers.contains_key("authorization"));
    }
}

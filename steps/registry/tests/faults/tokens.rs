//! Who may do what: tokens by scope, kept and renewed, and what cannot be had.

use registry::RegistryError;

use crate::{
    registry_state::digest,
    scripted::{Fault, Scripted, error},
};

/// The scopes for which tokens were asked.
fn scopes(server: &Scripted) -> Vec<String> {
    let targets = server.seen("GET").into_iter().map(|seen| seen.target);
    let tokens = targets.filter(|target| target.starts_with("/token"));
    let plain = tokens.map(|target| target.replace("%3A", ":").replace("%2F", "/"));
    plain.map(|target| target.replace("%2C", ",").split_once('&').unwrap().1.to_owned()).collect()
}

#[tokio::test]
async fn a_token_is_asked_for_what_is_done_and_used_for_what_it_is_good_for() {
    let server = Scripted::start().await;
    server.state(|state| state.token = Some(1));
    let repository = server.known("models/iris");
    assert!(!repository.has("v1").await.unwrap());
    assert!(!repository.has_blob(&digest(b"layer")).await.unwrap());
    assert_eq!(scopes(&server), ["scope=repository:models/iris:pull"]);
    repository.push_blob(&digest(b"layer"), &b"layer"[..]).await.unwrap();
    repository.push_manifest("v1", "x/y", "{}").await.unwrap();
    assert!(repository.has("v1").await.unwrap());
    let both = ["scope=repository:models/iris:pull", "scope=repository:models/iris:pull,push"];
    assert_eq!(scopes(&server), both);
}

#[tokio::test]
async fn a_token_that_expired_is_renewed_wherever_it_is_noticed() {
    let server = Scripted::start().await;
    server.state(|state| state.token = Some(1));
    let repository = server.known("models/iris");
    for method in ["HEAD", "POST", "PUT"] {
        server.on(method, Fault::Expires);
    }
    repository.push_blob(&digest(b"layer"), &b"layer"[..]).await.unwrap();
    assert!(repository.has_blob(&digest(b"layer")).await.unwrap());
}

#[tokio::test]
async fn a_registry_that_wants_what_nobody_has_here_says_what() {
    for (challenge, what) in [
        ("Negotiate", "it answered 401 Unauthorized and asks for nothing that is known here"),
        ("", "it answered 401 Unauthorized and asks for nothing that is known here"),
        (
            "Basic realm=\"r\"",
            "it answered 401 Unauthorized and wants a password, of which none is known",
        ),
    ] {
        let server = Scripted::start().await;
        let headers = vec![("www-authenticate", challenge.to_owned())];
        server.on("POST", Fault::Says(401, headers, String::new()));
        let refused = server.repository("models/iris").upload().await.unwrap_err();
        assert!(matches!(refused, RegistryError::Denied { .. }), "{refused:?}");
        let wanted =
            format!("{what}: the right to push to `{}/models/iris` is missing", server.host);
        assert_eq!(refused.to_string(), wanted);
    }
}

#[tokio::test]
async fn a_token_service_that_refuses_is_named() {
    let server = Scripted::start().await;
    server.state(|state| state.token = Some(1));
    server.on("GET", Fault::None); // /v2/
    server.on("GET", error(401, "UNAUTHORIZED", "wrong password"));
    let refused = server.known("models/iris").upload().await.unwrap_err();
    let wanted = format!(
        "its token service answered 401 Unauthorized UNAUTHORIZED (wrong password): the right to push to \
         `{}/models/iris` is missing",
        server.host
    );
    assert_eq!(refused.to_string(), wanted);
    server.on("GET", Fault::None); // /v2/
    server.on("GET", Fault::Says(200, vec![], format!("{{\"token\":\"{}\"}}", "x".repeat(70_000))));
    let refused = server.known("models/iris").has("v1").await;
    assert!(matches!(refused, Err(RegistryError::TooLarge("token"))), "{refused:?}");
}

#[tokio::test]
async fn a_registry_that_repeats_a_password_puts_none_into_our_log() {
    let server = Scripted::start().await;
    server.on("GET", Fault::None); // /v2/
    server.on("GET", error(403, "DENIED", "not with s3cr3t, which is bGVhOnMzY3IzdA=="));
    let refused = server.known("models/iris").manifest("v1").await.unwrap_err().to_string();
    let wanted = "it answered 403 Forbidden DENIED (not with …, which is …): ";
    assert!(refused.starts_with(wanted), "{refused}");
}

//! Who may send: with the Secret `canary-listener`, an event proves its sender.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use demo::Site;
use hmac::{Hmac, KeyInit as _, Mac as _};
use kube::ResourceExt as _;
use sha2::Sha256;
use step::text::hex;

use crate::{
    events::{INTERCEPTOR, STRUCTURED, logged, post, requested, scale_interceptor, started},
    namespace::in_namespace,
};

const KEY: &[u8] = b"a key of thirty-two bytes, or so";
const TOKEN: &str = "a-token";

/// The key as Secret and sender have it.
fn secret() -> String {
    format!("whsec_{}", BASE64.encode(KEY))
}

fn mac(key: &[u8], text: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac
}

/// The value of `X-Hub-Signature-256`.
fn github(key: &str, body: &str) -> String {
    format!("sha256={}", hex(&mac(key.as_bytes(), body).finalize().into_bytes()))
}

/// A request for a release, with these headers beside its own.
async fn send(site: &Site, id: &str, headers: &[(&str, &str)]) {
    post(site, &[&[STRUCTURED], headers].concat(), &requested(id, "/ci", "v1")).await;
}

/// The same, with what Standard Webhooks signs for the event `signed` at this time.
async fn send_stamped(site: &Site, id: &str, signed: &str, time: u64) {
    let text = format!("m-1.{time}.{}", requested(signed, "/ci", "v1"));
    let signature = format!("v1,{}", BASE64.encode(mac(KEY, &text).finalize().into_bytes()));
    let time = time.to_string();
    let headers =
        [("webhook-id", "m-1"), ("webhook-timestamp", &time), ("webhook-signature", &signature)];
    send(site, id, &headers).await;
}

/// The same in binary mode.
async fn send_binary(site: &Site, id: &str, proof: (&str, &str)) {
    let headers = [
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-id", id),
        ("ce-source", "/ci"),
        ("ce-type", "build.canary.release.requested.v1"),
        proof,
    ];
    post(site, &headers, BINARY_DATA).await;
}

const BINARY_DATA: &str = r#"{"serviceName":"iris","serviceVersion":"v1"}"#;

/// Events that prove nothing; returns their ids.
async fn send_unproved(site: &Site, now: u64) -> Vec<&'static str> {
    let header = "x-hub-signature-256";
    let body = |id: &str| requested(id, "/ci", "v1");
    let bearer = format!("Bearer {TOKEN}");
    send(site, "unsigned", &[]).await;
    let forged = github("another key", &body("wrong-key"));
    send(site, "wrong-key", &[(header, &forged)]).await;
    let other = github(&secret(), &body("signed"));
    send(site, "other-body", &[(header, &other)]).await;
    send(site, "wrong-token", &[("authorization", "Bearer a-tokem")]).await;
    let both = [("authorization", bearer.as_str()), (header, "sha256=00")];
    send(site, "token-and-forged", &both).await;
    send_stamped(site, "replayed", "replayed", now - 600).await;
    send_stamped(site, "tomorrow", "tomorrow", now + 86400).await;
    send_stamped(site, "stamp-of-another", "stamped", now).await;
    send_binary(site, "binary-signed", (header, &github(&secret(), BINARY_DATA))).await;
    vec![
        "unsigned",
        "wrong-key",
        "other-body",
        "wrong-token",
        "token-and-forged",
        "replayed",
        "tomorrow",
        "stamp-of-another",
        "binary-signed",
    ]
}

/// Events of somebody who has the keys.
async fn send_proved(site: &Site, now: u64) -> Vec<&'static str> {
    let signature = github(&secret(), &requested("as-github", "/ci", "v1"));
    let bearer = format!("Bearer {TOKEN}");
    send(site, "as-github", &[("x-hub-signature-256", &signature)]).await;
    send_stamped(site, "as-webhook", "as-webhook", now).await;
    send(site, "by-token", &[("authorization", &bearer)]).await;
    send_binary(site, "by-token-binary", ("authorization", &bearer)).await;
    vec!["as-github", "as-webhook", "by-token", "by-token-binary"]
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn with_the_secret_only_who_has_the_key_starts_something() {
    in_namespace("signed", async |site| {
        let literals =
            [format!("--from-literal=hmac={}", secret()), format!("--from-literal=token={TOKEN}")];
        let make = ["create", "secret", "generic", "canary-listener"];
        let literals = literals.each_ref().map(String::as_str);
        site.kubectl([&make[..], &literals].concat()).unwrap();
        // A pod that runs sees the Secret within a minute or two; a new one at once.
        scale_interceptor(&site, 0);
        scale_interceptor(&site, 1);

        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let refused = send_unproved(&site, now).await;
        let taken = send_proved(&site, now).await;
        let decided = |log: &str| {
            refused.iter().all(|id| log.contains(&format!("refused event `{id}` from `/ci`")))
        };
        let log = logged(&site, INTERCEPTOR, decided).await;
        let runs = started(&site, taken.len()).await;
        let mut causes: Vec<_> =
            runs.iter().map(|run| run.annotations()["kanaria.dev/causation-id"].clone()).collect();
        causes.sort();
        assert_eq!(causes, taken);
        assert!(!log.contains(TOKEN) && !log.contains(&secret()), "{log}");
    })
    .await;
}

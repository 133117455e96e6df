//! Which secrets and signatures travel, and where.

use super::*;

#[test]
fn credentials_do_not_travel_in_the_clear() {
    let folder = TempDir::new().unwrap();
    let secret = file(&folder, "hmac", b"secret");
    file(&folder, "token", b"bearer");
    let with_hmac = flag("hmac-secret-file", &secret);
    let token_file = flag("token-file", &folder.path().join("token"));
    let only_token = TempDir::new().unwrap();
    file(&only_token, "token", b"bearer");
    for flags in [
        vec![&token_file],
        vec![&token_file, &with_hmac],
        vec![&flag("credentials", only_token.path())],
    ] {
        let refused = to("http://sink").arg("--dry-run").args(&flags).assert().code(2);
        assert!(stderr(&refused).contains("in the clear"), "{}", stderr(&refused));
        to("https://sink").arg("--dry-run").args(&flags).assert().success();
        to("http://sink")
            .args(["--dry-run", "--insecure-http=true"])
            .args(&flags)
            .assert()
            .success();
    }
    assert!(dry_run(&[&with_hmac]).contains("x-hub-signature-256: sha256="));
}

#[test]
fn where_a_secret_has_both_only_the_signature_travels_in_the_clear() {
    let folder = TempDir::new().unwrap();
    file(&folder, "hmac", b"secret");
    file(&folder, "token", b"bearer");
    let credentials = flag("credentials", folder.path());
    let print = |sink: &str| to(sink).args(["--dry-run", &credentials]).assert().success();
    let in_clear = print("http://sink");
    assert!(stdout(&in_clear).contains("x-hub-signature-256: sha256="));
    assert!(!stdout(&in_clear).contains("authorization"));
    assert!(
        stderr(&in_clear).contains("token` is not sent over plain http"),
        "{}",
        stderr(&in_clear)
    );
    let in_tls = stdout(&print("https://sink"));
    assert!(in_tls.contains("x-hub-signature-256: sha256=") && in_tls.contains("authorization"));
}

#[test]
fn a_secret_of_standard_webhooks_signs_as_they_say() {
    let folder = TempDir::new().unwrap();
    file(&folder, "hmac", b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n");
    let printed = dry_run(&[&flag("credentials", folder.path())]);
    assert!(printed.contains(&format!("webhook-id: {ID}\nwebhook-timestamp: ")), "{printed}");
    assert!(printed.contains("\nwebhook-signature: v1,"), "{printed}");
    assert!(!printed.contains("x-hub-signature"), "{printed}");
}

#[test]
fn a_folder_of_credentials_may_hold_any_of_them_or_none() {
    let folder = TempDir::new().unwrap();
    let credentials = flag("credentials", folder.path());
    let print = || dry_run(&["--insecure-http", &credentials]);
    assert!(!print().contains("authorization"));
    file(&folder, "token", b"bearer\n");
    assert!(print().contains("authorization: Bearer <"));
    file(&folder, "hmac", b"secret\n");
    assert!(print().contains("x-hub-signature-256: sha256="));
    file(&folder, "tls.crt", b"");
    to("http://sink").args(["--dry-run", "--insecure-http", &credentials]).assert().code(2);
    to("http://sink").args(["--dry-run", "--credentials=/nowhere"]).assert().code(2);
}

#[test]
fn a_ca_that_holds_no_certificate_is_refused() {
    let folder = TempDir::new().unwrap();
    let ca = flag("ca-file", &file(&folder, "ca.crt", b"nothing"));
    to("https://sink").args(["--dry-run", &ca]).assert().code(2);
    to("https://sink").arg("--dry-run").env("K_CA_CERTS", "nothing").assert().code(2);
}

#[tokio::test]
async fn the_signature_is_over_the_bytes_that_are_sent() {
    let server = sink(ResponseTemplate::new(202)).await;
    let folder = TempDir::new().unwrap();
    let secret = flag("hmac-secret-file", &file(&folder, "hmac", b"It's a Secret to Everybody\n"));
    let token = flag("token-file", &file(&folder, "token", b"bearer\n"));
    // The documented vector of this signature signs the body `Hello, World!`.
    step()
        .args([
            "--type=t.v1",
            "--source=/s",
            "--mode=binary",
            "--datacontenttype=text/plain",
            "--data=Hello, World!",
        ])
        .args([&format!("--sink={}", server.uri()), "--insecure-http", &secret, &token])
        .assert()
        .success();
    let request = &received(&server).await[0];
    assert_eq!(
        request.headers["x-hub-signature-256"],
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    );
    assert_eq!(request.headers["authorization"], "Bearer bearer");
}

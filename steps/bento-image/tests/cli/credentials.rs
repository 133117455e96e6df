//! Who we are to a registry, and how it is known for what it is.

use std::{fs, sync::Arc};

use insta::assert_snapshot;
use rustls::{
    ServerConfig,
    crypto::ring::default_provider,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use serde_json::json;

use crate::{
    run::{IMAGE, World, mkdir},
    support::{
        bentos::Bento,
        registry::{Guard, Registry, basic},
    },
};

/// Writes `config.json` as `docker login` does.
pub(crate) fn log_in(world: &World, place: &str, user: &str, password: &str) {
    let auth = basic(user, password)["Basic ".len()..].to_owned();
    configure(world, &json!({"auths": {(place): {"auth": auth}}}).to_string());
}

fn configure(world: &World, text: &str) {
    mkdir(&world.file("auth"));
    fs::write(world.file("auth/config.json"), text).unwrap();
}

const AUTH: &str = "--registry-auth=auth";

#[test]
fn a_password_of_docker_login_opens_the_registry() {
    let world = World::with_environment(&[&Bento::new("v1")]);
    world.registry.state().guard = Guard::Passwords(vec![("puller", "s3cr3t", "")]);
    world.assemble("v1").assert_code(1).assert_says("wants a password, of which none is known");
    log_in(&world, &world.registry.host, "puller", "s3cr3t");
    world.assemble_with("v1", &[AUTH]).assert_code(0);
    assert!(world.registry.tag(IMAGE, "v1").is_some());
}

#[test]
fn the_account_of_the_longest_path_is_the_one_that_asks() {
    let world = World::with_environment(&[&Bento::new("v1")]);
    let known = [
        ("all", "s3cr3t1", "library/"),
        ("env", "s3cr3t2", "models/environments"),
        ("iris", "s3cr3t3", "models/iris"),
    ];
    world.registry.state().guard = Guard::Passwords(known.to_vec());
    let host = &world.registry.host;
    let auth = |user, password| json!({"auth": basic(user, password)["Basic ".len()..]});
    let config = json!({"auths": {
        (host): auth("all", "s3cr3t1"),
        (format!("{host}/models/environments")): auth("env", "s3cr3t2"),
        (format!("{host}/models/iris")): auth("iris", "s3cr3t3"),
    }});
    configure(&world, &config.to_string());
    world.assemble_with("v1", &[AUTH]).assert_code(0);
    assert!(world.registry.tag(IMAGE, "v1").is_some());
}

#[test]
fn a_right_that_is_missing_is_named_with_its_repository() {
    let world = World::with_environment(&[&Bento::new("v1")]);
    let known = [("all", "s3cr3t1", "library/"), ("all", "s3cr3t1", "models/environments")];
    world.registry.state().guard = Guard::Passwords(known.to_vec());
    log_in(&world, &world.registry.host, "all", "s3cr3t1");
    let ended = world.assemble_with("v1", &[AUTH]).assert_code(1);
    assert_snapshot!(ended.stderr);
}

#[test]
fn a_program_for_credentials_is_not_run_and_it_is_said_what_to_do() {
    let world = World::with_environment(&[&Bento::new("v1")]);
    world.registry.state().guard = Guard::Passwords(vec![("puller", "s3cr3t", "")]);
    configure(&world, r#"{"credsStore": "ecr-login"}"#);
    let ended = world.assemble_with("v1", &[AUTH]);
    ended.assert_says("come from `credsStore` in config.json, a program that is not here");
    ended.assert_says("aws ecr get-login-password");
}

#[test]
fn a_configuration_that_is_none_is_not_quoted() {
    let world = World::with_environment(&[&Bento::new("v1")]);
    configure(&world, r#"{"auths": {"r": "s3cr3t"}}"#);
    let ended = world.assemble_with("v1", &[AUTH]).assert_code(1);
    assert_snapshot!(ended.stderr);
}

#[test]
fn a_registry_with_a_certificate_of_one_s_own_is_trusted_by_its_authority_alone() {
    let (authority, config) = certified();
    let bento = Bento::new("v1");
    let world = World::at(Registry::with_tls(config), [("v1", bento.archive())]);
    let stranger = world.assemble("v1").assert_code(1);
    stranger.assert_says("[registry] does not tell: invalid peer certificate");
    mkdir(&world.file("ca"));
    fs::write(world.file("ca/ca.crt"), "not PEM").unwrap();
    let bad = world.assemble_with("v1", &["--build-credentials=ca"]).assert_code(1);
    bad.assert_says(
        "hint: `ca.crt` of the Secret that `build-secret` names holds certificates in PEM",
    );
    fs::write(world.file("ca/ca.crt"), authority).unwrap();
    let trusted = world.assemble_with("v1", &["--build-credentials=ca"]).assert_code(3);
    assert_eq!(world.result("assembled"), "environment-missing", "{}", trusted.stderr);
    // Plain HTTP is for who speaks no TLS, not for who cannot be trusted.
    let insecure = world.assemble_with("v1", &["--registry-insecure"]).assert_code(1);
    insecure.assert_says("[registry] does not tell: invalid peer certificate");
}

fn certified() -> (String, ServerConfig) {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = certificate.signed_by(&key, &authority).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    (authority.pem(), config)
}

#[test]
fn plain_http_is_spoken_to_a_registry_far_away_only_where_that_was_allowed() {
    let bento = Bento::new("v1");
    let world = World::with_environment(&[&bento]);
    let far = "--image=registry.example/models/iris";
    let near = format!("--environments={}/models/environments", world.registry.host);
    for allowed in ["--insecure-registry=registry.example", "--registry-insecure"] {
        world.registry.state().repositories.remove(IMAGE);
        let ended = run_with_image(&world, far, &near, &[allowed]);
        ended.assert_code(0);
        assert!(world.registry.tag(IMAGE, "v1").is_some());
    }
    world.registry.state().repositories.remove(IMAGE);
    for refused in [&[][..], &["--insecure-registry=other.example"]] {
        run_with_image(&world, far, &near, refused).assert_code(1);
        world.assert_nothing();
    }
}

/// By a proxy any name will do.
fn run_with_image(
    world: &World,
    image: &str,
    environments: &str,
    more: &[&str],
) -> crate::run::Ended {
    let mut command = world.command_for("assemble", "v1", image);
    let proxy = format!("http://{}", world.registry.host);
    command.env("HTTP_PROXY", &proxy).env("HTTPS_PROXY", &proxy).env("NO_PROXY", "127.0.0.1");
    command.arg(environments).args(more);
    world.run(command)
}

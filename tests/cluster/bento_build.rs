//! The Task that builds images, on registries, networks and base images as sites have them.

use std::fs;

use demo::Site;
use serde_json::{Value, json};

use crate::{
    bento,
    build::{self, Built, repository},
    image,
    namespace::in_namespace,
    reverse_proxy::{Kind, ReverseProxy},
    stand_ins::BUSYBOX,
};

/// Builds `NAME:v1` for this repository.
async fn build(site: &Site, name: &str, repository: &str, more: &[(&str, Value)]) -> Built {
    build::run(site, "bento-build", &format!("{name}:v1"), repository, more).await
}

/// Saves `NAME:v1`, whose archive differs with what is in it. It has no environment: it is built whole.
async fn save(site: &Site, name: &str, content: &str) {
    let dockerfile = "FROM scratch\nCOPY src/model /model\n";
    bento::save_with(site, name, dockerfile, &[("src/model", 0o644, content.as_bytes())]).await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_repeated_build_of_an_archive_takes_the_image_that_is_there() {
    in_namespace("repeated", async |site| {
        let image = repository(&site, "whole");
        save(&site, "repeated", "one").await;
        let first = build(&site, "repeated", &image, &[]).await;
        assert!(first.kaniko_built(), "{}", first.log);
        assert_eq!((first.result("assembled"), first.result("environment")), ("whole", ""));

        let again = build(&site, "repeated", &image, &[]).await;
        assert_eq!(again.digest(), first.digest());
        assert!(!again.kaniko_built(), "{}", again.log);
        assert_eq!(again.uploaded(), 0);

        let rebuilt = build(&site, "repeated", &image, &[("rebuild", json!("true"))]).await;
        assert!(rebuilt.kaniko_built());
        assert_ne!(rebuilt.digest(), first.digest());

        save(&site, "repeated", "another").await;
        let other = build(&site, "repeated", &image, &[]).await;
        assert!(other.kaniko_built() && other.digest() != rebuilt.digest());
        assert!(other.log.contains("holds another image"), "{}", other.log);
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn where_tags_are_immutable_an_archive_is_released_again_and_another_one_is_refused() {
    in_namespace("immutable", async |site| {
        for (number, kind) in [Kind::ECR, Kind::HARBOR].into_iter().enumerate() {
            let proxy = ReverseProxy::start(&site, kind).await;
            let image = format!("{}/models/{}-{number}", proxy.server.address, site.namespace);
            save(&site, "fixed", "one").await;
            let first = build(&site, "fixed", &image, &[]).await;
            let again = build(&site, "fixed", &image, &[]).await;
            assert_eq!(again.digest(), first.digest());
            assert!(!again.kaniko_built());

            save(&site, "fixed", "another").await;
            let flag = json!(["--push-ignore-immutable-tag-errors"]);
            let other = build(&site, "fixed", &image, &[("kaniko-args", flag)]).await;
            other.assert_failed();
            let warned = "Where tags are immutable the push will fail: release another version";
            assert!(other.log.contains(warned), "{}", other.log);
        }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn file_capabilities_set_group_ids_and_processes_of_others_are_built_under_baseline() {
    in_namespace("capable", async |site| {
        let base = image::push_base(&site, "capable", &shell_with_capability()).await;
        // A file of another group, and a process of another user that nobody waits for.
        let dockerfile = format!(
            "FROM {base}\nRUN echo a > /f && busybox chown 0:5 /f && busybox chmod 2755 /f\n\
             RUN test \"$(busybox stat -c %a /f)\" = 2755\nUSER 1000\nRUN busybox sleep 1000 &\n"
        );
        bento::save_with(&site, "capable", &dockerfile, &[]).await;
        let built = build(&site, "capable", &repository(&site, "image"), &[]).await;
        assert!(built.run.succeeded, "{:?} {}", built.run, built.log);
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn proxies_package_indexes_and_authorities_reach_the_commands_and_not_the_image() {
    in_namespace("proxied", async |site| {
        let forward = ReverseProxy::start(&site, Kind::Proxy).await;
        let proxy = format!("http://lea:s3cr3t@{}", forward.server.address);
        let bundle = fs::read_to_string("/etc/ssl/certs/ca-certificates.crt").unwrap();
        let (authority, _) = bundle.split_once("-----END CERTIFICATE-----").unwrap();
        let authority = format!("{authority}-----END CERTIFICATE-----\n# of the site\n");
        let secret = json!({ "apiVersion": "v1", "kind": "Secret",
            "metadata": { "name": "canary-build" },
            "stringData": { "HTTP_PROXY": proxy, "NO_PROXY": "s3.local", "ca.crt": authority,
                "pip.conf": "[global]\nindex-url = https://lea:s3cr3t@packages.example/simple\n",
                "uv.toml": "index-url = \"https://lea:s3cr3t@packages.example/simple\"\n" } });
        site.create(secret).await.unwrap();

        let dockerfile = "FROM scratch\nCOPY src/busybox /bin/busybox\nSHELL [\"/bin/busybox\", \"sh\", \"-ec\"]\n\
            RUN test \"$(/bin/busybox wget -q -O- http://packages.example/simple)\" = \"through the proxy\"\n\
            RUN /bin/busybox grep -q packages.example /etc/xdg/pip/pip.conf /etc/xdg/uv/uv.toml\n\
            RUN /bin/busybox grep -q '# of the site' \"$SSL_CERT_FILE\" && test \"$PIP_CERT\" = \"$SSL_CERT_FILE\"\n\
            RUN test \"$(/bin/busybox grep -c BEGIN \"$SSL_CERT_FILE\")\" -gt 1\n";
        let busybox = fs::read(BUSYBOX).unwrap();
        bento::save_with(&site, "proxied", dockerfile, &[("src/busybox", 0o755, &busybox)]).await;
        let image = repository(&site, "image");
        let built = build(&site, "proxied", &image, &[]).await;
        assert!(built.run.succeeded, "{:?} {}", built.run, built.log);
        assert!(forward.requests() > 1, "kaniko's own requests go through it too");

        let (_, path) = image.split_once('/').unwrap();
        let held = image::text(&site, path, "v1").await;
        for secret in ["s3cr3t", "packages.example/simple\n", "etc/xdg", "# of the site"] {
            assert!(!held.contains(secret), "the image holds `{secret}`");
        }
        assert!(!built.log.contains("s3cr3t"), "{}", built.log);
    })
    .await;
}

/// The layer of a base image: a shell, and a program with `cap_net_raw`, as `ping` has it.
fn shell_with_capability() -> Vec<u8> {
    let busybox = fs::read(BUSYBOX).unwrap();
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |path: &str, capability: Option<&[u8]>| {
        if let Some(value) = capability {
            tar.append_pax_extensions([("SCHILY.xattr.security.capability", value)]).unwrap();
        }
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o755);
        header.set_size(busybox.len() as u64);
        tar.append_data(&mut header, path, busybox.as_slice()).unwrap();
    };
    add("bin/busybox", None);
    add("bin/sh", None);
    // Revision 2, effective; permitted: bit 13.
    add("usr/bin/ping", Some(&[1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
    tar.into_inner().unwrap()
}

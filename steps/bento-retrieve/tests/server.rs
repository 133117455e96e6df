//! The step against a real S3 server: the program that the cluster's store runs, on a port of its own.
//!
//! `make cluster-tests` runs these, because bringing the cluster up is what builds the server.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use std::{
    fs,
    net::TcpListener,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use assert_cmd::cargo::cargo_bin;
use aws_sdk_s3::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
    presigning::PresigningConfig,
    primitives::ByteStream,
    types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart},
};
use support::{
    bento, bento_files, noise,
    tar::{archive, bzip2, file, gzip, xz},
};
use tempfile::TempDir;

struct Store {
    home: TempDir,
    server: Option<Child>,
    port: u16,
}

impl Store {
    async fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("store")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut store = Self { home, server: None, port };
        store.resume();
        while store.client().create_bucket().bucket("bentos").send().await.is_err() {
            assert!(
                store.server.as_mut().unwrap().try_wait().unwrap().is_none(),
                "versitygw ended"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        store
    }

    fn resume(&mut self) {
        let mut command = Command::new(cluster::program("versitygw").unwrap());
        command
            .args([&format!("--port=127.0.0.1:{}", self.port), "--quiet"])
            .args(["--virtual-domain=s3.test", "posix"])
            .arg(self.home.path().join("store"));
        command.env_clear().envs([("ROOT_ACCESS_KEY", "user"), ("ROOT_SECRET_KEY", "secret")]);
        self.server = Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    }

    fn stop(&mut self) {
        let mut server = self.server.take().unwrap();
        server.kill().unwrap();
        server.wait().unwrap();
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn client(&self) -> Client {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(self.url())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("user", "secret", None, None, "test"))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .force_path_style(true);
        Client::from_conf(config.build())
    }

    /// As BentoML's users do; the SDK adds a CRC-32, which the store keeps.
    async fn put(&self, key: &str, bytes: Vec<u8>) {
        self.client()
            .put_object()
            .bucket("bentos")
            .key(key)
            .body(ByteStream::from(bytes))
            .send()
            .await
            .unwrap();
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(cargo_bin!("bento-retrieve"));
        command.current_dir(self.home.path()).args(words).env_clear().envs([
            ("AWS_ACCESS_KEY_ID", "user"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("NO_PROXY", "*"),
        ]);
        command.env("AWS_ENDPOINT_URL", self.url());
        command
    }

    fn run(&self, words: &[&str]) -> (Option<i32>, String, String) {
        let Output { status, stdout, stderr } = self.command(words).output().unwrap();
        (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
    }

    fn assert_retrieved(&self, into: &str, ended: &(Option<i32>, String, String)) {
        assert_eq!(ended.0, Some(0), "{}", ended.2);
        for (name, text) in bento_files("iris", "v1") {
            assert_eq!(fs::read(self.home.path().join(into).join(name)).unwrap(), text);
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if self.server.is_some() {
            self.stop();
        }
    }
}

#[tokio::test]
#[ignore = "needs versitygw, which `make cluster-up` builds"]
async fn every_format_and_place_is_found_in_a_real_store() {
    let store = Store::start().await;
    let plain = archive(bento_files("iris", "v1").iter().map(|(name, text)| file(name, text)));
    let archives = [
        ("a/iris/v1.tar.gz", gzip(&plain)),
        ("b/iris/v1.bento", xz(&plain)),
        ("c/iris/v1.tar", plain.clone()),
        ("d/iris/v1.tar.bz2", bzip2(&plain)),
        ("e/iris-v1.bento", xz(&plain)),
    ];
    for (key, packed) in archives {
        store.put(key, packed).await;
        let (prefix, _) = key.split_once('/').unwrap();
        let from = format!("--store=s3://bentos/{prefix}");
        store.assert_retrieved(
            prefix,
            &store.run(&[&from, "--bento=iris:v1", &format!("--into={prefix}")]),
        );
    }
    let (_, listed, _) = store.run(&["list", "--store=s3://bentos/b"]);
    assert!(listed.contains("iris:v1"), "{listed}");
    let (_, shown, _) = store.run(&["show", "--store=s3://bentos/d", "iris:latest"]);
    assert!(shown.contains("iris_svm:abc"), "{shown}");
}

#[tokio::test]
#[ignore = "needs versitygw, which `make cluster-up` builds"]
async fn an_upload_in_parts_is_taken_whatever_its_checksum_is_of() {
    let store = Store::start().await;
    let mut files = bento_files("iris", "v1");
    files.push(("./models/iris_svm/abc/weights".into(), noise(7 << 20)));
    let whole = archive(files.iter().map(|(name, text)| file(name, text)));
    let of_parts = [ChecksumType::Composite, ChecksumType::FullObject];
    for (number, kind) in of_parts.into_iter().enumerate() {
        let (client, key) = (store.client(), format!("{number}/iris/v1.tar"));
        let begun = client.create_multipart_upload().bucket("bentos").key(&key);
        let begun = begun.checksum_algorithm(ChecksumAlgorithm::Crc32).checksum_type(kind);
        let upload = begun.send().await.unwrap().upload_id.unwrap();
        let mut parts = CompletedMultipartUpload::builder();
        for (number, bytes) in (1..).zip(whole.chunks(5 << 20)) {
            let part = client.upload_part().bucket("bentos").key(&key).upload_id(&upload);
            let part = part.part_number(number).checksum_algorithm(ChecksumAlgorithm::Crc32);
            let part = part.body(ByteStream::from(bytes.to_vec())).send().await.unwrap();
            let done = CompletedPart::builder().part_number(number).set_e_tag(part.e_tag);
            parts = parts.parts(done.set_checksum_crc32(part.checksum_crc32).build());
        }
        let end = client.complete_multipart_upload().bucket("bentos").key(&key).upload_id(upload);
        end.multipart_upload(parts.build()).send().await.unwrap();
        let into = format!("parts-{number}");
        let words = [
            &format!("--store=s3://bentos/{number}"),
            "--bento=iris:v1",
            &format!("--into={into}"),
        ];
        store.assert_retrieved(&into, &store.run(&words));
    }
}

#[tokio::test]
#[ignore = "needs versitygw, which `make cluster-up` builds"]
async fn a_signed_address_needs_no_keys_and_is_not_shown() {
    let store = Store::start().await;
    store.put("iris/v1.tar.gz", bento("iris", "v1")).await;
    let hour = PresigningConfig::expires_in(Duration::from_hours(1)).unwrap();
    let signed = store
        .client()
        .get_object()
        .bucket("bentos")
        .key("iris/v1.tar.gz")
        .presigned(hour)
        .await
        .unwrap();
    let mut command = store.command(&["--from", signed.uri(), "--into=bento"]);
    let output = command
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_SECRET_ACCESS_KEY")
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("iris/v1.tar.gz?…") && !stderr.contains("Signature"), "{stderr}");
    store.assert_retrieved("bento", &(output.status.code(), String::new(), stderr));
}

#[tokio::test]
#[ignore = "needs versitygw, which `make cluster-up` builds"]
async fn a_public_bucket_is_read_without_keys() {
    let store = Store::start().await;
    store.put("iris/v1.tar.gz", bento("iris", "v1")).await;
    let words = ["--store=s3://bentos", "--bento=iris:v1", "--into=bento", "--anonymous"];
    let (code, _, stderr) = store.run(&words);
    assert!(code == Some(1) && stderr.contains("AccessDenied"), "{stderr}");
    let policy = r#"{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bentos/*"}]}"#;
    store.client().put_bucket_policy().bucket("bentos").policy(policy).send().await.unwrap();
    store.assert_retrieved("bento", &store.run(&words));
}

#[tokio::test]
#[ignore = "needs versitygw, which `make cluster-up` builds"]
async fn a_bucket_may_stand_in_the_host_s_name() {
    let store = Store::start().await;
    store.put("iris/v1.tar.gz", bento("iris", "v1")).await;
    let words = [
        "--store=s3://bentos",
        "--bento=iris:v1",
        "--into=bento",
        "--s3-endpoint=http://s3.test",
        "--s3-path-style=false",
    ];
    // No name server knows `bentos.s3.test`; a proxy need not ask one.
    let mut command = store.command(&words);
    let output = command.env_remove("NO_PROXY").env("HTTP_PROXY", store.url()).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    store.assert_retrieved("bento", &(output.status.code(), String::new(), stderr));
}

#[tokio::test]
#[ignore = "needs versitygw, which `make cluster-up` builds"]
async fn what_is_wrong_is_told_as_the_store_says_it() {
    let store = Store::start().await;
    store.put("iris/v2.tar.gz", bento("iris", "v2")).await;
    let words = ["--store=s3://bentos", "--bento=iris:v1", "--into=bento"];
    let (_, _, stderr) = store.run(&words);
    assert!(stderr.contains("hint: check the version: there is v2"), "{stderr}");
    let (_, _, stderr) = store.run(&["--store=s3://none", "--bento=iris:v1", "--into=bento"]);
    assert!(stderr.contains("there is no such bucket"), "{stderr}");
    let output = store.command(&words).env("AWS_SECRET_ACCESS_KEY", "wrong").output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("403 SignatureDoesNotMatch") && !stderr.contains("wrong"), "{stderr}");
}

/// Starts a download that is under way when the server is killed.
fn interrupted(store: &mut Store, words: &[&str]) -> Child {
    let mut child = store.command(words).stderr(Stdio::piped()).spawn().unwrap();
    let weights = |entry: fs::DirEntry| entry.path().join("models/iris_svm/abc/weights").is_file();
    while !fs::read_dir(store.home.path()).unwrap().flatten().any(weights) {
        assert!(child.try_wait().unwrap().is_none(), "it was faster than this test");
        std::thread::yield_now();
    }
    store.stop();
    child
}

/// Large enough that much of it is still to come when its first file is seen.
fn large(byte: u8) -> Vec<u8> {
    let mut files = bento_files("iris", "v1");
    let mut weights = noise(64 << 20);
    weights[63 << 20] = byte;
    files.push(("./models/iris_svm/abc/weights".into(), weights));
    archive(files.iter().map(|(name, text)| file(name, text)))
}

#[tokio::test]
#[ignore = "needs versitygw, which `make cluster-up` builds"]
async fn a_store_that_is_killed_and_comes_back_is_waited_for() {
    let mut store = Store::start().await;
    store.put("iris/v1.tar.gz", large(1)).await;
    let child =
        interrupted(&mut store, &["--store=s3://bentos", "--bento=iris:v1", "--into=bento"]);
    store.resume();
    let output = child.wait_with_output().unwrap();
    store.assert_retrieved(
        "bento",
        &(output.status.code(), String::new(), String::from_utf8(output.stderr).unwrap()),
    );
}

#[tokio::test]
#[ignore = "needs versitygw, which `make cluster-up` builds"]
async fn an_archive_that_is_replaced_meanwhile_is_not_mixed_with_the_new_one() {
    let mut store = Store::start().await;
    store.put("iris/v1.tar.gz", large(1)).await;
    let words = ["--store=s3://bentos", "--bento=iris:v1", "--into=bento", "--retries=30"];
    let mut child = interrupted(&mut store, &words);
    // Out of its sight, until the object is another.
    let port = std::mem::replace(
        &mut store.port,
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port(),
    );
    store.resume();
    let again = large(2);
    while store.client().head_bucket().bucket("bentos").send().await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    store.put("iris/v1.tar.gz", again).await;
    store.stop();
    assert!(child.try_wait().unwrap().is_none(), "it still waits for its store");
    store.port = port;
    store.resume();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(1) && stderr.contains("it was replaced while it was read"),
        "{stderr}"
    );
    assert!(!store.home.path().join("bento").exists());
}

//! The step before a real S3 server: the program that the cluster's store runs, on a port of its own.
//!
//! `make cluster-tests` runs these, because bringing the cluster up is what builds the server.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::{
    fs,
    io::Read as _,
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Duration,
};

use assert_cmd::cargo::cargo_bin;
use aws_sdk_s3::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
};
use bento_retrieve::{
    download::RetryPolicy,
    source::{Access, Location},
};
use flate2::read::GzDecoder;
use release_record::{
    kept::Kept,
    key::{KeptFile, RunKey},
    run::RunRecord,
};
use tempfile::TempDir;

struct Store {
    home: TempDir,
    server: Child,
    port: u16,
}

impl Store {
    async fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        for folder in ["store", "evidence", "credentials"] {
            fs::create_dir(home.path().join(folder)).unwrap();
        }
        let keys = "[default]\naws_access_key_id = user\naws_secret_access_key = secret\nregion = us-east-1\n";
        fs::write(home.path().join("credentials/credentials"), keys).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(cluster::program("versitygw").unwrap());
        command.args([&format!("--port=127.0.0.1:{port}"), "--quiet", "posix"]);
        command.arg(home.path().join("store")).env_clear();
        command.envs([("ROOT_ACCESS_KEY", "user"), ("ROOT_SECRET_KEY", "secret")]);
        let server = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut store = Self { home, server, port };
        while store.client().create_bucket().bucket("bentos").send().await.is_err() {
            assert!(store.server.try_wait().unwrap().is_none(), "versitygw ended");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        store
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

    async fn kept(&self) -> Kept {
        let idle = Duration::from_secs(5);
        let access = Access {
            endpoint: Some(self.url()),
            path_style: true,
            region: Some("us-east-1".into()),
            profile: None,
            anonymous: false,
            credentials: Some(self.home.path().join("credentials")),
            ca_certificates: None,
            idle,
            checksum: true,
        };
        let location = Location::parse("s3://bentos/releases").unwrap();
        Kept::new(location, &access, RetryPolicy { idle, retries: 2 }).await
    }

    /// The gate's files, kept
    fn keep(&self, line: &[&str]) -> Option<i32> {
        let mut command = Command::new(cargo_bin!("release-record"));
        command.arg("gate").current_dir(self.home.path()).env_clear();
        command.envs([("AWS_EC2_METADATA_DISABLED", "true"), ("NO_PROXY", "*")]);
        command.envs([("POD_NAMESPACE", "models"), ("PIPELINE_RUN", "promotion-1")]);
        let endpoint = format!("--s3-endpoint={}", self.url());
        let place = ["--releases=s3://bentos/releases", &endpoint, "--credentials=credentials"];
        command.args(["--folder=evidence", "--service=iris"]).args(place).args(line);
        command.status().unwrap().code()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }
}

fn key(version: &str, run: &str) -> RunKey {
    let [namespace, service] = ["models", "iris"].map(str::to_owned);
    RunKey { namespace, service, version: version.into(), run: run.into() }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs versitygw, which `make cluster-up` builds"]
async fn what_a_gate_has_left_is_read_again_as_it_was_and_again_after_a_second_try() {
    let store = Store::start().await;
    let record = "{\"at\": 1}\n".repeat(200_000);
    for (name, text) in
        [("verdict.json", "{}"), ("report.html", "<p>é</p>"), ("record.ndjson", &record)]
    {
        fs::write(store.home.path().join("evidence").join(name), text).unwrap();
    }
    fs::write(store.home.path().join("code"), "3").unwrap();
    let kept = store.kept().await;
    let key = key("../v 2", "promotion-1");
    for _ in 0..2 {
        let code = store.keep(&["--canary-version=../v 2", "--exit-code-file=code"]);
        assert_eq!(code, Some(3), "as the gate did");
        let runs = kept.runs().await.unwrap();
        assert_eq!(runs.keys().collect::<Vec<_>>(), [&key]);
        assert_eq!(runs[&key].files, KeptFile::EVIDENCE.into());
        assert!(runs[&key].newest.is_some());
        assert_eq!(
            kept.evidence(&key, KeptFile::Report).await.unwrap().unwrap(),
            "<p>é</p>".as_bytes()
        );
        let packed = kept.evidence(&key, KeptFile::Record).await.unwrap().unwrap();
        let mut plain = String::new();
        GzDecoder::new(packed.as_slice()).read_to_string(&mut plain).unwrap();
        assert_eq!(plain, record);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs versitygw, which `make cluster-up` builds"]
async fn a_run_is_kept_read_and_deleted_and_others_stay() {
    let kept_in = Store::start().await;
    let kept = kept_in.kept().await;
    let record =
        RunRecord { name: "release-1".into(), version: "v2".into(), ..RunRecord::default() };
    let keys: Vec<_> = (0..1_200).map(|number| key("v2", &format!("release-{number}"))).collect();
    for key in &keys {
        kept.put(key, KeptFile::Run, record.to_json().unwrap().into()).await.unwrap();
    }
    assert_eq!(kept.runs().await.unwrap().len(), 1_200, "more than one answer has");
    assert_eq!(kept.record(&keys[1]).await.unwrap(), Some(record));
    kept.put(&keys[1], KeptFile::Report, "a".into()).await.unwrap();
    kept.delete(&keys[1]).await.unwrap();
    kept.delete(&keys[1]).await.unwrap();
    assert_eq!(kept.record(&keys[1]).await.unwrap(), None);
    assert_eq!(kept.evidence(&keys[1], KeptFile::Report).await.unwrap(), None);
    let left = kept.runs().await.unwrap();
    assert!(
        left.len() == 1_199 && left.contains_key(&keys[10]),
        "`release-1` is no prefix of `release-10`"
    );
    kept.put(&keys[2], KeptFile::Run, "{}".into()).await.unwrap();
    let error = format!("{:#}", kept.record(&keys[2]).await.unwrap_err());
    assert!(error.contains("/models.release-2/run.json`: missing field `apiVersion`"), "{error}");
}

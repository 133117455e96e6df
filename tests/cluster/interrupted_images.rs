//! An image is the same whatever happens to the step that makes it, and to the registry.

use std::{
    process::{Output, Stdio},
    time::Duration,
};

use demo::Site;
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    process::Command,
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::{Instant, timeout_at},
};

use crate::{bento, build, namespace::in_namespace, stand_ins};

/// Of the one model: long enough to be in its upload at most moments.
const SIZE: usize = 32 << 20;

/// Saves `NAME:v1` and makes its environment.
async fn prepare(site: &Site, name: &str) {
    let base = stand_ins::push(site, "interrupted").await;
    let dockerfile = format!(
        "FROM {base}\nWORKDIR /home/bentoml/bento\nCOPY ./env/python ./env/python/\n\
         RUN pip install -r ./env/python/requirements.txt\nCOPY . ./\n"
    );
    let weights = bento::noise(SIZE);
    let files = [
        ("env/python/requirements.txt", 0o644, b"numpy==1.26.0\n".as_slice()),
        ("models/weights/m1/model.yaml", 0o644, bento::MODEL.as_bytes()),
        ("models/weights/m1/weights.bin", 0o644, &weights),
        ("src/service.py", 0o644, b"import bentoml\n".as_slice()),
    ];
    bento::save_with(site, name, &dockerfile, &files).await;
    let environments = json!(format!("{}/{ENVIRONMENTS}", site.cluster.registry.pod));
    let image = build::repository(site, "first");
    let more = [("environments", environments)];
    let bento = format!("{name}:v1");
    build::run(site, "bento-build", &bento, &image, &more).await.digest();
}

const ENVIRONMENTS: &str = "kanaria-tests/environments";

/// The step at a terminal, towards this store and registry.
fn step(
    site: &Site,
    endpoint: &str,
    registry: &str,
    name: &str,
    path: &str,
    results: &TempDir,
) -> Command {
    let mut command = Command::new(demo::built("bento-image").unwrap());
    let store = &site.cluster.store;
    command
        .arg("assemble")
        .arg(format!("--store=s3://{}", store.bucket))
        .arg(format!("--bento={name}:v1"))
        .arg(format!("--s3-endpoint={endpoint}"))
        .arg(format!("--image={registry}/models/{}-{path}", site.namespace))
        .arg(format!("--environments={registry}/{ENVIRONMENTS}"))
        .arg(format!("--registry-mirror={registry}"))
        .arg("--registry-insecure")
        .arg(format!("--result-image-digest={}", results.path().join("digest").display()))
        .env_clear()
        .env("AWS_ACCESS_KEY_ID", &store.access_key)
        .env("AWS_SECRET_ACCESS_KEY", &store.secret_key)
        .env("AWS_REGION", &store.region)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// What it printed, and the digest of the image.
fn digest(output: &Output, results: &TempDir) -> String {
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    let digest = std::fs::read_to_string(results.path().join("digest")).unwrap();
    assert!(digest.starts_with("sha256:"), "{digest} {log}");
    digest
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_step_that_is_killed_at_any_moment_and_run_again_makes_the_same_image() {
    in_namespace("killed", async |site| {
        prepare(&site, "killed").await;
        let passed = Passed::default();
        let store = site.cluster.store.endpoint.host.trim_start_matches("http://");
        let store = Relay::start(store, &passed, None).await;
        let registry = Relay::start(&site.cluster.registry.host, &passed, None).await;
        let step = |path: &str, results: &TempDir| {
            let endpoint = format!("http://{}", store.address);
            step(&site, &endpoint, &registry.address, "killed", path, results)
        };
        let results = tempfile::tempdir().unwrap();
        let whole = step("whole", &results).output().await.unwrap();
        let expected = digest(&whole, &results);
        let all = *passed.borrow();

        let mut killed = 0;
        for moment in 0..20 {
            let path = format!("{moment}");
            let results = tempfile::tempdir().unwrap();
            passed.send_replace(0);
            let mut child = step(&path, &results).spawn().unwrap();
            tokio::select! {
                () = reach(&passed, all * moment / 20) => killed += 1,
                _ = child.wait() => {}
            }
            child.kill().await.unwrap(); // SIGKILL
            let again = step(&path, &results).output().await.unwrap();
            assert_eq!(digest(&again, &results), expected, "killed at moment {moment}");
        }
        assert!(killed >= 10, "{killed} were still running");
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_registry_that_dies_in_the_middle_of_an_upload_is_tried_again() {
    in_namespace("cut", async |site| {
        prepare(&site, "cut").await;
        let results = tempfile::tempdir().unwrap();
        let (store, direct) = (&site.cluster.store.endpoint.host, &site.cluster.registry.host);
        let undisturbed =
            step(&site, store, direct, "cut", "whole", &results).output().await.unwrap();
        digest(&undisturbed, &results);

        let passed = Passed::default();
        let dying = Relay::start(direct, &passed, Some(SIZE / 3)).await;
        let results = tempfile::tempdir().unwrap();
        let output =
            step(&site, store, &dying.address, "cut", "cut", &results).output().await.unwrap();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        let digest = digest(&output, &results);
        assert!(*passed.borrow() >= SIZE / 3, "it has died: {log}");
        assert!(log.contains("again"), "it says that it tries again: {log}");
        let image = format!("{}/models/{}-cut", site.cluster.registry.pod, site.namespace);
        let pulled = crate::pulled::pull(&site, &image, &digest).await;
        let weights = &pulled.tree["home/bentoml/bento/models/weights/m1/weights.bin"];
        assert_eq!(weights.size, SIZE as u64);
    })
    .await;
}

/// How many bytes relays have passed on, both ways.
type Passed = watch::Sender<usize>;

/// Waits until so many have passed.
async fn reach(passed: &Passed, bytes: usize) {
    let _ = passed.subscribe().wait_for(|passed| *passed >= bytes).await;
}

/// Passes connections on to a server, and counts what goes through.
struct Relay {
    address: String,
    task: JoinHandle<()>,
}

impl Relay {
    /// With a limit it breaks all connections when so many bytes have passed, and takes none for
    /// three seconds, as a server that has died and is started again.
    async fn start(server: &str, passed: &Passed, limit: Option<usize>) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap().to_string();
        let (server, passed) = (server.to_owned(), passed.clone());
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            let mut limit = limit.unwrap_or(usize::MAX);
            loop {
                tokio::select! {
                    Ok((client, _)) = socket.accept() => {
                        let Ok(server) = TcpStream::connect(&server).await else { continue };
                        connections.spawn(relay(client, server, passed.clone()));
                    }
                    () = reach(&passed, limit) => {
                        limit = usize::MAX;
                        connections.shutdown().await;
                        let back = Instant::now() + Duration::from_secs(3);
                        while let Ok(Ok(refused)) = timeout_at(back, socket.accept()).await {
                            drop(refused);
                        }
                    }
                }
            }
        });
        Self { address, task }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Until one side closes, or its other end can't be written to.
async fn relay(client: TcpStream, server: TcpStream, passed: Passed) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::join!(pass(from_client, to_server, &passed), pass(from_server, to_client, &passed));
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, passed: &Passed) {
    let mut bytes = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        passed.send_modify(|passed| *passed += read);
        if to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}

//! An image is the same whatever happens to the step that makes it, and to the registry.

use std::{
    process::{Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use demo::Site;
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf},
    process::Command,
    task::JoinHandle,
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

/// The step at a terminal, towards this registry.
fn step(site: &Site, registry: &str, name: &str, path: &str, results: &TempDir) -> Command {
    let mut command = Command::new(demo::built("bento-image").unwrap());
    let store = &site.cluster.store;
    command
        .arg("assemble")
        .arg(format!("--store=s3://{}", store.bucket))
        .arg(format!("--bento={name}:v1"))
        .arg(format!("--s3-endpoint={}", store.endpoint.host))
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
        let registry = site.cluster.registry.host.clone();
        let results = tempfile::tempdir().unwrap();
        let started = Instant::now();
        let whole = step(&site, &registry, "killed", "whole", &results).output().await.unwrap();
        let took = started.elapsed();
        let expected = digest(&whole, &results);

        let mut killed = 0;
        for moment in 0..20_u32 {
            let path = format!("{moment}");
            let results = tempfile::tempdir().unwrap();
            let mut child = step(&site, &registry, "killed", &path, &results).spawn().unwrap();
            let ended = tokio::time::timeout(took * moment / 20, child.wait()).await;
            killed += u32::from(ended.is_err());
            child.kill().await.unwrap(); // SIGKILL
            let again = step(&site, &registry, "killed", &path, &results).output().await.unwrap();
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
        let direct = site.cluster.registry.host.clone();
        let undisturbed = step(&site, &direct, "cut", "whole", &results).output().await.unwrap();
        digest(&undisturbed, &results);

        let dying = DyingRegistry::start(&direct, SIZE / 3).await;
        let results = tempfile::tempdir().unwrap();
        let output = step(&site, &dying.address, "cut", "cut", &results).output().await.unwrap();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        let digest = digest(&output, &results);
        assert!(dying.has_died(), "{log}");
        assert!(log.contains("again"), "it says that it tries again: {log}");
        let image = format!("{}/models/{}-cut", site.cluster.registry.pod, site.namespace);
        let pulled = crate::pulled::pull(&site, &image, &digest).await;
        let weights = &pulled.tree["home/bentoml/bento/models/weights/m1/weights.bin"];
        assert_eq!(weights.size, SIZE as u64);
    })
    .await;
}

/// A registry that dies when it was sent so many bytes, and is back after three seconds.
struct DyingRegistry {
    address: String,
    died: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl DyingRegistry {
    async fn start(registry: &str, limit: usize) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap().to_string();
        let died = Arc::<AtomicBool>::default();
        let (is_dead, registry) = (Arc::clone(&died), registry.to_owned());
        let sent = Arc::<AtomicUsize>::default();
        let task = tokio::spawn(async move {
            let mut back = None;
            loop {
                let Ok((client, _)) = socket.accept().await else { continue };
                if is_dead.load(Relaxed) {
                    let back = *back.get_or_insert_with(|| Instant::now() + Duration::from_secs(3));
                    if Instant::now() < back {
                        continue; // closes the connection
                    }
                }
                let Ok(server) = TcpStream::connect(&registry).await else { continue };
                let (from, mut answer) = client.into_split();
                let (mut back, to) = server.into_split();
                let (sent, is_dead) = (Arc::clone(&sent), Arc::clone(&is_dead));
                tokio::spawn(async move {
                    tokio::select! {
                        () = count(from, to, &sent, limit, &is_dead) => {}
                        _ = tokio::io::copy(&mut back, &mut answer) => {}
                    }
                });
            }
        });
        Self { address, died, task }
    }

    fn has_died(&self) -> bool {
        self.died.load(Relaxed)
    }
}

impl Drop for DyingRegistry {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Passes on what a client sends, until all have sent so much, the first time.
async fn count(
    mut from: OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    sent: &AtomicUsize,
    limit: usize,
    died: &AtomicBool,
) {
    let mut bytes = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        let total = sent.fetch_add(read, Relaxed) + read;
        if total > limit && !died.swap(true, Relaxed) {
            return;
        }
        if to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}

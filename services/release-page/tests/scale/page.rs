//! The real binary, and what it takes.

use std::{
    fs,
    path::Path,
    process::{Child, Command},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::Instant,
};

use crate::{
    objects::Size,
    servers::{Servers, free_port},
};

pub(crate) struct Page {
    process: Child,
    port: u16,
    since: Instant,
}

/// In kB
pub(crate) struct Memory {
    pub(crate) now: u64,
    pub(crate) most: u64,
    pub(crate) anonymous: u64,
}

pub(crate) struct Answer {
    pub(crate) bytes: usize,
    pub(crate) millis: f64,
    body: Vec<u8>,
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Page {
    pub(crate) async fn start(binary: &Path, servers: &Servers) -> Self {
        let port = free_port();
        let mut command = Command::new(binary);
        command
            .args(["serve", "--namespace=models", "--store=s3://bentos"])
            .args([
                format!("--listen=127.0.0.1:{port}"),
                format!("--s3-endpoint={}", servers.store),
            ])
            .env("KUBECONFIG", servers.kubeconfig("page"))
            .envs([("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "testtest")])
            .env("GLIBC_TUNABLES", "glibc.malloc.mmap_threshold=131072");
        let process = command.spawn().unwrap();
        let page = Self { process, port, since: Instant::now() };
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        page
    }

    /// How long it took until it knew all.
    pub(crate) async fn until_it_has(&self, size: Size) -> Duration {
        let wanted = [
            "kanaria_page_source_up{source=\"api-server\"} 1".to_owned(),
            "kanaria_page_source_up{source=\"store\"} 1".to_owned(),
            format!("kanaria_services {}", size.services),
            format!("kanaria_bentos {}", size.bentos),
        ];
        // A release and its promotion are one.
        let releases = size.services * (size.runs + size.kept) / 2;
        let mut last = String::new();
        for _ in 0..600 {
            let metrics = self.get("/metrics").await.body;
            let metrics = String::from_utf8_lossy(&metrics);
            let values = metrics.lines().filter(|line| line.starts_with("kanaria_releases{"));
            let known: usize =
                values.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok()).sum();
            last = format!("{known} of {releases} releases");
            if wanted.iter().all(|line| metrics.contains(line.as_str())) && known >= releases {
                return self.since.elapsed();
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        panic!("the page never knows all: {last}");
    }

    pub(crate) fn memory(&self) -> Memory {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let field = |name: &str| {
            let mut lines = status.lines();
            let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
            line.trim().trim_end_matches(" kB").parse().unwrap()
        };
        Memory { now: field("VmRSS"), most: field("VmHWM"), anonymous: field("RssAnon") }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        let since = Instant::now();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let packed = if path == "/metrics" { "" } else { "Accept-Encoding: gzip\r\n" };
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{packed}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut body = Vec::new();
        stream.read_to_end(&mut body).await.unwrap();
        assert!(body.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&body));
        Answer { bytes: body.len(), millis: since.elapsed().as_secs_f64() * 1e3, body }
    }
}

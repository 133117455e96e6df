//! Debian's registry, and what it has.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Read, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::run::Taken;

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

pub(crate) struct Registry {
    pub(crate) host: String,
    blobs: PathBuf,
    process: Child,
}

/// Something that an image names.
#[derive(Clone)]
pub(crate) struct Blob {
    pub(crate) digest: String,
    pub(crate) size: u64,
    pub(crate) is_config: bool,
}

pub(crate) struct Manifest {
    /// Of the manifest itself
    pub(crate) bytes: u64,
    pub(crate) blobs: Vec<Blob>,
}

impl Registry {
    pub(crate) fn start(place: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let host = format!("127.0.0.1:{port}");
        let images = place.join("images");
        let config = json!({
            "version": "0.1", "log": {"level": "error", "accesslog": {"disabled": true}},
            "storage": {"filesystem": {"rootdirectory": images}}, "http": {"addr": host},
        });
        fs::write(place.join("config.yaml"), config.to_string()).unwrap();
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(place.join("config.yaml"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Debian's package docker-registry");
        while TcpStream::connect(&host).is_err() {
            thread::sleep(Duration::from_millis(20));
        }
        Self { host, blobs: images.join("docker/registry/v2/blobs/sha256"), process }
    }

    /// Bytes of all blobs, manifests among them.
    pub(crate) fn blob_bytes(&self) -> u64 {
        let below = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
        let blobs = below(&self.blobs).flat_map(|folder| below(&folder.path()));
        blobs.filter_map(|blob| Some(blob.path().join("data").metadata().ok()?.len())).sum()
    }

    /// Where a blob lies.
    pub(crate) fn file(&self, digest: &str) -> PathBuf {
        let hex = digest.trim_start_matches("sha256:");
        self.blobs.join(&hex[..2]).join(hex).join("data")
    }

    pub(crate) fn manifest(&self, repository: &str, version: &str) -> Manifest {
        let path = format!("/v2/{repository}/manifests/{version}");
        let answer = self.ask("GET", &path, &[("Accept", MANIFEST)], Body::Bytes(&[]));
        assert_eq!(answer.status, 200, "{path}");
        let manifest: Value = serde_json::from_slice(&answer.body).unwrap();
        let blob = |value: &Value, is_config| Blob {
            digest: value["digest"].as_str().unwrap().into(),
            size: value["size"].as_u64().unwrap(),
            is_config,
        };
        let layers = manifest["layers"].as_array().unwrap().iter();
        let layers = layers.map(|layer| blob(layer, false));
        let blobs = layers.chain([blob(&manifest["config"], true)]).collect();
        Manifest { bytes: answer.body.len() as u64, blobs }
    }

    /// Pushes a small blob and returns what a manifest says of it.
    pub(crate) fn push(&self, repository: &str, media_type: &str, bytes: &[u8]) -> Value {
        let digest = digest(bytes);
        let session = self.session(repository);
        let end = format!("{session}&digest={digest}");
        let answer = self.ask("PUT", &end, &[], Body::Bytes(bytes));
        assert_eq!(answer.status, 201, "{end}");
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }

    /// Returns its digest.
    pub(crate) fn push_manifest(&self, repository: &str, tag: &str, manifest: &Value) -> String {
        let bytes = manifest.to_string();
        let path = format!("/v2/{repository}/manifests/{tag}");
        let headers = [("Content-Type", MANIFEST)];
        let answer = self.ask("PUT", &path, &headers, Body::Bytes(bytes.as_bytes()));
        assert_eq!(answer.status, 201, "{path}");
        digest(bytes.as_bytes())
    }

    /// All of a file in one PATCH, as fast as the registry takes it.
    pub(crate) fn patch(&self, repository: &str, file: &Path, digest: &str) -> Taken {
        Command::new("sync").status().unwrap();
        let start = Instant::now();
        let session = self.session(repository);
        let answer = self.ask("PATCH", &session, &[], Body::File(File::open(file).unwrap()));
        assert_eq!(answer.status, 202, "{session}");
        let end = format!("{}&digest={digest}", answer.location.unwrap());
        assert_eq!(self.ask("PUT", &end, &[], Body::Bytes(&[])).status, 201, "{end}");
        Taken { wall: start.elapsed(), ..Taken::default() }
    }

    fn session(&self, repository: &str) -> String {
        let path = format!("/v2/{repository}/blobs/uploads/");
        let answer = self.ask("POST", &path, &[], Body::Bytes(&[]));
        answer.location.unwrap_or_else(|| panic!("{path}: {}", answer.status))
    }

    /// One request on a connection of its own.
    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Body<'_>) -> Answer {
        let mut stream = TcpStream::connect(&self.host).unwrap();
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.host);
        head += "Connection: close\r\n";
        for (name, value) in headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        match body {
            Body::Bytes(bytes) => {
                write!(head, "Content-Length: {}\r\n\r\n", bytes.len()).unwrap();
                stream.write_all(head.as_bytes()).unwrap();
                stream.write_all(bytes).unwrap();
            }
            Body::File(file) => {
                head += "Transfer-Encoding: chunked\r\n\r\n";
                stream.write_all(head.as_bytes()).unwrap();
                send_chunks(&mut stream, file).unwrap();
            }
        }
        Answer::read(stream, &self.host)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

enum Body<'a> {
    Bytes(&'a [u8]),
    File(File),
}

fn send_chunks(stream: &mut TcpStream, mut file: File) -> io::Result<()> {
    let mut buffer = vec![0; 256 << 10];
    loop {
        let count = file.read(&mut buffer)?;
        write!(stream, "{count:x}\r\n")?;
        stream.write_all(&buffer[..count])?;
        stream.write_all(b"\r\n")?;
        if count == 0 {
            return Ok(());
        }
    }
}

struct Answer {
    status: u16,
    /// Path and query
    location: Option<String>,
    body: Vec<u8>,
}

impl Answer {
    fn read(stream: TcpStream, host: &str) -> Self {
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).unwrap() > 0, "no answer of the registry: {head}");
        }
        let location = head.lines().find_map(|line| line.strip_prefix("Location: "));
        let location = location.map(|url| url.trim_start_matches(&format!("http://{host}")).into());
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut body = Vec::new();
        reader.read_to_end(&mut body).unwrap();
        Self { status, location, body }
    }
}

/// As registries write it.
pub(crate) fn digest(bytes: &[u8]) -> String {
    named(&Sha256::digest(bytes))
}

/// The same of a file.
pub(crate) fn digest_of(file: &Path) -> String {
    let (mut file, mut buffer) = (File::open(file).unwrap(), vec![0; 1 << 20]);
    let mut hasher = Sha256::new();
    loop {
        match file.read(&mut buffer).unwrap() {
            0 => return named(&hasher.finalize()),
            count => hasher.update(&buffer[..count]),
        }
    }
}

fn named(hash: &[u8]) -> String {
    hash.iter().fold("sha256:".to_owned(), |all, byte| format!("{all}{byte:02x}"))
}

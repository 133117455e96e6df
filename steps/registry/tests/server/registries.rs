//! Real registries, each of its own for each test, in a folder that goes with it.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

use registry::{Access, Credential, Repository};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Distribution 2.8
    Debian,
    /// The same, which gives and takes nothing without a password
    WithPassword,
    /// `crane registry serve`
    Crane,
}

pub(crate) struct Registry {
    host: String,
    command: Command,
    process: Child,
    _folder: TempDir,
}

/// `secret`, as `htpasswd -B` writes it
const USERS: &str = "puller:$2a$04$e31jFy7r.zCln5nHQ7ZwiO7gNeSojRYEAmF4A2f/0oMH4N1RXwn1u\n";
/// Where `make cluster-up` puts what it has built
const BUILT: &str = "/var/lib/kanaria/bin";

impl Registry {
    pub(crate) async fn start(kind: Kind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let host = format!("127.0.0.1:{port}");
        let at = |name: &str| folder.path().join(name).display().to_string();
        let mut command = if kind == Kind::Crane {
            fs::create_dir(at("blobs")).unwrap();
            let mut crane = Command::new(format!("{BUILT}/crane"));
            crane.args(["registry", "serve", "--address", &host, "--disk", &at("blobs")]);
            crane
        } else {
            let mut config = json!({
                "version": "0.1", "log": {"level": "error", "accesslog": {"disabled": true}},
                "storage": {"filesystem": {"rootdirectory": at("images")}}, "http": {"addr": host},
            });
            if kind == Kind::WithPassword {
                fs::write(at("users"), USERS).unwrap();
                config["auth"] = json!({"htpasswd": {"realm": "models", "path": at("users")}});
            }
            fs::write(at("config.yaml"), config.to_string()).unwrap();
            let mut debian = Command::new("docker-registry");
            debian.args(["serve", &at("config.yaml")]);
            debian
        };
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().unwrap();
        let registry = Self { host, command, process, _folder: folder };
        registry.is_up().await;
        registry
    }

    async fn is_up(&self) {
        while TcpStream::connect(&self.host).is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// As by `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub(crate) async fn start_again(&mut self) {
        self.process = self.command.spawn().unwrap();
        self.is_up().await;
    }

    pub(crate) fn repository(&self, path: &str) -> Repository {
        self.with(path, Access::default())
    }

    pub(crate) fn repository_of(&self, path: &str, user: &str, password: &str) -> Repository {
        let (user, password) = (user.to_owned(), password.to_owned());
        let credential = Some(Credential::Password { user, password });
        self.with(path, Access { credential, ..Access::default() })
    }

    fn with(&self, path: &str, access: Access) -> Repository {
        Repository::new(format!("{}/{path}", self.host).parse().unwrap(), access).unwrap()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |all, byte| format!("{all}{byte:02x}"))
}

/// The configuration and the manifest of an image with this one layer.
pub(crate) fn image(layer: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let config = json!({
        "os": "linux", "architecture": "amd64", "config": {"Labels": {"kind": "model"}},
        "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
    });
    let config = config.to_string();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": digest(config.as_bytes()), "size": config.len(),
        },
        "layers": [{
            "mediaType": "application/vnd.oci.image.layer.v1.tar",
            "digest": digest(layer), "size": layer.len(),
        }],
    });
    (config.into_bytes(), manifest.to_string().into_bytes())
}

//! An API server without controllers, and a store, of their own: on ports of the loopback, in a folder that goes.

use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Where `cluster` puts the programs that it builds
const BIN: &str = "/var/lib/kanaria/bin";

pub(crate) struct Servers {
    running: Vec<Child>,
    pub(crate) folder: TempDir,
    pub(crate) store: String,
}

impl Drop for Servers {
    fn drop(&mut self) {
        for server in &mut self.running {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

impl Servers {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().to_owned();
        let [etcd, peer, api, store] = [(); 4].map(|()| free_port());
        let (client, peer) =
            (format!("http://127.0.0.1:{etcd}"), format!("http://127.0.0.1:{peer}"));
        let etcd = program("etcd", &at)
            .arg(format!("--data-dir={}", at.join("etcd").display()))
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("default={peer}"), "--unsafe-no-fsync"])
            .spawn();
        write_keys(&at);
        let file = |flag: &str, name: &str| format!("--{flag}={}", at.join(name).display());
        let apiserver = program("kube-apiserver", &at)
            .arg(format!("--etcd-servers={client}"))
            .args(["--bind-address=127.0.0.1", "--authorization-mode=AlwaysAllow"])
            .arg(format!("--secure-port={api}"))
            .args([file("cert-dir", "certificates"), file("token-auth-file", "tokens.csv")])
            .args([
                file("service-account-key-file", "key"),
                file("service-account-signing-key-file", "key"),
            ])
            .arg("--service-account-issuer=https://kubernetes.default.svc")
            .args([file("audit-policy-file", "audit.yaml"), file("audit-log-path", "audit.log")])
            .args(["--max-mutating-requests-inflight=0", "--max-requests-inflight=0"])
            .args(["--enable-priority-and-fairness=false", "--endpoint-reconciler-type=none"])
            .spawn();
        fs::create_dir_all(at.join("s3/bentos")).unwrap();
        let versitygw = program("versitygw", &at)
            .envs([("ROOT_ACCESS_KEY", "test"), ("ROOT_SECRET_KEY", "testtest")])
            .args(["--port", &format!("127.0.0.1:{store}"), "--quiet", "posix"])
            .arg(at.join("s3"))
            .spawn();
        let running = [etcd, apiserver, versitygw].map(Result::unwrap).into();
        for who in ["filler", "page"] {
            fs::write(at.join(who), kubeconfig(api, who).to_string()).unwrap();
        }
        let servers = Self { running, folder, store: format!("http://127.0.0.1:{store}") };
        servers.wait().await;
        servers
    }

    /// A client that is not counted
    pub(crate) async fn client(&self) -> Client {
        let file = Kubeconfig::read_from(self.kubeconfig("filler")).unwrap();
        let config =
            Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
        Client::try_from(config).unwrap()
    }

    pub(crate) fn kubeconfig(&self, who: &str) -> PathBuf {
        self.folder.path().join(who)
    }

    /// By verb and resource, of the API server's own audit
    pub(crate) fn requests_of_the_page(&self) -> BTreeMap<(String, String), u64> {
        let log = fs::read_to_string(self.folder.path().join("audit.log")).unwrap();
        let mut requests = BTreeMap::new();
        for line in log.lines() {
            let event: Value = serde_json::from_str(line).unwrap();
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let asked = (text(&event["verb"]), text(&event["objectRef"]["resource"]));
            *requests.entry(asked).or_default() += 1;
        }
        requests
    }

    async fn wait(&self) {
        let client = self.client().await;
        for _ in 0..300 {
            if client.apiserver_version().await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        panic!("the API server does not answer: {}", self.folder.path().display());
    }
}

fn program(name: &str, folder: &Path) -> Command {
    let mut command = Command::new(Path::new(BIN).join(name));
    let log = fs::File::create(folder.join(format!("{name}.log"))).unwrap();
    command.stdout(Stdio::null()).stderr(log);
    command
}

fn write_keys(folder: &Path) {
    let key = folder.join("key");
    let made = Command::new("openssl").arg("genrsa").arg("-out").arg(&key).arg("2048").output();
    assert!(made.unwrap().status.success(), "no key could be made");
    let tokens = "filler,filler,filler\npage,page,page\n";
    fs::write(folder.join("tokens.csv"), tokens).unwrap();
    let policy = json!({
        "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["ResponseStarted", "ResponseComplete", "Panic"],
        "rules": [{"level": "Metadata", "users": ["page"]}, {"level": "None"}],
    });
    fs::write(folder.join("audit.yaml"), policy.to_string()).unwrap();
}

fn kubeconfig(port: u16, who: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": format!("https://127.0.0.1:{port}"), "insecure-skip-tls-verify": true}}],
        "users": [{"name": "c", "user": {"token": who}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c", "namespace": "models"}}],
    })
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

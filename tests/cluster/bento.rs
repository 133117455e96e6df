//! A bento in miniature: what BentoML writes around a model, around a server that starts at once.
//! Its own Dockerfile needs no other image, so that a whole release takes seconds.

use std::{
    fs::{self, Permissions},
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
};

use aws_sdk_s3::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
    primitives::ByteStream,
};
use demo::Site;
use flate2::{Compression, write::GzEncoder};
use serde_json::json;
use tempfile::TempDir;

/// How a model behaves; `tests/model` has more of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Model {
    Good,
    Failing,
    /// Answers each prediction with status 422
    Refusing,
    /// Takes a hundred times as long as a good one: 2 s
    Slow,
    /// Takes five times as long again: 10 s
    Late,
    /// Never answers every other prediction
    Hanging,
    /// Resets the connection of every other prediction
    Resetting,
    Unready,
    /// Serves well, once it has loaded for these seconds
    Loading(u32),
    /// Serves well for these seconds, then exits, again and again
    Crashing(u32),
}

impl Model {
    /// The variables that make the server behave so.
    pub(crate) fn variables(self, version: &str) -> Vec<String> {
        let behaviour = match self {
            Self::Good | Self::Loading(_) => "good",
            Self::Failing => "failing",
            Self::Refusing => "refusing",
            Self::Slow | Self::Late => "slow",
            Self::Hanging => "hanging",
            Self::Resetting => "resetting",
            Self::Unready => "unready",
            Self::Crashing(_) => "crashing",
        };
        let mut variables =
            vec![format!("MODEL_VERSION={version}"), format!("MODEL_BEHAVIOUR={behaviour}")];
        match self {
            Self::Crashing(seconds) => variables.push(format!("MODEL_LIFETIME={seconds}")),
            Self::Loading(seconds) => variables.push(format!("MODEL_LOADING={seconds}")),
            Self::Late => variables.push("MODEL_LATENCY=100".to_owned()),
            _ => {}
        }
        variables
    }
}

/// Saves `NAME:VERSION` to the site's store, as BentoML's export does.
pub(crate) async fn save(site: &Site, name: &str, version: &str, model: Model) {
    put(site, &format!("{name}/{version}.tar.gz"), archive(name, version, model)).await;
}

/// Saves `NAME:v1` with a Dockerfile and files of one's own: path, mode and content.
pub(crate) async fn save_with(
    site: &Site,
    name: &str,
    dockerfile: &str,
    files: &[(&str, u32, &[u8])],
) {
    put(site, &format!("{name}/v1.tar.gz"), packed(name, "v1", dockerfile, files)).await;
}

/// Saves the bento that the samples ask for, where it is not there yet, and once more where everyone may read it.
pub(crate) async fn save_for_samples(site: &Site) {
    let bucket = &site.cluster.store.bucket;
    let policy = json!({ "Statement": [{
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": format!("arn:aws:s3:::{bucket}/public/*")
    }] });
    let client = client(site);
    client.put_bucket_policy().bucket(bucket).policy(policy.to_string()).send().await.unwrap();
    put(site, "public/iris/v1.tar.gz", archive("iris", "v1", Model::Good)).await;
    if client.head_object().bucket(bucket).key("iris/v1.tar.gz").send().await.is_err() {
        save(site, "iris", "v1", Model::Good).await;
    }
}

/// A folder with the bento that the samples ask for, which the site's claim `bentos` brings to a pod.
pub(crate) fn save_on_a_volume(site: &Site) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    // Kubernetes changes no owner of such a folder, so whoever runs the step has to be let in.
    fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
    fs::create_dir(folder.path().join("iris")).unwrap();
    fs::write(folder.path().join("iris/v1.tar.gz"), archive("iris", "v1", Model::Good)).unwrap();

    let room = json!({ "storage": "1Gi" });
    let volume = json!({ "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": { "name": site.namespace },
        "spec": { "accessModes": ["ReadWriteOnce"], "capacity": room, "hostPath": { "path": folder.path() },
                  "claimRef": { "namespace": site.namespace, "name": "bentos" } } });
    let claim = json!({ "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": { "namespace": site.namespace, "name": "bentos" },
        "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": room },
                  "storageClassName": "", "volumeName": site.namespace } });
    let file = folder.path().join("claim.json");
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": [volume, claim] });
    fs::write(&file, list.to_string()).unwrap();
    site.cluster.kubectl(["apply", "-f", &file.display().to_string()]).unwrap();
    folder
}

async fn put(site: &Site, key: &str, archive: Vec<u8>) {
    let request = client(site).put_object().bucket(&site.cluster.store.bucket).key(key);
    request.body(ByteStream::from(archive)).send().await.unwrap();
}

fn client(site: &Site) -> Client {
    let store = &site.cluster.store;
    let keys = Credentials::new(&store.access_key, &store.secret_key, None, None, "tests");
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(&store.endpoint.host)
        .region(Region::new(store.region.clone()))
        .credentials_provider(keys)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .force_path_style(true);
    Client::from_conf(config.build())
}

/// The static model server, as `make images` left it.
pub(crate) fn server() -> Vec<u8> {
    fs::read(demo::built("model").unwrap()).unwrap()
}

fn archive(name: &str, version: &str, model: Model) -> Vec<u8> {
    let server = server();
    let dockerfile = format!(
        "FROM scratch\nCOPY src/model /model\nENV {}\nUSER 1034:1034\nENTRYPOINT [\"/model\"]\n",
        model.variables(version).join(" ")
    );
    packed(name, version, &dockerfile, &[("src/model", 0o755, &server)])
}

fn packed(name: &str, version: &str, dockerfile: &str, files: &[(&str, u32, &[u8])]) -> Vec<u8> {
    let manifest = format!(
        "service: model:Model\nname: {name}\nversion: {version}\nbentoml_version: 1.4.39\n\
         creation_time: '2026-11-24T00:00:00+00:00'\nlabels: {{}}\nmodels: []\n"
    );
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut add = |path: &str, mode: u32, content: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, path, content).unwrap();
    };
    add("bento.yaml", 0o644, manifest.as_bytes());
    add("env/docker/Dockerfile", 0o644, dockerfile.as_bytes());
    for (path, mode, content) in files {
        add(path, *mode, content);
    }
    let mut gzip = tar.into_inner().unwrap();
    gzip.flush().unwrap();
    gzip.finish().unwrap()
}

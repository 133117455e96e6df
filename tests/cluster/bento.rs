//! A bento in miniature: what BentoML writes around a model, around a server that starts at once.
//! Its environment is a shell, so that a whole release takes seconds.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
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
use tokio::sync::OnceCell;

use crate::{image, stand_ins::BUSYBOX};

/// How a model behaves; `tests/model` has more of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Model {
    Good,
    /// Answers well, and names these, each so many times in a turn: `NAME:TIMES,…`
    Naming(&'static str),
    Failing,
    /// Answers with status 500 above 3 or 4 requests a second, which is less than a quarter of 20
    Overloaded,
    /// Answers each prediction with status 422
    Refusing,
    /// Takes a hundred times as long as a good one: 2 s
    Slow,
    /// Takes five times as long again: 10 s
    Late,
    /// Takes half a second, as a model of some size does
    Heavy,
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
            Self::Good | Self::Naming(_) | Self::Heavy | Self::Loading(_) => "good",
            Self::Failing => "failing",
            Self::Overloaded => "overloaded",
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
            Self::Naming(answers) => variables.push(format!("MODEL_ANSWERS={answers}")),
            Self::Heavy => variables.push("MODEL_LATENCY=500".to_owned()),
            Self::Late => variables.push("MODEL_LATENCY=100".to_owned()),
            _ => {}
        }
        variables
    }
}

/// Saves `NAME:VERSION` to the site's store, as BentoML's export does.
pub(crate) async fn save(site: &Site, name: &str, version: &str, model: Model) {
    push_base(site).await;
    put(site, &format!("{name}/{version}.tar.gz"), archive(name, version, model)).await;
}

/// Saves `NAME:v1` with a Dockerfile and files of one's own: path, mode and content.
pub(crate) async fn save_with(
    site: &Site,
    name: &str,
    dockerfile: &str,
    files: &[(&str, u32, &[u8])],
) {
    save_version_with(site, name, "v1", dockerfile, files).await;
}

/// The same as any version.
pub(crate) async fn save_version_with(
    site: &Site,
    name: &str,
    version: &str,
    dockerfile: &str,
    files: &[(&str, u32, &[u8])],
) {
    let archive = packed(name, version, dockerfile, files);
    put(site, &format!("{name}/{version}.tar.gz"), archive).await;
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

pub(crate) async fn put(site: &Site, key: &str, archive: Vec<u8>) {
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

/// The archive of a bento whose environment is the same for all of them: only its model's variables differ.
fn archive(name: &str, version: &str, model: Model) -> Vec<u8> {
    let server = server();
    let serve = format!(
        "#!/bin/sh\nexport {}\nexec models/server/m1/model\n",
        model.variables(version).join(" ")
    );
    let files = [
        ("env/python/requirements.txt", 0o644, b"bentoml==1.4.39\n".as_slice()),
        ("models/server/m1/model.yaml", 0o644, MODEL.as_bytes()),
        ("models/server/m1/model", 0o755, &server),
        ("src/serve.sh", 0o755, serve.as_bytes()),
    ];
    packed(name, version, LAYERED, &files)
}

/// Written as BentoML writes it: what it builds before it copies the bento is the environment.
const LAYERED: &str = "\
FROM kanaria-tests/busybox:1
WORKDIR /home/bentoml/bento
COPY --chown=1034:1034 ./env/python ./env/python/
RUN cp ./env/python/requirements.txt /requirements.txt
COPY --chown=1034:1034 . ./
EXPOSE 3000
USER 1034:1034
ENTRYPOINT [\"/bin/sh\", \"src/serve.sh\"]
";

/// Pushes the base image of such bentos, once for all tests.
async fn push_base(site: &Site) {
    static PUSHED: OnceCell<()> = OnceCell::const_new();
    PUSHED
        .get_or_init(async || {
            let mut tar = tar::Builder::new(Vec::new());
            let busybox = fs::read(BUSYBOX).unwrap();
            for path in ["bin/busybox", "bin/sh", "bin/cp"] {
                let mut header = image::header();
                header.set_mode(0o755);
                header.set_size(busybox.len() as u64);
                tar.append_data(&mut header, path, busybox.as_slice()).unwrap();
            }
            let layer = tar.into_inner().unwrap();
            image::push_to_mirror(site, "kanaria-tests/busybox", "1", &layer).await;
        })
        .await;
}

pub(crate) const MODEL: &str = "\
name: server
version: m1
module: tests
bentoml_version: 1.4.39
creation_time: '2026-11-20T00:00:00+00:00'
";

/// An archive with these files, and with the folders that they are in.
pub(crate) fn packed(
    name: &str,
    version: &str,
    dockerfile: &str,
    files: &[(&str, u32, &[u8])],
) -> Vec<u8> {
    let mut manifest = format!(
        "service: model:Model\nname: {name}\nversion: {version}\nbentoml_version: 1.4.39\n\
         creation_time: '2026-11-24T00:00:00+00:00'\nlabels: {{}}\nmodels: []\n"
    );
    for (path, ..) in files {
        let model = path.strip_prefix("models/").and_then(|path| path.strip_suffix("/model.yaml"));
        if let Some(model) = model {
            manifest = manifest.replace("models: []", "models:");
            let tag = model.replace('/', ":");
            let created = "creation_time: '2026-11-20T00:00:00+00:00'";
            write!(manifest, "- tag: {tag}\n  module: tests\n  {created}\n").unwrap();
        }
    }
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut folders = BTreeSet::new();
    let own = [
        ("bento.yaml", 0o644, manifest.as_bytes()),
        ("env/docker/Dockerfile", 0o644, dockerfile.as_bytes()),
    ];
    for &(path, mode, content) in own.iter().chain(files) {
        for (at, _) in path.match_indices('/') {
            if folders.insert(&path[..at]) {
                let mut header = image::header();
                header.set_entry_type(tar::EntryType::Directory);
                header.set_mode(0o755);
                header.set_size(0);
                tar.append_data(&mut header, &path[..at], [].as_slice()).unwrap();
            }
        }
        let mut header = image::header();
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, path, content).unwrap();
    }
    let mut gzip = tar.into_inner().unwrap();
    gzip.flush().unwrap();
    gzip.finish().unwrap()
}

/// So many bytes that do not compress, the same each time.
pub(crate) fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(size);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

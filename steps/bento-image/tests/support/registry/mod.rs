//! A registry in memory that does what OCI's specification says, and what a test wants it to do wrong.
//!
//! - `http`: requests and answers, byte by byte
//! - `state`: what it holds, who may come in, and its faults
//! - `routes`: what it does with a request that nothing is wrong with

mod http;
mod routes;
mod state;

use std::{
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard},
    thread,
};

use bento_image::flatten::Tree;
use rustls::ServerConfig;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use step::text::hex;

pub(crate) use self::state::{Contents, Fault, Guard, Mounts, Seen, What, basic};
use self::{
    http::{Answer, Connection, Request},
    state::State,
};

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

pub(crate) struct Registry {
    /// HOST:PORT
    pub(crate) host: String,
    state: Arc<Mutex<State>>,
}

impl Registry {
    pub(crate) fn start() -> Self {
        Self::serving(None)
    }

    pub(crate) fn with_tls(config: ServerConfig) -> Self {
        let registry = Self::serving(Some(Arc::new(config)));
        Self { host: registry.host.replace("127.0.0.1", "localhost"), ..registry }
    }

    fn serving(tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let state = Arc::new(Mutex::new(State::default()));
        let (shared, name) = (Arc::clone(&state), host.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (state, tls, name) = (Arc::clone(&shared), tls.clone(), name.clone());
                thread::spawn(move || serve(&state, stream, tls.as_ref(), &name));
            }
        });
        Self { host, state }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn fails(&self, fault: Fault) -> &Self {
        self.state().faults.push(fault);
        self
    }

    /// What was asked since this was called last, without questions that are always asked.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.state().seen)
    }

    /// All that a repository has.
    pub(crate) fn contents(&self, name: &str) -> Contents {
        self.state().repositories.get(name).cloned().unwrap_or_default()
    }

    pub(crate) fn tag(&self, name: &str, tag: &str) -> Option<String> {
        self.contents(name).tags.get(tag).cloned()
    }

    pub(crate) fn manifest(&self, name: &str, version: &str) -> Value {
        let contents = self.contents(name);
        let digest = contents.tags.get(version).map_or(version, String::as_str);
        serde_json::from_slice(&contents.manifests[digest].1).unwrap()
    }

    pub(crate) fn config(&self, name: &str, version: &str) -> Value {
        let manifest = self.manifest(name, version);
        let digest = manifest["config"]["digest"].as_str().unwrap();
        serde_json::from_slice(&self.contents(name).blobs[digest]).unwrap()
    }

    /// What a container would see.
    pub(crate) fn tree(&self, name: &str, version: &str) -> Tree {
        let (manifest, contents) = (self.manifest(name, version), self.contents(name));
        let layers = manifest["layers"].as_array().unwrap().iter();
        Tree::of(layers.map(|it| contents.blobs[it["digest"].as_str().unwrap()].as_slice()))
            .unwrap()
    }

    /// Bytes of blobs that were sent there since the log was read last.
    pub(crate) fn bytes_sent(&self, name: &str) -> usize {
        let below = format!("/v2/{name}/blobs/uploads/");
        let seen = self.seen();
        seen.iter().filter(|seen| seen.line.contains(&below)).map(|seen| seen.bytes).sum()
    }

    /// Puts an image there; gives its digest.
    pub(crate) fn put(&self, name: &str, tag: &str, image: &Image) -> String {
        let mut state = self.state();
        let contents = state.repositories.entry(name.to_owned()).or_default();
        let Image { layers, config } = image;
        let mut config = config.clone();
        let config_digests = layers.iter().map(|layer| digest(layer));
        config["rootfs"] =
            serde_json::json!({"type": "layers", "diff_ids": config_digests.collect::<Vec<_>>()});
        let config = config.to_string().into_bytes();
        let descriptor = |bytes: &[u8], kind: &str| serde_json::json!({"mediaType": format!("application/vnd.oci.image.{kind}"), "digest": digest(bytes), "size": bytes.len()});
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(&config, "config.v1+json"),
            "layers": layers.iter().map(|it| descriptor(it, "layer.v1.tar")).collect::<Vec<_>>(),
        });
        let manifest = manifest.to_string().into_bytes();
        let found = digest(&manifest);
        for blob in layers.iter().chain([&config]) {
            contents.blobs.insert(digest(blob), blob.clone());
        }
        contents.manifests.insert(found.clone(), (MANIFEST.into(), manifest));
        contents.tags.insert(tag.to_owned(), found.clone());
        found
    }
}

/// An image that is put somewhere without a client.
#[derive(Clone)]
pub(crate) struct Image {
    /// The lowest first, as plain tars
    pub(crate) layers: Vec<Vec<u8>>,
    pub(crate) config: Value,
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}

fn serve(
    state: &Mutex<State>,
    stream: TcpStream,
    tls: Option<&Arc<ServerConfig>>,
    host: &str,
) -> Option<()> {
    {
        let mut state = state.lock().unwrap();
        if state.dead_for > 0 {
            state.dead_for -= 1;
            return None;
        }
    }
    let mut connection = Connection::accept(stream, tls)?;
    let request = connection.request()?;
    let fault = state.lock().unwrap().fault(&request);
    let is_answered = !matches!(fault, Some(What::AnswerLost));
    if let Some(what) = fault {
        go_wrong(state, &mut connection, &request, what)?;
    }
    let admitted = state.lock().unwrap().admit(&request, host);
    let (answer, bytes) = match admitted {
        Err(refusal) => (refusal, 0),
        Ok(()) => match connection.body(usize::MAX) {
            Err(_) => {
                state.lock().unwrap().note(&request, 0, 0);
                return None;
            }
            Ok(body) => {
                let (mut state, bytes) = (state.lock().unwrap(), body.len());
                let is_token = request.path == "/token";
                let answer = if is_token {
                    state.token(&request)
                } else {
                    routes::answer(&mut state, &request, body)
                };
                (answer, bytes)
            }
        },
    };
    state.lock().unwrap().note(&request, answer.status, bytes);
    if is_answered {
        connection.answer(&answer, request.method == "HEAD");
    }
    None
}

/// None: that was all.
fn go_wrong(
    state: &Mutex<State>,
    connection: &mut Connection,
    request: &Request,
    what: What,
) -> Option<()> {
    let is_head = request.method == "HEAD";
    match what {
        What::Cut(bytes) => {
            let bytes = connection.body(bytes).ok()?.len();
            state.lock().unwrap().note(request, 0, bytes);
            return None;
        }
        What::Dies(bytes, times) => {
            let bytes = connection.body(bytes).ok()?.len();
            let mut state = state.lock().unwrap();
            state.note(request, 0, bytes);
            state.dead_for = times;
            return None;
        }
        What::Answers(bytes, status, headers) => {
            let bytes = connection.body(bytes).ok()?.len();
            state.lock().unwrap().note(request, status, bytes);
            let mut answer = Answer::error(status, "UNAVAILABLE", "as the test wants it");
            answer.headers = headers;
            connection.answer(&answer, is_head);
            return None;
        }
        What::TokensExpire(bytes) => {
            connection.body(bytes).ok()?;
            state.lock().unwrap().tokens.clear();
        }
        What::Collects => state.lock().unwrap().collect(),
        What::Loses(digests) => state.lock().unwrap().lose(&digests),
        What::AnswerLost => {}
    }
    Some(())
}

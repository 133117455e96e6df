//! A store that does what a test tells it to.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    sync::{Arc, Mutex},
};

use flate2::{Compression, write::GzEncoder};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate, matchers::any};

#[derive(Clone, Default)]
pub(crate) struct Bucket(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// By key
    objects: BTreeMap<String, Vec<u8>>,
    /// Keys that are listed, and are gone when they are asked for
    vanish: BTreeSet<String>,
    is_away: bool,
    /// Method and path of each request
    asked: Vec<String>,
}

impl Bucket {
    pub(crate) async fn serve(&self) -> MockServer {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(self.clone()).mount(&server).await;
        server
    }

    pub(crate) fn put(&self, key: &str, bytes: Vec<u8>) {
        self.0.lock().unwrap().objects.insert(key.to_owned(), bytes);
    }

    pub(crate) fn remove(&self, key: &str) {
        self.0.lock().unwrap().objects.remove(key).unwrap();
    }

    /// It is there for listings alone.
    pub(crate) fn vanish(&self, key: &str) {
        self.0.lock().unwrap().vanish.insert(key.to_owned());
    }

    pub(crate) fn set_away(&self, is_away: bool) {
        self.0.lock().unwrap().is_away = is_away;
    }

    /// How often the object was asked for
    pub(crate) fn asked_for(&self, key: &str) -> usize {
        let state = self.0.lock().unwrap();
        state.asked.iter().filter(|path| path.ends_with(&format!("/bentos/{key}"))).count()
    }
}

impl Respond for Bucket {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut state = self.0.lock().unwrap();
        let path = request.url.path().to_owned();
        state.asked.push(path.clone());
        if state.is_away {
            return ResponseTemplate::new(503);
        }
        let query: BTreeMap<_, _> = request.url.query_pairs().into_owned().collect();
        if query.contains_key("list-type") {
            let prefix = query.get("prefix").cloned().unwrap_or_default();
            let found = state.objects.iter().filter(|(key, _)| key.starts_with(&prefix));
            let found = found.map(|(key, bytes)| format!(
                "<Contents><Key>{key}</Key><Size>{}</Size><LastModified>2026-11-24T06:00:00.000Z</LastModified></Contents>", bytes.len()
            ));
            let found = found.collect::<String>();
            let body = format!(
                "<?xml version=\"1.0\"?><ListBucketResult><IsTruncated>false</IsTruncated>{found}</ListBucketResult>"
            );
            return ResponseTemplate::new(200).set_body_raw(body, "application/xml");
        }
        let key = path.trim_start_matches("/bentos/");
        match state.objects.get(key).filter(|_| !state.vanish.contains(key)) {
            Some(bytes) => ResponseTemplate::new(200).set_body_bytes(bytes.clone()),
            None => ResponseTemplate::new(404).set_body_raw(
                "<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code><Message>not there</Message></Error>",
                "application/xml",
            ),
        }
    }
}

/// An archive of a bento, with this label
pub(crate) fn bento(name: &str, version: &str, created: &str, label: &str) -> Vec<u8> {
    let manifest = format!(
        "name: {name}\nversion: {version}\ncreation_time: '{created}'\nlabels: {{owner: '{label}'}}\n\
         models:\n- {{tag: 'svm:m1', module: bentoml.sklearn}}\n"
    );
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut header = tar::Header::new_gnu();
    header.set_size(manifest.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, "bento.yaml", manifest.as_bytes()).unwrap();
    let mut packed = archive.into_inner().unwrap();
    packed.flush().unwrap();
    packed.finish().unwrap()
}

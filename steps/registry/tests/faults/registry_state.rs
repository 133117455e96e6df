//! What a registry holds, and how it answers when nothing goes wrong.

use std::collections::BTreeMap;

use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::wire::Head;

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

#[derive(Default)]
pub(crate) struct State {
    /// By repository and digest
    pub(crate) blobs: BTreeMap<(String, String), Vec<u8>>,
    /// By tag or digest
    pub(crate) manifests: BTreeMap<String, Vec<u8>>,
    sessions: BTreeMap<String, Vec<u8>>,
    opened: usize,
    /// In front of the path of an upload: another host, or nothing
    pub(crate) location: String,
    /// Behind it
    pub(crate) query: &'static str,
    /// As ECR answers to a PATCH, and without a word where it goes on
    pub(crate) says_created: bool,
    /// Mounts of what is there are made
    pub(crate) mounts: bool,
    /// Number of the token that is good; without one everybody may do everything
    pub(crate) token: Option<u32>,
    /// Without a header that says the digest
    pub(crate) tells_no_digest: bool,
}

impl State {
    pub(crate) fn expire(&mut self) {
        self.token = self.token.map(|token| token + 1);
    }

    pub(crate) fn holds(&mut self, repository: &str, blob: &[u8]) -> String {
        self.blobs.insert((repository.into(), digest(blob)), blob.into());
        digest(blob)
    }

    pub(crate) fn answer(&mut self, host: &str, head: &Head, body: &[u8]) -> Answer {
        let (path, query) = head.target.split_once('?').unwrap_or((&head.target, ""));
        if path == "/token" {
            let text = json!({ "token": format!("t{}", self.token.unwrap_or_default()) });
            return answer(200).with(text.to_string());
        }
        if path == "/v2/" {
            return answer(200);
        }
        let good = self.token.map(|token| format!("Bearer t{token}"));
        if good.is_some() && good.as_ref() != head.headers.get("authorization") {
            let challenge = format!("Bearer realm=\"http://{host}/token\",service=\"r\"");
            return answer(401).header("www-authenticate", &challenge);
        }
        let path = path.trim_start_matches("/v2/");
        let query = query.replace("%3A", ":");
        if let Some((repository, session)) = path.split_once("/blobs/uploads/") {
            self.upload(&head.method, repository, session, &query, body)
        } else if let Some((repository, digest)) = path.split_once("/blobs/") {
            let found = self.blobs.get(&(repository.to_owned(), digest.to_owned()));
            found.map_or_else(|| answer(404), |blob| answer(200).with(blob.clone()))
        } else if let Some((_, version)) = path.split_once("/manifests/") {
            self.manifest(&head.method, version, body)
        } else {
            answer(404)
        }
    }

    fn upload(
        &mut self,
        method: &str,
        repository: &str,
        session: &str,
        query: &str,
        body: &[u8],
    ) -> Answer {
        let of = |name: &str| {
            let mut fields = query.split('&').filter_map(|field| field.split_once('='));
            fields.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
        };
        let (location, query) = (self.location.clone(), self.query);
        let goes_on =
            |session: &str| format!("{location}/v2/{repository}/blobs/uploads/{session}{query}");
        match method {
            "POST" => {
                let mounted = of("mount").zip(of("from")).filter(|_| self.mounts);
                let source = mounted.and_then(|(digest, from)| self.blobs.get(&(from, digest)));
                if let Some(blob) = source.cloned() {
                    self.holds(repository, &blob);
                    return answer(201);
                }
                let session = format!("s{}", self.opened);
                let location = goes_on(&session);
                self.opened += 1;
                self.sessions.insert(session, Vec::new());
                answer(202).header("location", &location)
            }
            "PATCH" => {
                let location = goes_on(session);
                self.sessions.entry(session.into()).or_default().extend_from_slice(body);
                if self.says_created {
                    return answer(201);
                }
                answer(202).header("location", &location)
            }
            "PUT" => {
                let Some(mut blob) = self.sessions.remove(session) else {
                    return answer(404).with(said("BLOB_UPLOAD_UNKNOWN", "blob upload unknown"));
                };
                blob.extend_from_slice(body);
                if of("digest") != Some(digest(&blob)) {
                    return answer(400)
                        .with(said("DIGEST_INVALID", "provided digest did not match"));
                }
                self.holds(repository, &blob);
                answer(201)
            }
            _ => {
                self.sessions.remove(session);
                answer(204)
            }
        }
    }

    fn manifest(&mut self, method: &str, version: &str, body: &[u8]) -> Answer {
        if method == "PUT" {
            self.manifests.insert(version.into(), body.into());
            self.manifests.insert(digest(body), body.into());
            return answer(201);
        }
        let Some(found) = self.manifests.get(version) else { return answer(404) };
        let told = answer(200).with(found.clone());
        if self.tells_no_digest {
            return told;
        }
        told.header("docker-content-digest", &digest(found))
    }
}

impl Answer {
    fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    fn with(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// As they go over the socket.
    pub(crate) fn bytes(&self, method: &str) -> Vec<u8> {
        let Self { status, headers, body } = self;
        let length =
            (*status != 204).then(|| ("content-length".to_owned(), body.len().to_string()));
        let headers =
            length.iter().chain(headers).map(|(name, value)| format!("{name}: {value}\r\n"));
        let headers: String = headers.collect();
        let mut bytes = format!("HTTP/1.1 {status} \r\n{headers}\r\n").into_bytes();
        if method != "HEAD" {
            bytes.extend_from_slice(body);
        }
        bytes
    }
}

fn answer(status: u16) -> Answer {
    Answer { status, headers: Vec::new(), body: Vec::new() }
}

pub(crate) fn said(code: &str, message: &str) -> String {
    json!({ "errors": [{ "code": code, "message": message }] }).to_string()
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |all, byte| format!("{all}{byte:02x}"))
}

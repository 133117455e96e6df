//! What is asked of a registry, as OCI's specification has it.

use serde_json::{Value, json};

use super::{
    digest,
    http::{Answer, Request},
    state::{Mounts, State},
};

/// Does what is asked, with all of the body there.
pub(crate) fn answer(state: &mut State, request: &Request, body: Vec<u8>) -> Answer {
    let Some(path) = request.path.strip_prefix("/v2/") else { return Answer::new(404) };
    if path.is_empty() {
        return Answer::new(200);
    }
    for (kind, route) in [
        ("/blobs/uploads/", upload as fn(&mut State, &Request, &str, &str, Vec<u8>) -> Answer),
        ("/blobs/", blob),
        ("/manifests/", manifest),
        ("/tags/list", tags),
    ] {
        if let Some((name, rest)) = path.split_once(kind) {
            let (name, rest) = (name.to_owned(), rest.to_owned());
            return route(state, request, &name, &rest, body);
        }
    }
    Answer::error(404, "NAME_UNKNOWN", "repository name not known to registry")
}

fn blob(state: &mut State, request: &Request, name: &str, rest: &str, _: Vec<u8>) -> Answer {
    let found = state.repositories.get(name).and_then(|contents| contents.blobs.get(rest));
    match (request.method.as_str(), found) {
        ("GET" | "HEAD", Some(bytes)) => Answer::new(200).body(bytes.clone()),
        _ => Answer::error(404, "BLOB_UNKNOWN", "blob unknown to registry"),
    }
}

fn upload(
    state: &mut State,
    request: &Request,
    name: &str,
    rest: &str,
    mut body: Vec<u8>,
) -> Answer {
    if request.method == "POST" {
        return begin(state, request, name);
    }
    let number: usize = rest.parse().unwrap_or_default();
    let Some((of, bytes)) = state.sessions.get_mut(&number).filter(|(of, _)| of == name) else {
        return Answer::error(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry");
    };
    bytes.append(&mut body);
    match request.method.as_str() {
        "PATCH" => {
            let location = format!("/v2/{of}/blobs/uploads/{number}?_state={}", bytes.len());
            Answer::new(202).header("Location", location)
        }
        "DELETE" => {
            state.sessions.remove(&number);
            Answer::new(204)
        }
        _ => {
            let (name, bytes) = state.sessions.remove(&number).unwrap();
            let wanted = request.query("digest").unwrap_or_default();
            if digest(&bytes) != wanted {
                let message = "provided digest did not match uploaded content";
                return Answer::error(400, "DIGEST_INVALID", message);
            }
            state.repositories.entry(name).or_default().blobs.insert(wanted.to_owned(), bytes);
            Answer::new(201)
        }
    }
}

fn begin(state: &mut State, request: &Request, name: &str) -> Answer {
    if let (Some(wanted), Some(from)) = (request.query("mount"), request.query("from")) {
        if state.mounts == Mounts::Deny {
            return Answer::error(401, "UNAUTHORIZED", "unauthorized to access the project");
        }
        let found = state.repositories.get(from).and_then(|it| it.blobs.get(wanted)).cloned();
        if let Some(bytes) = found.filter(|_| state.mounts == Mounts::Work) {
            let contents = state.repositories.entry(name.to_owned()).or_default();
            contents.blobs.insert(wanted.to_owned(), bytes);
            return Answer::new(201);
        }
    }
    state.sessions_so_far += 1;
    let number = state.sessions_so_far;
    state.sessions.insert(number, (name.to_owned(), Vec::new()));
    let location = format!("/v2/{name}/blobs/uploads/{number}?_state=0");
    Answer::new(202).header("Location", location)
}

fn manifest(state: &mut State, request: &Request, name: &str, rest: &str, body: Vec<u8>) -> Answer {
    if request.method == "PUT" {
        return put(state, request, name, rest, body);
    }
    let found = state.repositories.get(name).and_then(|contents| {
        let digest = contents.tags.get(rest).map_or(rest, String::as_str);
        Some((digest, contents.manifests.get(digest)?))
    });
    match found {
        Some((digest, (media_type, text))) => Answer::new(200)
            .header("Content-Type", media_type)
            .header("Docker-Content-Digest", digest)
            .body(text.clone()),
        None => Answer::error(404, "MANIFEST_UNKNOWN", "manifest unknown"),
    }
}

fn put(state: &mut State, request: &Request, name: &str, tag: &str, body: Vec<u8>) -> Answer {
    let keeps_tags = state.keeps_tags;
    let contents = state.repositories.entry(name.to_owned()).or_default();
    let Ok(manifest) = serde_json::from_slice::<Value>(&body) else {
        return Answer::error(400, "MANIFEST_INVALID", "manifest invalid");
    };
    let layers = manifest["layers"].as_array().into_iter().flatten();
    let named = layers.chain([&manifest["config"]]).filter_map(|it| it["digest"].as_str());
    let unknown: Vec<_> = named.filter(|digest| !contents.blobs.contains_key(*digest)).collect();
    if !unknown.is_empty() {
        let error = |digest: &&str| json!({"code": "MANIFEST_BLOB_UNKNOWN", "message": "blob unknown to registry", "detail": {"digest": digest}});
        let errors: Vec<_> = unknown.iter().map(error).collect();
        return Answer::new(400).body(json!({ "errors": errors }).to_string());
    }
    let wanted = digest(&body);
    let is_digest = tag.starts_with("sha256:");
    if is_digest && tag != wanted {
        return Answer::error(400, "DIGEST_INVALID", "digest did not match");
    }
    if keeps_tags && contents.tags.get(tag).is_some_and(|held| *held != wanted) {
        let message = format!(
            "The image tag '{tag}' already exists in the '{name}' repository and cannot be overwritten because the tag is immutable."
        );
        return Answer::error(400, "TAG_INVALID", &message);
    }
    let media_type = request.headers.get("content-type").cloned().unwrap_or_default();
    contents.manifests.insert(wanted.clone(), (media_type, body));
    if !is_digest {
        contents.tags.insert(tag.to_owned(), wanted.clone());
    }
    Answer::new(201).header("Docker-Content-Digest", wanted)
}

fn tags(state: &mut State, _: &Request, name: &str, _: &str, _: Vec<u8>) -> Answer {
    match state.repositories.get(name) {
        Some(contents) => {
            let tags: Vec<_> = contents.tags.keys().collect();
            Answer::new(200).body(json!({ "name": name, "tags": tags }).to_string())
        }
        None => Answer::error(404, "NAME_UNKNOWN", "repository name not known to registry"),
    }
}

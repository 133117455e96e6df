//! What the tests of this step make archives and faults with.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

pub(crate) mod server;
pub(crate) mod tar;
pub(crate) mod zip;

use std::{collections::BTreeMap, fs, path::Path};

/// A small bento of 1.4, as its files lie in the archive.
pub(crate) fn bento_files(name: &str, version: &str) -> Vec<(String, Vec<u8>)> {
    let manifest = format!(
        "service: service:Iris\nname: {name}\nversion: {version}\nbentoml_version: 1.4.39\n\
         creation_time: '2026-11-24T06:00:00+00:00'\nlabels: {{}}\nmodels: []\nspec: 2\n\
         services:\n- name: Iris\n  models:\n  - tag: iris_svm:abc\n    module: bentoml.sklearn\n    registry: bentoml\n"
    );
    [
        ("./bento.yaml", manifest.into_bytes()),
        ("./env/docker/Dockerfile", b"FROM scratch\nCOPY . ./\n".to_vec()),
        ("./models/iris_svm/abc/model.yaml", b"name: iris_svm\n".to_vec()),
        ("./src/service.py", noise(200_000)),
    ]
    .map(|(name, text)| (name.to_owned(), text))
    .into()
}

/// The same bento as a tar that gzip has packed.
pub(crate) fn bento(name: &str, version: &str) -> Vec<u8> {
    tar::gzip(&tar::archive(
        bento_files(name, version).iter().map(|(name, text)| tar::file(name, text)),
    ))
}

/// Bytes that no compression makes smaller, the same each time.
pub(crate) fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..count).map(|_| next()).collect()
}

/// All that is in a folder, by relative path: `FILE`, `DIR`, or the target of a symlink, and the mode.
pub(crate) fn listing(folder: &Path) -> BTreeMap<String, String> {
    use std::os::unix::fs::PermissionsExt;
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(&at).unwrap() {
            let entry = entry.unwrap();
            let path = entry.path();
            let name = path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
            let metadata = entry.metadata().unwrap();
            let mode = metadata.permissions().mode() & 0o7777;
            let what = if metadata.is_symlink() {
                format!("-> {}", fs::read_link(&path).unwrap().display())
            } else if metadata.is_dir() {
                folders.push(path);
                format!("DIR {mode:o}")
            } else {
                format!("FILE {mode:o} {}", metadata.len())
            };
            found.insert(name, what);
        }
    }
    found
}

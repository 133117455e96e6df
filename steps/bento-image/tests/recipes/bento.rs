//! Bentos as lists of files.

use bento_image::recipe::{Entry, Listing, judge};
use sha2::{Digest as _, Sha256};
use step::text::hex;

pub(crate) fn file(content: &str) -> Entry {
    let sha256 = hex(&Sha256::digest(content));
    Entry::File { executable: false, size: content.len() as u64, sha256 }
}

/// Files with these paths, each with its path as content; `a -> b` is a link, `a/` a directory.
pub(crate) fn listing(paths: &[&str]) -> Listing {
    let mut listing = Listing::default();
    for path in paths {
        if let Some((path, target)) = path.split_once(" -> ") {
            listing.entries.insert(path.into(), Entry::Link { target: target.into() });
        } else if let Some(path) = path.strip_suffix('/') {
            listing.entries.insert(path.into(), Entry::Directory);
        } else {
            listing.entries.insert((*path).into(), file(path));
            listing.texts.insert((*path).into(), (*path).into());
        }
    }
    listing
}

/// What `BentoML` 1.x puts into one, with all that its options can add.
pub(crate) fn bento_1x() -> Listing {
    listing(&[
        "README.md",
        "apis/openapi.yaml",
        "bento.yaml",
        "env/conda/environment.yml",
        "env/docker/Dockerfile",
        "env/docker/entrypoint.sh",
        "env/docker/script__5d41",
        "env/docker/setup_script",
        "env/python/install.sh",
        "env/python/requirements.lock.txt",
        "env/python/requirements.txt",
        "env/python/version.txt",
        "models/weights/m1/model.yaml",
        "models/weights/m1/weights.bin",
        "src/config.yaml",
        "src/data/words.txt",
        "src/service.py",
        "src/wheels/own-1.0-py3-none-any.whl",
    ])
}

/// What `BentoML` 0.13 puts into one that has no `setup.sh`.
pub(crate) fn bundle_0x() -> Listing {
    listing(&[
        "Dockerfile",
        "Flowers/__init__.py",
        "Flowers/artifacts/model.pkl",
        "Flowers/bentoml.yml",
        "MANIFEST.in",
        "README.md",
        "bentoml-init.sh",
        "bentoml.yml",
        "docker-entrypoint.sh",
        "environment.yml",
        "python_version",
        "requirements.txt",
        "setup.py",
    ])
}

/// What becomes of a Dockerfile, in one line.
pub(crate) fn verdict(path: &str, dockerfile: &str, listing: &Listing) -> String {
    match judge(path, dockerfile).and_then(|recipe| recipe.check(listing).map(|()| recipe)) {
        Ok(recipe) => format!("layered  {}", recipe.sources().join(" ")),
        Err(whole) => format!("whole    {whole}"),
    }
}

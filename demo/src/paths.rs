//! Where this tree is, and what was built in it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The folder of this tree.
pub fn tree() -> Result<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .context("failed to find the tree")
}

/// A static binary that `make images` built, whichever libc it took.
pub fn built(name: &str) -> Result<PathBuf> {
    let target = tree()?.join("target");
    let places = ["musl", "gnu"]
        .map(|libc| target.join(format!("x86_64-unknown-linux-{libc}/release/{name}")));
    let built = places.into_iter().find(|path| path.exists());
    built.with_context(|| format!("failed to find `{name}`: `make images` builds it"))
}

//! Where this tree is, and what was built in it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// The folder of this tree.
pub fn tree() -> Result<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .context("failed to find the tree")
}

/// A static binary as `make images` put it into an image.
pub fn built(name: &str) -> Result<PathBuf> {
    let built = tree()?.join("target/images/context/out/amd64").join(name);
    ensure!(built.exists(), "failed to find `{name}`: `make images` builds it");
    Ok(built)
}

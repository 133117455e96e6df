//! Where things are: the cache that outlives a cluster, and the run directory that does not.

use std::{
    env, fs,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use step::Failure;

/// Everything of a running cluster. Fixed, because one cluster runs per machine and its
/// configuration files are plain files that name their paths.
pub const RUN: &str = "/var/lib/kanaria";

/// A path under the run directory.
pub(crate) fn run(below: &str) -> PathBuf {
    Path::new(RUN).join(below)
}

/// A built program, by the link that says which build this cluster runs. Kubernetes' programs are
/// one file that goes by the name it is called with.
pub(crate) fn bin(name: &str) -> PathBuf {
    run("bin").join(name)
}

/// What is built once and kept: binaries, images, manifests.
#[derive(Clone, Debug)]
pub struct Cache(PathBuf);

impl Cache {
    /// `$XDG_CACHE_HOME/kanaria`, or `~/.cache/kanaria`.
    pub fn open() -> Result<Self> {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let base = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache"))).context(
            Failure {
                what: "failed to find the cache directory: neither XDG_CACHE_HOME nor HOME is set"
                    .into(),
                hint: "set XDG_CACHE_HOME to a directory with 10 GB of room".into(),
            },
        )?;
        let cache = Self(base.join("kanaria"));
        fs::create_dir_all(&cache.0)
            .with_context(|| format!("failed to create `{}`", cache.0.display()))?;
        Ok(cache)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn join(&self, below: &str) -> PathBuf {
        self.0.join(below)
    }
}

/// Creates a directory and those above it, for root alone.
pub(crate) fn private_dir(path: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("failed to create `{}`", path.display()))
}

/// Writes a file for root alone, whole or not at all, whenever the process is killed.
pub(crate) fn private_file(path: &Path, text: impl AsRef<[u8]>) -> Result<()> {
    let unfinished = path.with_added_extension("unfinished");
    let write = || -> Result<()> {
        let _ = fs::remove_file(&unfinished);
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        file.write_all(text.as_ref())?;
        Ok(fs::rename(&unfinished, path)?)
    };
    write().with_context(|| format!("failed to write `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_private_file_is_readable_by_its_owner_alone_even_when_it_replaces_another() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        fs::write(&path, "old").unwrap();
        private_file(&path, "new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_left_unfinished_by_a_kill_does_not_stand_in_the_way() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("key.unfinished"), "half").unwrap();
        private_file(&dir.path().join("key"), "whole").unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("key")).unwrap(), "whole");
    }
}

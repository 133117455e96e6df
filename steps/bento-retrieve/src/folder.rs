//! The folder that an archive is unpacked into: what is made in it, with which rights.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::{
        self,
        fs::{OpenOptionsExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

use crate::archive::BadArchive;

/// Everyone may read, as the user that builds or serves is another; no archive sets more than this.
const PLAIN: u32 = 0o644;
const RUNNABLE: u32 = 0o755;

/// A folder that nobody else writes to. Its names have passed [`crate::tree`].
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// A file without a name on the same volume, which is gone as soon as it is closed.
    pub(crate) fn scratch_file(&self) -> Result<File, BadArchive> {
        tempfile::tempfile_in(&self.root)
            .map_err(|source| BadArchive::Write { path: "the archive".into(), source })
    }

    pub(crate) fn directories(&self, fresh: &[PathBuf]) -> Result<(), BadArchive> {
        fresh.iter().try_for_each(|path| {
            let whole = self.root.join(path);
            fs::create_dir(&whole)
                .and_then(|()| fs::set_permissions(&whole, Permissions::from_mode(RUNNABLE)))
                .map_err(|source| BadArchive::Write { path: path.clone(), source })
        })
    }

    pub(crate) fn file(&self, path: &Path, executable: bool) -> Result<NewFile, BadArchive> {
        let mode = if executable { RUNNABLE } else { PLAIN };
        let create = || {
            let file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(mode)
                .open(self.root.join(path))?;
            file.set_permissions(Permissions::from_mode(mode))?; // whatever the umask says
            Ok(file)
        };
        let file = create().map_err(|source| BadArchive::Write { path: path.into(), source })?;
        Ok(NewFile { file, path: path.into() })
    }

    pub(crate) fn link(&self, path: &Path, target: &Path) -> Result<(), BadArchive> {
        unix::fs::symlink(target, self.root.join(path))
            .map_err(|source| BadArchive::Write { path: path.into(), source })
    }
}

/// A file that is being filled.
pub(crate) struct NewFile {
    file: File,
    path: PathBuf,
}

impl NewFile {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), BadArchive> {
        self.file
            .write_all(bytes)
            .map_err(|source: io::Error| BadArchive::Write { path: self.path.clone(), source })
    }
}

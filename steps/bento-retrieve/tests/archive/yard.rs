//! A folder to unpack into, with a neighbour.

use std::{fs, sync::Arc};

use bento_retrieve::archive::{ArchiveError, Folder, Limits, Unpacked, unpack};
use tempfile::TempDir;

use crate::support::{
    listing,
    tar::{Entry, archive},
};

pub(crate) const LIMITS: Limits = Limits { bytes: 1 << 20, entries: 50, ratio: 200 };

/// A folder to unpack into, with a neighbour that must stay as it is.
pub(crate) struct Yard {
    home: TempDir,
}

impl Yard {
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("bento")).unwrap();
        fs::write(home.path().join("neighbour"), "mine").unwrap();
        Self { home }
    }

    pub(crate) fn unpack(&self, archive: &[u8], limits: &Limits) -> Result<Unpacked, ArchiveError> {
        unpack(archive, &Folder::new(self.bento()), limits, &Arc::default())
    }

    pub(crate) fn bento(&self) -> std::path::PathBuf {
        self.home.path().join("bento")
    }

    pub(crate) fn assert_nothing_outside(&self) {
        let mut beside: Vec<_> =
            fs::read_dir(self.home.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        beside.sort();
        assert_eq!(beside, ["bento", "neighbour"]);
        assert_eq!(fs::read(self.home.path().join("neighbour")).unwrap(), b"mine");
        let root = self.bento().canonicalize().unwrap();
        for name in listing(&root).keys() {
            if let Ok(real) = root.join(name).canonicalize() {
                assert!(real.starts_with(&root), "{name} leads to {}", real.display());
            }
        }
    }
}

pub(crate) fn unpacked(archive: &[u8]) -> Result<Vec<(String, String)>, ArchiveError> {
    let yard = Yard::new();
    let ended = yard.unpack(archive, &LIMITS);
    yard.assert_nothing_outside();
    ended.map(|_| listing(&yard.bento()).into_iter().collect())
}

pub(crate) fn refused(entries: impl IntoIterator<Item = Entry>) -> String {
    unpacked(&archive(entries)).unwrap_err().to_string()
}

//! What must hold for any bytes whatever. The fuzz targets call these, and so does a short run in the tests.

use std::{fs, os::unix::fs::MetadataExt, path::Path, sync::Arc};

use bento_retrieve::{
    archive::{Folder, Limits, unpack},
    bento::{Details, Manifest, ManifestFiles, peek_at},
};

const LIMITS: Limits = Limits { bytes: 256 << 10, entries: 40, ratio: 200 };

/// Nothing is outside of the folder, no symlink leads out of it, no file has two names, and it has no more than the
/// limits allow.
pub(crate) fn archive(bytes: &[u8]) {
    let home = tempfile::tempdir().expect("a folder for the test");
    let bento = home.path().join("bento");
    fs::create_dir(&bento).expect("a folder in it");
    let ended = unpack(bytes, &Folder::new(&bento), &LIMITS, &Arc::default());
    let beside = fs::read_dir(home.path()).expect("to read it").count();
    assert_eq!(beside, 1, "nothing is outside");
    let mut seen = Seen::default();
    seen.walk(&bento, &bento.canonicalize().expect("it is there"));
    assert!(seen.bytes <= LIMITS.bytes, "{} bytes", seen.bytes);
    assert!(ended.is_err() || seen.files <= LIMITS.entries, "{} files", seen.files);
}

#[derive(Default)]
struct Seen {
    files: u64,
    bytes: u64,
}

impl Seen {
    fn walk(&mut self, folder: &Path, root: &Path) {
        for entry in fs::read_dir(folder).expect("to read it").flatten() {
            let kind = entry.file_type().expect("its type");
            if kind.is_dir() {
                self.walk(&entry.path(), root);
                continue;
            }
            assert!(kind.is_file() || kind.is_symlink(), "{}", entry.path().display());
            self.files += 1;
            if kind.is_file() {
                let metadata = entry.metadata().expect("its size");
                assert_eq!(metadata.nlink(), 1, "{} has another name", entry.path().display());
                self.bytes += metadata.len();
            } else if let Ok(real) = entry.path().canonicalize() {
                assert!(real.starts_with(root), "{} leads out", entry.path().display());
            }
        }
    }
}

/// A peek at the beginning of an archive ends, whatever it is.
pub(crate) fn peek(bytes: &[u8]) {
    for is_whole in [false, true] {
        if let Ok(Some(files)) = peek_at(bytes, is_whole) {
            let _ = Details::read(&files);
        }
    }
}

/// A manifest is read or refused, and the tag of one that is read may be used as a path.
pub(crate) fn manifest(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    for read in [Manifest::parse(&text), Manifest::parse_legacy(&text)].into_iter().flatten() {
        for tag in read.models.keys().chain([&read.tag]) {
            assert!(!tag.name.contains('/') && !tag.version.contains('/'), "{tag}");
            assert!(![".", ".."].contains(&tag.version.as_str()), "{tag}");
        }
    }
    for is_legacy in [false, true] {
        let _ = Details::read(&ManifestFiles {
            manifest: text.clone(),
            is_legacy,
            ..ManifestFiles::default()
        });
    }
}

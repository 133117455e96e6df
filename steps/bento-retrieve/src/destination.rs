//! The folder that a bento ends in: complete, or not there at all.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File, Permissions, TryLockError},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use thiserror::Error;

/// What lies at a destination, written beside it, because the folder itself becomes the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub bento: String,
    /// What it was retrieved from, without secrets
    pub from: String,
    pub sha256: String,
    /// Relative to the folder
    pub dockerfile: String,
    /// Files and symlinks
    pub files: u64,
    /// Bytes of all files
    pub bytes: u64,
}

/// Why a destination cannot be used.
#[derive(Debug, Error)]
pub enum DestinationError {
    #[error("`{}` is not the path of a new folder", .0.display())]
    NoName(PathBuf),
    #[error("`{}` is there already, and is not a bento that this step put there", .0.display())]
    Taken(PathBuf),
    #[error("`{}` holds the bento `{bento}`", .path.display())]
    Other { path: PathBuf, bento: String },
    #[error("`{}` holds the bento from an archive with the SHA-256 {sha256}", .path.display())]
    OtherArchive { path: PathBuf, sha256: String },
    #[error("failed to {what} `{}`", .path.display())]
    Disk { what: &'static str, path: PathBuf, source: io::Error },
}

/// Where a bento goes.
#[derive(Debug)]
pub struct Destination {
    target: PathBuf,
    parent: PathBuf,
    name: OsString,
}

/// A folder beside the destination, locked by this process. Dropped, it is removed.
#[derive(Debug)]
pub struct Staging {
    folder: TempDir,
    _lock: File,
}

impl Staging {
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Destination {
    pub fn new(target: &Path) -> Result<Self, DestinationError> {
        let name =
            target.file_name().ok_or_else(|| DestinationError::NoName(target.into()))?.to_owned();
        let parent = match target.parent() {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        Ok(Self { target: target.into(), parent, name })
    }

    /// What was put here before, is still whole, and is what is wanted: by its tag or its archive's hash, or else by
    /// where it came from.
    pub fn receipt(
        &self,
        tag: Option<&str>,
        sha256: Option<&str>,
        from: &str,
    ) -> Result<Option<Receipt>, DestinationError> {
        let unread = || disk("look at", &self.target);
        match fs::read_dir(&self.target) {
            Ok(mut entries) => {
                if entries.next().is_none() {
                    return Ok(None); // a rename takes its place
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                return Err(DestinationError::Taken(self.target.clone()));
            }
            Err(error) => return Err(unread()(error)),
        }
        let taken = || DestinationError::Taken(self.target.clone());
        let text = fs::read(self.receipt_path()).map_err(|_| taken())?;
        let receipt: Receipt = serde_json::from_slice(&text).map_err(|_| taken())?;
        if measure(&self.target).map_err(unread())? != (receipt.files, receipt.bytes) {
            return Err(taken()); // changed since, or not all of it reached the disk before the machine went down
        }
        let known = tag.is_some() || sha256.is_some();
        if tag.is_some_and(|tag| tag != receipt.bento) || (!known && from != receipt.from) {
            return Err(DestinationError::Other {
                path: self.target.clone(),
                bento: receipt.bento,
            });
        }
        if sha256.is_some_and(|wanted| !wanted.eq_ignore_ascii_case(&receipt.sha256)) {
            return Err(DestinationError::OtherArchive {
                path: self.target.clone(),
                sha256: receipt.sha256,
            });
        }
        Ok(Some(receipt))
    }

    /// A fresh folder on the same volume, after what killed runs left there is removed.
    pub fn stage(&self) -> Result<Staging, DestinationError> {
        fs::create_dir_all(&self.parent).map_err(disk("create", &self.parent))?;
        self.remove_stale();
        let folder = tempfile::Builder::new()
            .prefix(&self.staging_prefix())
            .tempdir_in(&self.parent)
            .map_err(disk("create a folder in", &self.parent))?;
        let lock = File::open(folder.path()).map_err(disk("open", folder.path()))?;
        // Where the volume knows no locks, a second run to the same destination may remove this one; it then fails.
        let _ = lock.try_lock();
        Ok(Staging { folder, _lock: lock })
    }

    /// Puts a folder of the staging at the destination. Until the rename nothing is there, after it everything is.
    pub fn commit(
        &self,
        staging: Staging,
        root: &Path,
        receipt: &Receipt,
    ) -> Result<(), DestinationError> {
        self.write_receipt(receipt).map_err(disk("write", &self.receipt_path()))?;
        self.place(staging, root)
    }

    /// The same without a receipt, so that no later run takes it for a bento.
    pub fn place(&self, staging: Staging, root: &Path) -> Result<(), DestinationError> {
        let whole = staging.path().join(root);
        fs::create_dir_all(&whole).map_err(disk("create", &whole))?;
        fs::set_permissions(&whole, Permissions::from_mode(0o755))
            .map_err(disk("make readable", &whole))?;
        let whole: PathBuf = whole.components().collect(); // no slash at the end where the root is empty
        fs::rename(&whole, &self.target).map_err(disk("put the bento at", &self.target))?;
        if root == Path::new("") {
            let _ = staging.folder.keep(); // it has moved, so there is nothing to remove
        }
        Ok(())
    }

    fn write_receipt(&self, receipt: &Receipt) -> io::Result<()> {
        let path = self.receipt_path();
        let fresh = path.with_extension("new");
        fs::write(&fresh, serde_json::to_vec(receipt)?)?;
        fs::rename(fresh, path)
    }

    fn receipt_path(&self) -> PathBuf {
        self.parent.join(dotted(&self.name, ".retrieved.json"))
    }

    fn staging_prefix(&self) -> OsString {
        dotted(&self.name, ".partial-")
    }

    /// No destructor runs where a process is killed. A folder that is locked belongs to one that lives.
    fn remove_stale(&self) {
        let prefix = self.staging_prefix();
        for entry in fs::read_dir(&self.parent).into_iter().flatten().flatten() {
            let is_staging =
                entry.file_name().as_encoded_bytes().starts_with(prefix.as_encoded_bytes());
            let path = entry.path();
            let is_in_use = || {
                File::open(&path)
                    .is_ok_and(|folder| matches!(folder.try_lock(), Err(TryLockError::WouldBlock)))
            };
            if is_staging && !is_in_use() {
                match fs::remove_dir_all(&path) {
                    Ok(()) => {
                        tracing::info!("removed `{}`, which a killed run had left", path.display());
                    }
                    Err(error) => tracing::warn!(
                        "failed to remove `{}`, which a killed run had left: {error}",
                        path.display()
                    ),
                }
            }
        }
    }
}

fn disk(what: &'static str, path: &Path) -> impl Fn(io::Error) -> DestinationError {
    move |source| DestinationError::Disk { what, path: path.to_owned(), source }
}

/// `.NAME` and an ending.
fn dotted(name: &OsStr, ending: &str) -> OsString {
    let mut dotted = OsString::from(".");
    dotted.push(name);
    dotted.push(ending);
    dotted
}

/// Files and symlinks in a folder, and the bytes of the files.
fn measure(folder: &Path) -> io::Result<(u64, u64)> {
    let (mut files, mut bytes) = (0, 0);
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else {
                files += 1;
                bytes += if kind.is_file() { entry.metadata()?.len() } else { 0 };
            }
        }
    }
    Ok((files, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt() -> Receipt {
        Receipt {
            bento: "iris:v1".into(),
            from: "s3://b".into(),
            sha256: "ab".into(),
            dockerfile: "Dockerfile".into(),
            files: 1,
            bytes: 4,
        }
    }

    fn committed(destination: &Destination) {
        let staging = destination.stage().unwrap();
        fs::write(staging.path().join("Dockerfile"), "FROM").unwrap();
        destination.commit(staging, Path::new(""), &receipt()).unwrap();
    }

    #[test]
    fn a_bento_that_is_there_is_known_again_and_leaves_only_its_receipt_beside_it() {
        let home = tempfile::tempdir().unwrap();
        let destination = Destination::new(&home.path().join("bento")).unwrap();
        assert_eq!(destination.receipt(None, None, "s3://b").unwrap(), None);
        committed(&destination);
        assert_eq!(
            destination.receipt(Some("iris:v1"), Some("AB"), "s3://c").unwrap(),
            Some(receipt())
        );
        assert!(matches!(
            destination.receipt(Some("iris:v2"), None, "s3://b"),
            Err(DestinationError::Other { .. })
        ));
        assert!(matches!(
            destination.receipt(None, Some("cd"), "s3://b"),
            Err(DestinationError::OtherArchive { .. })
        ));
        let mut beside: Vec<_> =
            fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        beside.sort();
        assert_eq!(beside, [".bento.retrieved.json", "bento"]);
    }

    #[test]
    fn a_folder_that_was_changed_or_is_someone_elses_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let destination = Destination::new(&home.path().join("bento")).unwrap();
        committed(&destination);
        fs::write(home.path().join("bento/Dockerfile"), "").unwrap();
        assert!(matches!(
            destination.receipt(None, None, "s3://b"),
            Err(DestinationError::Taken(_))
        ));
        let file = home.path().join("file");
        fs::write(&file, "mine").unwrap();
        assert!(matches!(
            Destination::new(&file).unwrap().receipt(None, None, "s3://b"),
            Err(DestinationError::Taken(_))
        ));
    }

    #[test]
    fn an_empty_folder_is_taken_over() {
        let home = tempfile::tempdir().unwrap();
        let destination = Destination::new(&home.path().join("bento")).unwrap();
        fs::create_dir(home.path().join("bento")).unwrap();
        assert_eq!(destination.receipt(None, None, "s3://b").unwrap(), None);
        committed(&destination);
        assert!(home.path().join("bento/Dockerfile").is_file());
    }

    #[test]
    fn what_a_killed_run_left_is_removed_and_what_a_living_one_uses_is_not() {
        let home = tempfile::tempdir().unwrap();
        let destination = Destination::new(&home.path().join("bento")).unwrap();
        let stale = home.path().join(".bento.partial-killed");
        fs::create_dir(&stale).unwrap();
        let living = destination.stage().unwrap();
        let second = destination.stage().unwrap();
        assert!(!stale.exists());
        assert!(living.path().exists() && second.path().exists());
    }

    #[test]
    fn the_one_folder_that_everything_is_in_is_taken_off() {
        let home = tempfile::tempdir().unwrap();
        let destination = Destination::new(&home.path().join("bento")).unwrap();
        let staging = destination.stage().unwrap();
        fs::create_dir(staging.path().join("Iris")).unwrap();
        fs::write(staging.path().join("Iris/Dockerfile"), "FROM").unwrap();
        destination.commit(staging, Path::new("Iris"), &receipt()).unwrap();
        assert!(home.path().join("bento/Dockerfile").is_file());
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 2);
    }
}

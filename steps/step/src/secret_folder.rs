//! A folder as Kubernetes mounts a Secret: a file a key, changed under a process that runs.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

/// Such a folder, of which nothing is kept: what is rotated is read anew.
#[derive(Clone, Debug)]
pub struct SecretFolder(PathBuf);

/// Why a key that is there cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("failed to read `{}`", .path.display())]
pub struct SecretError {
    pub path: PathBuf,
    #[source]
    cause: io::Error,
}

impl SecretFolder {
    /// What a key holds but for the line breaks at its end, which editors leave; nothing where there is
    /// no such key.
    pub fn bytes(&self, key: &str) -> Result<Option<Vec<u8>>, SecretError> {
        let path = self.0.join(key);
        match fs::read(&path) {
            Ok(mut bytes) => {
                while bytes.pop_if(|byte| matches!(byte, b'\r' | b'\n')).is_some() {}
                Ok(Some(bytes))
            }
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(SecretError { path, cause }),
        }
    }

    /// The same as text, without blanks around it.
    pub fn text(&self, key: &str) -> Result<Option<String>, SecretError> {
        let Some(bytes) = self.bytes(key)? else { return Ok(None) };
        let text = String::from_utf8(bytes).map_err(|_| SecretError {
            path: self.0.join(key),
            cause: io::Error::new(io::ErrorKind::InvalidData, "it is not text in UTF-8"),
        })?;
        Ok(Some(text.trim().to_owned()))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl From<OsString> for SecretFolder {
    fn from(path: OsString) -> Self {
        Self(path.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_what_its_file_says_without_the_editor_s_newline() {
        let home = tempfile::tempdir().unwrap();
        let folder = SecretFolder::from(home.path().as_os_str().to_owned());
        let write = |key: &str, bytes: &[u8]| fs::write(home.path().join(key), bytes).unwrap();
        assert_eq!(folder.bytes("token").unwrap(), None);
        write("token", b" a\nb \r\n\n");
        assert_eq!(folder.bytes("token").unwrap().as_deref(), Some(&b" a\nb "[..]));
        assert_eq!(folder.text("token").unwrap().as_deref(), Some("a\nb"));
        write("token", b"\n");
        assert_eq!(folder.text("token").unwrap().as_deref(), Some(""));
    }

    #[test]
    fn a_key_that_cannot_be_read_is_named_without_what_it_holds() {
        let home = tempfile::tempdir().unwrap();
        let folder = SecretFolder::from(home.path().as_os_str().to_owned());
        fs::write(home.path().join("token"), b"s3cr3t\xff").unwrap();
        fs::create_dir(home.path().join("hmac")).unwrap();
        let why = |key: &str| crate::chain(&folder.text(key).unwrap_err());
        assert_eq!(
            why("token"),
            format!("failed to read `{}/token`: it is not text in UTF-8", home.path().display())
        );
        assert!(why("hmac").contains("/hmac`: "), "{}", why("hmac"));
    }
}

//! The file behind a Tekton result.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::{
    error::{Failure, chain},
    text::within,
};

/// A step's results have 4,096 bytes in all.
const TEXT_BYTES: usize = 500;

/// A `--result-NAME` flag: the file that a result goes to, or nowhere when the flag is not given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResultFile(Option<PathBuf>);

impl ResultFile {
    /// Writes the value whole and verbatim, without a newline, replacing what was there.
    ///
    /// Tekton reads the file when the step ends, also when it fails, and gives a pod's results
    /// 4,096 bytes in all: keep a value below a few hundred.
    pub fn write(&self, value: impl AsRef<str>) -> Result<()> {
        let Some(path) = &self.0 else { return Ok(()) };
        replace(path, value.as_ref()).with_context(|| Failure {
            what: format!("failed to write result `{}`", path.display()),
            hint: "a Task passes `$(results.NAME.path)`; elsewhere, name a file in a folder that exists and can be written".into(),
        })
    }

    /// Writes a text for people, of which a part may be a stranger's: one line, and not too long.
    pub fn write_text(&self, text: &str) -> Result<()> {
        self.write(within(text, TEXT_BYTES))
    }

    /// Writes why something failed, and hands the failure on; writes nothing when it did not.
    pub fn write_error<T>(&self, result: Result<T>) -> Result<T> {
        result.inspect_err(|error| {
            // The error itself is the news; a file that cannot be written adds nothing to it.
            let _ = self.write_text(&chain(error.as_ref()));
        })
    }
}

/// A reader, or a kill at any moment, finds the old value or the new one, never half of it.
fn replace(path: &Path, value: &str) -> io::Result<()> {
    let is_device = fs::metadata(path).is_ok_and(|found| !found.is_file());
    if is_device {
        return fs::write(path, value); // such as /dev/stdout, which nothing can be renamed over
    }
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    fs::write(&fresh, value)?;
    fs::rename(&fresh, path)
}

impl From<OsString> for ResultFile {
    fn from(path: OsString) -> Self {
        Self((!path.is_empty()).then(|| path.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_written_verbatim_and_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("verdict");
        let result = ResultFile::from(path.clone().into_os_string());
        result.write("inconclusive").unwrap();
        result.write("pass").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"pass");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn a_result_without_a_path_goes_nowhere() {
        ResultFile::default().write("pass").unwrap();
        assert_eq!(ResultFile::from(OsString::new()), ResultFile::default());
    }

    #[test]
    fn an_error_is_kept_in_one_short_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("error");
        let result = ResultFile::from(path.clone().into_os_string());
        let failure =
            anyhow::anyhow!("it\nbroke {}", "é".repeat(TEXT_BYTES)).context("failed to try");
        assert!(result.write_error::<()>(Err(failure)).is_err());
        let kept = fs::read_to_string(&path).unwrap();
        assert!(kept.starts_with("failed to try: it | broke é"), "{kept}");
        assert!(kept.len() <= TEXT_BYTES);
        result.write("").unwrap();
        assert_eq!(result.write_error(Ok(7)).unwrap(), 7);
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = ResultFile::from(OsString::from("/nowhere/verdict")).write("pass").unwrap_err();
        assert!(error.to_string().contains("/nowhere/verdict"), "{error}");
    }
}

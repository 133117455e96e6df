//! A bento's files in a folder.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read},
    path::{Path, PathBuf},
};

use step::text::clean;

use crate::bento::{
    dockerfile::{
        Unsupported,
        scripts::{FOLDERS, LARGEST, broken},
    },
    files::{BentoFiles, join},
};

/// A folder that an archive was unpacked into.
#[derive(Debug)]
pub struct BentoFolder(PathBuf);

impl BentoFolder {
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }
}

impl BentoFiles for BentoFolder {
    /// Bentos of 0.x lie in one directory of their own; so does what a person packed by hand.
    fn root(&self) -> io::Result<String> {
        let mut entries = fs::read_dir(&self.0)?;
        match (entries.next().transpose()?, entries.next()) {
            (Some(only), None) if only.file_type()?.is_dir() => {
                Ok(only.file_name().to_string_lossy().into_owned()) // an archive's names are UTF-8
            }
            _ => Ok(String::new()),
        }
    }

    fn is_file(&self, path: &str) -> bool {
        self.0.join(path).symlink_metadata().is_ok_and(|found| found.is_file())
    }

    fn text(&self, path: &str, most: u64) -> io::Result<Option<String>> {
        let path = self.0.join(path);
        if path.metadata()?.len() > most { Ok(None) } else { fs::read_to_string(path).map(Some) }
    }

    fn name_with_backslash(&self, directory: &str) -> Option<String> {
        let names = fs::read_dir(self.0.join(directory)).into_iter().flatten().flatten();
        let names = names.map(|entry| clean(&entry.file_name().to_string_lossy()));
        names.filter(|name| name.contains('\\')).min() // a folder has no order
    }

    fn broken_scripts(&self, root: &str) -> io::Result<Vec<Unsupported>> {
        let mut all = Vec::new();
        for folder in FOLDERS {
            let mut found = broken_scripts(&self.0.join(root), folder)?;
            found.sort_by(|one, other| one.file.cmp(&other.file)); // a folder has no order
            all.append(&mut found);
        }
        Ok(all)
    }
}

fn broken_scripts(bento: &Path, folder: &str) -> io::Result<Vec<Unsupported>> {
    let entries = match fs::read_dir(bento.join(folder)) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            let mut content = Vec::new();
            File::open(entry.path())?.take(LARGEST as u64).read_to_end(&mut content)?;
            found.extend(broken(&join(folder, &entry.file_name().to_string_lossy()), &content));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_with_ends_of_line_of_windows_are_found_and_other_files_are_none() {
        let bento = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = bento.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("env/docker/entrypoint.sh", "#!/usr/bin/env bash\r\nset -e\r\n");
        write("env/docker/script__5d41", "#!/bin/sh\necho a\r\n");
        write("env/docker/Dockerfile", "FROM x\r\n");
        write("env/python/install.sh", "set -e\r\n");
        write("env/python/requirements.txt", "numpy\r\n");
        write("src/tools/run.sh", "#!/bin/sh\r\n");
        write("bentoml-init.sh", "#!/bin/bash\n");
        let found = BentoFolder::new(bento.path()).broken_scripts("").unwrap();
        let found: Vec<_> = found.iter().map(|one| (one.file.as_str(), one.line)).collect();
        assert_eq!(
            found,
            [
                ("env/docker/entrypoint.sh", 1),
                ("env/docker/script__5d41", 2),
                ("env/python/install.sh", 1)
            ]
        );
    }
}

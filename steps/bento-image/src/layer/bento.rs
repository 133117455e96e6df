//! A bento's entries in a layer: at their place in the image, with the owner and the modes that they have there.

use std::{
    collections::HashSet,
    io::{self, Write},
    sync::Arc,
};

use crate::{
    layer::{
        error::{LayerError, fit},
        writer::{Attributes, LayerWriter},
        written::Written,
    },
    placement::Placement,
};

/// Writes entries by their paths in the bento.
#[derive(Debug)]
pub(crate) struct BentoWriter<W: Write> {
    writer: LayerWriter<W>,
    bento: Arc<Placement>,
    mtime: i64,
    /// Files that may be run, as hard links to them may
    executables: HashSet<String>,
}

impl<W: Write> BentoWriter<W> {
    pub(crate) fn new(writer: LayerWriter<W>, bento: Arc<Placement>, mtime: i64) -> Self {
        Self { writer, bento, mtime, executables: HashSet::new() }
    }

    pub(crate) fn directory(&mut self, path: &str) -> Result<(), LayerError> {
        self.check(path)?;
        let attributes = self.attributes(path, self.bento.directory_mode(path));
        Ok(self.writer.directory(&self.bento.in_image(path), &attributes)?)
    }

    pub(crate) fn file(
        &mut self,
        path: &str,
        is_executable: bool,
        size: u64,
    ) -> Result<(), LayerError> {
        self.check(path)?;
        self.remember(path, is_executable);
        let attributes = self.attributes(path, self.bento.file_mode(path, is_executable));
        Ok(self.writer.file(&self.bento.in_image(path), &attributes, size)?)
    }

    /// A builder gets two files, and the image could give one of them other permissions.
    pub(crate) fn hard_link(&mut self, path: &str, target: &str) -> Result<(), LayerError> {
        self.check(path)?;
        let is_executable = self.executables.contains(target);
        self.remember(path, is_executable);
        let attributes = self.attributes(path, self.bento.file_mode(path, is_executable));
        let of_target = self.attributes(target, self.bento.file_mode(target, is_executable));
        if attributes != of_target {
            let problem = "is a hard link to a file that has other permissions in the image";
            return Err(LayerError::unfit(path, problem));
        }
        let (path, target) = (self.bento.in_image(path), self.bento.in_image(target));
        Ok(self.writer.hard_link(&path, &target, &attributes)?)
    }

    /// Symlinks and their targets, by name whatever their order was.
    pub(crate) fn symlinks(&mut self, links: &[(String, String)]) -> Result<(), LayerError> {
        let mut links = links.iter().collect::<Vec<_>>();
        links.sort();
        for (path, target) in links {
            fit(path)?;
            let attributes = self.attributes(path, 0o777);
            self.writer.symlink(&self.bento.in_image(path), target, &attributes)?;
        }
        Ok(())
    }

    /// Removes what the environment has of a path that is not in the bento.
    pub(crate) fn whiteout(&mut self, path: &str) -> Result<(), LayerError> {
        if self.bento.below.directories.contains(path) {
            let problem = "is not in the bento, but a command of its Dockerfile makes it";
            return Err(LayerError::unfit(path, problem));
        }
        let attributes = Attributes { mode: 0o644, uid: 0, gid: 0, mtime: self.mtime };
        Ok(self.writer.whiteout(&self.bento.in_image(path), &attributes)?)
    }

    pub(crate) fn finish(self) -> Result<(W, Written), LayerError> {
        Ok(self.writer.finish()?)
    }

    fn check(&self, path: &str) -> Result<(), LayerError> {
        fit(path)?;
        if self.bento.below.links.contains(path) {
            let problem = "is a link in the image already, which a builder would write through";
            return Err(LayerError::unfit(path, problem));
        }
        Ok(())
    }

    fn attributes(&self, path: &str, mode: u32) -> Attributes {
        let (uid, gid) = self.bento.owner_of(path);
        Attributes { mode, uid, gid, mtime: self.mtime }
    }

    fn remember(&mut self, path: &str, is_executable: bool) {
        if is_executable {
            self.executables.insert(path.to_owned());
        }
    }
}

impl<W: Write> Write for BentoWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

//! What becomes of what an archive brings: files in a folder, or whatever else is made of them.

use std::fs::File;

use crate::archive::error::ArchiveError;

/// Takes what an archive brings, in the archive's order and on one thread that may block.
///
/// All of it has been judged before: a path is relative, in UTF-8, its parts are separated by one `/`, and none of them
/// is empty, `.` or `..`; no two are the same, also not in another case; nothing lies below a file or a symlink; and all
/// of it together is within the limits. An error ends the reading at once; one of the sink's own is an
/// [`ArchiveError::Sink`].
pub trait Sink {
    /// What has become of it.
    type Output
    where
        Self: Sized;

    /// A file without a name for an archive that tells at its end what is in it, as a zip does. Without one, such an
    /// archive is [`ArchiveError::NotStreamable`].
    fn scratch_file(&mut self) -> Result<Option<File>, ArchiveError> {
        Ok(None)
    }

    /// A directory, once and before anything in it, whether or not the archive has an entry for it.
    fn directory(&mut self, path: &str) -> Result<(), ArchiveError>;

    /// A file. What is not read of its contents is passed over.
    fn file(
        &mut self,
        path: String,
        executable: bool,
        contents: &mut Contents,
    ) -> Result<(), ArchiveError>;

    /// The end: all of it came, and it is the archive that was asked for (its checksums and SHA-256 were compared).
    fn finish(self, last: Last) -> Result<Self::Output, ArchiveError>
    where
        Self: Sized;

    /// The other end: the reading has failed. A sink that works elsewhere meanwhile may know better why.
    fn abandon(self, error: ArchiveError) -> ArchiveError
    where
        Self: Sized,
    {
        error
    }
}

/// What can only be made once all files are there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Last {
    /// Hard links: an earlier path, and the one that is a copy of it. In order, as a copy may be of a copy
    pub copies: Vec<(String, String)>,
    /// Symlinks: a path, and what it leads to, which is relative and stays inside
    pub links: Vec<(String, String)>,
}

/// The contents of a file, which are read while they come.
pub struct Contents<'a> {
    size: u64,
    left: u64,
    read: &'a mut dyn FnMut(&mut [u8]) -> Result<(), ArchiveError>,
}

impl<'a> Contents<'a> {
    /// So many bytes, by what fills a buffer to its end.
    pub(crate) fn new(
        size: u64,
        read: &'a mut dyn FnMut(&mut [u8]) -> Result<(), ArchiveError>,
    ) -> Self {
        Self { size, left: size, read }
    }

    /// Bytes in all.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes that have not been read.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Fills the buffer, or as much of it as is left, and says how much: 0 at the end.
    pub fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, ArchiveError> {
        let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        (self.read)(&mut buffer[..length])?;
        self.left -= length as u64;
        Ok(length)
    }
}

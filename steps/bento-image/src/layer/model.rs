//! The layer of one model: uncompressed, and the same in every release that has the model.

use std::{
    io::{self, Error, ErrorKind, Write},
    sync::Arc,
};

use crate::{
    layer::{bento::BentoWriter, error::LayerError, writer::LayerWriter, written::Written},
    placement::Placement,
};

/// One model's files on their way to a writer, in the order of the archive, as
/// `application/vnd.oci.image.layer.v1.tar`: weights do not compress, so that it would only take time.
///
/// Paths are relative to the bento. After [`ModelLayer::file`] exactly its bytes are to be written.
#[derive(Debug)]
pub struct ModelLayer<W: Write> {
    writer: BentoWriter<W>,
    /// `models/NAME/VERSION`
    home: String,
}

impl<W: Write> ModelLayer<W> {
    /// The layer of `models/NAME/VERSION`. Its time, in seconds since 1970, is that of the model, not of the bento:
    /// another release has another bento.
    pub fn new(
        writer: W,
        bento: Arc<Placement>,
        name: &str,
        version: &str,
        created: i64,
    ) -> Result<Self, LayerError> {
        let home = format!("models/{name}/{version}");
        let mut writer = BentoWriter::new(LayerWriter::plain(writer), bento, created);
        writer.directory("models")?;
        writer.directory(&format!("models/{name}"))?;
        writer.directory(&home)?;
        Ok(Self { writer, home })
    }

    /// Whether a path of the bento belongs into this layer.
    pub fn holds(&self, path: &str) -> bool {
        path.strip_prefix(&self.home).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Directories come before what is in them; that of the model itself may be named again.
    pub fn directory(&mut self, path: &str) -> Result<(), LayerError> {
        self.check(path)?;
        if path == self.home { Ok(()) } else { self.writer.directory(path) }
    }

    /// Begins a file of so many bytes.
    pub fn file(&mut self, path: &str, is_executable: bool, size: u64) -> Result<(), LayerError> {
        self.check(path)?;
        self.writer.file(path, is_executable, size)
    }

    /// A second name of a file that this layer has already.
    pub fn hard_link(&mut self, path: &str, target: &str) -> Result<(), LayerError> {
        self.check(path)?;
        self.check(target)?;
        self.writer.hard_link(path, target)
    }

    /// Ends the layer with the model's symlinks, each with its target.
    pub fn finish(mut self, links: &[(String, String)]) -> Result<(W, Written), LayerError> {
        links.iter().try_for_each(|(path, _)| self.check(path))?;
        self.writer.symlinks(links)?;
        self.writer.finish()
    }

    fn check(&self, path: &str) -> Result<(), LayerError> {
        if self.holds(path) {
            return Ok(());
        }
        let problem = format!("`{path}` is not in `{}`, which this layer is of", self.home);
        Err(Error::new(ErrorKind::InvalidInput, problem).into())
    }
}

/// The contents of the file that was begun.
impl<W: Write> Write for ModelLayer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

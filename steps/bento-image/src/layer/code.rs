//! The layer of all that is in no model's layer: code, recipe and manifests, as gzip.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, ErrorKind, Write},
    mem,
    sync::Arc,
};

use crate::{
    layer::{
        bento::BentoWriter,
        error::{LayerError, fit},
        writer::LayerWriter,
        written::Written,
    },
    placement::Placement,
    recipe::{DIRECTORIES, MARKER},
};

/// Bytes of files, names and headers that are held back. Together with what they become when they are packed at the
/// end, at most twice as much memory. The limit counts bytes before compression, which is exact and the same for
/// every compressor: an archive is held or is not, however often it is read.
const HELD: usize = 8 << 20;
/// Bytes that an entry takes besides its name and its contents, in memory and as a header.
const ENTRY: usize = 512;

/// The code layer on its way: held in memory and sorted by path, or, from the entry on with which it would be more than
/// 8 MiB, written at once and in the order of the archive.
///
/// Paths are relative to the bento. After [`CodeLayer::file`] exactly its bytes are to be written. The type of the
/// layer is `application/vnd.oci.image.layer.v1.tar+gzip`.
#[derive(Debug)]
pub struct CodeLayer<W: Write> {
    bento: Arc<Placement>,
    mtime: i64,
    state: State<W>,
    /// Which of [`DIRECTORIES`] the bento has
    has: [bool; 4],
}

/// What the layer has become.
#[derive(Debug)]
pub enum Finished<W> {
    /// It was small: all its bytes, of which none has been written anywhere
    Held(Vec<u8>, Written),
    /// It was written to what had been asked for
    Spilled(W, Written),
}

#[derive(Debug)]
enum State<W: Write> {
    Held(Held<W>),
    Spilled(Box<BentoWriter<W>>),
    Failed,
}

struct Held<W> {
    open: Box<dyn FnOnce() -> io::Result<W> + Send>,
    entries: BTreeMap<String, Entry>,
    /// By name, with the file that each is of
    hard_links: BTreeMap<String, String>,
    /// By the measure of [`HELD`]
    size: usize,
    /// The file that is being written, and the bytes that it lacks
    file: Option<(String, usize)>,
}

enum Entry {
    Directory,
    File { is_executable: bool, contents: Vec<u8> },
}

impl<W: Write> CodeLayer<W> {
    /// The time of its entries is the bento's, in seconds since 1970. `open` is called when the layer turns out to be
    /// a large one, and never twice.
    pub fn new(
        bento: Arc<Placement>,
        created: i64,
        open: impl FnOnce() -> io::Result<W> + Send + 'static,
    ) -> Self {
        let (entries, hard_links) = (BTreeMap::new(), BTreeMap::new());
        let held = Held { open: Box::new(open), entries, hard_links, size: 0, file: None };
        Self { bento, mtime: created, state: State::Held(held), has: [false; 4] }
    }

    /// Notes a path that another layer holds, so that its top directory is not taken for one that the bento lacks.
    pub fn has(&mut self, path: &str) {
        let top = path.split('/').next();
        for (has, name) in self.has.iter_mut().zip(DIRECTORIES) {
            *has |= top == Some(name);
        }
    }

    /// Directories come before what is in them.
    pub fn directory(&mut self, path: &str) -> Result<(), LayerError> {
        match self.begin(path, 0)? {
            Sink::Held(held) => {
                held.entries.insert(path.to_owned(), Entry::Directory);
                Ok(())
            }
            Sink::Spilled(writer) => writer.directory(path),
        }
    }

    /// Begins a file of so many bytes.
    pub fn file(&mut self, path: &str, is_executable: bool, size: u64) -> Result<(), LayerError> {
        match self.begin(path, size)? {
            Sink::Held(held) => {
                let size = usize::try_from(size).unwrap_or(usize::MAX);
                let contents = Vec::with_capacity(size);
                held.entries.insert(path.to_owned(), Entry::File { is_executable, contents });
                held.file = Some((path.to_owned(), size));
                Ok(())
            }
            Sink::Spilled(writer) => writer.file(path, is_executable, size),
        }
    }

    /// A second name of a file that this layer has already.
    pub fn hard_link(&mut self, path: &str, target: &str) -> Result<(), LayerError> {
        match self.begin(path, target.len() as u64)? {
            Sink::Held(held) => {
                held.hard_links.insert(path.to_owned(), target.to_owned());
                Ok(())
            }
            Sink::Spilled(writer) => writer.hard_link(path, target),
        }
    }

    /// Ends the layer with the symlinks that are in no model's layer, each with its target, and with what is to be
    /// removed of the environment: its marker, and directories that this bento does not have.
    pub fn finish(mut self, links: &[(String, String)]) -> Result<Finished<W>, LayerError> {
        for (path, _) in links {
            self.has(path);
        }
        let absent =
            DIRECTORIES.iter().zip(self.has).filter(|(_, has)| !has).map(|(name, _)| *name);
        let gone = [MARKER].into_iter().chain(absent);
        match self.state {
            State::Held(held) => {
                held.check_complete()?;
                let writer = LayerWriter::gzip(Vec::new());
                let mut writer = BentoWriter::new(writer, self.bento, self.mtime);
                held.write_to(&mut writer)?;
                close(&mut writer, links, gone)?;
                let (bytes, written) = writer.finish()?;
                Ok(Finished::Held(bytes, written))
            }
            State::Spilled(mut writer) => {
                close(&mut writer, links, gone)?;
                let (writer, written) = writer.finish()?;
                Ok(Finished::Spilled(writer, written))
            }
            State::Failed => Err(failed().into()),
        }
    }

    /// Where an entry goes that brings so many bytes besides its name.
    fn begin(&mut self, path: &str, size: u64) -> Result<Sink<'_, W>, LayerError> {
        fit(path)?;
        self.has(path);
        if let State::Held(held) = &mut self.state {
            held.check_complete()?;
            held.file = None;
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            held.size = held.size.saturating_add(size).saturating_add(path.len() + ENTRY);
            if held.size > HELD {
                self.spill()?;
            }
        }
        match &mut self.state {
            State::Held(held) => Ok(Sink::Held(held)),
            State::Spilled(writer) => Ok(Sink::Spilled(writer)),
            State::Failed => Err(failed().into()),
        }
    }

    fn spill(&mut self) -> Result<(), LayerError> {
        let State::Held(mut held) = mem::replace(&mut self.state, State::Failed) else {
            return Err(failed().into());
        };
        let open = mem::replace(&mut held.open, Box::new(|| Err(failed())));
        let mut writer =
            BentoWriter::new(LayerWriter::gzip(open()?), self.bento.clone(), self.mtime);
        held.write_to(&mut writer)?;
        self.state = State::Spilled(Box::new(writer));
        Ok(())
    }
}

/// The contents of the file that was begun.
impl<W: Write> Write for CodeLayer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.state {
            State::Held(held) => held.write(bytes),
            State::Spilled(writer) => writer.write(bytes),
            State::Failed => Err(failed()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Sink<'a, W: Write> {
    Held(&'a mut Held<W>),
    Spilled(&'a mut BentoWriter<W>),
}

impl<W> Held<W> {
    /// By path, so that directories come before what is in them; hard links after all files, as one may be of a file
    /// with a later name. Memory is given back on the way.
    fn write_to<T: Write>(self, writer: &mut BentoWriter<T>) -> Result<(), LayerError> {
        for (path, entry) in self.entries {
            match entry {
                Entry::Directory => writer.directory(&path)?,
                Entry::File { is_executable, contents } => {
                    writer.file(&path, is_executable, contents.len() as u64)?;
                    writer.write_all(&contents)?;
                }
            }
        }
        for (path, target) in self.hard_links {
            writer.hard_link(&path, &target)?;
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some((path, missing)) =
            self.file.as_mut().filter(|(_, missing)| bytes.len() <= *missing)
        else {
            let problem = "a file of a layer has more bytes than announced";
            return Err(io::Error::new(ErrorKind::InvalidInput, problem));
        };
        if let Some(Entry::File { contents, .. }) = self.entries.get_mut(path) {
            contents.extend_from_slice(bytes);
            *missing -= bytes.len();
        }
        Ok(bytes.len())
    }

    fn check_complete(&self) -> io::Result<()> {
        match self.file {
            None | Some((_, 0)) => Ok(()),
            Some((_, missing)) => Err(io::Error::new(
                ErrorKind::InvalidInput,
                format!("a file of a layer lacks {missing} bytes"),
            )),
        }
    }
}

impl<W> fmt::Debug for Held<W> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Held").field("size", &self.size).finish_non_exhaustive()
    }
}

fn close<'a, T: Write>(
    writer: &mut BentoWriter<T>,
    links: &[(String, String)],
    mut gone: impl Iterator<Item = &'a str>,
) -> Result<(), LayerError> {
    writer.symlinks(links)?;
    gone.try_for_each(|path| writer.whiteout(path))
}

fn failed() -> io::Error {
    io::Error::other("the layer failed before")
}

//! The folder that an archive is unpacked into: what is made in it, with which rights, by threads of its own.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        atomic::Ordering,
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
    thread,
};

use rustix::fs::{Mode, OFlags, mkdirat, openat, symlinkat};

use crate::{archive::BadArchive, archive::limits::Watch};

/// Everyone may read, as the user that builds or serves is another; no archive sets more than this. `main` has seen to
/// it that the umask takes nothing away.
const PLAIN: Mode = Mode::from_raw_mode(0o644);
const RUNNABLE: Mode = Mode::from_raw_mode(0o755);

/// Making a file is the kernel's work, and most of what a small one costs; two threads make nearly twice as many.
const WRITERS: usize = 2;
/// Pieces that may wait for each of them, and so the memory that they take, in pieces.
const WAITING: usize = 3;
/// Bytes that are handed over at once: few enough to stay in a processor's cache, many enough that the kernel is
/// asked seldom.
const PIECE: usize = 128 << 10;
/// Bytes of a file that the kernel copies between two looks at whether to stop.
const COPIED: u64 = 64 << 20;
/// Files in a piece at most; they may be empty, but not their names.
const FILES: usize = 64;

/// A folder that nobody else writes to. Its names have passed [`crate::tree`].
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
}

/// What was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filled {
    /// Files and symlinks
    pub files: u64,
    /// Bytes of all files
    pub bytes: u64,
}

/// Symlinks and their targets.
pub(crate) type Links = Vec<(String, String)>;

/// A file that is to have what another has.
pub(crate) struct Copied {
    pub(crate) from: PathBuf,
    pub(crate) to: PathBuf,
}

/// What can only be made once all files are there.
pub(crate) struct Last {
    pub(crate) copies: Vec<Copied>,
    pub(crate) links: Links,
}

/// Contents of files, one after the other.
struct Piece {
    parts: Vec<Part>,
    /// Room for [`PIECE`] bytes
    bytes: Vec<u8>,
    length: usize,
}

impl Piece {
    fn of(bytes: Vec<u8>) -> Self {
        Self { parts: Vec::new(), bytes, length: 0 }
    }
}

/// What a piece has of one file.
struct Part {
    /// `None` goes on with the last file of the piece before
    file: Option<NewFile>,
    length: usize,
}

struct NewFile {
    path: PathBuf,
    executable: bool,
}

/// Hands over what is to be made. Why something could not be made is told by [`Folder::fill`].
pub(crate) struct Orders<'a> {
    root: &'a File,
    queues: Vec<SyncSender<Piece>>,
    /// The one whose turn it is
    writer: usize,
    /// Bytes for pieces that were used before, as fresh memory costs more than what is put into it
    used: Receiver<Vec<u8>>,
    piece: Piece,
    filled: Filled,
}

impl Folder {
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// A file without a name on the same volume, which is gone as soon as it is closed.
    pub(crate) fn scratch_file(&self) -> Result<File, BadArchive> {
        tempfile::tempfile_in(&self.root)
            .map_err(|source| BadArchive::Write { path: "the archive".into(), source })
    }

    /// Reads on this thread and writes on others. What fails on the disk is told first: it ends the reading. Copies
    /// are made after all that they are of, and symlinks last, so that nothing was written through one.
    pub(crate) fn fill(
        &self,
        watch: &Watch,
        read: impl FnOnce(&mut Orders) -> Result<Last, BadArchive>,
    ) -> Result<Filled, BadArchive> {
        // All names count from the open folder, wherever it is by then.
        let root = &tell(&self.root, File::open(&self.root))?;
        let (spare, used) = channel();
        let (last, mut filled) = thread::scope(|scope| {
            let (queues, writers): (Vec<_>, Vec<_>) = (0..WRITERS)
                .map(|_| {
                    let (queue, pieces) = sync_channel(WAITING);
                    let spare = spare.clone();
                    (queue, scope.spawn(move || write_all(root, pieces, &spare)))
                })
                .unzip();
            let (piece, filled) = (Piece::of(fresh()), Filled::default());
            let mut orders = Orders { root, queues, writer: 0, used, piece, filled };
            let last = read(&mut orders).and_then(|last| orders.hand_over().map(|()| last));
            let filled = orders.filled;
            drop(orders); // the writers end
            for writer in writers {
                writer.join().unwrap_or(Err(BadArchive::Stopped))?;
            }
            last.map(|last| (last, filled))
        })?;
        for Copied { from, to } in &last.copies {
            filled.bytes += copy(root, from, to, watch)?;
            filled.files += 1;
        }
        for (name, target) in &last.links {
            tell(Path::new(name), symlinkat(target, root, name))?;
            filled.files += 1;
        }
        Ok(filled)
    }
}

fn write_all(
    root: &File,
    pieces: Receiver<Piece>,
    spare: &Sender<Vec<u8>>,
) -> Result<(), BadArchive> {
    let mut last = None;
    for Piece { parts, bytes, .. } in pieces {
        let mut rest = &bytes[..];
        for Part { file, length } in parts {
            let (contents, later) = rest.split_at(length);
            rest = later;
            if let Some(NewFile { path, executable }) = file {
                let mode = if executable { RUNNABLE } else { PLAIN };
                last = Some((create(root, &path, mode)?, path));
            }
            let Some((file, path)) = &mut last else { return Err(BadArchive::Stopped) };
            tell(path, file.write_all(contents))?;
        }
        let _ = spare.send(bytes); // nobody wants it once the reading has ended
    }
    Ok(())
}

fn create(root: &File, path: &Path, mode: Mode) -> Result<File, BadArchive> {
    let fresh = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    Ok(File::from(tell(path, openat(root, path, fresh, mode))?))
}

/// Copies a file that was made here, with its rights, and gives its bytes. It may be as large as the archive may be, so
/// a stop is looked for on the way.
fn copy(root: &File, from: &Path, to: &Path, watch: &Watch) -> Result<u64, BadArchive> {
    let read = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let from = File::from(tell(from, openat(root, from, read, Mode::empty()))?);
    let mode = Mode::from_raw_mode(tell(to, from.metadata())?.mode()) & RUNNABLE;
    let mut copy = create(root, to, mode)?;
    let mut bytes = 0;
    loop {
        if watch.stop.load(Ordering::Relaxed) {
            return Err(BadArchive::Stopped);
        }
        match tell(to, io::copy(&mut (&from).take(COPIED), &mut copy))? {
            0 => return Ok(bytes),
            count => bytes += count,
        }
    }
}

impl Orders<'_> {
    /// Made at once, before any file that may lie in it.
    pub(crate) fn directory(&mut self, path: &Path) -> Result<(), BadArchive> {
        tell(path, mkdirat(self.root, path, RUNNABLE))
    }

    /// A file of so many bytes, which `read` puts where it is told to.
    pub(crate) fn file(
        &mut self,
        path: PathBuf,
        executable: bool,
        size: u64,
        mut read: impl FnMut(&mut [u8]) -> Result<(), BadArchive>,
    ) -> Result<(), BadArchive> {
        if self.piece.parts.len() == FILES || self.piece.length == PIECE {
            self.hand_over()?;
            self.writer = (self.writer + 1) % WRITERS;
        }
        let mut missing = size;
        let mut file = Some(NewFile { path, executable });
        loop {
            let start = self.piece.length;
            let length = usize::try_from(missing).unwrap_or(usize::MAX).min(PIECE - start);
            read(&mut self.piece.bytes[start..start + length])?;
            self.piece.parts.push(Part { file: file.take(), length });
            self.piece.length += length;
            missing -= length as u64;
            if missing == 0 {
                break;
            }
            self.hand_over()?; // and on to the same writer
        }
        self.filled.files += 1;
        self.filled.bytes += size;
        Ok(())
    }

    fn hand_over(&mut self) -> Result<(), BadArchive> {
        let next = Piece::of(self.used.try_recv().unwrap_or_else(|_| fresh()));
        let piece = std::mem::replace(&mut self.piece, next);
        self.queues[self.writer].send(piece).map_err(|_| BadArchive::Stopped)
    }
}

fn fresh() -> Vec<u8> {
    vec![0; PIECE]
}

/// Says which one it was.
fn tell<T>(path: &Path, made: Result<T, impl Into<io::Error>>) -> Result<T, BadArchive> {
    made.map_err(|error| BadArchive::Write { path: path.into(), source: error.into() })
}

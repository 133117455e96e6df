//! Makes what an archive brings in the folder that it is unpacked into, with which rights, by threads of its own.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        atomic::Ordering,
        mpsc::{Receiver, SyncSender, channel, sync_channel},
    },
    thread,
};

use rustix::fs::{Mode, OFlags, mkdirat, openat, symlinkat};

use crate::{
    archive::{error::ArchiveError, policy::Links},
    progress::Progress,
};

/// Everyone may read, as the user that builds or serves is another; no archive sets more than this. `main` has seen to
/// it that the umask takes nothing away.
const PLAIN: Mode = Mode::from_raw_mode(0o644);
const RUNNABLE: Mode = Mode::from_raw_mode(0o755);

/// Threads: the first makes large files a tenth faster, the second small ones by a third, as creating a file is the
/// kernel's work (`cargo bench` compares).
const WRITERS: usize = 2;
/// Chunks that may wait for each of them, and so the memory that they take, in chunks.
const WAITING: usize = 3;
/// Bytes that are handed over at once: few enough to stay in a processor's cache, many enough that the kernel is
/// asked seldom.
const CHUNK: usize = 128 << 10;
/// Bytes of a file that the kernel copies between two looks at whether to stop.
const COPIED: u64 = 64 << 20;
/// Files in a chunk at most; they may be empty, but not their names.
const FILES: usize = 64;

/// A folder that nobody else writes to. Its names have passed [`crate::archive::policy`].
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    writers: usize,
}

/// What was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// Files and symlinks
    pub files: u64,
    /// Bytes of all files
    pub bytes: u64,
}

/// What can only be made once all files are there.
pub(crate) struct Last {
    /// Files, and what they are to be copied to
    pub(crate) copies: Vec<(PathBuf, PathBuf)>,
    pub(crate) links: Links,
}

/// Contents of files, one after the other.
struct Chunk {
    files: Vec<FileChunk>,
    /// Room for [`CHUNK`] bytes
    bytes: Vec<u8>,
    length: usize,
}

impl Chunk {
    fn of(bytes: Vec<u8>) -> Self {
        Self { files: Vec::new(), bytes, length: 0 }
    }
}

/// What a chunk has of one file.
struct FileChunk {
    /// Where it begins, and whether it may be run. `None` goes on with the last file of the chunk before
    begins: Option<(PathBuf, bool)>,
    length: usize,
}

/// Hands over what is to be made. Why something could not be made, [`Folder::fill`] returns.
pub(crate) struct Orders<'a> {
    root: &'a File,
    queues: Vec<SyncSender<Chunk>>,
    /// The one whose turn it is
    turn: usize,
    /// Where there is no queue
    writer: Writer<'a>,
    /// Bytes for chunks that were used before, as fresh memory costs more than what is put into it
    used: Receiver<Vec<u8>>,
    chunk: Chunk,
    unpacked: Unpacked,
}

impl Folder {
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), writers: WRITERS }
    }

    /// With so many threads that write; without any, the reading one does.
    pub fn with_writers(self, writers: usize) -> Self {
        Self { writers, ..self }
    }

    /// A file without a name on the same volume, which is gone as soon as it is closed.
    pub(crate) fn scratch_file(&self) -> Result<File, ArchiveError> {
        tempfile::tempfile_in(&self.root)
            .map_err(|source| ArchiveError::Write { path: "the archive".into(), source })
    }

    /// Reads on this thread and writes on others. What fails on the disk goes first: it ends the reading. Copies
    /// are made after all that they are of, and symlinks last, so that nothing was written through one.
    pub(crate) fn fill(
        &self,
        progress: &Progress,
        read: impl FnOnce(&mut Orders) -> Result<Last, ArchiveError>,
    ) -> Result<Unpacked, ArchiveError> {
        // All names count from the open folder, wherever it is by then.
        let root = &at(&self.root, File::open(&self.root))?;
        let (spare, used) = channel();
        let (last, mut unpacked) = thread::scope(|scope| {
            let (queues, threads): (Vec<_>, Vec<_>) = (0..self.writers)
                .map(|_| {
                    let (queue, chunks) = sync_channel(WAITING);
                    let (spare, mut writer) = (spare.clone(), Writer { root, last: None });
                    let write = move || {
                        chunks.into_iter().try_for_each(|chunk| {
                            let _ = spare.send(writer.write(chunk)?); // nobody wants it once the reading has ended
                            Ok(())
                        })
                    };
                    (queue, scope.spawn(write))
                })
                .unzip();
            let (chunk, writer) = (Chunk::of(fresh()), Writer { root, last: None });
            let unpacked = Unpacked::default();
            let mut orders = Orders { root, queues, turn: 0, writer, used, chunk, unpacked };
            let last = read(&mut orders).and_then(|last| orders.hand_over().map(|()| last));
            let unpacked = orders.unpacked;
            drop(orders); // the threads end
            for thread in threads {
                thread.join().unwrap_or(Err(ArchiveError::Stopped))?;
            }
            last.map(|last| (last, unpacked))
        })?;
        for (from, to) in &last.copies {
            unpacked.bytes += copy(root, from, to, progress)?;
            unpacked.files += 1;
        }
        for (name, target) in &last.links {
            at(Path::new(name), symlinkat(target, root, name))?;
            unpacked.files += 1;
        }
        Ok(unpacked)
    }
}

/// Makes files one after the other.
struct Writer<'a> {
    root: &'a File,
    /// The file that the next chunk may go on with
    last: Option<(File, PathBuf)>,
}

impl Writer<'_> {
    /// Gives the chunk's memory back.
    fn write(&mut self, Chunk { files, bytes, .. }: Chunk) -> Result<Vec<u8>, ArchiveError> {
        let mut rest = &bytes[..];
        for FileChunk { begins, length } in files {
            let (contents, later) = rest.split_at(length);
            rest = later;
            if let Some((path, executable)) = begins {
                let mode = if executable { RUNNABLE } else { PLAIN };
                self.last = Some((create(self.root, &path, mode)?, path));
            }
            let Some((file, path)) = &mut self.last else { return Err(ArchiveError::Stopped) };
            at(path, file.write_all(contents))?;
        }
        Ok(bytes)
    }
}

fn create(root: &File, path: &Path, mode: Mode) -> Result<File, ArchiveError> {
    let fresh = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    Ok(File::from(at(path, openat(root, path, fresh, mode))?))
}

/// Copies a file that was made here, with its rights, and gives its bytes. It may be as large as the archive may be, so
/// a stop is looked for on the way.
fn copy(root: &File, from: &Path, to: &Path, progress: &Progress) -> Result<u64, ArchiveError> {
    let read = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let from = File::from(at(from, openat(root, from, read, Mode::empty()))?);
    let mode = Mode::from_raw_mode(at(to, from.metadata())?.mode()) & RUNNABLE;
    let mut copy = create(root, to, mode)?;
    let mut bytes = 0;
    loop {
        if progress.stop.load(Ordering::Relaxed) {
            return Err(ArchiveError::Stopped);
        }
        match at(to, io::copy(&mut (&from).take(COPIED), &mut copy))? {
            0 => return Ok(bytes),
            count => bytes += count,
        }
    }
}

impl Orders<'_> {
    /// Made at once, before any file that may lie in it.
    pub(crate) fn directory(&mut self, path: &Path) -> Result<(), ArchiveError> {
        at(path, mkdirat(self.root, path, RUNNABLE))
    }

    /// A file of so many bytes, which `read` puts where it is told to.
    pub(crate) fn file(
        &mut self,
        path: PathBuf,
        executable: bool,
        size: u64,
        mut read: impl FnMut(&mut [u8]) -> Result<(), ArchiveError>,
    ) -> Result<(), ArchiveError> {
        if self.chunk.files.len() == FILES || self.chunk.length == CHUNK {
            self.hand_over()?;
            self.turn = (self.turn + 1) % self.queues.len().max(1);
        }
        let mut missing = size;
        let mut begins = Some((path, executable));
        loop {
            let start = self.chunk.length;
            let length = usize::try_from(missing).unwrap_or(usize::MAX).min(CHUNK - start);
            read(&mut self.chunk.bytes[start..start + length])?;
            self.chunk.files.push(FileChunk { begins: begins.take(), length });
            self.chunk.length += length;
            missing -= length as u64;
            if missing == 0 {
                break;
            }
            self.hand_over()?; // and on to the same writer
        }
        self.unpacked.files += 1;
        self.unpacked.bytes += size;
        Ok(())
    }

    fn hand_over(&mut self) -> Result<(), ArchiveError> {
        let Some(queue) = self.queues.get(self.turn) else {
            let chunk = std::mem::replace(&mut self.chunk, Chunk::of(Vec::new()));
            self.chunk = Chunk::of(self.writer.write(chunk)?);
            return Ok(());
        };
        let next = Chunk::of(self.used.try_recv().unwrap_or_else(|_| fresh()));
        let chunk = std::mem::replace(&mut self.chunk, next);
        queue.send(chunk).map_err(|_| ArchiveError::Stopped)
    }
}

fn fresh() -> Vec<u8> {
    vec![0; CHUNK]
}

/// Says which path it was.
fn at<T>(path: &Path, made: Result<T, impl Into<io::Error>>) -> Result<T, ArchiveError> {
    made.map_err(|error| ArchiveError::Write { path: path.into(), source: error.into() })
}

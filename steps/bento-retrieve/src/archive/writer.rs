//! Makes what an archive brings in the folder that it is unpacked into, with which rights, by threads of its own.

use std::{
    fs::File,
    io::{self, BufRead, Read, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, channel, sync_channel},
    },
    thread::{self, JoinHandle},
};

use rustix::fs::{Mode, OFlags, mkdirat, openat, symlinkat};

use crate::{
    archive::{
        error::ArchiveError,
        limits::Limits,
        read::read,
        sink::{Contents, Last, Sink},
    },
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

/// Hands over what is to be made, on the thread that reads, to those that write. Dropped, it has waited for them.
pub struct FolderSink {
    path: PathBuf,
    root: Arc<File>,
    queues: Vec<SyncSender<Chunk>>,
    threads: Vec<JoinHandle<Result<(), ArchiveError>>>,
    /// The queue whose turn it is
    turn: usize,
    /// Where there is no queue
    writer: Writer,
    /// Bytes for chunks that were used before, as fresh memory costs more than what is put into it
    used: Receiver<Vec<u8>>,
    chunk: Chunk,
    unpacked: Unpacked,
    progress: Arc<Progress>,
}

impl Folder {
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), writers: WRITERS }
    }

    /// With so many threads that write; without any, the reading one does.
    pub fn with_writers(self, writers: usize) -> Self {
        Self { writers, ..self }
    }

    /// What makes in it what an archive brings. A progress that is stopped ends it.
    pub fn sink(&self, progress: &Arc<Progress>) -> Result<FolderSink, ArchiveError> {
        // All names count from the open folder, wherever it is by then.
        let root = Arc::new(at(&self.root, File::open(&self.root))?);
        let (spare, used) = channel();
        let (queues, threads) = (0..self.writers)
            .map(|_| {
                let (queue, chunks) = sync_channel(WAITING);
                let (spare, mut writer) = (spare.clone(), Writer::new(&root));
                let write = move || {
                    chunks.into_iter().try_for_each(|chunk| {
                        let _ = spare.send(writer.write(chunk)?); // nobody wants it once the reading has ended
                        Ok(())
                    })
                };
                (queue, thread::spawn(write))
            })
            .unzip();
        Ok(FolderSink {
            path: self.root.clone(),
            writer: Writer::new(&root),
            root,
            queues,
            threads,
            turn: 0,
            used,
            chunk: Chunk::of(fresh()),
            unpacked: Unpacked::default(),
            progress: Arc::clone(progress),
        })
    }
}

/// Unpacks the whole archive into an empty folder.
///
/// # Errors
/// Those of [`read`]; the folder is then to be thrown away.
pub fn unpack(
    input: impl BufRead,
    folder: &Folder,
    limits: &Limits,
    progress: &Arc<Progress>,
) -> Result<Unpacked, ArchiveError> {
    read(input, folder.sink(progress)?, limits, progress)
}

/// Makes files one after the other.
struct Writer {
    root: Arc<File>,
    /// The file that the next chunk may go on with
    last: Option<(File, PathBuf)>,
}

impl Writer {
    fn new(root: &Arc<File>) -> Self {
        Self { root: Arc::clone(root), last: None }
    }

    /// Gives the chunk's memory back.
    fn write(&mut self, Chunk { files, bytes, .. }: Chunk) -> Result<Vec<u8>, ArchiveError> {
        let mut rest = &bytes[..];
        for FileChunk { begins, length } in files {
            let (contents, later) = rest.split_at(length);
            rest = later;
            if let Some((path, executable)) = begins {
                let mode = if executable { RUNNABLE } else { PLAIN };
                self.last = Some((create(&self.root, &path, mode)?, path));
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
        if progress.is_stopped() {
            return Err(ArchiveError::Stopped);
        }
        match at(to, io::copy(&mut (&from).take(COPIED), &mut copy))? {
            0 => return Ok(bytes),
            count => bytes += count,
        }
    }
}

impl Sink for FolderSink {
    type Output = Unpacked;

    /// On the same volume, and gone as soon as it is closed.
    fn scratch_file(&mut self) -> Result<Option<File>, ArchiveError> {
        let file = tempfile::tempfile_in(&self.path);
        at(Path::new("the archive"), file).map(Some)
    }

    /// Made at once, before any file that may lie in it.
    fn directory(&mut self, path: &str) -> Result<(), ArchiveError> {
        at(Path::new(path), mkdirat(&*self.root, path, RUNNABLE))
    }

    fn file(
        &mut self,
        path: String,
        executable: bool,
        contents: &mut Contents,
    ) -> Result<(), ArchiveError> {
        if self.chunk.files.len() == FILES || self.chunk.length == CHUNK {
            self.hand_over()?;
            self.turn = (self.turn + 1) % self.queues.len().max(1);
        }
        let mut begins = Some((path.into(), executable));
        loop {
            let length = contents.fill(&mut self.chunk.bytes[self.chunk.length..])?;
            self.chunk.files.push(FileChunk { begins: begins.take(), length });
            self.chunk.length += length;
            if contents.left() == 0 {
                break;
            }
            self.hand_over()?; // and on to the same writer
        }
        self.unpacked.files += 1;
        self.unpacked.bytes += contents.size();
        Ok(())
    }

    /// Copies are made after all that they are of, and symlinks last, so that nothing was written through one.
    fn finish(mut self, last: Last) -> Result<Unpacked, ArchiveError> {
        let handed_over = self.hand_over();
        self.end()?;
        handed_over?;
        let mut unpacked = self.unpacked;
        for (from, to) in &last.copies {
            unpacked.bytes += copy(&self.root, from.as_ref(), to.as_ref(), &self.progress)?;
            unpacked.files += 1;
        }
        for (name, target) in &last.links {
            at(Path::new(name), symlinkat(target, &*self.root, name))?;
            unpacked.files += 1;
        }
        Ok(unpacked)
    }

    /// What failed on the disk goes first: it ended the reading.
    fn abandon(mut self, error: ArchiveError) -> ArchiveError {
        self.end().err().unwrap_or(error)
    }
}

impl Drop for FolderSink {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

impl FolderSink {
    /// Waits until all that was handed over is written, or why it is not.
    fn end(&mut self) -> Result<(), ArchiveError> {
        self.queues.clear();
        let ended = self.threads.drain(..).map(JoinHandle::join);
        // All of them, before one's error is looked at.
        let ended: Vec<_> =
            ended.map(|ended| ended.unwrap_or(Err(ArchiveError::Stopped))).collect();
        ended.into_iter().collect()
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

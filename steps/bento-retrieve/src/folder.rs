//! The folder that an archive is unpacked into: what is made in it, with which rights, by a thread of its own.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::{
        self,
        fs::{OpenOptionsExt, PermissionsExt},
    },
    path::PathBuf,
    sync::{
        atomic::Ordering,
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
    thread,
};

use crate::{archive::BadArchive, meter::Watch};

/// Everyone may read, as the user that builds or serves is another; no archive sets more than this.
const PLAIN: u32 = 0o644;
const RUNNABLE: u32 = 0o755;

/// Pieces of files that may wait between decoder and disk, and so the memory that they take, in pieces.
const WAITING: usize = 8;
/// Bytes of a large file that are written at once: few enough to stay in a processor's cache, many enough that the
/// kernel is asked seldom.
pub(crate) const PIECE: usize = 256 << 10;

/// A folder that nobody else writes to. Its names have passed [`crate::tree`].
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
}

/// One thing to make.
pub(crate) enum Make {
    Directory(PathBuf),
    /// With its first piece
    File {
        path: PathBuf,
        executable: bool,
        piece: Vec<u8>,
    },
    /// The next piece of the last file
    More(Vec<u8>),
    Link {
        path: PathBuf,
        target: PathBuf,
    },
}

/// Hands over what is to be made. Its errors are told by [`Folder::fill`].
pub(crate) struct Orders {
    queue: SyncSender<Make>,
    used: Receiver<Vec<u8>>,
}

impl Orders {
    pub(crate) fn give(&self, order: Make) -> Result<(), BadArchive> {
        self.queue.send(order).map_err(|_| BadArchive::Stopped)
    }

    /// A piece to fill: for a large file one that was used before, as fresh memory costs more than its contents.
    pub(crate) fn piece(&self, length: usize) -> Vec<u8> {
        let mut piece =
            if length < PIECE { Vec::new() } else { self.used.try_recv().unwrap_or_default() };
        piece.resize(length, 0);
        piece
    }
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

    /// Reads on this thread and writes on another. What fails on the disk is told first: it ends the reading.
    pub(crate) fn fill<T>(
        &self,
        watch: &Watch,
        read: impl FnOnce(&Orders) -> Result<T, BadArchive>,
    ) -> Result<T, BadArchive> {
        let (queue, orders) = sync_channel(WAITING);
        let (spare, used) = channel();
        thread::scope(|scope| {
            let writer = scope.spawn(|| self.make_all(orders, &spare, watch));
            let read = {
                let orders = Orders { queue, used };
                read(&orders)
            };
            let written = writer.join().unwrap_or(Err(BadArchive::Stopped));
            written.and(read)
        })
    }

    fn make_all(
        &self,
        orders: Receiver<Make>,
        spare: &Sender<Vec<u8>>,
        watch: &Watch,
    ) -> Result<(), BadArchive> {
        let mut last = None;
        for order in orders {
            match order {
                Make::Directory(path) => tell(path, |path| self.directory(path))?,
                Make::Link { path, target } => {
                    tell(path, |path| unix::fs::symlink(target, self.root.join(path)))?;
                }
                Make::File { path, executable, piece } => {
                    let mut file = tell(path.clone(), |path| self.file(path, executable))?;
                    tell(path.clone(), |_| file.write_all(&piece))?;
                    written(piece, spare, watch);
                    last = Some((file, path));
                }
                Make::More(piece) => {
                    let Some((file, path)) = &mut last else { return Err(BadArchive::Stopped) };
                    tell(path.clone(), |_| file.write_all(&piece))?;
                    written(piece, spare, watch);
                }
            }
        }
        Ok(())
    }

    fn directory(&self, path: &PathBuf) -> io::Result<()> {
        let whole = self.root.join(path);
        fs::create_dir(&whole)?;
        fs::set_permissions(&whole, Permissions::from_mode(RUNNABLE))
    }

    fn file(&self, path: &PathBuf, executable: bool) -> io::Result<File> {
        let mode = if executable { RUNNABLE } else { PLAIN };
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(self.root.join(path))?;
        file.set_permissions(Permissions::from_mode(mode))?; // whatever the umask says
        Ok(file)
    }
}

/// Counts a piece, and gives a large one back. Who does not want it any more has ended.
fn written(piece: Vec<u8>, spare: &Sender<Vec<u8>>, watch: &Watch) {
    watch.bytes.fetch_add(piece.len() as u64, Ordering::Relaxed);
    if piece.len() == PIECE {
        let _ = spare.send(piece);
    }
}

/// Says which file it was.
fn tell<T>(path: PathBuf, make: impl FnOnce(&PathBuf) -> io::Result<T>) -> Result<T, BadArchive> {
    make(&path).map_err(|source| BadArchive::Write { path, source })
}

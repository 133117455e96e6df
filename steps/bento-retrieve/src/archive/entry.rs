//! An entry of an archive of any format, on its way from the reader to the sink: counted, judged, handed on.

use std::io::{self, ErrorKind, Read};

use step::text::short;

use crate::archive::{
    error::ArchiveError,
    limits::{HEADERS, Meter},
    policy::{Tree, Violation},
    sink::{Contents, Last, Sink},
};

/// What an entry wants to become.
pub(crate) enum EntryKind {
    Directory,
    File { executable: bool },
    Link(Vec<u8>),
    HardLink(Vec<u8>),
    Other(&'static str),
}

/// Bytes that are passed over at once.
const PASSED_OVER: usize = 64 << 10;

/// What an archive has brought so far, and what takes it.
pub(crate) struct Unpacker<'a> {
    tree: Tree,
    copies: Vec<(String, String)>,
    pub(crate) sink: &'a mut dyn Sink,
    pub(crate) meter: &'a Meter<'a>,
}

impl<'a> Unpacker<'a> {
    pub(crate) fn new(sink: &'a mut dyn Sink, meter: &'a Meter<'a>) -> Self {
        Self { tree: Tree::default(), copies: Vec::new(), sink, meter }
    }

    pub(crate) fn add(
        &mut self,
        name: &[u8],
        kind: &EntryKind,
        size: u64,
        mut contents: impl Read,
    ) -> Result<(), ArchiveError> {
        let refused = |violation| ArchiveError::Entry { entry: printable(name), violation };
        self.meter.count_entry()?;
        let placed = match kind {
            EntryKind::Directory => self.tree.directory(name),
            EntryKind::Link(target) => self.tree.link(name, target),
            EntryKind::HardLink(target) => {
                let (placed, earlier) = self.tree.hard_link(name, target).map_err(refused)?;
                self.meter.count_copy(earlier.size)?;
                self.copies.push((earlier.path, placed.name.clone()));
                Ok(placed)
            }
            EntryKind::File { .. } => self.tree.file(name, size),
            EntryKind::Other(what) => Err(Violation::Kind(what)),
        }
        .map_err(refused)?;
        if let EntryKind::File { .. } = kind {
            self.meter.announce(size)?;
        }
        for directory in &placed.fresh_directories {
            self.sink.directory(directory)?;
        }
        if let EntryKind::File { executable } = kind {
            let meter = self.meter;
            meter.allow(size.saturating_add(HEADERS));
            let mut read = |piece: &mut [u8]| {
                contents.read_exact(piece).map_err(|error| explain(meter, &error))
            };
            let mut contents = Contents::new(size, &mut read);
            self.sink.file(placed.name, *executable, &mut contents)?;
            pass_over(&mut contents)?;
        }
        Ok(())
    }

    /// What is made once the archive has been read to its end.
    pub(crate) fn last(self) -> Result<Last, ArchiveError> {
        let refused = |(entry, violation)| ArchiveError::Entry { entry, violation };
        Ok(Last { copies: self.copies, links: self.tree.into_links().map_err(refused)? })
    }
}

/// What the sink has left of a file: it counts, and comes before the next entry.
fn pass_over(contents: &mut Contents) -> Result<(), ArchiveError> {
    if contents.left() > 0 {
        let mut piece = vec![0; PASSED_OVER];
        while contents.fill(&mut piece)? > 0 {}
    }
    Ok(())
}

/// What made a read fail: a limit, the missing input, or the archive itself.
pub(crate) fn explain(meter: &Meter, error: &io::Error) -> ArchiveError {
    if meter.is_stopped() {
        ArchiveError::Stopped
    } else if let Some(limit) = meter.limit.get() {
        ArchiveError::Limit(limit)
    } else if meter.input_failed.get() {
        ArchiveError::Input
    } else if error.kind() == ErrorKind::UnexpectedEof {
        ArchiveError::Truncated
    } else {
        ArchiveError::Damaged(printable(error.to_string().as_bytes()))
    }
}

/// A name as it may stand in a log.
fn printable(name: &[u8]) -> String {
    short(&String::from_utf8_lossy(name), 200)
}

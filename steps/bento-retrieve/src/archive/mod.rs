//! Unpacks an archive that a stranger may have made: nothing outside of the folder, nothing beyond the limits.

pub mod limits;
pub mod policy;
pub mod thread;
pub mod writer;
pub(crate) mod zip;

use std::{
    io::{self, BufRead, Cursor, ErrorKind, Read},
    path::PathBuf,
};

use bzip2::bufread::BzDecoder;
use flate2::bufread::GzDecoder;
use liblzma::{bufread::XzDecoder, stream::Stream};
use step::text::short;
use tar::EntryType;
use thiserror::Error;

use crate::{
    archive::limits::{HEADERS, Limit, Limits, Meter, Packed, Unpacked, Watch},
    archive::policy::{Rule, Tree},
    archive::writer::{Copied, Filled, Folder, Last, Orders},
};

/// A block of a tar, which two blocks of zeros end.
const BLOCK: u64 = 512;
/// Memory that a decoder of xz may take, in bytes: `xz -9` needs 65 MiB, BentoML's exports 9.
const XZ_MEMORY: u64 = 80 << 20;

/// Why an archive was not unpacked.
#[derive(Debug, Error)]
pub enum BadArchive {
    #[error("entry `{entry}` {rule}")]
    Entry { entry: String, rule: Rule },
    #[error(transparent)]
    Limit(#[from] Limit),
    #[error("its first bytes are of no format that BentoML writes (tar, gzip, xz, bzip2, zip)")]
    Format,
    #[error("it is a web page")]
    WebPage,
    #[error("it lies there with the frames of its upload in it")]
    Framed,
    #[error("it ends before its end")]
    CutShort,
    #[error("other data follows its end")]
    Trailing,
    #[error("it is damaged: {0}")]
    Damaged(String),
    #[error("failed to write `{}`", .path.display())]
    Write { path: PathBuf, source: io::Error },
    /// The archive's bytes did not come; whoever fetches them knows why.
    #[error("its bytes did not come")]
    Input,
    #[error("stopped")]
    Stopped,
}

/// How an archive is packed, told by its first bytes: names and content types lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Tar,
    Gzip,
    Xz,
    Bzip2,
    Zip,
}

impl Format {
    /// Bytes of an archive that tell its format.
    pub const HEAD: usize = 262;

    #[must_use]
    pub fn of(head: &[u8]) -> Option<Self> {
        if head.starts_with(b"\x1f\x8b") {
            Some(Self::Gzip)
        } else if head.starts_with(b"\xfd7zXZ\0") {
            Some(Self::Xz)
        } else if head.starts_with(b"BZh") {
            Some(Self::Bzip2)
        } else if head.starts_with(b"PK\x03\x04") {
            Some(Self::Zip)
        } else if head.get(257..262) == Some(b"ustar") {
            Some(Self::Tar)
        } else {
            None
        }
    }
}

/// What it is, if it is none of the formats: things that are found where an archive should be.
pub(crate) fn no_archive(head: &[u8]) -> BadArchive {
    let text = head.trim_ascii_start().to_ascii_lowercase();
    // `aws-chunked`: a length in hexadecimal, and perhaps a signature, in a line before each piece.
    let digits = head.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let after = &head[digits..];
    if [&b"<!doctype html"[..], b"<html"].iter().any(|start| text.starts_with(start)) {
        BadArchive::WebPage
    } else if digits > 0 && (after.starts_with(b"\r\n") || after.starts_with(b";chunk-signature="))
    {
        BadArchive::Framed
    } else {
        BadArchive::Format
    }
}

/// Unpacks the whole archive into an empty folder. Memory stays flat at any size.
///
/// # Errors
/// The first rule or limit that the archive breaks, with the entry's name; the folder is then to be thrown away.
pub fn unpack(
    mut input: impl BufRead,
    folder: &Folder,
    limits: &Limits,
    watch: &Watch,
) -> Result<Filled, BadArchive> {
    let meter = Meter::new(limits, watch);
    let mut head = Vec::with_capacity(Format::HEAD);
    input
        .by_ref()
        .take(Format::HEAD as u64)
        .read_to_end(&mut head)
        .map_err(|_| BadArchive::Input)?;
    let format = Format::of(&head).ok_or_else(|| no_archive(&head))?;
    let input = Packed { inner: Cursor::new(head).chain(input), meter: &meter };
    folder.fill(watch, |orders| {
        let mut bento =
            Filling { tree: Tree::default(), copies: Vec::new(), orders, meter: &meter };
        match format {
            Format::Zip => unzip(input, folder, limits, &mut bento)?,
            Format::Tar => ends_here(untar(input, &mut bento)?, &meter)?,
            Format::Gzip => {
                ends_here(untar(GzDecoder::new(input), &mut bento)?.into_inner(), &meter)?;
            }
            Format::Bzip2 => {
                ends_here(untar(BzDecoder::new(input), &mut bento)?.into_inner(), &meter)?;
            }
            Format::Xz => {
                let stream = Stream::new_stream_decoder(XZ_MEMORY, 0)
                    .map_err(|error| BadArchive::Damaged(error.to_string()))?;
                let decoder = XzDecoder::new_stream(input, stream);
                ends_here(untar(decoder, &mut bento)?.into_inner(), &meter)?;
            }
        }
        bento.last()
    })
}

/// Keeps the archive on the disk while it is unpacked, as a zip's table of contents comes last.
fn unzip(
    mut archive: impl BufRead,
    folder: &Folder,
    limits: &Limits,
    bento: &mut Filling,
) -> Result<(), BadArchive> {
    let file = folder.scratch_file()?;
    let kept = zip::keep(&mut archive, file, limits.bytes).map_err(|source| {
        if bento.meter.input_failed() {
            BadArchive::Input
        } else {
            BadArchive::Write { path: "the archive".into(), source }
        }
    })?;
    let file = kept.ok_or(Limit::Bytes(limits.bytes))?;
    zip::unzip(file, bento)
}

/// Neither a second gzip member nor a second archive nor anything else may follow: readers disagree about it.
fn ends_here(mut rest: impl BufRead, meter: &Meter) -> Result<(), BadArchive> {
    let following = rest.fill_buf().map_err(|error| explain(meter, &error))?;
    if following.is_empty() { Ok(()) } else { Err(BadArchive::Trailing) }
}

/// The entry loop. Gives the decoder back, read to its end, so that it has compared its checksum.
fn untar<R: Read>(decoder: R, bento: &mut Filling) -> Result<R, BadArchive> {
    let meter = bento.meter;
    let mut archive = tar::Archive::new(Unpacked { inner: decoder, meter });
    bento.add_all(&mut archive)?;
    if meter.zeros() < BLOCK {
        return Err(BadArchive::CutShort); // cut between two entries, which `tar` takes for the end
    }
    only_zeros_follow(archive.into_inner(), meter)
}

/// What an entry wants to become.
pub(crate) enum Kind {
    Directory,
    File { executable: bool },
    Link(Vec<u8>),
    HardLink(Vec<u8>),
    Other(&'static str),
}

fn examine<R: Read>(entry: &mut tar::Entry<R>) -> io::Result<(Vec<u8>, Kind)> {
    let (mut is_sparse, mut has_size) = (false, false);
    for record in entry.pax_extensions()?.into_iter().flatten() {
        let record = record?;
        is_sparse |= record.key_bytes().starts_with(b"GNU.sparse");
        has_size |= record.key_bytes() == b"size";
    }
    // A size of more than 8 GiB stands in the pax header, and then 0 in the other.
    let sizes_differ = has_size && ![0, entry.size()].contains(&entry.header().entry_size()?);
    let name = entry.path_bytes().into_owned();
    let kind = match entry.header().entry_type() {
        _ if is_sparse => Kind::Other("sparse file"),
        _ if sizes_differ => Kind::Other("thing of two sizes"),
        EntryType::Regular => Kind::File { executable: entry.header().mode()? & 0o111 != 0 },
        EntryType::Directory | EntryType::Symlink | EntryType::Link if entry.size() > 0 => {
            Kind::Other("directory or link with contents of its own")
        }
        EntryType::Directory => Kind::Directory,
        EntryType::Symlink => Kind::Link(entry.link_name_bytes().unwrap_or_default().into_owned()),
        EntryType::Link => Kind::HardLink(entry.link_name_bytes().unwrap_or_default().into_owned()),
        EntryType::Char | EntryType::Block => Kind::Other("device"),
        EntryType::Fifo => Kind::Other("named pipe"),
        EntryType::GNUSparse => Kind::Other("sparse file"),
        EntryType::XGlobalHeader => Kind::Other("header for all later entries"),
        _ => Kind::Other("thing of an unknown type"),
    };
    Ok((name, kind))
}

/// The folder that an archive is unpacked into, and what it has brought so far.
pub(crate) struct Filling<'a, 'b> {
    tree: Tree,
    copies: Vec<Copied>,
    orders: &'a mut Orders<'b>,
    pub(crate) meter: &'a Meter<'a>,
}

impl Filling<'_, '_> {
    fn add_all<R: Read>(&mut self, archive: &mut tar::Archive<R>) -> Result<(), BadArchive> {
        let failed = |error: io::Error| explain(self.meter, &error);
        let mut entries = archive.entries().map_err(failed)?;
        loop {
            self.meter.allow(HEADERS);
            self.meter.forget_zeros();
            let Some(entry) = entries.next() else { return Ok(()) };
            let mut entry = entry.map_err(failed)?;
            let (name, kind) = examine(&mut entry).map_err(failed)?;
            let size = entry.size();
            self.add(&name, &kind, size, entry)?;
        }
    }

    pub(crate) fn add(
        &mut self,
        name: &[u8],
        kind: &Kind,
        size: u64,
        mut contents: impl Read,
    ) -> Result<(), BadArchive> {
        let refused = |rule| BadArchive::Entry { entry: printable(name), rule };
        self.meter.count_entry()?;
        let placed = match kind {
            Kind::Directory => self.tree.directory(name),
            Kind::Link(target) => self.tree.link(name, target),
            Kind::HardLink(target) => {
                let (placed, earlier) = self.tree.hard_link(name, target).map_err(refused)?;
                self.meter.count_copy(earlier.size)?;
                self.copies.push(Copied { from: earlier.path, to: placed.path() });
                Ok(placed)
            }
            Kind::File { .. } => self.tree.file(name, size),
            Kind::Other(what) => Err(Rule::Kind(what)),
        }
        .map_err(refused)?;
        if let Kind::File { .. } = kind {
            self.meter.announce(size)?;
        }
        for directory in placed.fresh_directories() {
            self.orders.directory(directory)?;
        }
        if let Kind::File { executable } = kind {
            let meter = self.meter;
            meter.allow(size.saturating_add(HEADERS));
            self.orders.file(placed.path(), *executable, size, |piece| {
                contents.read_exact(piece).map_err(|error| explain(meter, &error))
            })?;
        }
        Ok(())
    }

    fn last(self) -> Result<Last, BadArchive> {
        let refused = |(name, rule)| BadArchive::Entry { entry: name, rule };
        Ok(Last { copies: self.copies, links: self.tree.into_links().map_err(refused)? })
    }
}

/// The second of the two blocks that end a tar, and the padding that GNU tar writes after them.
fn only_zeros_follow<'a, R: Read>(
    mut rest: Unpacked<'a, R>,
    meter: &'a Meter<'a>,
) -> Result<R, BadArchive> {
    let mut buffer = vec![0; 32 << 10];
    meter.allow(u64::MAX);
    let mut padding = 0;
    loop {
        let count = rest.read(&mut buffer).map_err(|error| explain(meter, &error))?;
        if buffer[..count].iter().any(|byte| *byte != 0) {
            return Err(BadArchive::Trailing);
        }
        padding += count as u64;
        if count == 0 {
            break;
        }
    }
    if padding < BLOCK { Err(BadArchive::CutShort) } else { Ok(rest.inner) }
}

/// What made a read fail: a limit, the missing input, or the archive itself.
pub(crate) fn explain(meter: &Meter, error: &io::Error) -> BadArchive {
    if meter.is_stopped() {
        BadArchive::Stopped
    } else if let Some(limit) = meter.limit() {
        BadArchive::Limit(limit)
    } else if meter.input_failed() {
        BadArchive::Input
    } else if error.kind() == ErrorKind::UnexpectedEof {
        BadArchive::CutShort
    } else {
        BadArchive::Damaged(printable(error.to_string().as_bytes()))
    }
}

/// A name as it may stand in a log.
fn printable(name: &[u8]) -> String {
    short(&String::from_utf8_lossy(name), 200)
}

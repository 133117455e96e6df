//! Reads a layer entry by entry, in memory that does not grow with it.

use std::{
    cell::Cell,
    io::{self, BufReader, ErrorKind, Read},
};

use flate2::bufread::MultiGzDecoder;
use tar::{Archive, EntryType};

use crate::placement::{
    entries::Kind,
    error::{PlacementError, Unfit, printable},
};

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// Bytes of headers that one entry may need; `tar` keeps them in memory.
const HEADERS: u64 = 1 << 20;

/// An entry as its header has it.
pub(crate) struct Found {
    /// Without `/` and `./` before it and `/` after it; never empty
    pub(crate) name: Vec<u8>,
    pub(crate) kind: Kind,
    pub(crate) mode: u16,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    /// Bytes of its contents
    pub(crate) size: u64,
    /// Where it is a hard link: the name of the file, in the same form
    pub(crate) hard_link: Option<Vec<u8>>,
}

/// Hands each entry and its contents to `each`, to the end of the layer.
pub(crate) fn read(
    mut layer: impl Read,
    mut each: impl FnMut(Found, &mut dyn Read) -> Result<(), PlacementError>,
) -> Result<(), PlacementError> {
    let mut begin = Vec::new();
    layer.by_ref().take(ZSTD.len() as u64).read_to_end(&mut begin)?;
    let is_gzip = begin.starts_with(GZIP);
    if begin.starts_with(ZSTD) {
        return Err(Unfit::Zstd.into());
    }
    let whole = BufReader::with_capacity(64 << 10, begin.as_slice().chain(layer));
    let tar: Box<dyn Read + '_> =
        if is_gzip { Box::new(MultiGzDecoder::new(whole)) } else { Box::new(whole) };
    let (allowed, has_ended) = (Cell::new(HEADERS), Cell::new(false));
    let mut archive =
        Archive::new(Metered { inner: tar, allowed: &allowed, has_ended: &has_ended });
    let mut entries = archive.entries()?;
    loop {
        allowed.set(HEADERS);
        let Some(entry) = entries.next() else { break };
        let mut entry = entry?;
        allowed.set(u64::MAX);
        if let Some(found) = examine(&entry)? {
            each(found, &mut entry)?;
        }
        io::copy(&mut entry, &mut io::sink())?;
    }
    if has_ended.get() {
        return Err(truncated());
    }
    allowed.set(u64::MAX);
    io::copy(&mut archive.into_inner(), &mut io::sink())?; // so that a checksum at the end is compared
    Ok(())
}

pub(crate) fn truncated() -> PlacementError {
    io::Error::new(ErrorKind::UnexpectedEof, "it is truncated").into()
}

fn examine<R: Read>(entry: &tar::Entry<R>) -> Result<Option<Found>, PlacementError> {
    let (header, bytes) = (entry.header(), entry.path_bytes());
    let kind = match header.entry_type() {
        EntryType::Directory => Kind::Directory,
        EntryType::Regular | EntryType::Continuous => Kind::File,
        EntryType::Link => Kind::HardLink,
        EntryType::Symlink => Kind::Symlink,
        EntryType::XGlobalHeader => return Ok(None),
        EntryType::GNUSparse => return Err(Unfit::Sparse(printable(&bytes)).into()),
        _ => Kind::Other,
    };
    let name = normal(&bytes)?;
    if name.is_empty() {
        return Ok(None); // the root itself
    }
    // Of old, a directory was a file whose name ends with a slash.
    let kind = if kind == Kind::File && bytes.ends_with(b"/") { Kind::Directory } else { kind };
    let mode = u16::try_from(header.mode()? & 0o7777).unwrap_or_default();
    let (uid, gid) = (header.uid()?, header.gid()?);
    let target = entry.link_name_bytes().filter(|_| kind == Kind::HardLink);
    let hard_link = target.map(|target| normal(&target)).transpose()?;
    let size = entry.size();
    Ok(Some(Found { name, kind, mode, uid, gid, size, hard_link }))
}

/// A name from the root on, without `/`, `.` and nothing as parts.
fn normal(name: &[u8]) -> Result<Vec<u8>, Unfit> {
    let parts = name.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"."));
    let parts = parts.collect::<Vec<_>>();
    if parts.contains(&b"..".as_slice()) {
        Err(Unfit::Parent(printable(name)))
    } else {
        Ok(parts.join(&b'/'))
    }
}

/// Fails when more bytes are read than are allowed, and tells whether the end was seen.
struct Metered<'a, R> {
    inner: R,
    allowed: &'a Cell<u64>,
    has_ended: &'a Cell<bool>,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.allowed.get()).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 && !buffer.is_empty() {
            return Err(io::Error::other("the headers of one entry take more than 1 MiB"));
        }
        let count = self.inner.read(&mut buffer[..most])?;
        self.allowed.set(self.allowed.get() - count as u64);
        self.has_ended.set(self.has_ended.get() || (count == 0 && most > 0));
        Ok(count)
    }
}

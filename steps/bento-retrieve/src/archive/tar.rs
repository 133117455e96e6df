//! Reads a tar to its end.

use std::io::{self, Read};

use ::tar::{Archive, EntryType};

use crate::archive::{
    entry::{EntryKind, Unpacker, explain},
    error::ArchiveError,
    limits::{HEADERS, Meter, MeteredOutput},
};

/// A block of a tar, which two blocks of zeros end.
const BLOCK: u64 = 512;

/// The entry loop. Gives the decoder back, read to its end, so that it has compared its checksum.
pub(crate) fn untar<R: Read>(decoder: R, unpacker: &mut Unpacker) -> Result<R, ArchiveError> {
    let meter = unpacker.meter;
    let mut archive = Archive::new(MeteredOutput { inner: decoder, meter });
    add_all(&mut archive, unpacker)?;
    if meter.zeros.get() < BLOCK {
        return Err(ArchiveError::Truncated); // cut between two entries, which the crate takes for the end
    }
    only_zeros_follow(archive.into_inner(), meter)
}

fn add_all<R: Read>(archive: &mut Archive<R>, unpacker: &mut Unpacker) -> Result<(), ArchiveError> {
    let meter = unpacker.meter;
    let failed = |error: io::Error| explain(meter, &error);
    let mut entries = archive.entries().map_err(failed)?;
    loop {
        meter.allow(HEADERS);
        meter.zeros.set(0);
        let Some(entry) = entries.next() else { return Ok(()) };
        let mut entry = entry.map_err(failed)?;
        let (name, kind) = examine(&mut entry).map_err(failed)?;
        let size = entry.size();
        unpacker.add(&name, &kind, size, entry)?;
    }
}

fn examine<R: Read>(entry: &mut ::tar::Entry<R>) -> io::Result<(Vec<u8>, EntryKind)> {
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
        _ if is_sparse => EntryKind::Other("a sparse file"),
        _ if sizes_differ => EntryKind::Other("an entry with contradicting sizes"),
        EntryType::Regular => EntryKind::File { executable: entry.header().mode()? & 0o111 != 0 },
        EntryType::Directory | EntryType::Symlink | EntryType::Link if entry.size() > 0 => {
            EntryKind::Other("a directory or link with contents of its own")
        }
        EntryType::Directory => EntryKind::Directory,
        EntryType::Symlink => {
            EntryKind::Link(entry.link_name_bytes().unwrap_or_default().into_owned())
        }
        EntryType::Link => {
            EntryKind::HardLink(entry.link_name_bytes().unwrap_or_default().into_owned())
        }
        EntryType::Char | EntryType::Block => EntryKind::Other("a device"),
        EntryType::Fifo => EntryKind::Other("a named pipe"),
        EntryType::GNUSparse => EntryKind::Other("a sparse file"),
        EntryType::XGlobalHeader => EntryKind::Other("a header for all later entries"),
        _ => EntryKind::Other("an entry of an unknown type"),
    };
    Ok((name, kind))
}

/// The second of the two blocks that end a tar, and the padding that GNU tar writes after them.
fn only_zeros_follow<'a, R: Read>(
    mut rest: MeteredOutput<'a, R>,
    meter: &'a Meter<'a>,
) -> Result<R, ArchiveError> {
    let mut buffer = vec![0; 32 << 10];
    meter.allow(u64::MAX);
    let mut padding = 0;
    loop {
        let count = rest.read(&mut buffer).map_err(|error| explain(meter, &error))?;
        if buffer[..count].iter().any(|byte| *byte != 0) {
            return Err(ArchiveError::Trailing);
        }
        padding += count as u64;
        if count == 0 {
            break;
        }
    }
    if padding < BLOCK { Err(ArchiveError::Truncated) } else { Ok(rest.inner) }
}

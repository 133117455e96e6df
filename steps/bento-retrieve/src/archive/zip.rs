//! Unpacks a zip by the same rules as a tar. Its table of contents comes last, so it is kept on the disk first.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Take, copy},
};

use flate2::{Crc, bufread::DeflateDecoder};

use crate::archive::{
    entry::{EntryKind, Unpacker, explain},
    error::ArchiveError,
    limits::MeteredOutput,
};

/// Bytes of the record that ends a zip, of the one that the zip64 form adds, and of what points to that.
const END: u64 = 22;
const END_64: u64 = 56;
const LOCATOR_64: u64 = 20;
/// Of an entry in the table of contents and in front of its data, without names.
const CENTRAL: usize = 46;
const LOCAL: usize = 30;
/// The longest comment, in bytes, that may follow the end record.
const COMMENT: u64 = u16::MAX as u64;
/// The extra field with sizes of more than 32 bits.
const ZIP64: u64 = 1;

const STORED: u64 = 0;
const DEFLATED: u64 = 8;
const ENCRYPTED: u64 = 1;

/// Unpacks it. The file is read from everywhere; what it says twice has to agree.
pub(crate) fn unzip(mut file: File, unpacker: &mut Unpacker) -> Result<(), ArchiveError> {
    let meter = unpacker.meter;
    let failed = |error: io::Error| explain(meter, &error);
    let size = file.seek(SeekFrom::End(0)).map_err(failed)?;
    let contents = find_contents(&mut file, size).map_err(failed)?;
    meter.check_entries(contents.count)?;
    let entries = read_contents(&mut file, &contents).map_err(failed)?;
    do_not_overlap(&entries).map_err(failed)?;
    entries.iter().try_for_each(|entry| add(&mut file, entry, unpacker))
}

/// Where the table of contents is.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) start: u64,
    pub(crate) size: u64,
    count: u64,
}

/// [`explain`] makes an archive's error of it.
fn damaged<T>(what: &'static str) -> io::Result<T> {
    Err(io::Error::new(ErrorKind::InvalidData, what))
}

/// Reads the end record, which has to be the last thing in the file.
pub(crate) fn find_contents(file: &mut File, size: u64) -> io::Result<Contents> {
    let tail_start = size.saturating_sub(END + COMMENT);
    let tail = read_at(file, tail_start, size - tail_start)?;
    let ends_the_file = |at: &usize| {
        let record = &tail[*at..];
        record.starts_with(b"PK\x05\x06") && record.len() as u64 == END + number(record, 20, 2)
    };
    let last = tail.len().saturating_sub(usize::try_from(END).unwrap_or(usize::MAX));
    let Some(at) = (0..=last).rev().find(|at| tail.len() - at >= 22 && ends_the_file(at)) else {
        return Err(ErrorKind::UnexpectedEof.into());
    };
    let record = &tail[at..];
    let end_at = tail_start + at as u64;
    let [size, start] = [12, 16].map(|field| number(record, field, 4));
    let small = Contents { start, size, count: number(record, 10, 2) };
    let one_disk = number(record, 4, 2) == 0
        && number(record, 6, 2) == 0
        && number(record, 8, 2) == number(record, 10, 2);
    let is_64 = small.count == 0xffff || small.size == 0xffff_ffff || small.start == 0xffff_ffff;
    let (contents, records_at) = if is_64 {
        let Some(at) = end_at.checked_sub(LOCATOR_64 + END_64) else {
            return Err(ErrorKind::UnexpectedEof.into());
        };
        let record = read_at(file, at, END_64)?;
        if !record.starts_with(b"PK\x06\x06") || number(&record, 24, 8) != number(&record, 32, 8) {
            return damaged("its zip64 record is not where it belongs");
        }
        let [count, size, start] = [32, 40, 48].map(|field| number(&record, field, 8));
        (Contents { start, size, count }, at)
    } else {
        (small, end_at)
    };
    let fits = contents.start.checked_add(contents.size) == Some(records_at);
    let counted = contents.count.saturating_mul(CENTRAL as u64) <= contents.size;
    if one_disk && fits && counted {
        Ok(contents)
    } else {
        damaged("its table of contents is not where it belongs")
    }
}

/// One entry of the table of contents.
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    kind: EntryKind,
    method: u64,
    crc: u64,
    pub(crate) packed: u64,
    unpacked: u64,
    /// Of its header in front of its data
    pub(crate) at: u64,
}

impl Entry {
    pub(crate) fn is_file(&self) -> bool {
        matches!(self.kind, EntryKind::File { .. })
    }
}

pub(crate) fn read_contents(file: &mut File, contents: &Contents) -> io::Result<Vec<Entry>> {
    file.seek(SeekFrom::Start(contents.start))?;
    let mut table = BufReader::new(file).take(contents.size);
    let entries = (0..contents.count).map(|_| read_entry(&mut table)).collect::<Result<_, _>>()?;
    if table.limit() == 0 {
        Ok(entries)
    } else {
        damaged("its table of contents is longer than it says")
    }
}

fn read_entry(table: &mut impl Read) -> io::Result<Entry> {
    let mut head = [0; CENTRAL];
    table.read_exact(&mut head)?;
    if !head.starts_with(b"PK\x01\x02") {
        return damaged("its table of contents is broken");
    }
    let [name, extra, comment] = [28, 30, 32].map(|at| number(&head, at, 2));
    let name = read_exactly(table, name)?;
    let extra = read_exactly(table, extra)?;
    read_exactly(table, comment)?;
    let mut wide = wide_sizes(&extra).into_iter();
    let mut size = |at: usize| match number(&head, at, 4) {
        0xffff_ffff => wide.next(),
        small => Some(small),
    };
    let (Some(unpacked), Some(packed), Some(at)) = (size(24), size(20), size(42)) else {
        return damaged("an entry's size is missing");
    };
    let (flags, method) = (number(&head, 8, 2), number(&head, 10, 2));
    let mode = number(&head, 38, 4) >> 16; // where zip programs of Unix keep it; 0 elsewhere
    let kind = match mode & 0o170_000 {
        _ if flags & ENCRYPTED != 0 => EntryKind::Other("a file with a password"),
        _ if name.ends_with(b"/") && unpacked > 0 => {
            EntryKind::Other("a directory with contents of its own")
        }
        0 | 0o040_000 if name.ends_with(b"/") => EntryKind::Directory,
        0 | 0o100_000 if method == STORED || method == DEFLATED => {
            EntryKind::File { executable: mode & 0o111 != 0 }
        }
        0 | 0o100_000 => EntryKind::Other("a file that is packed in an unusual way"),
        0o120_000 => EntryKind::Other("a symlink in a zip"), // BentoML makes files of them
        _ => EntryKind::Other("an entry of an unknown type"),
    };
    Ok(Entry { name, kind, method, crc: number(&head, 16, 4), packed, unpacked, at })
}

/// Sizes of more than 32 bits, in the order of the fields that they stand for.
fn wide_sizes(mut extra: &[u8]) -> Vec<u64> {
    while extra.len() >= 4 {
        let (id, length) =
            (number(extra, 0, 2), usize::from(u16::from_le_bytes([extra[2], extra[3]])));
        let Some(field) = extra.get(4..4 + length) else { break };
        if id == ZIP64 {
            return field.chunks_exact(8).map(|chunk| number(chunk, 0, 8)).collect();
        }
        extra = &extra[4 + length..];
    }
    Vec::new()
}

/// One piece of data that many entries share makes a bomb of any size.
fn do_not_overlap(entries: &[Entry]) -> io::Result<()> {
    let mut places: Vec<_> = entries.iter().map(|entry| (entry.at, entry.packed)).collect();
    places.sort_unstable();
    let apart = places.windows(2).all(|pair| {
        let end =
            pair[0].0.checked_add(LOCAL as u64).and_then(|start| start.checked_add(pair[0].1));
        end.is_some_and(|end| end <= pair[1].0)
    });
    if apart { Ok(()) } else { damaged("two of its entries overlap") }
}

/// The data of an entry as it is packed, behind its header, which has to agree with the table of contents.
fn packed<'a>(file: &'a mut File, entry: &Entry) -> io::Result<Take<BufReader<&'a mut File>>> {
    file.seek(SeekFrom::Start(entry.at))?;
    let mut data = BufReader::with_capacity(64 << 10, file);
    let mut head = [0; LOCAL];
    data.read_exact(&mut head)?;
    let name = read_exactly(&mut data, number(&head, 26, 2))?;
    read_exactly(&mut data, number(&head, 28, 2))?;
    let agrees = head.starts_with(b"PK\x03\x04")
        && name == entry.name
        && number(&head, 8, 2) == entry.method;
    if agrees {
        Ok(data.take(entry.packed))
    } else {
        damaged("an entry is another than its table of contents says")
    }
}

/// The text of an entry, for whoever wants no more.
pub(crate) fn contents<'a>(file: &'a mut File, entry: &Entry) -> io::Result<Box<dyn Read + 'a>> {
    let data = packed(file, entry)?;
    Ok(if entry.method == DEFLATED { Box::new(DeflateDecoder::new(data)) } else { Box::new(data) })
}

fn add(file: &mut File, entry: &Entry, unpacker: &mut Unpacker) -> Result<(), ArchiveError> {
    let meter = unpacker.meter;
    let failed = |error: io::Error| explain(meter, &error);
    let packed = packed(file, entry).map_err(failed)?;
    let mut crc = Crc::new();
    let mut add = |contents: &mut dyn Read| {
        let sum = Sum { inner: contents, crc: &mut crc };
        unpacker.add(&entry.name, &entry.kind, entry.unpacked, sum)
    };
    let rest = if entry.method == DEFLATED {
        let mut decoder = MeteredOutput { inner: DeflateDecoder::new(packed), meter };
        add(&mut decoder)?;
        meter.allow(1); // nothing more than was announced may come out
        if decoder.read(&mut [0]).map_err(failed)? != 0 {
            return damaged("an entry is longer than its table of contents says").map_err(failed);
        }
        decoder.inner.into_inner()
    } else {
        let mut stored = MeteredOutput { inner: packed, meter };
        add(&mut stored)?;
        stored.inner
    };
    if rest.limit() != 0 {
        damaged("an entry is shorter than its table of contents says").map_err(failed)
    } else if u64::from(crc.sum()) != entry.crc {
        damaged("an entry's checksum is wrong").map_err(failed)
    } else {
        Ok(())
    }
}

/// Sums what is read.
struct Sum<'a> {
    inner: &'a mut dyn Read,
    crc: &'a mut Crc,
}

impl Read for Sum<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.crc.update(&buffer[..count]);
        Ok(count)
    }
}

/// Keeps the whole archive in a file without a name, which is gone when the process is.
pub(crate) fn keep(
    archive: &mut impl BufRead,
    mut file: File,
    most: u64,
) -> io::Result<Option<File>> {
    let kept = copy(&mut archive.take(most.saturating_add(1)), &mut file)?;
    Ok((kept <= most).then_some(file))
}

fn read_at(file: &mut File, at: u64, count: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(at))?;
    read_exactly(file, count)
}

fn read_exactly(from: &mut impl Read, count: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(count).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == count { Ok(bytes) } else { Err(ErrorKind::UnexpectedEof.into()) }
}

/// A number of so many bytes, the lowest first; 0 beyond the end.
fn number(bytes: &[u8], at: usize, width: usize) -> u64 {
    let bytes = bytes.get(at..at + width).unwrap_or_default();
    bytes.iter().rev().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

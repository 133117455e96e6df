//! Unpacks a zip by the same rules as a tar. Its table of contents comes last, so it is kept on the disk first.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Take, copy},
};

use flate2::{Crc, bufread::DeflateDecoder};

use crate::{
    archive::limits::{Meter, Unpacked},
    archive::{BadArchive, Filling, Kind},
    bento::peek::tells,
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
const ZIP64: u16 = 1;

const STORED: u16 = 0;
const DEFLATED: u16 = 8;
const ENCRYPTED: u16 = 1;

/// Unpacks it into a folder. The file is read from everywhere; what it says twice has to agree.
pub(crate) fn unzip(mut file: File, bento: &mut Filling) -> Result<(), BadArchive> {
    let meter = bento.meter;
    let failed = |error: io::Error| filling_error(meter, &error);
    let size = file.seek(SeekFrom::End(0)).map_err(failed)?;
    let contents = find_contents(&mut file, size).map_err(failed)??;
    meter.check_entries(contents.count)?;
    let entries = read_contents(&mut file, &contents).map_err(failed)??;
    do_not_overlap(&entries)?;
    for entry in &entries {
        add(&mut file, entry, bento)?;
    }
    Ok(())
}

fn filling_error(meter: &Meter, error: &io::Error) -> BadArchive {
    crate::archive::explain(meter, error)
}

/// Where the table of contents is.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) start: u64,
    pub(crate) size: u64,
    count: u64,
}

pub(crate) type Checked<T> = io::Result<Result<T, BadArchive>>;

fn damaged<T>(what: &str) -> Result<T, BadArchive> {
    Err(BadArchive::Damaged(what.to_owned()))
}

/// Reads the end record, which has to be the last thing in the file.
pub(crate) fn find_contents(file: &mut File, size: u64) -> Checked<Contents> {
    let tail_start = size.saturating_sub(END + COMMENT);
    let tail = read_at(file, tail_start, size - tail_start)?;
    let ends_the_file = |at: &usize| {
        let record = &tail[*at..];
        record.starts_with(b"PK\x05\x06")
            && record.len() as u64 == END + u64::from(u16_at(record, 20))
    };
    let last = tail.len().saturating_sub(usize::try_from(END).unwrap_or(usize::MAX));
    let Some(at) = (0..=last).rev().find(|at| tail.len() - at >= 22 && ends_the_file(at)) else {
        return Ok(Err(BadArchive::CutShort));
    };
    let record = &tail[at..];
    let end_at = tail_start + at as u64;
    let small = Contents {
        count: u64::from(u16_at(record, 10)),
        size: u64::from(u32_at(record, 12)),
        start: u64::from(u32_at(record, 16)),
    };
    let one_disk =
        u16_at(record, 4) == 0 && u16_at(record, 6) == 0 && u16_at(record, 8) == u16_at(record, 10);
    let is_64 = small.count == 0xffff || small.size == 0xffff_ffff || small.start == 0xffff_ffff;
    let (contents, records_at) = if is_64 {
        let Some(at) = end_at.checked_sub(LOCATOR_64 + END_64) else {
            return Ok(Err(BadArchive::CutShort));
        };
        let record = read_at(file, at, END_64)?;
        if !record.starts_with(b"PK\x06\x06") || u64_at(&record, 24) != u64_at(&record, 32) {
            return Ok(damaged("its zip64 record is not where it belongs"));
        }
        (
            Contents {
                count: u64_at(&record, 32),
                size: u64_at(&record, 40),
                start: u64_at(&record, 48),
            },
            at,
        )
    } else {
        (small, end_at)
    };
    let fits = contents.start.checked_add(contents.size) == Some(records_at);
    let counted = contents.count.saturating_mul(CENTRAL as u64) <= contents.size;
    Ok(if one_disk && fits && counted {
        Ok(contents)
    } else {
        damaged("its table of contents is not where it belongs")
    })
}

/// One entry of the table of contents.
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    kind: Kind,
    method: u16,
    crc: u32,
    pub(crate) packed: u64,
    unpacked: u64,
    /// Of its header in front of its data
    pub(crate) at: u64,
}

impl Entry {
    /// Whether it is a file that tells what a bento is.
    pub(crate) fn tells(&self) -> bool {
        matches!(self.kind, Kind::File { .. }) && tells(&self.name)
    }
}

pub(crate) fn read_contents(file: &mut File, contents: &Contents) -> Checked<Vec<Entry>> {
    file.seek(SeekFrom::Start(contents.start))?;
    let mut table = BufReader::new(file).take(contents.size);
    let mut entries = Vec::new();
    for _ in 0..contents.count {
        match read_entry(&mut table)? {
            Ok(entry) => entries.push(entry),
            Err(bad) => return Ok(Err(bad)),
        }
    }
    Ok(if table.limit() == 0 {
        Ok(entries)
    } else {
        damaged("its table of contents is longer than it says")
    })
}

fn read_entry(table: &mut impl Read) -> Checked<Entry> {
    let mut head = [0; CENTRAL];
    table.read_exact(&mut head)?;
    if !head.starts_with(b"PK\x01\x02") {
        return Ok(damaged("its table of contents is broken"));
    }
    let [name, extra, comment] = [28, 30, 32].map(|at| u64::from(u16_at(&head, at)));
    let name = read_exactly(table, name)?;
    let extra = read_exactly(table, extra)?;
    read_exactly(table, comment)?;
    let mut wide = wide_sizes(&extra).into_iter();
    let mut size = |at: usize| match u32_at(&head, at) {
        u32::MAX => wide.next(),
        small => Some(u64::from(small)),
    };
    let (Some(unpacked), Some(packed), Some(at)) = (size(24), size(20), size(42)) else {
        return Ok(damaged("an entry's size is missing"));
    };
    let (flags, method) = (u16_at(&head, 8), u16_at(&head, 10));
    let mode = u32_at(&head, 38) >> 16; // where zip programs of Unix keep it; 0 elsewhere
    let kind = match mode & 0o170_000 {
        _ if flags & ENCRYPTED != 0 => Kind::Other("file with a password"),
        _ if name.ends_with(b"/") && unpacked > 0 => {
            Kind::Other("directory with contents of its own")
        }
        0 | 0o040_000 if name.ends_with(b"/") => Kind::Directory,
        0 | 0o100_000 if method == STORED || method == DEFLATED => {
            Kind::File { executable: mode & 0o111 != 0 }
        }
        0 | 0o100_000 => Kind::Other("file that is packed in an unusual way"),
        0o120_000 => Kind::Other("symlink in a zip"), // BentoML makes files of them
        _ => Kind::Other("thing of an unknown type"),
    };
    Ok(Ok(Entry { name, kind, method, crc: u32_at(&head, 16), packed, unpacked, at }))
}

/// Sizes of more than 32 bits, in the order of the fields that they stand for.
fn wide_sizes(mut extra: &[u8]) -> Vec<u64> {
    while extra.len() >= 4 {
        let (id, length) = (u16_at(extra, 0), usize::from(u16_at(extra, 2)));
        let Some(field) = extra.get(4..4 + length) else { break };
        if id == ZIP64 {
            return field.chunks_exact(8).map(|chunk| u64_at(chunk, 0)).collect();
        }
        extra = &extra[4 + length..];
    }
    Vec::new()
}

/// One piece of data that many entries share makes a bomb of any size.
fn do_not_overlap(entries: &[Entry]) -> Result<(), BadArchive> {
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
fn packed<'a>(file: &'a mut File, entry: &Entry) -> Checked<Take<BufReader<&'a mut File>>> {
    file.seek(SeekFrom::Start(entry.at))?;
    let mut data = BufReader::with_capacity(64 << 10, file);
    let mut head = [0; LOCAL];
    data.read_exact(&mut head)?;
    let name = read_exactly(&mut data, u64::from(u16_at(&head, 26)))?;
    read_exactly(&mut data, u64::from(u16_at(&head, 28)))?;
    let agrees =
        head.starts_with(b"PK\x03\x04") && name == entry.name && u16_at(&head, 8) == entry.method;
    Ok(if agrees {
        Ok(data.take(entry.packed))
    } else {
        damaged("an entry is another than its table of contents says")
    })
}

/// The text of an entry, for whoever wants no more.
pub(crate) fn contents<'a>(
    file: &'a mut File,
    entry: &Entry,
) -> Result<Box<dyn Read + 'a>, BadArchive> {
    let data = packed(file, entry).map_err(|error| BadArchive::Damaged(error.to_string()))??;
    Ok(if entry.method == DEFLATED { Box::new(DeflateDecoder::new(data)) } else { Box::new(data) })
}

fn add(file: &mut File, entry: &Entry, bento: &mut Filling) -> Result<(), BadArchive> {
    let meter = bento.meter;
    let packed = packed(file, entry).map_err(|error| filling_error(meter, &error))??;
    let mut crc = Crc::new();
    let rest = if entry.method == DEFLATED {
        let mut decoder = Unpacked { inner: DeflateDecoder::new(packed), meter };
        bento.add(
            &entry.name,
            &entry.kind,
            entry.unpacked,
            Sum { inner: &mut decoder, crc: &mut crc },
        )?;
        at_its_end(&mut decoder, meter)?;
        decoder.inner.into_inner()
    } else {
        let mut stored = Unpacked { inner: packed, meter };
        bento.add(
            &entry.name,
            &entry.kind,
            entry.unpacked,
            Sum { inner: &mut stored, crc: &mut crc },
        )?;
        stored.inner
    };
    if rest.limit() != 0 {
        return damaged("an entry is shorter than its table of contents says");
    }
    if crc.sum() == entry.crc { Ok(()) } else { damaged("an entry's checksum is wrong") }
}

/// Nothing more may come out of the decoder than was announced.
fn at_its_end(decoder: &mut impl Read, meter: &Meter) -> Result<(), BadArchive> {
    meter.allow(1);
    let more = decoder.read(&mut [0]).map_err(|error| filling_error(meter, &error))?;
    if more == 0 { Ok(()) } else { damaged("an entry is longer than its table of contents says") }
}

/// Sums what is read.
struct Sum<'a, R> {
    inner: &'a mut R,
    crc: &'a mut Crc,
}

impl<R: Read> Read for Sum<'_, R> {
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
    if bytes.len() as u64 == count { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|bytes| bytes.try_into().ok()).map_or(0, u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
}

//! Tar archives made byte by byte, so that they can be wrong in any way.

use std::io::Write;

/// One entry: its header block, and its contents padded to whole blocks.
pub(crate) type Entry = Vec<u8>;

pub(crate) const FILE: u8 = b'0';
pub(crate) const HARD_LINK: u8 = b'1';
pub(crate) const SYMLINK: u8 = b'2';
pub(crate) const DIRECTORY: u8 = b'5';

/// What goes into a header; everything else is as Python's `tarfile` writes it.
pub(crate) struct Header<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) kind: u8,
    pub(crate) mode: u32,
    pub(crate) size: u64,
    pub(crate) target: &'a [u8],
}

impl Header<'_> {
    pub(crate) fn block(&self) -> Vec<u8> {
        let mut block = vec![0; 512];
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &self.name[..self.name.len().min(100)]);
        put(100, format!("{:07o}\0", self.mode).as_bytes());
        put(108, b"0001000\0");
        put(116, b"0001000\0");
        put(124, format!("{:011o}\0", self.size).as_bytes());
        put(136, b"14716244000\0");
        put(148, b"        ");
        put(156, &[self.kind]);
        put(157, &self.target[..self.target.len().min(100)]);
        put(257, b"ustar\x0000");
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        block
    }
}

pub(crate) fn entry(name: &[u8], kind: u8, mode: u32, target: &[u8], contents: &[u8]) -> Entry {
    let mut entry = Header { name, kind, mode, size: contents.len() as u64, target }.block();
    entry.extend(contents);
    entry.resize(entry.len().next_multiple_of(512), 0);
    entry
}

pub(crate) fn file(name: &str, contents: &[u8]) -> Entry {
    entry(name.as_bytes(), FILE, 0o644, b"", contents)
}

pub(crate) fn directory(name: &str) -> Entry {
    entry(name.as_bytes(), DIRECTORY, 0o700, b"", b"")
}

pub(crate) fn symlink(name: &str, target: &str) -> Entry {
    entry(name.as_bytes(), SYMLINK, 0o777, target.as_bytes(), b"")
}

/// A second name of a file, as Python's `tarfile` writes it.
pub(crate) fn hard_link(name: &str, target: &str) -> Entry {
    entry(name.as_bytes(), HARD_LINK, 0o644, target.as_bytes(), b"")
}

/// A pax header for the next entry.
pub(crate) fn pax(records: &[(&str, &str)]) -> Entry {
    let mut contents = Vec::new();
    for (key, value) in records {
        let rest = format!(" {key}={value}\n");
        let mut length = rest.len() + 1;
        while length.to_string().len() + rest.len() != length {
            length = length.to_string().len() + rest.len();
        }
        contents.extend(format!("{length}{rest}").bytes());
    }
    entry(b"PaxHeaders/x", b'x', 0o644, b"", &contents)
}

/// A GNU header with a long name for the next entry.
pub(crate) fn gnu_long_name(name: &[u8]) -> Entry {
    entry(b"././@LongLink", b'L', 0o644, b"", name)
}

/// The entries and the two blocks that end a tar.
pub(crate) fn archive(entries: impl IntoIterator<Item = Entry>) -> Vec<u8> {
    let mut archive = unended(entries);
    archive.extend([0; 1_024]);
    archive
}

pub(crate) fn unended(entries: impl IntoIterator<Item = Entry>) -> Vec<u8> {
    entries.into_iter().flatten().collect()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

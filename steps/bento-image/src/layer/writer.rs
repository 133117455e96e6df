//! Writes one layer: a tar in GNU's format, plain or as gzip, the same bytes for the same calls.

use std::io::{self, ErrorKind, Write};

use sha2::{Digest as _, Sha256};
use tar::{EntryType, Header};

use crate::layer::{
    error::WHITEOUT,
    gzip::Gzip,
    written::{Counted, Written, digest},
};

/// A block of a tar, which two blocks of zeros end.
const BLOCK: usize = 512;
/// Bytes of a name that its header has room for.
const NAME: usize = 100;
/// The name of an entry that is the name of the next one.
const LONG: &[u8] = b"././@LongLink";

/// What an entry has besides its name and its contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Permissions: the lower 12 bits
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    /// Seconds since 1970; a time before is written as 0
    pub mtime: i64,
}

/// One layer on its way to a writer. Paths are relative to the image's root, without a `/` before or after them.
///
/// After [`LayerWriter::file`] exactly its bytes are to be written, in pieces of any size. A layer that is dropped
/// before [`LayerWriter::finish`] has no end.
#[derive(Debug)]
pub struct LayerWriter<W: Write> {
    output: Output<W>,
    /// Bytes that the last file still lacks
    missing: u64,
    /// Bytes of zeros that follow it
    padding: usize,
}

#[derive(Debug)]
enum Output<W: Write> {
    Plain(Counted<W>),
    Gzip(Box<Packed<W>>),
}

#[derive(Debug)]
struct Packed<W: Write> {
    gzip: Gzip<Counted<W>>,
    /// Of what goes in
    diff_id: Sha256,
}

impl<W: Write> LayerWriter<W> {
    /// A layer of type `application/vnd.oci.image.layer.v1.tar`.
    pub fn plain(writer: W) -> Self {
        Self::new(Output::Plain(Counted::new(writer)))
    }

    /// A layer of type `application/vnd.oci.image.layer.v1.tar+gzip`.
    pub fn gzip(writer: W) -> Self {
        let gzip = Gzip::new(Counted::new(writer));
        Self::new(Output::Gzip(Box::new(Packed { gzip, diff_id: Sha256::new() })))
    }

    fn new(output: Output<W>) -> Self {
        Self { output, missing: 0, padding: 0 }
    }

    pub fn directory(&mut self, path: &str, attributes: &Attributes) -> io::Result<()> {
        self.entry(EntryType::Directory, &format!("{path}/"), "", attributes, 0)
    }

    /// Begins a file of so many bytes.
    pub fn file(&mut self, path: &str, attributes: &Attributes, size: u64) -> io::Result<()> {
        self.entry(EntryType::Regular, path, "", attributes, size)?;
        self.missing = size;
        self.padding = usize::try_from(size.wrapping_neg() % BLOCK as u64).unwrap_or_default();
        Ok(())
    }

    /// The target is written as it is.
    pub fn symlink(&mut self, path: &str, target: &str, attributes: &Attributes) -> io::Result<()> {
        self.entry(EntryType::Symlink, path, target, attributes, 0)
    }

    /// A second name of a file of this layer, whose path counts from the image's root too. Whoever unpacks it sets
    /// the attributes of the one file once more, so they must be the same.
    pub fn hard_link(
        &mut self,
        path: &str,
        target: &str,
        attributes: &Attributes,
    ) -> io::Result<()> {
        self.entry(EntryType::Link, path, target, attributes, 0)
    }

    /// Removes what lower layers have at a path.
    pub fn whiteout(&mut self, path: &str, attributes: &Attributes) -> io::Result<()> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let slash = if parent.is_empty() { "" } else { "/" };
        self.file(&format!("{parent}{slash}{WHITEOUT}{name}"), attributes, 0)
    }

    /// Ends the layer, and gives the writer back.
    pub fn finish(mut self) -> io::Result<(W, Written)> {
        self.check_complete()?;
        self.put(&[0; 2 * BLOCK])?;
        Ok(match self.output {
            Output::Plain(counted) => {
                let (writer, digest, size) = counted.finish();
                (writer, Written { diff_id: digest.clone(), digest, size })
            }
            Output::Gzip(packed) => {
                let diff_id = digest(packed.diff_id);
                let (writer, digest, size) = packed.gzip.finish()?.finish();
                (writer, Written { digest, diff_id, size })
            }
        })
    }

    fn entry(
        &mut self,
        kind: EntryType,
        path: &str,
        target: &str,
        attributes: &Attributes,
        size: u64,
    ) -> io::Result<()> {
        self.check_complete()?;
        if path.is_empty() {
            return Err(io::Error::new(ErrorKind::InvalidInput, "an entry of a layer has no name"));
        }
        let name = self.name(EntryType::GNULongName, path)?;
        let target = self.name(EntryType::GNULongLink, target)?;
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(attributes.mode & 0o7777);
        header.set_uid(attributes.uid);
        header.set_gid(attributes.gid);
        header.set_mtime(u64::try_from(attributes.mtime).unwrap_or_default());
        header.set_size(size);
        self.header(header, name, target)
    }

    /// What of a name its header holds; before it goes an entry with all of a longer one.
    fn name<'a>(&mut self, kind: EntryType, name: &'a str) -> io::Result<&'a [u8]> {
        let bytes = name.as_bytes();
        if bytes.len() <= NAME {
            return Ok(bytes);
        }
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(bytes.len() as u64 + 1);
        self.header(header, LONG, b"")?;
        let mut block = bytes.to_vec();
        block.resize((bytes.len() + 1).next_multiple_of(BLOCK), 0);
        self.put(&block)?;
        Ok(&bytes[..NAME])
    }

    fn header(&mut self, mut header: Header, name: &[u8], target: &[u8]) -> io::Result<()> {
        let fields = header.as_old_mut();
        fields.name[..name.len()].copy_from_slice(name);
        fields.linkname[..target.len()].copy_from_slice(target);
        header.set_cksum();
        self.put(header.as_bytes())
    }

    fn check_complete(&self) -> io::Result<()> {
        match self.missing {
            0 => Ok(()),
            bytes => Err(io::Error::new(
                ErrorKind::InvalidInput,
                format!("a file of a layer lacks {bytes} bytes"),
            )),
        }
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.output {
            Output::Plain(counted) => counted.write_all(bytes),
            Output::Gzip(packed) => {
                packed.diff_id.update(bytes);
                packed.gzip.write_all(bytes)
            }
        }
    }
}

/// The contents of the file that was begun.
impl<W: Write> Write for LayerWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len() as u64;
        if count > self.missing {
            let problem = format!("a file of a layer has more than its {} bytes", self.missing);
            return Err(io::Error::new(ErrorKind::InvalidInput, problem));
        }
        if count > 0 {
            self.put(bytes)?;
            self.missing -= count;
            if self.missing == 0 {
                self.put(&[0; BLOCK][..self.padding])?;
            }
        }
        Ok(bytes.len())
    }

    /// Nothing: a flush must not show in the bytes.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

//! Tars as other readers see them, and as they are when something is large or wrong.

use std::{
    cell::RefCell,
    fs,
    io::{self, ErrorKind, Write},
    process::Command,
    rc::Rc,
};

use bento_image::layer::{Attributes, LayerWriter};
use insta::assert_snapshot;
use sha2::{Digest as _, Sha256};
use step::text::hex;

const PLAIN: Attributes = Attributes { mode: 0o644, uid: 1034, gid: 1034, mtime: 1_600_000_000 };

/// What GNU tar lists.
fn listed(layer: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("layer");
    fs::write(&file, layer).unwrap();
    let list = Command::new("tar")
        .args(["tvf", file.to_str().unwrap(), "--numeric-owner", "--full-time", "--utc"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&list.stderr), "");
    String::from_utf8(list.stdout).unwrap()
}

fn fill(layer: &mut LayerWriter<Vec<u8>>) {
    let long = "0123456789".repeat(30);
    layer.directory("srv", &Attributes { mode: 0o755, ..PLAIN }).unwrap();
    layer.file("srv/x", &Attributes { mode: 0o4755, ..PLAIN }, 3).unwrap();
    layer.write_all(b"abc").unwrap();
    layer.hard_link("srv/y", "srv/x", &Attributes { mode: 0o4755, ..PLAIN }).unwrap();
    layer.symlink("srv/z", "./../srv//x", &Attributes { mode: 0o777, ..PLAIN }).unwrap();
    layer.file(&format!("srv/{}", &long[..96]), &PLAIN, 0).unwrap();
    layer.file(&format!("srv/{}", &long[..97]), &PLAIN, 0).unwrap();
    layer.file(&format!("srv/{}/{}", &long[..250], &long[..255]), &PLAIN, 1).unwrap();
    layer.write_all(b"d").unwrap();
    layer.symlink("srv/l", &long, &PLAIN).unwrap();
    layer
        .hard_link(&format!("srv/{}", &long[..120]), &format!("srv/{}", &long[..97]), &PLAIN)
        .unwrap();
    layer.file("srv/ü", &Attributes { uid: (1 << 21) - 1, gid: 1 << 21, ..PLAIN }, 0).unwrap();
    layer.file("srv/far", &Attributes { uid: 1 << 31, gid: (1 << 31) - 1, ..PLAIN }, 0).unwrap();
    layer.file("srv/old", &Attributes { mtime: -5, ..PLAIN }, 0).unwrap();
    layer.whiteout("srv/gone", &PLAIN).unwrap();
    layer.whiteout("gone", &PLAIN).unwrap();
}

#[test]
fn gnu_tar_reads_a_layer_as_it_was_written() {
    let mut plain = LayerWriter::plain(Vec::new());
    fill(&mut plain);
    let plain = plain.finish().unwrap().0;
    assert_snapshot!(listed(&plain));
    let mut packed = LayerWriter::gzip(Vec::new());
    fill(&mut packed);
    let (packed, written) = packed.finish().unwrap();
    assert_eq!(listed(&packed), listed(&plain));
    assert_eq!(written.diff_id, format!("sha256:{}", hex(&Sha256::digest(&plain))));
    assert_eq!(packed[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
}

/// Keeps the beginning, and counts the rest.
#[derive(Default)]
struct Beginning {
    bytes: Vec<u8>,
    count: u64,
}

impl Write for Beginning {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = 1_024 - self.bytes.len();
        self.bytes.extend(&bytes[..room.min(bytes.len())]);
        self.count += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_file_of_9_gib_has_its_size_in_its_header() {
    const SIZE: u64 = 9 << 30;
    let mut layer = LayerWriter::plain(Beginning::default());
    layer.file("weights", &PLAIN, SIZE + 1).unwrap();
    let zeros = vec![0; 4 << 20];
    for _ in 0..SIZE / zeros.len() as u64 {
        layer.write_all(&zeros).unwrap();
    }
    layer.write_all(&[1]).unwrap();
    let (begin, written) = layer.finish().unwrap();
    let whole = SIZE + 4 * 512; // header, the last byte's block, two blocks of zeros
    assert_eq!((begin.count, written.size), (whole, whole));
    let mut archive = tar::Archive::new(begin.bytes.as_slice());
    let entry = archive.entries().unwrap().next().unwrap().unwrap();
    assert_eq!((entry.size(), entry.header().entry_size().unwrap()), (SIZE + 1, SIZE + 1));
}

#[test]
fn a_file_is_neither_shorter_nor_longer_than_announced() {
    let begun = || {
        let mut layer = LayerWriter::gzip(Vec::new());
        layer.file("x", &PLAIN, 2).unwrap();
        layer
    };
    let says = |error: io::Error| (error.kind(), error.to_string());
    let wrong = |text: &str| (ErrorKind::InvalidInput, text.to_owned());
    assert_eq!(says(begun().finish().unwrap_err()), wrong("a file of a layer lacks 2 bytes"));
    let next = begun().file("y", &PLAIN, 0).unwrap_err();
    assert_eq!(says(next), wrong("a file of a layer lacks 2 bytes"));
    let longer = begun().write_all(b"abc").unwrap_err();
    assert_eq!(says(longer), wrong("a file of a layer has more than its 2 bytes"));
}

/// What several hold.
#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_layer_that_is_dropped_writes_no_end() {
    let written = Shared::default();
    let mut layer = LayerWriter::gzip(written.clone());
    layer.file("x", &PLAIN, 100_000).unwrap();
    layer.write_all(&vec![7; 100_000]).unwrap();
    let before = written.0.borrow().len();
    drop(layer);
    assert_eq!(written.0.borrow().len(), before);
}

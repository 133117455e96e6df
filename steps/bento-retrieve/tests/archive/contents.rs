//! What an archive holds is what is there: bytes, modes and links, as other programs unpack them.

use std::{fs, path::Path};

use bento_retrieve::archive::{ArchiveError, Limit, Limits, Unpacked};

use crate::{
    support::{
        listing, noise,
        tar::{self, FILE, archive, bzip2, directory, entry, file, gzip, hard_link, symlink, xz},
    },
    yard::{LIMITS, Yard, unpacked},
};

#[test]
fn modes_are_cured_and_every_packing_gives_the_same_tree() {
    let plain = archive([
        directory("./"),
        entry(b"./bento.yaml", FILE, 0o000, b"", b"name: iris\n"),
        directory("./models"),
        entry(b"./env/entrypoint.sh", FILE, 0o4744, b"", b"#!/bin/sh\n"),
        symlink("./models/latest", "v1"),
    ]);
    let tree = [
        ("bento.yaml", "FILE 644 11"),
        ("env", "DIR 755"),
        ("env/entrypoint.sh", "FILE 755 10"),
        ("models", "DIR 755"),
        ("models/latest", "-> v1"),
    ]
    .map(|(name, what)| (name.to_owned(), what.to_owned()));
    for packed in [plain.clone(), gzip(&plain), xz(&plain), bzip2(&plain)] {
        assert_eq!(unpacked(&packed).unwrap(), tree);
    }
}

#[test]
fn every_file_keeps_its_bytes_whatever_the_sizes_around_it() {
    const PIECE: usize = 128 << 10; // what is handed to a writer at once
    let sizes = [0, PIECE, 0, PIECE - 1, 1, 0, PIECE + 1, 7, 3 * PIECE + 9, 2 * PIECE, 3];
    let many = std::iter::repeat_n(17, 150); // more than a piece takes
    let noise = noise(4 * PIECE);
    let files: Vec<_> = (sizes.into_iter().chain(many).enumerate())
        .map(|(number, size)| (format!("src/{}/{number}", number % 3), &noise[number..][..size]))
        .collect();
    let whole = archive(files.iter().map(|(name, contents)| file(name, contents)));
    let (yard, limits) = (Yard::new(), Limits { bytes: 8 << 20, entries: 200, ratio: 200 });
    let unpacked = yard.unpack(&whole, &limits).unwrap();
    let bytes: usize = files.iter().map(|(_, contents)| contents.len()).sum();
    assert_eq!(unpacked, Unpacked { files: files.len() as u64, bytes: bytes as u64 });
    for (name, contents) in files {
        assert!(fs::read(yard.bento().join(&name)).unwrap() == contents, "{name}");
    }
}

#[test]
fn gnu_tar_unpacks_the_same_files() {
    let yard = Yard::new();
    let long = format!("src/{}/x.py", "d".repeat(120));
    let packed = gzip(&archive([
        file("bento.yaml", b"name: iris\n"),
        tar::pax(&[("path", &long), ("mtime", "1764000000.25")]),
        file("src/short", b"print()\n"),
        tar::gnu_long_name(b"src/\xc3\xa9t\xc3\xa9.txt\0"),
        file("src/e", &noise(70_000)),
        hard_link("models/again", "./bento.yaml"),
    ]));
    yard.unpack(&packed, &LIMITS).unwrap();
    let other = tempfile::tempdir().unwrap();
    let tarball = other.path().join("b.tar.gz");
    fs::write(&tarball, &packed).unwrap();
    let by_tar = other.path().join("bento");
    fs::create_dir(&by_tar).unwrap();
    let run = |program: &str, args: &[&Path]| {
        std::process::Command::new(program).args(args).status().unwrap().success()
    };
    assert!(run("tar", &["-xzf".as_ref(), &tarball, "-C".as_ref(), &by_tar]));
    assert!(run("diff", &["-r".as_ref(), &by_tar, &yard.bento()]));
    assert!(yard.bento().join(long).is_file());
}

#[test]
fn a_hard_link_to_an_earlier_file_is_a_copy_with_the_file_s_rights() {
    let weights = noise(300_000);
    let long = format!("models/m/{}/weights", "v".repeat(120));
    let whole = archive([
        file("./bento.yaml", b"name: iris\n"),
        file("./models/m/v1/weights", &weights),
        entry(b"./run.sh", FILE, 0o755, b"", b"#!/bin/sh\n"),
        hard_link("./models/m/v2/weights", "./models/m/v1/weights"),
        hard_link("src/again.sh", "run.sh"),
        hard_link("src/third", "./models/m/v2/weights"),
        tar::pax(&[("path", &long), ("linkpath", "src/third")]),
        hard_link("x", "y"),
        file("last", b""),
        hard_link("empty", "last"),
    ]);
    for packed in [whole.clone(), gzip(&whole), xz(&whole), bzip2(&whole)] {
        let (yard, limits) = (Yard::new(), Limits { bytes: 2 << 20, ..LIMITS });
        let unpacked = yard.unpack(&packed, &limits).unwrap();
        yard.assert_nothing_outside();
        assert_eq!(unpacked, Unpacked { files: 9, bytes: 4 * 300_000 + 2 * 10 + 11 });
        for name in ["models/m/v1/weights", "models/m/v2/weights", "src/third", &long] {
            assert!(fs::read(yard.bento().join(name)).unwrap() == weights, "{name}");
        }
        assert_eq!(listing(&yard.bento())["src/again.sh"], "FILE 755 10");
        fs::write(yard.bento().join("src/third"), "changed").unwrap();
        assert!(fs::read(yard.bento().join("models/m/v1/weights")).unwrap() == weights);
    }
}

#[test]
fn python_and_gnu_tar_write_hard_links_that_are_taken() {
    let home = tempfile::tempdir().unwrap();
    let script = "mkdir -p src/v1 src/v2 && head -c 70000 /dev/urandom > src/v1/weights &&
ln src/v1/weights src/v2/weights && ln src/v1/weights src/$(printf 'd%.0s' $(seq 120)) && echo 1 > src/one &&
tar -cf gnu.tar -C src . && tar --format=posix -czf posix.tar -C src . &&
python3 -c 'import tarfile; t = tarfile.open(\"python.tar\", \"w:xz\"); t.add(\"src\", \".\"); t.close()'";
    let mut shell = std::process::Command::new("sh");
    assert!(shell.args(["-ec", script]).current_dir(home.path()).status().unwrap().success());
    for name in ["gnu.tar", "posix.tar", "python.tar"] {
        let yard = Yard::new();
        yard.unpack(&fs::read(home.path().join(name)).unwrap(), &LIMITS).unwrap();
        let mut diff = std::process::Command::new("diff");
        diff.arg("-r").args([home.path().join("src"), yard.bento()]);
        assert!(diff.status().unwrap().success(), "{name}");
    }
}

#[test]
fn a_hard_link_counts_as_if_the_archive_had_the_file_twice() {
    let copies = |count| {
        let links = (0..count).map(|number| hard_link(&format!("{number}"), "a"));
        archive([file("a", &noise(4_000))].into_iter().chain(links))
    };
    let unpack = |packed: &[u8], limits: &Limits| {
        let yard = Yard::new();
        let ended = yard.unpack(packed, limits);
        (ended, listing(&yard.bento()))
    };
    let small = Limits { bytes: 20_000, ..LIMITS };
    assert_eq!(unpack(&copies(2), &small).0.unwrap().bytes, 12_000);
    let (ended, made) = unpack(&copies(40), &small);
    assert!(matches!(ended, Err(ArchiveError::Limit(Limit::Bytes(20_000)))));
    assert!(made.len() <= 1, "no copy is made before all is counted: {made:?}");
    let entries = Limits { entries: 3, ..LIMITS };
    assert!(matches!(unpack(&copies(3), &entries).0, Err(ArchiveError::Limit(Limit::Entries(3)))));

    let links = (0..48).map(|number| hard_link(&format!("{number}"), "a"));
    let bomb = archive([file("a", &noise(2 << 20))].into_iter().chain(links));
    let dense = Limits { bytes: 1 << 30, entries: 50, ratio: 20 };
    assert!(matches!(unpack(&bomb, &dense).0, Err(ArchiveError::Limit(Limit::Ratio(20)))));
}

//! Whatever the archive: nothing outside of the folder, nothing beyond the limits, and a bento whole or not at all.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use std::{fs, path::Path};

use bento_retrieve::{
    archive::limits::{Limit, Limits, Watch},
    archive::policy::Rule,
    archive::writer::{Filled, Folder},
    archive::{BadArchive, unpack},
};
use proptest::prelude::*;
use support::{
    listing,
    tar::{
        self, DIRECTORY, Entry, FILE, HARD_LINK, Header, SYMLINK, archive, bzip2, directory, entry,
        file, gzip, hard_link, symlink, xz,
    },
    zip,
};
use tempfile::TempDir;

const LIMITS: Limits = Limits { bytes: 1 << 20, entries: 50, ratio: 200 };

/// A folder to unpack into, with a neighbour that must stay as it is.
struct Yard {
    home: TempDir,
}

impl Yard {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("bento")).unwrap();
        fs::write(home.path().join("neighbour"), "mine").unwrap();
        Self { home }
    }

    fn unpack(&self, archive: &[u8], limits: &Limits) -> Result<Filled, BadArchive> {
        unpack(archive, &Folder::new(self.bento()), limits, &Watch::default())
    }

    fn bento(&self) -> std::path::PathBuf {
        self.home.path().join("bento")
    }

    fn assert_nothing_outside(&self) {
        let mut beside: Vec<_> =
            fs::read_dir(self.home.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        beside.sort();
        assert_eq!(beside, ["bento", "neighbour"]);
        assert_eq!(fs::read(self.home.path().join("neighbour")).unwrap(), b"mine");
        let root = self.bento().canonicalize().unwrap();
        for name in listing(&root).keys() {
            if let Ok(real) = root.join(name).canonicalize() {
                assert!(real.starts_with(&root), "{name} leads to {}", real.display());
            }
        }
    }
}

fn unpacked(archive: &[u8]) -> Result<Vec<(String, String)>, BadArchive> {
    let yard = Yard::new();
    let ended = yard.unpack(archive, &LIMITS);
    yard.assert_nothing_outside();
    ended.map(|_| listing(&yard.bento()).into_iter().collect())
}

fn refused(entries: impl IntoIterator<Item = Entry>) -> String {
    unpacked(&archive(entries)).unwrap_err().to_string()
}

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
    let noise = support::noise(4 * PIECE);
    let files: Vec<_> = (sizes.into_iter().chain(many).enumerate())
        .map(|(number, size)| (format!("src/{}/{number}", number % 3), &noise[number..][..size]))
        .collect();
    let whole = archive(files.iter().map(|(name, contents)| file(name, contents)));
    let (yard, limits) = (Yard::new(), Limits { bytes: 8 << 20, entries: 200, ratio: 200 });
    let filled = yard.unpack(&whole, &limits).unwrap();
    let bytes: usize = files.iter().map(|(_, contents)| contents.len()).sum();
    assert_eq!(filled, Filled { files: files.len() as u64, bytes: bytes as u64 });
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
        file("src/e", &support::noise(70_000)),
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
    let weights = support::noise(300_000);
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
        let filled = yard.unpack(&packed, &limits).unwrap();
        yard.assert_nothing_outside();
        assert_eq!(filled, Filled { files: 9, bytes: 4 * 300_000 + 2 * 10 + 11 });
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
        archive([file("a", &support::noise(4_000))].into_iter().chain(links))
    };
    let unpack = |packed: &[u8], limits: &Limits| {
        let yard = Yard::new();
        let ended = yard.unpack(packed, limits);
        (ended, listing(&yard.bento()))
    };
    let small = Limits { bytes: 20_000, ..LIMITS };
    assert_eq!(unpack(&copies(2), &small).0.unwrap().bytes, 12_000);
    let (ended, made) = unpack(&copies(40), &small);
    assert!(matches!(ended, Err(BadArchive::Limit(Limit::Bytes(20_000)))));
    assert!(made.len() <= 1, "no copy is made before all is counted: {made:?}");
    let entries = Limits { entries: 3, ..LIMITS };
    assert!(matches!(unpack(&copies(3), &entries).0, Err(BadArchive::Limit(Limit::Entries(3)))));

    let links = (0..48).map(|number| hard_link(&format!("{number}"), "a"));
    let bomb = archive([file("a", &support::noise(2 << 20))].into_iter().chain(links));
    let dense = Limits { bytes: 1 << 30, entries: 50, ratio: 20 };
    assert!(matches!(unpack(&bomb, &dense).0, Err(BadArchive::Limit(Limit::Ratio(20)))));
}

#[test]
fn an_entry_that_no_bento_has_is_named_with_its_rule() {
    let other = |kind| [entry(b"src/x", kind, 0o644, b"bento.yaml", b"")];
    insta::assert_snapshot!(
        [
            refused([file("/etc/cron.d/x", b"")]),
            refused([file("src/../../x", b"")]),
            refused([symlink("etc", "/etc")]),
            refused([symlink("src/up", "../..")]),
            refused([symlink("p/q/s", "../.."), symlink("p/q/l", "s/../../x")]),
            refused([symlink("src", "models"), file("src/x", b"")]),
            refused([file("a", b"1"), file("./a", b"2")]),
            refused([file("src/Model", b"1"), file("src/model", b"2")]),
            refused([file("a", b"1"), file("a/b", b"2")]),
            refused([entry(b"a\xff", FILE, 0o644, b"", b"")]),
            refused([file("a\x1b[2J\nerror: all is well", b"")]),
            refused(other(HARD_LINK)),
            refused([hard_link("a", "./b"), file("b", b"")]),
            refused([hard_link("a", "a")]),
            refused([directory("src"), hard_link("a", "src")]),
            refused([file("b", b""), symlink("l", "b"), hard_link("a", "l")]),
            refused([hard_link("a", "/etc/passwd")]),
            refused([file("b", b""), hard_link("src/a", "../b")]),
            refused([file("b", b""), hard_link("a", "B")]),
            refused([hard_link("a", "")]),
            refused([file("b", b""), hard_link("b", "b")]),
            refused([file("b", b"1"), entry(b"a", HARD_LINK, 0o644, b"b", b"1")]),
            refused(other(b'3')),
            refused(other(b'4')),
            refused(other(b'6')),
            refused(other(b'7')),
            refused(other(b'S')),
            refused(other(b'g')),
            refused([entry(b"src", DIRECTORY, 0o755, b"", b"contents")]),
            refused([
                tar::pax(&[("GNU.sparse.major", "1"), ("GNU.sparse.name", "x")]),
                file("x", b"")
            ]),
            refused([tar::pax(&[("size", "0")]), file("x", &[0; 512])]),
            refused([entry(b"l", SYMLINK, 0o777, b"a", &[0; 512])]),
            refused([tar::gnu_long_name(&[b'x'; 300]), file("x", b"")]),
        ]
        .join("\n")
    );
}

#[test]
fn limits_are_kept_before_the_disk_is_full() {
    let small = Limits { bytes: 10_000, entries: 3, ratio: 200 };
    let limit = |packed: &[u8], limits: &Limits| match Yard::new().unpack(packed, limits) {
        Err(BadArchive::Limit(limit)) => limit,
        other => panic!("{other:?}"),
    };
    assert_eq!(limit(&archive([file("a", &vec![1; 20_000])]), &small), Limit::Bytes(10_000));
    let many = archive(["a", "b", "c", "d"].map(|name| file(name, b"")));
    assert_eq!(limit(&many, &small), Limit::Entries(3));
    let bomb = gzip(&archive([file("zeros", &vec![0; 70 << 20])]));
    let roomy = Limits { bytes: 1 << 30, entries: 3, ratio: 200 };
    assert_eq!(limit(&bomb, &roomy), Limit::Ratio(200));
    let header =
        Header { name: b"././@LongLink", kind: b'L', mode: 0o644, size: 900_000, target: b"" }
            .block();
    let endless = [header, vec![b'x'; 900_000]].concat();
    assert_eq!(limit(&endless, &LIMITS), Limit::Headers);
    let pax = tar::pax(&[("comment", &"x".repeat(400_000))]);
    assert_eq!(limit(&archive([pax, file("a", b"")]), &LIMITS), Limit::Headers);
}

#[test]
fn a_size_that_is_announced_is_refused_before_it_is_written() {
    let yard = Yard::new();
    let header =
        Header { name: b"huge", kind: FILE, mode: 0o644, size: 7 << 30, target: b"" }.block();
    assert!(matches!(yard.unpack(&header, &LIMITS), Err(BadArchive::Limit(Limit::Bytes(_)))));
    assert!(listing(&yard.bento()).is_empty());
}

#[test]
fn an_archive_that_ends_early_or_late_is_refused() {
    let entries = || [file("a", &[1; 600]), file("b", b"")];
    let whole = archive(entries());
    let failure = |packed: &[u8]| unpacked(packed).unwrap_err().to_string();
    let cut = "it ends before its end";
    assert_eq!(
        failure(&tar::unended(entries())),
        cut,
        "no end blocks, as after a cut between two entries"
    );
    assert_eq!(failure(&whole[..whole.len() - 512]), cut, "one end block");
    assert_eq!(failure(&whole[..900]), cut, "in the middle of a file");
    for packed in [gzip(&whole), xz(&whole), bzip2(&whole)] {
        assert_eq!(failure(&packed[..packed.len() - 4]), cut, "without its checksum");
        assert_eq!(failure(&[&packed[..], b"x"].concat()), "other data follows its end");
    }
    let late = "other data follows its end";
    assert_eq!(failure(&[&whole[..], &whole[..]].concat()), late, "two archives");
    assert_eq!(failure(&gzip(&[&whole[..], b"x"].concat())), late);
    assert_eq!(
        failure(&[gzip(&whole[..1_024]), gzip(&whole[1_024..])].concat()),
        cut,
        "two gzip members"
    );
    assert_eq!(failure(&[gzip(&whole), gzip(b"")].concat()), late, "an empty member more");
    assert!(unpacked(&[&whole[..], &[0; 9_000][..]].concat()).is_ok(), "GNU tar pads with zeros");
}

#[test]
fn a_wrong_checksum_is_found() {
    let whole = archive([file("a", &support::noise(5_000))]);
    let mut packed = gzip(&whole);
    let crc = packed.len() - 8;
    packed[crc] ^= 1;
    assert!(matches!(unpacked(&packed), Err(BadArchive::Damaged(_))));
    let mut packed = xz(&whole);
    let middle = packed.len() / 2;
    packed[middle] ^= 1;
    assert!(matches!(unpacked(&packed), Err(BadArchive::Damaged(_))));
}

#[test]
fn what_is_no_archive_is_told_so() {
    for text in [&b""[..], b"face", &[0; 2_000], b"PK\x05\x06"] {
        assert!(matches!(unpacked(text), Err(BadArchive::Format)));
    }
    for page in ["<html>Sign in</html>", "\n  <!DOCTYPE html><title>MinIO Console</title>"] {
        assert!(matches!(unpacked(page.as_bytes()), Err(BadArchive::WebPage)));
    }
    let packed = gzip(&archive([file("a", b"1")]));
    for line in ["10000\r\n", "10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9\r\n"] {
        let framed = [line.as_bytes(), &packed, b"\r\n0\r\n"].concat();
        assert!(matches!(unpacked(&framed), Err(BadArchive::Framed)));
    }
}

#[test]
fn a_zip_gives_the_files_that_python_sees_in_it() {
    let yard = Yard::new();
    let home = tempfile::tempdir().unwrap();
    let script = "import sys,zipfile
z = zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED)
z.mkdir('src')
z.writestr('bento.yaml', 'name: iris\\n')
z.writestr('src/é.py', 'print()\\n' * 9000)
z.writestr(zipfile.ZipInfo('src/stored'), bytes(70000))
info = zipfile.ZipInfo('env/entrypoint.sh'); info.external_attr = 0o100755 << 16
with z.open(info, 'w', force_zip64=True) as f: f.write(b'#!/bin/sh')
z.close()
zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2])";
    let [zip, by_python] = ["b.zip", "python"].map(|name| home.path().join(name));
    let run = |program: &str, args: &[&Path]| {
        assert!(std::process::Command::new(program).args(args).status().unwrap().success());
    };
    run("python3", &["-c".as_ref(), script.as_ref(), &zip, &by_python]);
    yard.unpack(&fs::read(zip).unwrap(), &LIMITS).unwrap();
    run("diff", &["-r".as_ref(), &by_python, &yard.bento()]);
    assert_eq!(listing(&yard.bento())["env/entrypoint.sh"], "FILE 755 9");
    assert_eq!(listing(&yard.bento())["src"], "DIR 755");
}

#[test]
fn a_zip_that_says_two_things_is_refused() {
    let failure = |zip: Vec<u8>| unpacked(&zip).unwrap_err().to_string();
    let text = b"name: iris\n".as_slice();
    let whole = zip::Zip::of([zip::file("bento.yaml", text), zip::file("src/x", text)]);
    assert!(unpacked(&whole.bytes()).is_ok());
    let with = |name: &str| zip::Zip::of([zip::file(name, text)]).bytes();
    let changed = |change: fn(&mut zip::Entry)| {
        let mut entry = zip::file("src/x", b"name: iris\n");
        change(&mut entry);
        zip::Zip::of([zip::file("bento.yaml", b""), entry]).bytes()
    };
    let cut = whole.bytes()[..whole.bytes().len() - 1].to_vec();
    insta::assert_snapshot!(
        [
            failure(cut),
            failure([&whole.bytes()[..], b"x"].concat()),
            failure(with("../x")),
            failure(with("/etc/x")),
            failure(zip::Zip::of([zip::file("a", text), zip::file("A", text)]).bytes()),
            failure(changed(|entry| entry.crc ^= 1)),
            failure(changed(|entry| entry.local_name = b"src/y".to_vec())),
            failure(changed(|entry| entry.flags = 1)),
            failure(changed(|entry| entry.mode = 0o120_777)),
            failure(changed(|entry| entry.mode = 0o010_644)),
            failure(changed(|entry| entry.method = 12)),
            failure(changed(|entry| entry.unpacked += 1)),
            failure(changed(|entry| entry.unpacked -= 1)),
            failure(changed(|entry| entry.packed -= 1)),
            failure(changed(|entry| entry.shares_data_of_first = true)),
            failure(changed(|entry| entry.unpacked = 7 << 29)),
            failure(whole.claiming(3)),
            failure(whole.claiming(60_000)),
        ]
        .join("\n")
    );
}

#[test]
fn a_stop_ends_it_at_once() {
    let yard = Yard::new();
    let watch = Watch::default();
    watch.stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let ended =
        unpack(&archive([file("a", b"1")])[..], &Folder::new(yard.bento()), &LIMITS, &watch);
    assert!(matches!(ended, Err(BadArchive::Stopped)));
}

fn part() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[abAB]", 1 => Just("..".into()), 1 => Just(".".into()), 1 => Just(String::new()), 1 => Just("neighbour".into())]
}

fn name() -> impl Strategy<Value = String> {
    prop::collection::vec(part(), 1..5).prop_map(|parts| parts.join("/"))
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let kind = prop_oneof![
        5 => Just(FILE),
        3 => Just(SYMLINK),
        2 => Just(DIRECTORY),
        3 => Just(HARD_LINK),
        1 => prop::sample::select(b"\x003467LKSxgNV".to_vec()),
    ];
    (name(), kind, any::<u16>(), name(), prop::collection::vec(any::<u8>(), 0..700)).prop_map(
        |(name, kind, mode, target, contents)| {
            let contents = if kind == FILE { contents } else { Vec::new() };
            entry(name.as_bytes(), kind, u32::from(mode) & 0o7777, target.as_bytes(), &contents)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_the_entries_nothing_is_outside_and_limits_hold(entries in prop::collection::vec(any_entry(), 0..12)) {
        let yard = Yard::new();
        let limits = Limits { bytes: 9_000, entries: 8, ratio: 200 };
        let whole = archive(entries);
        let ended = yard.unpack(&whole, &limits);
        yard.assert_nothing_outside();
        let tree = listing(&yard.bento());
        let bytes: u64 = tree.values().filter_map(|what| what.strip_prefix("FILE ")?.split_once(' ')?.1.parse::<u64>().ok()).sum();
        prop_assert!(bytes <= limits.bytes);
        if let Ok(filled) = ended {
            let files = tree.values().filter(|what| !what.starts_with("DIR")).count() as u64;
            prop_assert!(files <= limits.entries);
            prop_assert_eq!(filled, Filled { files, bytes });
        }
    }

    #[test]
    fn whatever_the_bytes_nothing_is_outside(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        cut in any::<prop::sample::Index>(),
        packing in 0..5_usize,
    ) {
        let plain = archive([file("bento.yaml", b"name: iris\n"), symlink("src/latest", "v1"), file("src/v1/x", &[7; 1_500])]);
        let zip = zip::Zip::of([zip::file("bento.yaml", b"name: iris\n"), zip::file("src/v1/x", &[7; 1_500])]).bytes();
        let mut packed = [&plain, &gzip(&plain), &xz(&plain), &bzip2(&plain), &zip][packing].clone();
        for (at, byte) in changes {
            let at = at.index(packed.len());
            packed[at] = byte;
        }
        packed.truncate(cut.index(packed.len() * 2).max(1));
        let yard = Yard::new();
        let _ = yard.unpack(&packed, &LIMITS);
        yard.assert_nothing_outside();
    }

    #[test]
    fn an_archive_that_is_cut_anywhere_is_refused(cut in any::<prop::sample::Index>(), packing in 0..4_usize) {
        let plain = archive([file("bento.yaml", b"name: iris\n"), file("src/x", &support::noise(1_500))]);
        let packed = [&plain, &gzip(&plain), &xz(&plain), &bzip2(&plain)][packing].clone();
        prop_assert!(Yard::new().unpack(&packed[..cut.index(packed.len())], &LIMITS).is_err());
    }
}

#[test]
fn a_rule_reads_as_the_end_of_a_sentence() {
    assert_eq!(Rule::Absolute.to_string(), "has an absolute name");
}

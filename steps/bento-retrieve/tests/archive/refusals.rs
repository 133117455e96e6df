//! What is refused, and how it is said.

use std::sync::Arc;

use bento_retrieve::{
    archive::{ArchiveError, Folder, Limit, Limits, Violation, unpack},
    progress::Progress,
};

use crate::{
    support::{
        listing, noise,
        tar::{
            self, DIRECTORY, FILE, HARD_LINK, Header, SYMLINK, archive, bzip2, directory, entry,
            file, gzip, hard_link, symlink, xz,
        },
    },
    yard::{LIMITS, Yard, refused, unpacked},
};

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
        Err(ArchiveError::Limit(limit)) => limit,
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
    assert!(matches!(yard.unpack(&header, &LIMITS), Err(ArchiveError::Limit(Limit::Bytes(_)))));
    assert!(listing(&yard.bento()).is_empty());
}

#[test]
fn an_archive_that_ends_early_or_late_is_refused() {
    let entries = || [file("a", &[1; 600]), file("b", b"")];
    let whole = archive(entries());
    let failure = |packed: &[u8]| unpacked(packed).unwrap_err().to_string();
    let cut = "the archive is truncated";
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
    let whole = archive([file("a", &noise(5_000))]);
    let mut packed = gzip(&whole);
    let crc = packed.len() - 8;
    packed[crc] ^= 1;
    assert!(matches!(unpacked(&packed), Err(ArchiveError::Damaged(_))));
    let mut packed = xz(&whole);
    let middle = packed.len() / 2;
    packed[middle] ^= 1;
    assert!(matches!(unpacked(&packed), Err(ArchiveError::Damaged(_))));
}

#[test]
fn what_is_no_archive_is_told_so() {
    for text in [&b""[..], b"face", &[0; 2_000], b"PK\x05\x06"] {
        assert!(matches!(unpacked(text), Err(ArchiveError::Format)));
    }
    for page in ["<html>Sign in</html>", "\n  <!DOCTYPE html><title>MinIO Console</title>"] {
        assert!(matches!(unpacked(page.as_bytes()), Err(ArchiveError::WebPage)));
    }
    let packed = gzip(&archive([file("a", b"1")]));
    for line in ["10000\r\n", "10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9\r\n"] {
        let framed = [line.as_bytes(), &packed, b"\r\n0\r\n"].concat();
        assert!(matches!(unpacked(&framed), Err(ArchiveError::Framed)));
    }
}

#[test]
fn a_stop_ends_it_at_once() {
    let yard = Yard::new();
    let progress = Arc::<Progress>::default();
    progress.stop();
    let ended =
        unpack(&archive([file("a", b"1")])[..], &Folder::new(yard.bento()), &LIMITS, &progress);
    assert!(matches!(ended, Err(ArchiveError::Stopped)));
}

#[test]
fn a_rule_reads_as_the_end_of_a_sentence() {
    assert_eq!(Violation::Absolute.to_string(), "has an absolute name");
}

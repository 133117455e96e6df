//! Whatever the entries, whatever the bytes.

use bento_retrieve::archive::{Limits, Unpacked};
use proptest::prelude::*;

use crate::{
    support::{
        listing, noise,
        tar::{
            DIRECTORY, Entry, FILE, HARD_LINK, SYMLINK, archive, bzip2, entry, file, gzip, symlink,
            xz,
        },
        zip,
    },
    yard::{LIMITS, Yard},
};

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
        if let Ok(unpacked) = ended {
            let files = tree.values().filter(|what| !what.starts_with("DIR")).count() as u64;
            prop_assert!(files <= limits.entries);
            prop_assert_eq!(unpacked, Unpacked { files, bytes });
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
        let plain = archive([file("bento.yaml", b"name: iris\n"), file("src/x", &noise(1_500))]);
        let packed = [&plain, &gzip(&plain), &xz(&plain), &bzip2(&plain)][packing].clone();
        prop_assert!(Yard::new().unpack(&packed[..cut.index(packed.len())], &LIMITS).is_err());
    }
}

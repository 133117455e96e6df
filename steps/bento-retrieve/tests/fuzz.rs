//! A short run of the fuzz targets, the same each time. `cargo fuzz run archive` goes on where this ends.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[path = "support/harmless.rs"]
mod harmless;
mod support;

use support::{
    bento_files,
    tar::{self, archive, bzip2, directory, file, gzip, hard_link, symlink, xz},
    zip,
};

/// Changes bytes as a fuzzer does: single bits, runs, numbers at their limits, pieces of others.
struct Mutator(u64);

impl Mutator {
    fn number(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % below.max(1)
    }

    fn change(&mut self, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
        for _ in 0..=self.number(4) {
            let at = self.number(bytes.len());
            match self.number(6) {
                0 => bytes.truncate(at),
                1 => {
                    let other = &others[self.number(others.len())];
                    let start = self.number(other.len());
                    let length = self.number(600).min(other.len() - start);
                    let end = (at + length).min(bytes.len());
                    bytes.splice(at..end, other[start..start + length].iter().copied());
                }
                2 => bytes.splice(at..at, [0; 512]).for_each(drop),
                3 if at < bytes.len() => bytes[at] ^= 1 << self.number(8),
                4 if at + 4 < bytes.len() => {
                    bytes[at..at + 4].fill([0x00, 0xff, 0x7f, b'7'][self.number(4)]);
                }
                _ if at < bytes.len() => bytes[at] = u8::try_from(self.number(256)).unwrap(),
                _ => {}
            }
        }
    }
}

fn run(seeds: &[Vec<u8>], times: usize, target: fn(&[u8])) {
    for seed in seeds {
        target(seed);
    }
    let mut mutator = Mutator(0x9e37_79b9_7f4a_7c15);
    for time in 0..times {
        let mut bytes = seeds[time % seeds.len()].clone();
        mutator.change(&mut bytes, seeds);
        target(&bytes);
    }
}

fn plain() -> Vec<u8> {
    archive([
        directory("./"),
        file("./bento.yaml", b"name: iris\nversion: v1\n"),
        tar::pax(&[("path", "./env/docker/Dockerfile"), ("mtime", "1764000000.5")]),
        file("x", b"FROM scratch\n"),
        tar::gnu_long_name(b"./src/long/name\0"),
        file("y", &[7; 900]),
        symlink("./models/m/latest", "v1"),
        file("./models/m/v1/model.yaml", b"name: m\n"),
        hard_link("./models/m/v2/model.yaml", "./models/m/v1/model.yaml"),
    ])
}

#[test]
fn no_change_to_a_tar_does_harm() {
    let links = archive([symlink("a/b", "../c"), file("c/d", b"1"), symlink("c/e", "../a/b")]);
    // As much as the limits allow, so that a change of one number goes beyond them.
    let copies = archive([
        file("a", &support::noise(50_000)),
        hard_link("b", "a"),
        hard_link("c/d", "b"),
        hard_link("e", "c/d"),
    ]);
    run(&[plain(), links, copies], 3_000, harmless::archive);
}

#[test]
fn no_change_to_a_packed_archive_does_harm() {
    let plain = plain();
    let zip =
        zip::Zip::of([zip::file("bento.yaml", b"name: iris\n"), zip::file("src/x", &[7; 900])])
            .bytes();
    run(&[gzip(&plain), xz(&plain), bzip2(&plain), zip], 2_000, harmless::archive);
}

#[test]
fn no_change_keeps_a_look_from_ending() {
    let plain = plain();
    run(&[plain.clone(), gzip(&plain), xz(&plain), bzip2(&plain)], 2_000, harmless::peek);
}

#[test]
fn no_change_to_a_manifest_makes_a_tag_that_leaves_its_folder() {
    let modern = bento_files("iris", "v1").swap_remove(0).1;
    let legacy = b"version: 0.13.1\nmetadata:\n  service_name: Iris\n  service_version: 2020_A\nartifacts: [{name: m}]\n".to_vec();
    let tricky = b"name: &a [*a, ..]\nversion: !!str ..\nmodels: [{tag: ../../x:y}]\nlabels: {a: {b: [1, 2]}}\n".to_vec();
    run(&[modern, legacy, tricky], 3_000, harmless::manifest);
}

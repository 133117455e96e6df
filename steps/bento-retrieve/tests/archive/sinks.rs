//! Whoever takes what an archive brings: told in order, obeyed at once, and only of what was judged.

use std::{collections::BTreeMap, fs, fs::File, io, sync::Arc};

use bento_retrieve::{
    archive::{ArchiveError, Contents, Folder, Last, NotSelected, Selected, Sink, read},
    progress::Progress,
};
use thiserror::Error;

use crate::{
    support::{
        noise,
        tar::{FILE, archive, directory, entry, file, gzip, hard_link, symlink},
        zip,
    },
    yard::{LIMITS, Yard},
};

/// Writes down what it is told, and reads so many bytes of each file, in pieces of so many.
#[derive(Default)]
struct Recorder {
    told: Vec<String>,
    most: u64,
    piece: usize,
    has_place: bool,
    enough: Option<&'static str>,
}

#[derive(Debug, Error, PartialEq, Eq)]
#[error("seen enough at {0}")]
struct Enough(String);

impl Sink for Recorder {
    type Output = Vec<String>;

    fn scratch_file(&mut self) -> Result<Option<File>, ArchiveError> {
        Ok(self.has_place.then(|| tempfile::tempfile().unwrap()))
    }

    fn directory(&mut self, path: &str) -> Result<(), ArchiveError> {
        self.told.push(format!("{path}/"));
        Ok(())
    }

    fn file(
        &mut self,
        path: String,
        executable: bool,
        contents: &mut Contents,
    ) -> Result<(), ArchiveError> {
        if self.enough.is_some_and(|last| path == last) {
            Err(anyhow::Error::new(Enough(path.clone())))?;
        }
        let mut read = 0;
        let mut piece = vec![0; self.piece.max(1)];
        while contents.left() > 0 && read < self.most {
            read += contents.fill(&mut piece)? as u64;
        }
        let (run, all) = (if executable { "*" } else { "" }, read + contents.left());
        self.told.push(format!("{path}{run} {read} of {all}"));
        Ok(())
    }

    fn finish(mut self, last: Last) -> Result<Vec<String>, ArchiveError> {
        self.told.extend(last.copies.iter().map(|(from, to)| format!("{to} = {from}")));
        self.told.extend(last.links.iter().map(|(name, target)| format!("{name} -> {target}")));
        Ok(self.told)
    }
}

fn told(archive: &[u8], recorder: Recorder) -> Result<Vec<String>, ArchiveError> {
    read(archive, recorder, &LIMITS, &Progress::default())
}

fn small() -> Vec<u8> {
    archive([
        directory("./"),
        symlink("./now", "src/a"),
        file("src/a", &noise(1_000)),
        hard_link("src/b", "src/a"),
        directory("src/"),
        entry(b"src/run", FILE, 0o755, b"", b""),
        hard_link("models/c", "src/b"),
        file("last", &noise(70_000)),
    ])
}

#[test]
fn a_sink_is_told_of_everything_in_order_and_of_links_at_the_end() {
    let whole = Recorder { most: u64::MAX, piece: 700, ..Recorder::default() };
    assert_eq!(
        told(&gzip(&small()), whole).unwrap(),
        [
            "src/",
            "src/a 1000 of 1000",
            "src/run* 0 of 0",
            "models/",
            "last 70000 of 70000",
            "src/b = src/a",
            "models/c = src/b",
            "now -> src/a"
        ]
    );
}

#[test]
fn what_a_sink_does_not_read_is_passed_over_and_counts_all_the_same() {
    for most in [0, 1, 300] {
        let some = || Recorder { most, piece: 300, has_place: true, ..Recorder::default() };
        let told_of = told(&small(), some()).unwrap();
        assert_eq!(told_of[1], format!("src/a {} of 1000", if most == 0 { 0 } else { 300 }));
        let zip = zip::Zip::of([zip::file("a", &noise(900)), zip::file("b", &noise(90))]);
        assert_eq!(told(&zip.bytes(), some()).unwrap().len(), 2);
        let large = archive([file("a", &noise(1 << 20))]);
        assert!(matches!(told(&large, some()), Err(ArchiveError::Limit(_))));
    }
}

#[test]
fn a_sink_that_has_seen_enough_ends_it_and_its_own_error_comes_back() {
    let ends = Recorder { enough: Some("src/run"), ..Recorder::default() };
    let Err(ArchiveError::Sink(error)) = told(&small(), ends) else { panic!("it went on") };
    assert_eq!(error.downcast_ref(), Some(&Enough("src/run".into())));
}

#[test]
fn a_zip_needs_a_place_to_lie() {
    let zip = zip::Zip::of([zip::file("a", b"1")]).bytes();
    let refused = told(&zip, Recorder::default());
    assert!(matches!(refused, Err(ArchiveError::NotStreamable)), "{refused:?}");
    let place = Recorder { has_place: true, ..Recorder::default() };
    assert_eq!(told(&zip, place).unwrap(), ["a 0 of 1"]);
}

/// Fails elsewhere, and learns of it when the reading ends.
struct Elsewhere;

impl Sink for Elsewhere {
    type Output = ();

    fn directory(&mut self, _: &str) -> Result<(), ArchiveError> {
        Ok(())
    }

    fn file(&mut self, _: String, _: bool, _: &mut Contents) -> Result<(), ArchiveError> {
        Err(ArchiveError::Stopped)
    }

    fn finish(self, _: Last) -> Result<(), ArchiveError> {
        Ok(())
    }

    fn abandon(self, error: ArchiveError) -> ArchiveError {
        assert!(matches!(error, ArchiveError::Stopped));
        anyhow::Error::new(io::Error::other("the other end is gone")).into()
    }
}

#[test]
fn a_sink_that_failed_elsewhere_says_why() {
    let ended = read(&small()[..], Elsewhere, &LIMITS, &Progress::default());
    assert_eq!(ended.unwrap_err().to_string(), "the other end is gone");
}

/// Unpacks what the predicate names, once more where it has to. Gives the contents of files, and the readings.
fn selected(archive: &[u8], names: &[&str]) -> (BTreeMap<String, Vec<u8>>, usize) {
    let yard = Yard::new();
    let unpack = |known: &NotSelected| {
        let folder = Folder::new(yard.bento()).sink(&Arc::default()).unwrap();
        let sink = Selected::new(folder, |path: &str| names.contains(&path)).with(known);
        read(archive, sink, &LIMITS, &Progress::default())
    };
    let mut readings = 1;
    let unpacked = match unpack(&NotSelected::default()) {
        Err(ArchiveError::Sink(error)) => {
            readings += 1;
            for entry in fs::read_dir(yard.bento()).unwrap() {
                fs::remove_dir_all(entry.unwrap().path()).unwrap();
            }
            unpack(error.downcast_ref().unwrap()).unwrap()
        }
        unpacked => unpacked.unwrap(),
    };
    yard.assert_nothing_outside();
    let found = crate::support::listing(&yard.bento());
    let files = found.iter().filter(|(_, what)| !what.starts_with("DIR")).count();
    assert_eq!(unpacked.files, files as u64);
    let contents = |name: &String| fs::read(yard.bento().join(name)).unwrap_or_default();
    (found.keys().map(|name| (name.clone(), contents(name))).collect(), readings)
}

#[test]
fn only_what_is_selected_is_there_with_the_directories_that_it_lies_in() {
    let whole = archive([
        directory("env/"),
        directory("env/docker/"),
        file("env/docker/Dockerfile", b"FROM x"),
        file("env/other", b"2"),
        directory("apis/"),
        directory("models/m/v1/"),
        file("models/m/v1/weights", &noise(200_000)),
        symlink("env/docker/latest", "Dockerfile"),
        symlink("models/m/latest", "v1"),
    ]);
    let (found, readings) =
        selected(&whole, &["env/docker/Dockerfile", "env/docker/latest", "apis"]);
    let names: Vec<_> = found.keys().map(String::as_str).collect();
    let wanted = ["apis", "env", "env/docker", "env/docker/Dockerfile", "env/docker/latest"];
    assert_eq!((names.as_slice(), readings), (&wanted[..], 1));
    assert_eq!(selected(&whole, &[]).0.len(), 0);
}

#[test]
fn a_hard_link_is_there_whether_or_not_its_file_is() {
    let whole = archive([
        file("a", b"contents"),
        hard_link("x/b", "a"),
        directory("y/"),
        hard_link("y/c", "x/b"),
        hard_link("y/z/d", "y/c"),
        file("e", b"other"),
    ]);
    for (names, expected) in [
        (&["a", "y/c"][..], 1),
        (&["x/b"], 2),
        (&["y/c", "y/z/d", "e"], 2),
        (&["x/b", "y/z/d"], 2),
        (&["a"], 1),
    ] {
        let (found, readings) = selected(&whole, names);
        assert_eq!(readings, expected, "{names:?}");
        for name in names {
            let contents: &[u8] = if *name == "e" { b"other" } else { b"contents" };
            assert_eq!(found[*name], contents, "{names:?}: {name}");
        }
        assert_eq!(found.values().filter(|contents| !contents.is_empty()).count(), names.len());
    }
}

//! When the key of an environment changes, and when it does not.

use bento_image::recipe::{Entry, Listing, Recipe, judge};
use proptest::{prelude::*, sample::select};

use crate::bento::{bento_1x, file};

const DOCKERFILE: &str = "FROM python:3.11\nCOPY ./env/docker ./env/docker/\nCOPY ./env/python ./env/python/\n\
    COPY ./src/wheel[s] ./src/wheels/\nRUN install\nCOPY . ./\nRUN chmod +x /home/bentoml/bento/src/service.py\n";

fn recipe() -> Recipe {
    judge("env/docker/Dockerfile", DOCKERFILE).unwrap()
}

fn key(listing: &Listing) -> String {
    recipe().key(listing, "sha256:00", "linux/amd64", &["--build-arg=A=b".into()])
}

fn is_covered(path: &str) -> bool {
    ["env/docker/", "env/python/", "src/wheels/"].iter().any(|start| path.starts_with(start))
        || path == "src/service.py"
}

fn covered() -> impl Strategy<Value = String> {
    let paths = bento_1x().entries.into_keys().filter(|path| is_covered(path));
    select(paths.collect::<Vec<_>>())
}

/// Paths in any of the bento's directories, those that the key covers among them.
fn path() -> impl Strategy<Value = String> {
    let folder = select(vec![
        "",
        "apis/",
        "env/",
        "env/docker/",
        "env/python/",
        "env/conda/",
        "models/weights/m1/",
        "src/",
        "src/wheels/",
    ]);
    (folder, "[b-d]{1,3}(/[x-z]{1,2})?").prop_map(|(folder, name)| format!("{folder}{name}"))
}

fn entry() -> impl Strategy<Value = Entry> {
    prop_oneof![
        (any::<u64>(), any::<bool>()).prop_map(|(content, is_executable)| {
            let Entry::File { size, sha256, .. } = file(&content.to_string()) else {
                unreachable!()
            };
            Entry::File { executable: is_executable, size, sha256 }
        }),
        "[a-z]{1,4}".prop_map(|target| Entry::Link { target }),
    ]
}

proptest! {
    /// Of what is covered each byte, name and bit counts; of all else only a directory in the root.
    #[test]
    fn a_key_changes_with_what_it_covers_and_with_nothing_else(path in path(), entry in entry()) {
        let old = bento_1x();
        let mut new = old.clone();
        new.entries.insert(path.clone(), entry);
        let top = path.split('/').next().unwrap();
        let is_new_directory = path.contains('/') && !["apis", "env", "models", "src"].contains(&top);
        prop_assert_eq!(key(&old) != key(&new), is_covered(&path) || is_new_directory, "{}", path);
        prop_assert_eq!(recipe().needs(&path), is_covered(&path));
        if is_covered(&path) {
            prop_assert!(recipe().may_need_below(top));
        }
    }

    #[test]
    fn another_content_bit_kind_or_name_is_another_key(path in covered(), other in entry(), name in "[a-z]{1,8}") {
        let old = bento_1x();
        let mut new = old.clone();
        let entry = new.entries.remove(&path).unwrap();
        prop_assert_ne!(key(&old), key(&new), "without {}", path);
        let mut renamed = new.clone();
        renamed.entries.insert(format!("env/python/{name}"), entry.clone());
        prop_assert_ne!(key(&old), key(&renamed));
        if other != entry {
            new.entries.insert(path.clone(), other);
            prop_assert_ne!(key(&old), key(&new), "another {}", path);
        }
        let Entry::File { executable, size, sha256 } = entry else { unreachable!() };
        let same = Entry::File { executable, size: size + 1, sha256: sha256.clone() };
        let other = Entry::File { executable: !executable, size, sha256 };
        for (entry, is_same) in [(same, true), (other, false)] {
            let mut new = old.clone();
            new.entries.insert(path.clone(), entry);
            prop_assert_eq!(key(&old) == key(&new), is_same);
        }
    }

    /// An archive has its entries in some order, and one for each directory or none.
    #[test]
    fn the_order_of_entries_and_entries_of_directories_change_nothing(
        shuffled in Just(bento_1x().entries.into_iter().collect::<Vec<_>>()).prop_shuffle(),
        directories in proptest::sample::subsequence(vec!["apis", "env", "env/docker", "models", "src", "src/wheels"], 0..6),
    ) {
        let mut new = Listing { entries: shuffled.into_iter().collect(), ..Listing::default() };
        new.entries.extend(directories.into_iter().map(|path| (path.to_owned(), Entry::Directory)));
        prop_assert_eq!(key(&bento_1x()), key(&new));
        prop_assert_eq!(recipe().skeleton(&bento_1x()).files, recipe().skeleton(&new).files);
    }

    /// Whatever is laid out has what it lies in, and all of it is the bento's or one of the fixed directories.
    #[test]
    fn a_skeleton_is_what_the_key_covers(paths in proptest::collection::btree_map(path(), entry(), 0..12)) {
        // A path that is a file and a directory is none that an archive has.
        let is_clear = |path: &String| !paths.keys().any(|other| path.starts_with(&format!("{other}/")));
        let mut listing = bento_1x();
        listing.entries.extend(paths.iter().filter(|(path, _)| is_clear(path)).map(|(path, entry)| (path.clone(), entry.clone())));
        let skeleton = recipe().skeleton(&listing);
        for path in skeleton.files.keys().chain(skeleton.links.keys()) {
            prop_assert!(is_covered(path), "{}", path);
            prop_assert!(listing.entries.contains_key(path));
            let parent = path.rsplit_once('/').map(|(parent, _)| parent);
            prop_assert!(parent.is_none_or(|parent| skeleton.directories.contains(parent)), "{}", path);
        }
        let count = listing.entries.keys().filter(|path| is_covered(path)).count();
        prop_assert_eq!(count, skeleton.files.len() + skeleton.links.len());
        for name in ["apis", "env", "models", "src"] {
            prop_assert!(skeleton.directories.contains(name));
        }
        // The key is the same over the skeleton: that is what a builder gets.
        let mut over = Listing::default();
        over.entries.extend(skeleton.directories.iter().map(|path| (path.clone(), Entry::Directory)));
        for path in skeleton.files.keys().chain(skeleton.links.keys()) {
            over.entries.insert(path.clone(), listing.entries[path].clone());
        }
        prop_assert_eq!(key(&listing), key(&over));
    }
}

#[test]
fn base_platform_dockerfile_and_each_flag_are_in_the_key() {
    let listing = bento_1x();
    let flag = |flag: &str| flag.to_owned();
    let mut keys = vec![
        recipe().key(&listing, "sha256:00", "linux/amd64", &[]),
        recipe().key(&listing, "sha256:01", "linux/amd64", &[]),
        recipe().key(&listing, "sha256:00", "linux/arm64", &[]),
        recipe().key(&listing, "sha256:00", "linux/amd64", &[flag("a"), flag("b")]),
        recipe().key(&listing, "sha256:00", "linux/amd64", &[flag("b"), flag("a")]),
        recipe().key(&listing, "sha256:00", "linux/amd64", &[flag("ab")]),
        recipe().key(&listing, "sha256:00", "linux/amd64", &[flag("a"), flag("b"), flag("")]),
    ];
    for (from, to) in
        [("python:3.11", "python:3.12"), ("RUN install", "RUN  install"), ("\n", "\r\n")]
    {
        let other = judge("env/docker/Dockerfile", &DOCKERFILE.replace(from, to)).unwrap();
        keys.push(other.key(&listing, "sha256:00", "linux/amd64", &[]));
    }
    assert!(keys.iter().all(|key| key.len() == 64));
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 10);
}

/// What is written into images and tags: it may not become another one by an accident.
#[test]
fn the_key_of_a_known_bento_is_known() {
    insta::assert_snapshot!(key(&bento_1x()));
}

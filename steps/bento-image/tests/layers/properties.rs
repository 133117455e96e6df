//! Whatever the bento and its environment: the layers make of it what a builder's copy makes.

use std::io::Read as _;

use bento_image::{
    flatten::Tree,
    layer::LayerError,
    placement::{Below, Placement, PlacementReader},
    recipe::{DIRECTORIES, MARKER},
};
use flate2::read::GzDecoder;
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};
use step::text::hex;

use crate::{
    bento::{Bento, ENTRYPOINT, Item, Layers},
    environment::{HOME, KEY, Layer, UID, under},
};

/// More than the code layer holds back.
const LARGE: usize = 9 << 20;

fn name() -> impl Strategy<Value = String> {
    let long = "long-name-".repeat(12);
    prop_oneof![8 => "[a-c]", 1 => Just(long), 1 => Just("späte Datei".to_owned())]
}

fn path() -> impl Strategy<Value = String> {
    let folders =
        ["apis/", "env/", "src/", "lib/", "models/iris/v1/", "models/rose/v2/", "models/iris/", ""];
    let names = prop::collection::vec(name(), 1..5);
    (prop::sample::select(folders.to_vec()), names)
        .prop_map(|(folder, names)| folder.to_owned() + &names.join("/"))
}

#[derive(Clone, Debug)]
enum Wanted {
    Item(Item),
    HardLink(prop::sample::Index),
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let file = (any::<bool>(), prop::collection::vec(any::<u8>(), 0..2_000));
    let file = file.prop_map(|(is_executable, contents)| Item::File { is_executable, contents });
    prop_oneof![
        6 => file.prop_map(Wanted::Item),
        2 => Just(Wanted::Item(Item::Directory)),
        2 => "[a-z./]{1,150}".prop_map(|target| Wanted::Item(Item::Symlink(target))),
        2 => any::<prop::sample::Index>().prop_map(Wanted::HardLink),
    ]
}

fn bento() -> impl Strategy<Value = Bento> {
    prop::collection::vec((path(), wanted()), 0..30).prop_map(|entries| {
        let mut bento = Bento::new();
        for (path, wanted) in entries {
            let files = bento.files_beside(&path);
            match wanted {
                Wanted::Item(item) => bento.add(&path, item),
                Wanted::HardLink(_) if files.is_empty() => {}
                Wanted::HardLink(of) => {
                    bento.add(&path, Item::HardLink(files[of.index(files.len())].clone()));
                }
            }
        }
        bento
    })
}

/// An environment for a bento, in layers, the lowest first.
struct Environment {
    base: Vec<u8>,
    copied: Vec<u8>,
    /// What the Dockerfile does after the copy
    late: Vec<Vec<u8>>,
    directories: Vec<String>,
}

impl Environment {
    fn of(bento: &Bento, home: &str, is_packed: bool) -> Self {
        let layer = || if is_packed { Layer::packed() } else { Layer::new() };
        let tops = bento.top_directories();
        let mut base =
            layer().file("etc/passwd", 0o644, 0, b"root").file("app/old", 0o600, 7, b"1");
        for top in &tops {
            base = base.file(&under(home, &format!("{top}/left by a command")), 0o640, 3, b"x");
        }
        let entrypoint = under(home, ENTRYPOINT);
        let mut copied = layer().skeleton(home).file(&entrypoint, 0o644, UID, b"#!/bin/sh");
        let mut directories = tops.into_iter().collect::<Vec<_>>();
        for top in &directories {
            copied = copied.directory(&under(home, top), 0o755, UID);
        }
        directories.extend(DIRECTORIES.map(str::to_owned));
        let chmod = layer().file(&entrypoint, 0o755, UID, b"#!/bin/sh");
        let chown = layer().whiteout("app/.wh.old").file("app/new", 0o700, UID, b"2");
        let late = vec![chmod.bytes(), chown.bytes()];
        Self { base: base.bytes(), copied: copied.bytes(), late, directories }
    }

    fn placement(&self) -> Placement {
        let mut reader = PlacementReader::new(KEY);
        for layer in self.late.iter().rev() {
            assert!(!reader.read_layer(layer.as_slice()).unwrap());
        }
        assert!(reader.read_layer(self.copied.as_slice()).unwrap());
        let directories = self.directories.iter().map(String::as_str).collect::<Vec<_>>();
        let placement = reader.placement(&directories).unwrap();
        let mut below = Below::default();
        below.read_layer(&placement, self.base.as_slice()).unwrap();
        placement.with_below(below)
    }

    fn with(&self, layers: &Layers) -> Tree {
        let ours = [&self.base, &self.copied].into_iter().chain(&self.late).map(Vec::as_slice);
        Tree::of(ours.chain(layers.bytes())).unwrap()
    }

    /// What a builder makes of the whole bento with the same Dockerfile.
    fn built_whole(&self, bento: &Bento, home: &str) -> Tree {
        let mut tree = Tree::of([self.base.as_slice()]).unwrap();
        let mut skeleton = Tree::of([self.copied.as_slice()]).unwrap();
        let way = |path: &String| home == path || home.starts_with(&format!("{path}/"));
        skeleton.nodes.retain(|path, _| way(path)); // the directories that lead to the bento
        tree.nodes.extend(skeleton.nodes);
        bento.copy_into(&mut tree, home);
        tree.nodes.get_mut(&under(home, ENTRYPOINT)).unwrap().mode = 0o755;
        tree.apply(self.late[1].as_slice()).unwrap();
        tree
    }
}

fn check(bento: &Bento, home: &str, is_packed: bool, pieces: (usize, usize)) -> Layers {
    let environment = Environment::of(bento, home, is_packed);
    let placement = environment.placement();
    let layers = Layers::of(bento, &placement, pieces.0).unwrap();
    let (found, wanted) = (environment.with(&layers), environment.built_whole(bento, home));
    assert_eq!(found, wanted);
    assert!(
        layers == Layers::of(bento, &placement, pieces.1).unwrap(),
        "other pieces, other bytes"
    );
    for (bytes, written) in layers.models.values().chain([&layers.code]) {
        assert_eq!(written.digest, format!("sha256:{}", hex(&Sha256::digest(bytes))));
        assert_eq!(written.size, bytes.len() as u64);
    }
    let mut tar = Vec::new();
    GzDecoder::new(layers.code.0.as_slice()).read_to_end(&mut tar).unwrap();
    assert_eq!(layers.code.1.diff_id, format!("sha256:{}", hex(&Sha256::digest(tar))));
    layers
}

fn home() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&[HOME, "srv", "var/lib/bento"][..])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn an_environment_and_our_layers_are_what_a_copy_of_the_bento_is(
        bento in bento(), home in home(), is_packed in any::<bool>(), piece in 1..3_000_usize,
    ) {
        let layers = check(&bento, home, is_packed, (piece, usize::MAX));
        prop_assert!(!layers.is_spilled);
    }

    #[test]
    fn a_model_is_the_same_layer_in_every_bento_that_has_it(bento in bento(), other in bento()) {
        let placement = Placement::new(HOME, UID, UID);
        let layers = Layers::of(&bento, &placement, 512).unwrap();
        let mut second = Bento::new();
        for (path, item) in other.0.iter().filter(|(path, _)| !path.starts_with("models/")) {
            second.add(path, item.clone());
        }
        for (path, item) in bento.0.iter().filter(|(path, _)| path.starts_with("models/")) {
            second.add(path, item.clone());
        }
        prop_assert!(layers.models == Layers::of(&second, &placement, 512).unwrap().models);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    #[test]
    fn a_code_layer_that_is_too_large_to_be_held_is_the_same_image(
        mut bento in bento(), at in any::<prop::sample::Index>(), seed in any::<u8>(),
    ) {
        let contents = vec![seed; LARGE];
        let at = at.index(bento.0.len() + 1);
        bento.0.insert(at, ("large".into(), Item::File { is_executable: false, contents }));
        let layers = check(&bento, HOME, true, (1 << 20, 99_991));
        prop_assert!(layers.is_spilled);
    }
}

#[test]
fn many_small_files_are_not_held_either() {
    let mut bento = Bento::new();
    bento.0.extend((0..20_000).map(|number| {
        (format!("file {number}"), Item::File { is_executable: false, contents: Vec::new() })
    }));
    let layers = Layers::of(&bento, &Placement::new(HOME, UID, UID), 1).unwrap();
    assert!(layers.is_spilled);
}

fn unfit(bento: &Bento, placement: &Placement) -> String {
    match Layers::of(bento, placement, 1).unwrap_err() {
        LayerError::Unfit { entry, problem } => format!("{entry} {problem}"),
        LayerError::Write(error) => panic!("{error}"),
    }
}

#[test]
fn what_lies_below_and_would_not_be_what_a_builder_makes_is_refused() {
    let mut bento = Bento::new();
    bento.file("models/iris/v1/weights", false, b"");
    bento.file("src/x", false, b"");
    let over = |layer: Layer| {
        let placement = Placement::new(HOME, UID, UID);
        let mut below = Below::default();
        below.read_layer(&placement, layer.bytes().as_slice()).unwrap();
        placement.with_below(below)
    };
    let at = |path: &str| under(HOME, path);
    let through = "is a link in the image already, which a builder would write through";
    let link = |path: &str| over(Layer::new().symlink(&at(path), "/data"));
    assert_eq!(unfit(&bento, &link("src/x")), format!("src/x {through}"));
    assert_eq!(unfit(&bento, &link("models/iris")), format!("models/iris {through}"));
    assert_eq!(
        unfit(&bento, &link("models/iris/v1/weights")),
        format!("models/iris/v1/weights {through}")
    );
    assert!(Layers::of(&bento, &link("src/y"), 1).is_ok());
    assert_eq!(
        unfit(&bento, &over(Layer::new().directory(&at("apis"), 0o755, 0))),
        "apis is not in the bento, but a command of its Dockerfile makes it"
    );
    assert!(Layers::of(&bento, &over(Layer::new().file(&at("src/y"), 0o644, 0, b"")), 1).is_ok());
}

#[test]
fn what_no_layer_can_say_is_refused() {
    let with = |path: &str, item: Item| {
        let mut bento = Bento::new();
        bento.add(path, item);
        unfit(&bento, &Environment::of(&bento, HOME, true).placement())
    };
    let file = || Item::File { is_executable: false, contents: Vec::new() };
    let removes = "has a name that removes another file of an image";
    assert_eq!(with("src/.wh.x", file()), format!("src/.wh.x {removes}"));
    assert_eq!(with("models/iris/v1/.wh.x/y", file()), format!("models/iris/v1/.wh.x {removes}"));
    let link = Item::Symlink("x".into());
    assert_eq!(with(".wh..wh..opq", link), format!(".wh..wh..opq {removes}"));
    let marks = "has the name of the file that marks an environment";
    assert_eq!(with(MARKER, file()), format!("{MARKER} {marks}"));
    assert_eq!(
        with("env/second", Item::HardLink(ENTRYPOINT.into())),
        "env/second is a hard link to a file that has other permissions in the image"
    );
}

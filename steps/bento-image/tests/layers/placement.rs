//! Where a bento lies: read from the layers, or refused.

use std::io::{Read as _, repeat};

use bento_image::{
    placement::{Below, Placement, PlacementError, PlacementReader},
    recipe::MARKER,
};
use insta::assert_snapshot;
use proptest::prelude::*;

use crate::environment::{HOME, KEY, Layer, UID, placement, under};

#[test]
fn path_owner_and_modes_are_what_the_layers_show() {
    let base = Layer::packed().directory("home", 0o755, 0).file("etc/passwd", 0o644, 0, b"root");
    let copied = Layer::packed()
        .skeleton("var/home/bento")
        .file("var/home/bento/env/docker/entrypoint.sh", 0o644, UID, b"#!")
        .file("var/home/bento/env/python.txt", 0o644, UID, b"3.12");
    let late = Layer::new().directory("var/home/bento/env", 0o755, UID).file(
        "var/home/bento/env/docker/entrypoint.sh",
        0o755,
        UID,
        b"#!",
    );
    let venv =
        Layer::packed().file("app/.venv/bin/python", 0o755, UID, b"elf").whiteout("app/.wh.tmp");
    let found = placement(&[base.bytes(), copied.bytes(), late.bytes(), venv.bytes()]).unwrap();
    assert_eq!((found.path.as_str(), found.uid, found.gid), ("var/home/bento", UID, UID));
    let modes = ["env/docker/entrypoint.sh", "env/python.txt", "models", "src/x", MARKER];
    let modes = modes.map(|path| found.mode_of(path));
    assert_eq!(modes, [Some(0o755), Some(0o644), Some(0o755), None, None]);
    assert_eq!(found.in_image("src/x"), "var/home/bento/src/x");
}

#[test]
fn a_bento_may_lie_in_the_root_of_its_image() {
    let found = placement(&[Layer::new().skeleton("").bytes()]).unwrap();
    assert_eq!((found.path.as_str(), found.in_image("src")), ("", "src".to_owned()));
}

#[test]
fn a_name_counts_from_the_root_however_it_is_written() {
    let plain = Layer::new().skeleton(HOME).bytes();
    for before in ["/", "./", ".//./"] {
        let mut renamed = tar::Builder::new(Vec::new());
        for entry in tar::Archive::new(plain.as_slice()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = format!("{before}{}", String::from_utf8_lossy(&entry.path_bytes()));
            let mut header = entry.header().clone();
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            renamed.append(&header, &mut entry).unwrap();
        }
        assert_eq!(placement(&[renamed.into_inner().unwrap()]).unwrap().path, HOME, "{before}");
    }
}

/// Why each environment is refused, in a line.
fn refusals(environments: Vec<Vec<Layer>>) -> String {
    let refusals = environments.into_iter().map(|layers| {
        let layers = layers.into_iter().map(Layer::bytes).collect::<Vec<_>>();
        match placement(&layers) {
            Err(PlacementError::Unfit(unfit)) => unfit.to_string(),
            other => panic!("{other:?}"),
        }
    });
    refusals.collect::<Vec<_>>().join("\n")
}

fn home(path: &str) -> String {
    under(HOME, path)
}

#[test]
fn a_marker_is_one_file_that_holds_the_key() {
    let marker = |content: &str| Layer::new().file(&home(MARKER), 0o644, UID, content.as_bytes());
    let twice = || Layer::new().skeleton(HOME);
    let refusals = refusals(vec![
        vec![Layer::new().file("etc/x", 0o644, 0, b"")],
        vec![marker("other")],
        vec![marker(&format!("{KEY}\n"))],
        vec![marker(&KEY[1..])],
        vec![twice().file("app/.kanaria-environment", 0o644, 0, KEY.as_bytes())],
        vec![twice().file(&home(MARKER), 0o644, 0, KEY.as_bytes())],
        vec![Layer::new().symlink(&home(MARKER), "/etc/key")],
        vec![Layer::new().file("k", 0o644, 0, KEY.as_bytes()).hard_link(&home(MARKER), "k")],
        vec![Layer::new().directory(&home(MARKER), 0o755, UID)],
    ]);
    assert_snapshot!(refusals);
}

#[test]
fn a_directory_of_the_bento_is_one_of_the_image() {
    let marked = || Layer::new().file(&home(MARKER), 0o644, UID, KEY.as_bytes());
    let refusals = refusals(vec![
        vec![marked()],
        vec![marked().directory(&home("apis"), 0o755, UID)],
        vec![marked().symlink(&home("apis"), "/x")],
        vec![marked().file(&home("apis"), 0o644, UID, b"")],
        vec![Layer::new().skeleton(HOME).symlink("home", "var/home")],
        vec![Layer::new().skeleton(HOME).symlink(&home("src"), "/x")],
    ]);
    assert_snapshot!(refusals);
}

#[test]
fn what_was_done_to_the_bento_after_its_copy_is_a_change_of_modes_alone() {
    let late = [
        Layer::new().symlink(&home("models"), "/data"),
        Layer::new().symlink("home/bentoml", "/data"),
        Layer::new().file(&home("src/x"), 0o644, UID, b""),
        Layer::new().file(&home("src"), 0o644, UID, b""),
        Layer::new().directory(&home("src"), 0o755, 7),
        Layer::new().whiteout(&home(".wh.models")),
        Layer::new().whiteout(&home("env/x/.wh.y")),
        Layer::new().whiteout(&home(".wh..kanaria-environment")),
        Layer::new().whiteout(&home(".wh..wh..opq")),
        Layer::new().whiteout("home/.wh.bentoml"),
        Layer::new().whiteout("home/.wh..wh..opq"),
        Layer::new().whiteout(".wh.home"),
        Layer::new().whiteout(".wh..wh..opq"),
        Layer::new().file("x/../../etc/passwd", 0o644, 0, b""),
    ];
    let environments = late.into_iter().map(|late| vec![Layer::new().skeleton(HOME), late]);
    assert_snapshot!(refusals(environments.collect()));
}

#[test]
fn whiteouts_and_twins_elsewhere_do_not_matter() {
    let late = Layer::new()
        .whiteout("home/bentoml/.wh.bent")
        .whiteout("home/bentoml/.wh.bento2")
        .whiteout("home/other/.wh..wh..opq")
        .symlink("home/bentoml/bento2", "/x");
    assert_eq!(placement(&[Layer::new().skeleton(HOME).bytes(), late.bytes()]).unwrap().path, HOME);
}

#[test]
fn a_layer_that_is_cut_anywhere_is_an_error_of_reading() {
    let plain = Layer::new().skeleton(HOME).file("x", 0o644, 0, &[7; 2_000]).bytes();
    let packed = Layer::packed().skeleton(HOME).file("x", 0o644, 0, &[7; 2_000]).bytes();
    for whole in [&plain[..plain.len() - 1_023], &packed] {
        for end in 0..whole.len() {
            let cut = PlacementReader::new(KEY).read_layer(&whole[..end]);
            assert!(matches!(cut, Err(PlacementError::Read(_))), "{end}: {cut:?}");
        }
    }
}

#[test]
fn zstd_is_named() {
    let error = PlacementReader::new(KEY).read_layer(&[0x28, 0xb5, 0x2f, 0xfd, 0][..]).unwrap_err();
    assert_eq!(error.to_string(), "has a layer that is compressed with zstd, which is not read");
}

#[test]
fn headers_without_end_are_refused_before_they_fill_the_memory() {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(1 << 40);
    header.set_cksum();
    let endless = header.as_bytes().chain(repeat(b'a'));
    let error = PlacementReader::new(KEY).read_layer(endless).unwrap_err();
    assert!(matches!(error, PlacementError::Read(_)), "{error:?}");
}

#[test]
fn what_lies_below_the_bento_is_found_and_may_be_kept_as_text() {
    let at = Placement::new("b", UID, UID);
    let layers = [
        Layer::packed().directory("b/env", 0o755, 0).file("b/src/x", 0o644, 0, b"").file(
            "bx/models/y",
            0o644,
            0,
            b"",
        ),
        Layer::new().symlink("b/apis/x", "/y").symlink("bx/z", "/y").file("b/x", 0o644, 0, b""),
        Layer::new()
            .file("data/y", 0o644, 0, b"")
            .hard_link("data/z", "b/h1")
            .hard_link("b/h2", "data/y"),
    ];
    let mut below = Below::default();
    assert_eq!(Below::parse(&below.text()), Some(below.clone()));
    for layer in layers {
        below.read_layer(&at, layer.bytes().as_slice()).unwrap();
    }
    assert_eq!(
        below.text(),
        r#"{"links":["apis/x","h1","h2"],"directories":["apis","env","src"]}"#
    );
    assert_eq!(Below::parse(&below.text()), Some(below));
    assert_eq!((Below::parse("{}"), Below::parse("")), (Some(Below::default()), None));
}

proptest! {
    #[test]
    fn whatever_the_bytes_of_a_layer_there_is_an_answer(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        is_packed in any::<bool>(),
    ) {
        let layer = if is_packed { Layer::packed() } else { Layer::new() };
        let mut layer = layer.skeleton(HOME).whiteout("home/.wh.x").symlink("y", "z").bytes();
        for (at, byte) in changes {
            let at = at.index(layer.len());
            layer[at] = byte;
        }
        if let Ok(found) = placement(&[layer]) {
            prop_assert!(found.in_image("src").ends_with("src"));
        }
    }
}

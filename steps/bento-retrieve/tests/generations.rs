//! Archives that real releases of BentoML make, from the recipes beside this file.
//!
//! `make bentoml-tests` runs these, as they install the releases from the package index. The environments are kept in
//! the user's cache, the archives are made anew each time. Releases before 1.2 need Pythons that few machines still
//! have, and are left out, with a line that says so, where theirs is missing.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[path = "support/releases.rs"]
mod releases;

use std::{env, fs, path::Path, process::Command};

use assert_cmd::cargo::cargo_bin;

use crate::releases::run;

#[test]
#[ignore = "installs a release of BentoML: `make bentoml-tests`"]
fn bundles_of_0_9_are_taken() {
    retrieves_what_it_saves("0.9.2");
}

#[test]
#[ignore = "installs a release of BentoML: `make bentoml-tests`"]
fn bundles_of_0_13_are_taken() {
    retrieves_what_it_saves("0.13.1");
}

#[test]
#[ignore = "installs a release of BentoML: `make bentoml-tests`"]
fn bentos_of_1_0_are_taken() {
    retrieves_what_it_saves("1.0.25");
}

#[test]
#[ignore = "installs a release of BentoML: `make bentoml-tests`"]
fn bentos_of_1_1_are_taken() {
    retrieves_what_it_saves("1.1.11");
}

#[test]
#[ignore = "installs a release of BentoML: `make bentoml-tests`"]
fn bentos_of_1_2_are_taken() {
    retrieves_what_it_saves("1.2.20");
}

#[test]
#[ignore = "installs a release of BentoML: `make bentoml-tests`"]
fn bentos_of_1_3_are_taken() {
    retrieves_what_it_saves("1.3.22");
}

#[test]
#[ignore = "installs a release of BentoML: `make bentoml-tests`"]
fn bentos_of_1_4_without_pax_headers_are_taken() {
    retrieves_what_it_saves("1.4.19");
}

#[test]
#[ignore = "installs a release of BentoML: `make bentoml-tests`"]
fn bentos_of_1_4_with_pax_headers_are_taken() {
    retrieves_what_it_saves("1.4.39");
}

/// Makes a bento with this release, retrieves each of its exports, and compares the files with what Python unpacks.
fn retrieves_what_it_saves(release: &str) {
    let is_legacy = release.starts_with("0.");
    let Some(bin) = releases::bin(release) else { return };
    let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recipes");
    let (recipe, version) = if is_legacy {
        (recipe.join("bundle_0x.py"), "20261124060700_B2EDC0")
    } else {
        (recipe.join("bento_1x.py"), "v1")
    };
    let home = tempfile::tempdir().unwrap();
    let path = format!("{}:{}", bin.display(), env::var("PATH").unwrap());
    run(Command::new(bin.join("python"))
        .arg(recipe)
        .arg(version)
        .arg(home.path())
        .env("PATH", path));

    let archives: Vec<_> =
        fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(archives.len(), if is_legacy { 1 } else { 6 });
    for archive in archives {
        let name = archive.file_name().unwrap().to_str().unwrap();
        let [into, by_python] =
            ["into", "python"].map(|folder| home.path().join(format!("{folder}-{name}")));
        let result = |result: &str| home.path().join(format!("{name}.{result}"));
        let mut retrieve = Command::new(cargo_bin!("bento-retrieve"));
        retrieve.args(["--builder=kaniko", "--from"]).arg(&archive).arg("--into").arg(&into);
        for result_name in ["bento", "dockerfile"] {
            retrieve.arg(format!("--result-{result_name}")).arg(result(result_name));
        }
        run(&mut retrieve);

        let bento = if is_legacy { "Flowers:20261124060700_B2EDC0" } else { "flowers:v1" };
        assert_eq!(fs::read_to_string(result("bento")).unwrap(), bento, "{name}");
        let dockerfile = fs::read_to_string(result("dockerfile")).unwrap();
        assert_eq!(dockerfile, if is_legacy { "Dockerfile" } else { "env/docker/Dockerfile" });
        let unpack = "import sys,tarfile,zipfile
if zipfile.is_zipfile(sys.argv[1]): zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2])
else: tarfile.open(sys.argv[1]).extractall(sys.argv[2])";
        run(Command::new("python3")
            .args(["-W", "ignore", "-c", unpack])
            .arg(&archive)
            .arg(&by_python));
        let by_python = if is_legacy { by_python.join("Flowers") } else { by_python };
        run(Command::new("diff").args(["-r", "--no-dereference"]).arg(&by_python).arg(&into));

        let shown = Command::new(cargo_bin!("bento-retrieve"))
            .args(["show", "--from"])
            .arg(&archive)
            .output()
            .unwrap();
        let shown = String::from_utf8(shown.stdout).unwrap();
        assert!(shown.starts_with(bento) && shown.contains(release), "{name}: {shown}");
    }
}

//! Archives that real releases of BentoML make, from the recipes beside this file.
//!
//! `make bentoml-tests` runs these, as they install the releases from the package index. The environments are kept in
//! the user's cache, the archives are made anew each time. Releases before 1.2 need Pythons that few machines still
//! have, and are left out, with a line that says so, where theirs is missing.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use assert_cmd::cargo::cargo_bin;

/// What pip would choose by itself for these old releases no longer works together.
const OLD: [&str; 8] = [
    "protobuf<3.21",
    "grpcio<1.50",
    "flask<2.1",
    "werkzeug<2.1",
    "jinja2<3.1",
    "markupsafe<2.1",
    "itsdangerous<2.1",
    "sqlalchemy<1.4",
];

/// What the example's notebook needs too.
const NEEDED: &str = "3.11";

#[test]
#[ignore = "installs a release of BentoML: `make bentoml-tests`"]
fn bundles_of_0_9_are_taken() {
    retrieves_what_it_saves("0.9.2", "3.7", &OLD);
}

#[test]
#[ignore = "installs a release of BentoML: `make bentoml-tests`"]
fn bundles_of_0_13_are_taken() {
    retrieves_what_it_saves("0.13.1", "3.7", &OLD);
}

#[test]
#[ignore = "installs a release of BentoML: `make bentoml-tests`"]
fn bentos_of_1_0_are_taken() {
    retrieves_what_it_saves("1.0.25", "3.8", &["cattrs<23.2"]);
}

#[test]
#[ignore = "installs a release of BentoML: `make bentoml-tests`"]
fn bentos_of_1_1_are_taken() {
    retrieves_what_it_saves("1.1.11", "3.9", &[]);
}

#[test]
#[ignore = "installs a release of BentoML: `make bentoml-tests`"]
fn bentos_of_1_2_are_taken() {
    retrieves_what_it_saves("1.2.20", "3.11", &["pydantic==2.7.4"]);
}

#[test]
#[ignore = "installs a release of BentoML: `make bentoml-tests`"]
fn bentos_of_1_3_are_taken() {
    retrieves_what_it_saves("1.3.22", "3.11", &[]);
}

#[test]
#[ignore = "installs a release of BentoML: `make bentoml-tests`"]
fn bentos_of_1_4_without_pax_headers_are_taken() {
    retrieves_what_it_saves("1.4.19", "3.11", &[]);
}

#[test]
#[ignore = "installs a release of BentoML: `make bentoml-tests`"]
fn bentos_of_1_4_with_pax_headers_are_taken() {
    retrieves_what_it_saves("1.4.39", "3.11", &[]);
}

/// Makes a bento with this release, retrieves each of its exports, and compares the files with what Python unpacks.
fn retrieves_what_it_saves(release: &str, python: &str, requirements: &[&str]) {
    let is_legacy = release.starts_with("0.");
    let Some(interpreter) = interpreter(python) else {
        assert_ne!(python, NEEDED, "python{NEEDED} has to be on the PATH, or in pyenv");
        eprintln!("left out: BentoML {release}, as there is no python{python} here");
        return;
    };
    let place = format!("{release}-python{python}");
    let bin = environment(&place, release, &interpreter, requirements).join("bin");
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

/// A virtual environment with this release, made once for a machine.
fn environment(name: &str, release: &str, interpreter: &Path, requirements: &[&str]) -> PathBuf {
    let place = cache().join("bentoml").join(name);
    if place.join("complete").exists() {
        return place;
    }
    let _ = fs::remove_dir_all(&place); // one that was not finished
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    run(Command::new(interpreter).args(["-m", "venv"]).arg(&place));
    let mut pip = Command::new(place.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--prefer-binary", "--disable-pip-version-check"]);
    run(pip.arg(format!("bentoml=={release}")).args(requirements));
    fs::write(place.join("complete"), "").unwrap();
    place
}

/// Where what was built or installed once is kept.
fn cache() -> PathBuf {
    env::var_os("XDG_CACHE_HOME")
        .map_or_else(|| home().join(".cache"), PathBuf::from)
        .join("kanaria")
}

fn home() -> PathBuf {
    env::var_os("HOME").unwrap().into()
}

/// From the path or from pyenv.
fn interpreter(python: &str) -> Option<PathBuf> {
    let name = format!("python{python}");
    let paths = env::var_os("PATH").unwrap();
    let mut places: Vec<_> = env::split_paths(&paths).map(|folder| folder.join(&name)).collect();
    for version in fs::read_dir(home().join(".pyenv/versions")).into_iter().flatten().flatten() {
        places.push(version.path().join("bin").join(&name));
    }
    let works = |place: &PathBuf| {
        Command::new(place).arg("--version").output().is_ok_and(|output| output.status.success())
    };
    places.into_iter().find(works)
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{command:?}\n{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
}

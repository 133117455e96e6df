//! Releases of BentoML as a test needs them: installed once for a machine.
//!
//! The environments are kept in the user's cache. Releases before 1.2 need Pythons that few machines still have.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What an installer would choose by itself for these old releases no longer works together.
const OLD: &[&str] = &[
    "protobuf<3.21",
    "grpcio<1.50",
    "flask<2.1",
    "werkzeug<2.1",
    "jinja2<3.1",
    "markupsafe<2.1",
    "itsdangerous<2.1",
    "sqlalchemy<1.4",
];

/// Each with its Python and what else it has to be told.
const RELEASES: [(&str, &str, &[&str]); 9] = [
    ("0.9.2", "3.7", OLD),
    ("0.13.1", "3.7", OLD),
    ("1.0.18", "3.8", &["cattrs<23.2"]),
    ("1.0.25", "3.8", &["cattrs<23.2"]),
    ("1.1.11", "3.9", &[]),
    ("1.2.20", "3.11", &["pydantic==2.7.4"]),
    ("1.3.22", "3.11", &[]),
    ("1.4.19", "3.11", &[]),
    ("1.4.39", "3.11", &[]),
];

/// What the example's notebook needs too.
const NEEDED: &str = "3.11";

/// The folder with the programs of a release. None, with a line that says so, where there is no Python for it.
pub(crate) fn bin(release: &str) -> Option<PathBuf> {
    let (_, python, requirements) = RELEASES.iter().find(|(name, ..)| *name == release).unwrap();
    let Some(interpreter) = interpreter(python) else {
        assert_ne!(*python, NEEDED, "python{NEEDED} has to be on the PATH, or in pyenv");
        eprintln!("left out: BentoML {release}, as there is no python{python} here");
        return None;
    };
    let place = format!("{release}-python{python}");
    Some(environment(&place, release, &interpreter, requirements).join("bin"))
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
    let mut uv = Command::new(uv());
    uv.args(["pip", "install", "--quiet", "--python"]).arg(place.join("bin/python"));
    run(uv.arg(format!("bentoml=={release}")).args(requirements));
    fs::write(place.join("complete"), "").unwrap();
    place
}

/// The one that the example's environment has, and a fraction of the time that pip takes.
fn uv() -> PathBuf {
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/iris/venv");
    let output = Command::new(venv).stderr(Stdio::inherit()).output().unwrap();
    let python = String::from_utf8(output.stdout).unwrap();
    Path::new(python.trim()).with_file_name("uv")
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

pub(crate) fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{command:?}\n{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
}

//! Bentos of real releases of BentoML, each made by the release itself, from `recipes/bentos.py`.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use demo::Site;

use crate::bento;

/// A virtual environment of `make bentoml-tests` with a release, or none where its Python is not on this machine.
pub(crate) struct Release {
    bin: PathBuf,
}

impl Release {
    /// `RELEASE-pythonVERSION`. The newest one has to be there.
    pub(crate) fn find(name: &str) -> Option<Self> {
        let cache = env::var_os("XDG_CACHE_HOME")
            .map_or_else(|| Path::new(&env::var_os("HOME").unwrap()).join(".cache"), PathBuf::from);
        let place = cache.join("kanaria/bentoml").join(name);
        if place.join("complete").exists() {
            return Some(Self { bin: place.join("bin") });
        }
        assert!(!name.starts_with("1.4"), "`make bentoml-tests` installs {name}");
        eprintln!(
            "left out: BentoML {name}, which `make bentoml-tests` installs where its Python is"
        );
        None
    }

    /// Makes its bentos on this base image and saves them. Returns their `NAME:VERSION`s.
    pub(crate) async fn save_bentos(&self, site: &Site, base: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let recipe = demo::tree().unwrap().join("tests/cluster/recipes/bentos.py");
        let path = format!("{}:{}", self.bin.display(), env::var("PATH").unwrap());
        let made = Command::new(self.bin.join("python"))
            .arg(recipe)
            .arg(base)
            .arg(folder.path())
            .env("PATH", path)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut saved = Vec::new();
        for bento in fs::read_dir(folder.path()).unwrap() {
            let bento = bento.unwrap();
            let name = bento.file_name().into_string().unwrap();
            let archive = fs::read(bento.path().join("v1.tar.gz")).unwrap();
            bento::put(site, &format!("{name}/v1.tar.gz"), archive).await;
            saved.push(format!("{name}:v1"));
        }
        saved.sort();
        saved
    }
}

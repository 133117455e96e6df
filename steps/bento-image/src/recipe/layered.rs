//! A Dockerfile whose environment can be built without the bento.

use crate::recipe::{
    listing::{Entry, Listing},
    source::Source,
};

/// Made by [`judge`](crate::recipe::judge).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// The Dockerfile's path in the bento
    pub(crate) file: String,
    /// The Dockerfile
    pub(crate) text: String,
    pub(crate) from: From,
    /// The COPYs and ADDs before that of the whole bento
    pub(crate) copies: Vec<Copy>,
    /// The commands after it that make a file executable
    pub(crate) chmods: Vec<Chmod>,
    /// Those of the directories that a line names, which may make them where the bento goes
    pub(crate) names: Vec<(usize, &'static str)>,
    /// The first command after the bento was copied
    pub(crate) late_command: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct From {
    pub(crate) line: usize,
    pub(crate) base: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Copy {
    pub(crate) line: usize,
    /// An ADD, which unpacks archives
    pub(crate) adds: bool,
    pub(crate) sources: Vec<Source>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chmod {
    pub(crate) line: usize,
    /// Of which the bento's own path is an end
    pub(crate) path: Vec<String>,
}

impl Recipe {
    /// The base image, as FROM names it; `scratch` is none.
    pub fn base(&self) -> &str {
        &self.from.base
    }

    /// Whether a file or a link of the bento is in the key and in the skeleton, by its path.
    pub fn needs(&self, path: &str) -> bool {
        self.copies.iter().flat_map(|copy| &copy.sources).any(|source| source.covers(path))
            || self.chmods.iter().any(|chmod| chmod.may_be(path))
    }

    /// Whether the key may need something below a directory in the bento's root: while none of it was read, the key
    /// is not known.
    pub fn may_need_below(&self, directory: &str) -> bool {
        let is_below = |chmod: &Chmod| {
            let directories =
                chmod.path.split_last().map_or(&[][..], |(_, directories)| directories);
            directories.iter().any(|name| name == directory)
        };
        self.copies
            .iter()
            .flat_map(|copy| &copy.sources)
            .any(|source| source.may_cover_below(directory))
            || self.chmods.iter().any(is_below)
    }

    /// The paths and patterns that the key covers, as people may be told: `env/python`, `setup.s[h]`.
    pub fn sources(&self) -> Vec<String> {
        let mut found = Vec::new();
        for source in self.copies.iter().flat_map(|copy| &copy.sources) {
            match source {
                Source::All => {}
                Source::Path { path: name, .. } | Source::Glob { pattern: name, .. } => {
                    if !found.contains(name) {
                        found.push(name.clone());
                    }
                }
            }
        }
        found
    }

    /// The Dockerfile with its base image by digest, `sha256:…`, and all else untouched.
    pub fn dockerfile(&self, base_digest: &str) -> String {
        let From { line, base } = &self.from;
        if base == "scratch" {
            return self.text.clone();
        }
        let name = repository(base);
        let mut lines: Vec<_> = self.text.split('\n').map(str::to_owned).collect();
        if let Some(text) = lines.get_mut(line - 1) {
            // Nothing but a byte order mark and spaces is before FROM, and nothing but spaces between it and the base.
            let keyword = text.to_ascii_lowercase().find("from").map_or(0, |at| at + "from".len());
            if let Some(at) = text[keyword..].find(base.as_str()) {
                let at = keyword + at;
                text.replace_range(at..at + base.len(), &format!("{name}@{base_digest}"));
            }
        }
        lines.join("\n")
    }

    /// What of a bento is in the key, without directories that are only above it.
    pub(crate) fn covered<'l>(
        &self,
        listing: &'l Listing,
    ) -> impl Iterator<Item = (&'l str, &'l Entry)> {
        let entries = listing.entries.iter().filter(|(path, _)| self.needs(path));
        entries.map(|(path, entry)| (path.as_str(), entry))
    }
}

impl Chmod {
    /// Whether this path of the bento may be the one that is made executable, wherever the bento goes.
    pub(crate) fn may_be(&self, path: &str) -> bool {
        let names: Vec<_> = path.split('/').collect();
        self.path.len() >= names.len() && self.path[self.path.len() - names.len()..] == names[..]
    }
}

/// A reference without its tag and digest.
fn repository(reference: &str) -> &str {
    let name = reference.split('@').next().unwrap_or_default();
    match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use crate::recipe::judge;

    #[test]
    fn the_base_is_named_by_digest_and_nothing_else_changes() {
        let rest = "\r\n# FROM python:3.11\r\nCOPY . .\r\n";
        for (from, wanted) in [
            ("FROM python:3.11-slim", "FROM python@sha256:0"),
            ("from  python AS python", "from  python@sha256:0 AS python"),
            (
                "\u{feff}FROM \tregistry.local:5000/a/b",
                "\u{feff}FROM \tregistry.local:5000/a/b@sha256:0",
            ),
            (
                "FROM registry.local:5000/from/b:1 as from",
                "FROM registry.local:5000/from/b@sha256:0 as from",
            ),
            ("FROM a@sha256:1", "FROM a@sha256:0"),
            ("  FROM a:1@sha256:1 ", "  FROM a@sha256:0 "),
            ("FROM scratch", "FROM scratch"),
        ] {
            let text = format!("ARG FROM=python\n{from}{rest}");
            let text = if from.starts_with('\u{feff}') { format!("{from}{rest}") } else { text };
            let recipe = judge("Dockerfile", &text).unwrap();
            let wanted = text.replace(from, wanted);
            assert_eq!(recipe.dockerfile("sha256:0"), wanted);
        }
    }
}

//! What a COPY or an ADD names, as kaniko reads it.

use crate::recipe::{
    glob::{Glob, is_glob},
    listing::{MARKER, parents},
};

/// One source, relative to the bento's root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The root itself
    All,
    /// One file or directory
    Path { path: String, is_directory: bool },
    /// Files and directories that match
    Glob { pattern: String, glob: Glob },
}

impl Source {
    /// Reads a word of the instruction, or says why nobody can tell what it names.
    pub(crate) fn parse(word: &str) -> Result<Self, &'static str> {
        if word.is_empty() {
            return Err("names nothing");
        }
        if word.contains(['\\', '"', '\'']) {
            return Err("has quotes or a `\\` in the name of what it copies");
        }
        if word.contains('$') {
            return Err("copies what a variable names");
        }
        if word.contains("://") {
            return Err("gets what is not in the bento");
        }
        let names: Vec<_> = word.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
        if names.contains(&"..") {
            return Err("has `..` in the name of what it copies");
        }
        let path = names.join("/");
        if path.is_empty() {
            return Ok(Self::All);
        }
        if !is_glob(&path) {
            let is_directory = word.ends_with('/') || word.ends_with("/.");
            return Ok(Self::Path { path, is_directory });
        }
        let glob = Glob::parse(&path).ok_or("has a pattern that builders refuse")?;
        // kaniko matches the root too, as `.`, and would find the marker beside what is the bento's.
        if glob.matches(".") || glob.matches(MARKER) {
            return Err("has a pattern that matches all of the bento");
        }
        Ok(Self::Glob { pattern: path, glob })
    }

    /// Whether it is this path itself, and not only something above or below it.
    pub(crate) fn names(&self, path: &str) -> bool {
        match self {
            Self::All => false,
            Self::Path { path: named, .. } => named == path,
            Self::Glob { glob, .. } => glob.matches(path),
        }
    }

    /// Whether this path is copied by it.
    pub(crate) fn covers(&self, path: &str) -> bool {
        matches!(self, Self::All)
            || self.names(path)
            || parents(path).any(|parent| self.names(parent))
    }

    /// Whether something below a directory in the root may be copied by it.
    pub(crate) fn may_cover_below(&self, directory: &str) -> bool {
        let below = format!("{directory}/");
        match self {
            Self::All => true,
            Self::Path { path, .. } => path == directory || path.starts_with(&below),
            Self::Glob { pattern, .. } => {
                let fixed = pattern.split(['*', '?', '[']).next().unwrap_or_default();
                fixed.starts_with(&below) || below.starts_with(fixed)
            }
        }
    }
}

/// The words of a COPY or an ADD, or why they are not clear.
pub(crate) fn words(arguments: &str) -> Result<Vec<String>, &'static str> {
    if let Ok(words) = serde_json::from_str::<Vec<String>>(arguments) {
        return Ok(words);
    }
    // Builders part words at these alone, whatever else looks like a space.
    if arguments.chars().any(|c| !c.is_ascii() && c.is_whitespace()) {
        return Err("has a space that is not an ordinary one");
    }
    Ok(arguments.split_whitespace().map(|word| unquoted(word).to_owned()).collect())
}

/// A word without the quotes that all of it is in.
fn unquoted(word: &str) -> &str {
    ['"', '\'']
        .into_iter()
        .find_map(|quote| word.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covered<'p>(word: &str, paths: &[&'p str]) -> Vec<&'p str> {
        let source = Source::parse(word).unwrap();
        paths.iter().copied().filter(|path| source.covers(path)).collect()
    }

    #[test]
    fn a_source_is_a_file_a_directory_with_all_below_or_a_pattern() {
        let paths = [
            "env",
            "env/docker/Dockerfile",
            "env/python",
            "env/python/a/b",
            "environment.yml",
            "setup.sh",
        ];
        for (word, wanted) in [
            ("env/python", &paths[2..4]),
            ("./env/python/", &paths[2..4]),
            ("/env//./python/.", &paths[2..4]),
            ("setup.s[h]", &paths[5..]),
            ("./setup.*", &paths[5..]),
            ("env/*", &paths[1..4]),
            ("e?v", &paths[..4]),
            ("*/python", &paths[2..4]),
            ("environment.ym[l]", &paths[4..5]),
            ("nothing", &[]),
            ("en", &[]),
        ] {
            assert_eq!(covered(word, &paths), wanted, "{word}");
        }
        for word in [".", "./", "/", "./."] {
            assert_eq!(Source::parse(word), Ok(Source::All), "{word}");
        }
    }

    #[test]
    fn what_is_not_clear_is_refused() {
        for word in [
            "",
            "..",
            "../a",
            "a/../b",
            "$A",
            "${A}/b",
            "a\\ b",
            "\"a",
            "a'b'c",
            "https://x/a",
            "s3://x/a",
            "*",
            "?",
            "**",
            "a/b[",
            "*kanaria*",
            ".*",
            "[.]*",
            ".kanaria-environmen[t]",
        ] {
            assert!(Source::parse(word).is_err(), "{word}");
        }
    }

    #[test]
    fn a_trailing_slash_is_a_directory_s() {
        for (word, wanted) in
            [("a", false), ("a/", true), ("a/.", true), ("a.", false), ("./a", false)]
        {
            let Ok(Source::Path { path, is_directory }) = Source::parse(word) else {
                panic!("{word}")
            };
            assert_eq!((path.trim_end_matches('.'), is_directory), ("a", wanted), "{word}");
        }
    }

    #[test]
    fn what_may_be_below_a_directory_is_never_missed() {
        for (word, directory, wanted) in [
            ("env/python", "env", true),
            ("env", "env", true),
            ("env", "environment", false),
            ("src/*", "src", true),
            ("src/*", "models", false),
            ("s*/x", "src", true),
            ("s*/x", "models", false),
            ("[a-z]rc", "src", true),
            ("setup.s[h]", "src", false),
            ("env[^x]python", "env", true),
        ] {
            assert_eq!(
                Source::parse(word).unwrap().may_cover_below(directory),
                wanted,
                "{word} {directory}"
            );
        }
    }

    #[test]
    fn words_are_those_of_both_forms() {
        let read = |arguments: &str| words(arguments).unwrap();
        assert_eq!(read("a  ./b\tc"), ["a", "./b", "c"]);
        assert_eq!(read("[\"a b\", \"./c\"]"), ["a b", "./c"]);
        assert_eq!(read("\"a\" 'b' [cd]"), ["a", "b", "[cd]"]);
        assert_eq!(read("\"a b\" c"), ["\"a", "b\"", "c"]);
        assert!(words("a\u{a0}b c").is_err());
    }
}

//! Which packages changed between two requirements files.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use step::text::{address, short};

/// Packages that are named, before the others are counted.
const NAMED: usize = 12;
/// Characters of a name or a version that are shown.
const SHOWN: usize = 80;

/// The requirements file that says most of an environment: the lock, where there is one.
///
/// Of the paths of a bento, relative to its root.
pub fn file<'p>(paths: impl IntoIterator<Item = &'p str>) -> Option<&'p str> {
    let rank = |path: &str| {
        let name = path.strip_prefix("env/python/");
        match name {
            Some("requirements.lock.txt") => Some(0),
            Some("requirements.txt") => Some(1),
            None if path == "requirements.txt" => Some(2),
            Some("requirements.in") => Some(3),
            Some(name) if !name.contains('/') && is_requirements(name) => Some(4),
            _ => None,
        }
    };
    paths.into_iter().filter_map(|path| Some((rank(path)?, path))).min().map(|(_, path)| path)
}

fn is_requirements(name: &str) -> bool {
    name.starts_with("requirements") && [".txt", ".in"].iter().any(|end| name.ends_with(end))
}

/// What differs, to be printed in one line. Nothing secret of an address is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub packages: Vec<Change>,
    /// Names of pip's options that are other ones now, such as `--index-url`
    pub options: BTreeSet<String>,
}

/// One package, by its normal name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub name: String,
    /// None where it is new
    pub old: Option<String>,
    /// None where it was removed
    pub new: Option<String>,
}

/// What of a requirements file became another one. Comments, hashes and order are nothing.
pub fn changes(old: &str, new: &str) -> Changes {
    let [old, new] = [old, new].map(File::read);
    let names: BTreeSet<_> = old.packages.keys().chain(new.packages.keys()).collect();
    let packages = names.into_iter().filter_map(|name| {
        let [old, new] = [&old, &new].map(|file| file.packages.get(name));
        (old != new).then(|| Change::between(name, old, new))
    });
    let packages = packages.collect();
    let options = old.options.symmetric_difference(&new.options);
    Changes { packages, options: options.map(|(name, _)| name.clone()).collect() }
}

impl Change {
    /// What is asked in both is left out, as is a marker or an extra that stayed.
    fn between(name: &str, old: Option<&Asked>, new: Option<&Asked>) -> Self {
        let none = Asked::new();
        let [was, is] = [old, new].map(|asked| asked.unwrap_or(&none));
        let [old_only, new_only] = [was, is].map(|asked| asked.iter().collect::<Vec<_>>());
        let old_only: Vec<_> = old_only.into_iter().filter(|one| !is.contains(one)).collect();
        let new_only: Vec<_> = new_only.into_iter().filter(|one| !was.contains(one)).collect();
        let mut with = [true; 2];
        if let ([old], [new]) = (old_only.as_slice(), new_only.as_slice()) {
            let is_another = old.version != new.version;
            with =
                [old.extras != new.extras || !is_another, old.marker != new.marker || !is_another];
        }
        let shown = |asked: &[&Requirement]| {
            let asked: Vec<_> = asked.iter().map(|one| one.shown(with)).collect();
            (!asked.is_empty()).then(|| asked.join(" or "))
        };
        Self { name: name.to_owned(), old: shown(&old_only), new: shown(&new_only) }
    }
}

/// What is asked of one package, once for each marker.
type Asked = BTreeSet<Requirement>;

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Requirement {
    /// `2.14.3`, `>=2`, an address
    version: String,
    extras: String,
    marker: String,
}

impl Requirement {
    fn shown(&self, [with_extras, with_marker]: [bool; 2]) -> String {
        let mut shown = self.version.clone();
        if with_extras && !self.extras.is_empty() {
            shown = format!("{shown} with {}", self.extras);
        }
        if with_marker && !self.marker.is_empty() {
            shown = format!("{shown} where {}", self.marker);
        }
        shown
    }
}

/// A requirements file, as much of it as is compared.
#[derive(Default)]
struct File {
    /// By normal name
    packages: BTreeMap<String, Asked>,
    /// With what is given, which may be secret
    options: BTreeSet<(String, String)>,
}

impl File {
    fn read(text: &str) -> Self {
        let mut file = Self::default();
        for line in joined(text) {
            let line = without_comment(&line);
            if line.starts_with('-') {
                let (name, value) = line.split_once([' ', '=', '\t']).unwrap_or((line, ""));
                file.options.insert((short(name, SHOWN), value.trim().to_owned()));
            } else if !line.is_empty() {
                let (name, asked) = requirement(line);
                file.packages.entry(name).or_default().insert(asked);
            }
        }
        file
    }
}

/// Lines with those that continue them.
fn joined(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for part in text.lines() {
        if let Some(part) = part.trim_end().strip_suffix('\\') {
            line.push_str(part);
            line.push(' ');
        } else {
            line.push_str(part);
            lines.push(std::mem::take(&mut line));
        }
    }
    lines.push(line);
    lines
}

/// A `#` begins one at the beginning and after a space: in an address it does not.
fn without_comment(line: &str) -> &str {
    let comments = line.match_indices('#').map(|(at, _)| at);
    let mut comments =
        comments.filter(|at| line[..*at].chars().next_back().is_none_or(char::is_whitespace));
    line[..comments.next().unwrap_or(line.len())].trim()
}

/// A requirement's normal name and what is asked of it.
fn requirement(line: &str) -> (String, Requirement) {
    // Options of a requirement: hashes, mostly
    let line = line.split(" --").next().unwrap_or_default().trim();
    let (line, marker) = match line.split_once(';') {
        Some((line, marker)) => (line.trim(), marker.trim()),
        None => (line, ""),
    };
    let end = line
        .find(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c)))
        .unwrap_or(line.len());
    let (name, mut rest) = line.split_at(end);
    // A wheel, a folder or a repository has no name apart from its path.
    let is_path = line.starts_with('.') || rest.starts_with(['/', ':', '\\', '+']);
    if name.is_empty() || is_path {
        return (shown_address(line), Requirement::default());
    }
    rest = rest.trim();
    let mut extras = "";
    if let Some((inner, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        (extras, rest) = (inner, after.trim());
    }
    let version: String = rest.chars().filter(|c| !c.is_whitespace()).collect();
    let pinned = version.strip_prefix("===").or_else(|| version.strip_prefix("=="));
    let version = match (rest.strip_prefix('@'), pinned) {
        (Some(url), _) => shown_address(url.trim()),
        (None, Some(pinned)) if !pinned.contains(',') => short(pinned, SHOWN),
        _ if version.is_empty() => "any version".into(),
        _ => short(&version, SHOWN),
    };
    let extras: BTreeSet<_> =
        extras.split(',').map(normal).filter(|extra| !extra.is_empty()).collect();
    let extras = extras.into_iter().collect::<Vec<_>>().join(", ");
    (normal(name), Requirement { version, extras, marker: short(marker, SHOWN) })
}

fn shown_address(url: &str) -> String {
    short(&address(url), SHOWN)
}

/// A package's name by PEP 503: in lower case, runs of `-`, `_` and `.` as one `-`.
fn normal(name: &str) -> String {
    let parts = name.trim().split(['-', '_', '.']).filter(|part| !part.is_empty());
    short(&parts.collect::<Vec<_>>().join("-").to_ascii_lowercase(), SHOWN)
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        self.packages.is_empty() && self.options.is_empty()
    }
}

/// `3 packages: pydantic 2.14.3 → 2.14.4, numpy new 2.4.6, attrs removed (was 25.1)`
impl fmt::Display for Changes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { packages, options } = self;
        let mut separator = "";
        if let Some((first, others)) = packages.split_first() {
            let ending = if others.is_empty() { "" } else { "s" };
            write!(out, "{} package{ending}: {first}", packages.len())?;
            for package in others.iter().take(NAMED - 1) {
                write!(out, ", {package}")?;
            }
            if packages.len() > NAMED {
                write!(out, " and {} more", packages.len() - NAMED)?;
            }
            separator = "; ";
        }
        if !options.is_empty() {
            let names: Vec<_> = options.iter().map(|name| format!("`{name}`")).collect();
            write!(out, "{separator}another {}", names.join(" and another "))?;
        }
        Ok(())
    }
}

impl fmt::Display for Change {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { name, old: Some(old), new: Some(new) } => write!(out, "{name} {old} → {new}"),
            Self { name, old: None, new: Some(new) } if new.is_empty() => write!(out, "{name} new"),
            Self { name, old: None, new: Some(new) } => write!(out, "{name} new {new}"),
            Self { name, old: Some(old), .. } if old.is_empty() => write!(out, "{name} removed"),
            Self { name, old: Some(old), .. } => write!(out, "{name} removed (was {old})"),
            Self { name, .. } => write!(out, "{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_changed_is_one_line_that_names_it() {
        let old = "--index-url https://user:hush@a.example/simple\n--extra-index-url=https://b.example\n\
            pydantic==2.14.3\nattrs==25.1\nZope.Interface==5\nsame==1 # why\nwhere==1 ; python_version < '3.9'\n\
            where==2; python_version >= '3.9'\nextra[b,A_c]==1\nranged>=1, <2\nbare\n./wheels/own-1.0.tar.gz\n\
            hashed==1 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\nurl @ https://x.example/url.whl?token=hush\ngit+https://me:hush@x.example/y.git\n\
            u @ git+ssh://me:hush@x.example/z.git@v1\n";
        let new = "--index-url https://user:shh@a.example/simple\n--extra-index-url=https://b.example\n\
            pydantic==2.14.4\nnumpy==2.4.6\nzope_interface==5\n# a comment\nsame==1\nwhere==1 ; python_version < '3.9'\n\
            where==3; python_version >= '3.9'\nextra[a-c]==1\nranged>=1,<2\nbare~=1.0\n./wheels/own-1.1.tar.gz\n\
            hashed==1 --hash=sha256:cc\nurl @ https://x.example/url2.whl?token=hush#sha256=00\nu @ git+ssh://me:hush@x.example/z.git@v2\n";
        let said = changes(old, new).to_string();
        insta::assert_snapshot!(said, @"11 packages: ./wheels/own-1.0.tar.gz removed, ./wheels/own-1.1.tar.gz new, attrs removed (was 25.1), bare any version → ~=1.0, extra 1 with a-c, b → 1 with a-c, git+https://x.example/y.git removed, numpy new 2.4.6, pydantic 2.14.3 → 2.14.4, u git+ssh://x.example/z.git@v1 → git+ssh://x.example/z.git@v2, url https://x.example/url.whl?… → https://x.example/url2.whl?…, where 2 → 3; another `--index-url`");
        assert!(!said.contains("hush") && !said.contains("shh"));
        assert!(changes(old, old).is_empty());
        assert_eq!(changes("", "a==1\n").to_string(), "1 package: a new 1");
        assert_eq!(changes("-r a\n", "-r b\n").to_string(), "another `-r`");
    }

    #[test]
    fn twelve_are_named_and_the_others_counted() {
        let requirements = |version: u8, count: u8| -> String {
            (0..count).map(|at| format!("p{at:02}=={version}\n")).collect::<Vec<_>>().concat()
        };
        let said = changes(&requirements(1, 21), &requirements(2, 21)).to_string();
        assert!(
            said.starts_with("21 packages: p00 1 → 2, p01")
                && said.ends_with("p11 1 → 2 and 9 more"),
            "{said}"
        );
        let said = changes(&requirements(1, 12), &requirements(2, 12)).to_string();
        assert!(said.ends_with(", p11 1 → 2"), "{said}");
    }

    #[test]
    fn the_lock_says_most() {
        let wanted = |paths: &[&str]| file(paths.iter().copied()).map(str::to_owned);
        let all = [
            "env/python/requirements.in",
            "env/python/requirements.txt",
            "env/python/requirements.lock.txt",
        ];
        assert_eq!(wanted(&all).as_deref(), Some(all[2]));
        assert_eq!(wanted(&all[..2]).as_deref(), Some(all[1]));
        assert_eq!(wanted(&["env/python/requirements-gpu.txt", all[0]]).as_deref(), Some(all[0]));
        assert_eq!(wanted(&["requirements.txt", "README.md"]).as_deref(), Some("requirements.txt"));
        assert_eq!(wanted(&["src/requirements.txt", "env/python/wheels/requirements.txt"]), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read(old in "[ -~\n\t\r]{0,200}", new in "[ -~\n\\\\#;@]{0,200}") {
            prop_assert!(!changes(&old, &new).to_string().contains('\n'));
            prop_assert!(changes(&old, &old).is_empty());
        }

        /// Neither order nor comments nor hashes nor the spelling of a name are a change.
        #[test]
        fn what_pip_takes_for_the_same_is_the_same(
            packages in Just((0..9).collect::<Vec<_>>()).prop_shuffle(),
            separators in proptest::collection::vec(proptest::sample::select(vec!["-", "_", ".", "--"]), 9),
        ) {
            let old: Vec<_> = (0..9).map(|at| format!("a-b{at}==1.{at}\n")).collect();
            let new: Vec<_> = packages
                .iter()
                .zip(separators)
                .map(|(at, separator)| format!("# {at}\nA{separator}B{at} == 1.{at} \\\n  --hash=sha256:{at}  # why\n"))
                .collect();
            let changes = changes(&old.concat(), &new.concat());
            prop_assert!(changes.is_empty(), "{}", changes);
        }
    }
}

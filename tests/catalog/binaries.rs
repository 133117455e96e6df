//! What the steps and services themselves say they take.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
    time::SystemTime,
};

use crate::tree::root;

/// What `NAME --help` prints, from a binary that is not older than its sources.
pub(crate) fn help(name: &str) -> String {
    help_of(name, &[])
}

/// What `NAME SUBCOMMAND --help` prints.
pub(crate) fn help_of(name: &str, subcommand: &[String]) -> String {
    let binary = path(name);
    let output = Command::new(&binary).args(subcommand).arg("--help").output();
    let output =
        output.unwrap_or_else(|error| panic!("failed to run `{}`: {error}", binary.display()));
    String::from_utf8(output.stdout).expect("help in UTF-8")
}

/// A binary that is not older than its sources.
pub(crate) fn path(name: &str) -> PathBuf {
    /// One build at a time; the second finds nothing to do.
    static BUILD: Mutex<()> = Mutex::new(());

    let test = std::env::current_exe().expect("the path of this test");
    let folder = test.parent().and_then(Path::parent).expect("target/PROFILE/deps/TEST");
    let _alone = BUILD.lock();
    if is_stale(&folder.join(name), name) {
        let profile = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let profile = if profile == "debug" { "dev" } else { profile };
        // The whole workspace, because the features of one package alone differ: all would be
        // compiled anew.
        let done = Command::new(env!("CARGO"))
            .current_dir(root())
            .args(["build", "--quiet", "--workspace", "--bins", "--profile", profile])
            .status();
        assert!(done.is_ok_and(|done| done.success()), "failed to build `{name}`");
    }
    folder.join(name)
}

fn is_stale(binary: &Path, name: &str) -> bool {
    let built = fs::metadata(binary).and_then(|found| found.modified()).ok();
    let of = |home: &str| root().join(home);
    let sources = [
        of("steps/step"),
        of("steps/inference-service"),
        of("steps/model-container"),
        of("steps/cloudevent"),
        of("steps/ladder"),
        of("steps/registry"),
        of("steps/bento-retrieve"),
        of("steps").join(name),
        of("services").join(name),
    ];
    let touched = sources.iter().filter_map(|home| newest(&home.join("src"))).max();
    built.is_none() || built < touched
}

fn newest(path: &Path) -> Option<SystemTime> {
    if path.is_dir() {
        let inside = fs::read_dir(path).ok()?.filter_map(Result::ok);
        return inside.filter_map(|entry| newest(&entry.path())).max();
    }
    let source = path.extension().is_some_and(|end| end == "rs");
    source.then(|| fs::metadata(path).ok()?.modified().ok()).flatten()
}

/// The flags that a help text lists, such as `--percent`.
pub(crate) fn flags(help: &str) -> BTreeSet<String> {
    help.lines()
        .map(str::trim_start)
        .filter_map(|line| {
            line.strip_prefix("-h, ").or_else(|| line.strip_prefix("-V, ")).or(Some(line))
        })
        .filter(|line| line.starts_with("--"))
        .filter_map(|line| line.split([' ', '[', '=']).next())
        .map(str::to_owned)
        .collect()
}

/// A flag, as its help shows it.
pub(crate) struct Flag {
    /// Such as `--percent`
    pub(crate) name: String,
    /// What stands for its value, without brackets; empty where there is none
    pub(crate) value: String,
    /// The variable that is read in its place
    pub(crate) variable: Option<String>,
}

/// The flags that a help text describes.
pub(crate) fn options(help: &str) -> Vec<Flag> {
    let mut found: Vec<Flag> = Vec::new();
    for line in help.lines().take_while(|line| *line != "Examples:") {
        // An entry stands six columns in, and its text ten.
        if let Some(entry) = line.strip_prefix("      ").filter(|entry| entry.starts_with("--")) {
            // Where nothing has more than a line, the text stands beside it.
            let entry = entry.split("  ").next().unwrap_or_default();
            let (name, value) = entry.split_at(entry.find([' ', '[', '=']).unwrap_or(entry.len()));
            let value = value.trim_matches([' ', '[', ']', '=', '.', '<', '>']);
            found.push(Flag { name: name.to_owned(), value: value.to_owned(), variable: None });
        } else if let (Some(variable), Some(flag)) = (variable(line), found.last_mut()) {
            flag.variable = Some(variable);
        }
    }
    found
}

/// The variables that a help text names.
pub(crate) fn variables(help: &str) -> BTreeSet<String> {
    help.lines().filter_map(variable).collect()
}

fn variable(line: &str) -> Option<String> {
    Some(line.trim().strip_prefix("[env: ")?.strip_suffix(']')?.to_owned())
}

/// The subcommands that a help text lists, before its options.
pub(crate) fn subcommands(help: &str) -> Vec<String> {
    let before = help.split("Options:").next().unwrap_or_default();
    let listed = before.lines().filter_map(|line| line.strip_prefix("  "));
    let name = |line: &str| line.split_once("  ").map(|(name, _)| name.to_owned());
    let is_name = |name: &String| name.bytes().all(|c| c.is_ascii_lowercase() || c == b'-');
    listed
        .filter_map(name)
        .filter(|name| !name.is_empty() && is_name(name) && name != "help")
        .collect()
}

/// The flags that stand alone in the usage line: those without which the step does not run.
pub(crate) fn required(help: &str) -> Vec<String> {
    let usage = help.lines().find(|line| line.starts_with("Usage:")).unwrap_or_default();
    usage.split_whitespace().filter(|word| word.starts_with("--")).map(str::to_owned).collect()
}

/// Whether the flag's own entry in the help names this variable.
pub(crate) fn names_variable(help: &str, flag: &str, variable: &str) -> bool {
    let mut entry = help.lines().skip_while(|line| !line.trim_start().starts_with(flag));
    let first = entry.next().unwrap_or_default();
    let rest = entry.take_while(|line| !line.trim_start().starts_with("--"));
    std::iter::once(first).chain(rest).any(|line| line.contains(&format!("[env: {variable}]")))
}

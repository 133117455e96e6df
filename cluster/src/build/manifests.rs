//! Manifests of what is installed into the cluster: upstream's own, with this cluster's changes,
//! and each `ko://` command in them built, pushed and named by its digest.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::go::{METHOD, Programs, key, source, toolchain};
use crate::{command, paths::Cache, progress::Progress};

/// Those with a folder under `manifests/`, in the order in which they are installed.
pub(crate) const ADD_ONS: [&str; 5] =
    ["tekton-pipelines", "tekton-triggers", "knative-serving", "kourier", "kserve"];

/// The registry as the host reaches it while it builds, and as everybody reads it in a manifest.
const PUSHED_TO: &str = "127.0.0.1:5000/";
const PULLED_FROM: &str = "registry.local:5000/";

/// Makes the manifests that the cache lacks, and the images that they name. Needs the registry.
pub(crate) fn ensure(cache: &Cache, programs: &Programs, progress: &Progress) -> Result<()> {
    for add_on in ADD_ONS {
        let manifest = file(cache, add_on)?;
        if manifest.exists() {
            continue;
        }
        let stage = progress.stage(format!("images of {add_on}"));
        stage.set_detail("links and pushes");
        let text = resolve(add_on, cache, programs)
            .with_context(|| format!("failed to make the manifest of `{add_on}`"))?;
        let unfinished = manifest.with_added_extension("unfinished");
        fs::create_dir_all(cache.join("manifests"))
            .and_then(|()| fs::write(&unfinished, text))
            .and_then(|()| fs::rename(&unfinished, &manifest))
            .with_context(|| format!("failed to keep `{}`", manifest.display()))?;
    }
    Ok(())
}

/// The cache's manifest of an add-on, whether or not it has been made.
pub(crate) fn file(cache: &Cache, add_on: &str) -> Result<PathBuf> {
    let key = key(
        &[&source(add_on), &changes(add_on)],
        &[METHOD.to_owned(), toolchain()?, include_str!("../../go/ko.yaml").into()],
    )?;
    Ok(cache.join("manifests").join(format!("{add_on}-{key}.yaml")))
}

/// What this cluster changes of upstream's manifests.
fn changes(add_on: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests").join(add_on)
}

fn resolve(add_on: &str, cache: &Cache, programs: &Programs) -> Result<String> {
    let stage = cache.join("kustomize");
    let _ = fs::remove_dir_all(&stage);
    fs::create_dir_all(&stage)
        .with_context(|| format!("failed to create `{}`", stage.display()))?;
    for entry in fs::read_dir(changes(add_on))? {
        let file = entry?;
        fs::copy(file.path(), stage.join(file.file_name()))?;
    }
    fs::write(stage.join("upstream.yaml"), upstream(add_on)?)?;
    let changed =
        command::read(Command::new(programs.bin("kubectl")).arg("kustomize").arg(&stage))?;
    let _ = fs::remove_dir_all(&stage);

    let mut ko = Command::new(programs.bin("ko"));
    ko.args(["resolve", "--insecure-registry", "--base-import-paths", "--sbom=none", "-f", "-"])
        .env("KO_DOCKER_REPO", format!("{PUSHED_TO}{add_on}"))
        .env("KO_CONFIG_PATH", source("ko.yaml"))
        .current_dir(source(add_on));
    let commands = quoted_commands(&changed);
    let resolved = command::feed(&mut ko, &with_list(&changed, &commands))?;
    Ok(without_list(resolved, &commands)?.replace(PUSHED_TO, PULLED_FROM))
}

/// Commands within a longer text, as settings in JSON have them. ko sees only those that are a whole value.
fn quoted_commands(manifests: &str) -> Vec<&str> {
    let quoted = manifests.split('"').filter(|text| text.starts_with("ko://"));
    let mut commands: Vec<_> = quoted.filter(|text| !text.contains(char::is_whitespace)).collect();
    commands.sort_unstable();
    commands.dedup();
    commands
}

/// Adds a last document in which each command is a value of its own.
fn with_list(manifests: &str, commands: &[&str]) -> String {
    if commands.is_empty() {
        return manifests.to_owned();
    }
    format!("{manifests}\n---\n- {}\n", commands.join("\n- "))
}

/// Takes that document away again, and puts the images that it names now where the commands were.
fn without_list(resolved: String, commands: &[&str]) -> Result<String> {
    if commands.is_empty() {
        return Ok(resolved);
    }
    let (manifests, list) =
        resolved.rsplit_once("---\n").context("failed to find what ko made of settings")?;
    let images: Vec<_> = list.lines().filter_map(|line| line.strip_prefix("- ")).collect();
    ensure!(images.len() == commands.len(), "failed to find an image for each of {commands:?}");
    let pairs = commands.iter().zip(images);
    Ok(pairs.fold(manifests.to_owned(), |text, (command, image)| {
        text.replace(&format!("\"{command}\""), &format!("\"{image}\""))
    }))
}

/// Upstream's files, as `upstream.txt` lists them: `MODULE PATH` a line, a folder for all YAML in it.
fn upstream(add_on: &str) -> Result<String> {
    let list = changes(add_on).join("upstream.txt");
    let list = fs::read_to_string(&list)
        .with_context(|| format!("failed to read `{}`", list.display()))?;
    let mut joined = String::new();
    for line in list.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (module, path) =
            line.split_once(' ').with_context(|| format!("failed to read `{line}`: no path"))?;
        let mut find = Command::new("go");
        // Modules that only ko needs so far may not have been downloaded yet.
        find.args(["mod", "download", "-json", module]).current_dir(source(add_on));
        let found: Value = serde_json::from_str(&command::read(&mut find)?)?;
        let text = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
        for file in files(&Path::new(&text("Dir")).join(path))? {
            let yaml = fs::read_to_string(&file)
                .with_context(|| format!("failed to read `{}`", file.display()))?;
            joined += "\n---\n"; // several of upstream's files end without a newline
            joined += &released(&yaml, text("Version").trim_start_matches('v'));
        }
    }
    Ok(joined)
}

/// Upstream writes the version into its labels when it releases; Knative's webhook insists on one.
fn released(yaml: &str, version: &str) -> String {
    let line = |line: &str| match line.trim_end().trim_end_matches('"').strip_suffix("devel") {
        Some(label) if label.trim_end_matches('"').ends_with(": ") => {
            format!("{}\"{version}\"\n", label.trim_end_matches('"'))
        }
        _ => format!("{line}\n"),
    };
    yaml.lines().map(line).collect()
}

fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let listed =
        fs::read_dir(path).with_context(|| format!("failed to read `{}`", path.display()))?;
    let mut files: Vec<_> = listed.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.retain(|file| file.file_name().is_none_or(|name| name != "kustomization.yaml"));
    files.sort();
    ensure!(!files.is_empty(), "failed to find YAML in `{}`", path.display());
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_of_a_development_version_becomes_the_released_one_and_nothing_else_changes() {
        let yaml = "a: devel\nb: \"devel\"\nc: developer\n# devel\n";
        assert_eq!(released(yaml, "1.2.3"), "a: \"1.2.3\"\nb: \"1.2.3\"\nc: developer\n# devel\n");
    }

    #[test]
    fn a_command_in_the_midst_of_a_setting_becomes_its_image_as_one_that_is_a_value_does() {
        let manifests =
            "image: ko://a/b\n---\nsetting: |\n  { \"image\": \"ko://a/c\", \"n\": 1 }\n";
        let commands = quoted_commands(manifests);
        assert_eq!(commands, ["ko://a/c"]);
        let asked = with_list(manifests, &commands);
        assert!(asked.ends_with("\n---\n- ko://a/c\n"), "{asked}");
        // ko leaves what is within a text alone.
        let resolved = "image: r/b@1\n---\nsetting: |\n  { \"image\": \"ko://a/c\", \"n\": 1 }\n---\n- r/c@2\n";
        assert_eq!(
            without_list(resolved.into(), &commands).unwrap(),
            "image: r/b@1\n---\nsetting: |\n  { \"image\": \"r/c@2\", \"n\": 1 }\n"
        );
        without_list("image: r/b@1\n---\n[]\n".into(), &commands).unwrap_err();
        assert_eq!(without_list("---\na: 1\n".into(), &[]).unwrap(), "---\na: 1\n");
    }

    #[test]
    fn every_add_on_says_what_it_takes_from_upstream() {
        for add_on in ADD_ONS {
            assert!(changes(add_on).join("upstream.txt").is_file(), "{add_on}");
            assert!(changes(add_on).join("kustomization.yaml").is_file(), "{add_on}");
        }
    }
}

//! One name finds everything, and the catalogs outside find it too.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    binaries::{help, subcommands},
    faults::Faults,
    tree::*,
};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What Artifact Hub and catlin know, as far as it can fit this catalog.
const CATEGORIES: [&str; 9] = [
    "Build Tools",
    "Deployment",
    "Image Build",
    "Integration & Delivery",
    "Kubernetes",
    "Messaging",
    "Monitoring",
    "Publishing",
    "Storage",
];

#[test]
fn a_folder_a_file_and_an_object_share_one_name() {
    let mut faults = Faults::default();
    for (kind, folder) in [("Task", "tasks"), ("Pipeline", "pipelines")] {
        for name in folders(folder) {
            let home = format!("{folder}/{name}");
            for file in [format!("{name}.yaml"), "README.md".into(), format!("samples/{name}.yaml")]
            {
                faults.unless(
                    root().join(&home).join(&file).is_file(),
                    &home,
                    format!("write `{file}`"),
                );
            }
            let Some(object) = documents(&format!("{home}/{name}.yaml")).into_iter().next() else {
                continue;
            };
            faults.equal(&home, "apiVersion", text(&object, "/apiVersion"), "tekton.dev/v1");
            faults.equal(&home, "kind", text(&object, "/kind"), kind);
            faults.equal(&home, "metadata.name", text(&object, "/metadata/name"), &name);
        }
    }
    faults.none();
}

#[test]
fn a_step_is_a_crate_a_binary_an_image_and_a_target() {
    let mut faults = Faults::default();
    let crates = crates("steps");
    for (task, spec) in tasks() {
        for step in steps(&spec) {
            let name = text(step, "/name");
            let here = format!("tasks/{task}, step {name}");
            let image = text(step, "/image");
            if FOREIGN_STEPS.contains(&name) {
                let pinned = image
                    .rsplit_once(':')
                    .is_some_and(|(_, tag)| tag != "latest" && !tag.contains('/'));
                faults.unless(pinned, &here, format!("name a host and a tag in image `{image}`"));
                continue;
            }
            let name = crate_of(name);
            faults.unless(
                crates.contains(&name),
                &here,
                format!("no crate `steps/{name}`: call the step like its crate"),
            );
            faults.equal(&here, "image", image, format!("ghcr.io/kanaria/{name}:{VERSION}"));
            runs(&mut faults, &here, &name, step);
        }
    }
    let used: BTreeSet<_> = tasks()
        .values()
        .flat_map(|spec| {
            steps(spec).into_iter().map(|step| crate_of(text(step, "/name"))).collect::<Vec<_>>()
        })
        .collect();
    for name in &crates {
        faults.unless(
            used.contains(name),
            format!("steps/{name}"),
            format!("no Task uses it: write `tasks/{name}/{name}.yaml`"),
        );
        let manifest = read(&format!("steps/{name}/Cargo.toml"));
        faults.unless(
            manifest.contains(&format!("name = \"{name}\"")),
            format!("steps/{name}/Cargo.toml"),
            format!("call the package `{name}`"),
        );
    }
    faults.none();
}

/// The command of a container is its binary, and behind it stand subcommands of its help.
fn runs(faults: &mut Faults, here: &str, name: &str, container: &Value) {
    let command = strings(container.get("command"));
    let (binary, subcommand) =
        command.split_first().map_or(("", &[][..]), |(first, rest)| (first, rest));
    faults.equal(here, "command", binary, format!("/{name}"));
    let known = subcommands(&help(name));
    faults.unless(
        subcommand.iter().all(|word| known.contains(word)),
        here,
        format!("after `/{name}` stands a subcommand of its help, not {subcommand:?}"),
    );
}

#[test]
fn a_service_is_a_crate_a_binary_an_image_and_a_deployment() {
    let mut faults = Faults::default();
    let crates = crates("services");
    let mut deployed = BTreeSet::new();
    for (name, container) in served() {
        let here = format!("triggers, Deployment {name}");
        faults.unless(
            crates.contains(&name),
            &here,
            format!("no crate `services/{name}`: call the Deployment like its crate"),
        );
        faults.equal(&here, "container", text(&container, "/name"), &name);
        let image = format!("ghcr.io/kanaria/{name}:{VERSION}");
        faults.equal(&here, "image", text(&container, "/image"), image);
        runs(&mut faults, &here, &name, &container);
        deployed.insert(name);
    }
    faults.same("triggers", "Deployments", &deployed, "crates with a binary in services/", &crates);
    for name in &crates {
        let manifest = read(&format!("services/{name}/Cargo.toml"));
        faults.unless(
            manifest.contains(&format!("name = \"{name}\"")),
            format!("services/{name}/Cargo.toml"),
            format!("call the package `{name}`"),
        );
    }
    faults.none();
}

#[test]
fn an_image_is_a_target_of_the_dockerfile() {
    let mut faults = Faults::default();
    let crates: BTreeSet<_> = crates("steps").union(&crates("services")).cloned().collect();
    let images = crates.iter().cloned().chain(FOREIGN_STEPS.map(str::to_owned)).collect();
    faults.same(
        "Dockerfile",
        "`FROM scratch AS …` targets",
        &dockerfile_targets(),
        "crates with a binary in steps/ and services/, and kaniko",
        &images,
    );
    let dockerfile = read("Dockerfile");
    for name in &crates {
        faults.unless(
            dockerfile.contains(&format!("-p {name} ")),
            "Dockerfile",
            format!("compile `-p {name}` in the first stage"),
        );
        // A name would not do: Kubernetes cannot tell whether it is root's.
        let target = format!("FROM scratch AS {name}\n");
        let stage = dockerfile.split_once(&target).map_or("", |(_, rest)| rest);
        let stage = stage.split("\nFROM ").next().unwrap_or_default();
        faults.unless(
            stage.lines().any(|line| line == "USER 65532:65532"),
            format!("Dockerfile, target {name}"),
            "end it as `USER 65532:65532`: no YAML names a user",
        );
    }
    faults.none();
}

#[test]
fn the_metadata_is_what_catlin_and_artifact_hub_ask_for() {
    let mut faults = Faults::default();
    for (here, object) in tasks_and_pipelines() {
        faults.equal(
            &here,
            "label app.kubernetes.io/version",
            label(&object, "app.kubernetes.io/version"),
            VERSION,
        );
        faults.equal(
            &here,
            "label app.kubernetes.io/part-of",
            label(&object, "app.kubernetes.io/part-of"),
            "kanaria",
        );
        for wanted in ["pipelines.minVersion", "categories", "tags", "displayName", "platforms"] {
            let found = annotation(&object, &format!("tekton.dev/{wanted}"));
            faults.unless(
                !found.is_empty(),
                &here,
                format!("write the annotation tekton.dev/{wanted}"),
            );
        }
        for category in annotation(&object, "tekton.dev/categories").split(',').map(str::trim) {
            faults.unless(
                CATEGORIES.contains(&category),
                &here,
                format!("`{category}` is none of {CATEGORIES:?}"),
            );
        }
        for platform in annotation(&object, "tekton.dev/platforms").split(',').map(str::trim) {
            let plain = |part: &str| {
                !part.is_empty()
                    && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
            };
            let sound = platform.split_once('/').is_some_and(|(os, arch)| plain(os) && plain(arch));
            faults.unless(sound, &here, format!("platform `{platform}` is not OS/ARCHITECTURE"));
        }
        let description = text(&object, "/spec/description").trim();
        let (summary, more) = description.split_once('\n').unwrap_or((description, ""));
        faults.unless(
            !summary.is_empty() && !more.trim().is_empty(),
            &here,
            "a description is one line, an empty line and a paragraph (in a folded scalar `>-`)",
        );
    }
    faults.none();
}

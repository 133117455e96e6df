//! `make images` for a site's registry, the platforms that it builds for, and the component that
//! renames all images of the catalog by one value.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::{
    collections::BTreeSet,
    env, fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

use crate::{faults::Faults, tree::*};

const COMPONENT: &str = "images/kustomization.yaml";

/// All YAML that a site applies.
fn catalog() -> Vec<Value> {
    let triggers = trigger_files();
    let triggers = triggers.iter().flat_map(|file| documents(file));
    tasks_and_pipelines().into_iter().map(|(_, object)| object).chain(triggers).collect()
}

/// Names of the catalog's images, without tags.
fn names() -> BTreeSet<String> {
    let images =
        catalog().iter().flat_map(|object| found_at_key(object, "image")).collect::<Vec<_>>();
    let name =
        |image: &String| image.rsplit_once(':').map_or(image.clone(), |(name, _)| name.into());
    images.iter().map(name).collect()
}

#[test]
fn one_value_renames_every_image_of_the_catalog() {
    let mut faults = Faults::default();
    let component = &documents(COMPONENT)[0];
    let renamed: BTreeSet<_> = strings_at(component, "/images", "/name").into_iter().collect();
    faults.same(COMPONENT, "names of `images`", &renamed, "images of the catalog", &names());
    for entry in list(component.get("images")) {
        let bare = format!("ghcr.io/kanaria/{}", text(entry, "/newName"));
        faults.equal(COMPONENT, "newName", text(entry, "/name"), bare);
    }
    let targets: Vec<_> = list(component.pointer("/replacements/0/targets"))
        .iter()
        .map(|target| (text(target, "/select/kind"), strings(target.get("fieldPaths"))))
        .collect();
    for object in catalog() {
        let kind = text(&object, "/kind");
        for path in paths_of_images(&object) {
            let found = targets.iter().any(|(of, paths)| *of == kind && paths.contains(&path));
            let here = format!("{COMPONENT}, {kind} {}", text(&object, "/metadata/name"));
            faults.unless(found, &here, format!("no target has the fieldPath {path}"));
            let labelled = label(&object, "app.kubernetes.io/part-of") == "kanaria";
            faults.unless(labelled, &here, "label it app.kubernetes.io/part-of: kanaria");
        }
    }
    faults.none();
}

/// Where an object names images: `spec.steps.*.image`.
fn paths_of_images(object: &Value) -> BTreeSet<String> {
    let below = |name: &str, inner: &Value| -> BTreeSet<String> {
        paths_of_images(inner).iter().map(|path| format!("{name}.{path}")).collect()
    };
    match object {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, inner)| match inner {
                Value::String(_) if name == "image" => [name.clone()].into(),
                _ => below(name, inner),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(|item| below("*", item)).collect(),
        _ => BTreeSet::new(),
    }
}

#[test]
fn a_site_names_its_settings_as_the_catalog_does() {
    let mut faults = Faults::default();
    let site = &documents("examples/site/values.yaml")[0];
    let given: BTreeSet<_> =
        site["data"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    let kustomization = &documents("examples/site/kustomization.yaml")[0];
    let settings = values(&object("TriggerBinding", "settings"));
    let mut copied: BTreeSet<_> = ["images".to_owned()].into(); // by the component
    let here = "examples/site/kustomization.yaml";
    for replacement in list(kustomization.get("replacements")) {
        let name = text(replacement, "/source/fieldPath").trim_start_matches("data.");
        // The one value that is no setting: Tekton takes no param where a Pipeline names a Task.
        let is_setting = name != "build";
        faults.unless(
            settings.contains_key(name) == is_setting,
            here,
            format!("there is no setting `{name}`"),
        );
        let path = if is_setting {
            format!("spec.params.[name={name}].value")
        } else {
            "spec.tasks.[name=bento-build].taskRef.name".to_owned()
        };
        faults.equal(
            here,
            &format!("fieldPath of `{name}`"),
            text(replacement, "/targets/0/fieldPaths/0"),
            path,
        );
        copied.insert(name.to_owned());
    }
    faults.same("examples/site", "values", &given, "values that are copied", &copied);
    faults.none();
}

#[test]
fn the_platforms_are_those_that_make_images_builds_for() {
    let mut faults = Faults::default();
    let makefile = read("Makefile");
    let built = makefile.lines().find_map(|line| line.strip_prefix("PLATFORMS ?= "));
    let built = built.expect("the Makefile has a default of PLATFORMS");
    for (here, object) in tasks_and_pipelines() {
        faults.equal(
            &here,
            "tekton.dev/platforms",
            annotation(&object, "tekton.dev/platforms"),
            built,
        );
    }
    faults.none();
}

/// Makes images from what is compiled already, with these builders, which only say how they were
/// called.
fn make(builders: &[&str], args: &[&str]) -> Output {
    let place = tempfile::tempdir().unwrap();
    for tool in ["make", "bash", "sed", "uname"] {
        let path = env::var_os("PATH").unwrap();
        let found =
            env::split_paths(&path).map(|folder| folder.join(tool)).find(|path| path.exists());
        symlink(found.unwrap_or_else(|| panic!("{tool} is installed")), place.path().join(tool))
            .unwrap();
    }
    for builder in builders {
        stand_in(&place.path().join(builder));
    }
    Command::new("make")
        .args(["--old-file=linux/amd64", "--old-file=linux/arm64", "images"])
        .args(args)
        .current_dir(root())
        .env_clear()
        .env("PATH", place.path())
        .output()
        .unwrap()
}

/// Prints its own name and arguments. There is no list of images from an earlier time.
fn stand_in(path: &Path) {
    let script = "#!/bin/bash\n[[ \" $* \" != *' manifest exists '* ]] || exit 1\necho \"${0##*/} $*\" >&2\n";
    fs::write(path, script).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// The lines of what was called, without this tree's own place.
fn called(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stderr).replace(root().to_str().unwrap(), "TREE")
}

const ACME: &str = "REGISTRY=ghcr.io/acme/kanaria";
const BOTH: &str = "PLATFORMS=linux/amd64,linux/arm64";

#[test]
fn docker_builds_and_pushes_an_image_of_all_platforms_at_once() {
    assert_eq!(
        called(&make(&["docker"], &[ACME, BOTH, "IMAGES=canary-create"])),
        "docker buildx build --quiet --platform linux/amd64,linux/arm64 --file Dockerfile --target canary-create \
         --build-context rust=target/images/context --build-context go=target/images/context \
         --tag ghcr.io/acme/kanaria/canary-create:0.1.0 --push target/images/context\n"
    );
}

#[test]
fn podman_builds_a_list_of_images_and_pushes_it() {
    assert_eq!(
        called(&make(&["podman"], &[ACME, BOTH, "IMAGES=canary-create"])),
        "podman build --quiet --format oci --layers=false --timestamp 0 \
         --platform linux/amd64,linux/arm64 --file Dockerfile --target canary-create \
         --build-context rust=target/images/context --build-context go=target/images/context \
         --manifest ghcr.io/acme/kanaria/canary-create:0.1.0 target/images/context\n\
         podman manifest push --quiet --all ghcr.io/acme/kanaria/canary-create:0.1.0 \
         docker://ghcr.io/acme/kanaria/canary-create:0.1.0\n"
    );
}

#[test]
fn buildah_does_the_same_in_a_store_of_the_tree() {
    let store =
        "--storage-driver vfs --root TREE/target/images/store --runroot TREE/target/images/run";
    assert_eq!(
        called(&make(&["buildah"], &[ACME, "IMAGES=canary-create"])),
        format!(
            "buildah {store} build --quiet --format oci --layers=false --timestamp 0 \
             --platform linux/amd64 --file Dockerfile --target canary-create \
             --build-context rust=target/images/context --build-context go=target/images/context \
             --manifest ghcr.io/acme/kanaria/canary-create:0.1.0 target/images/context\n\
             buildah {store} manifest push --quiet --all ghcr.io/acme/kanaria/canary-create:0.1.0 \
             docker://ghcr.io/acme/kanaria/canary-create:0.1.0\n"
        )
    );
}

#[test]
fn a_site_gets_every_image_that_the_catalog_names_and_no_cluster() {
    let output = make(&["docker"], &[ACME]);
    called(&output);
    let said = String::from_utf8_lossy(&output.stdout);
    let pushed: BTreeSet<_> =
        said.lines().filter_map(|line| line.strip_prefix("  pushed ")).collect();
    let wanted =
        catalog().iter().flat_map(|object| found_at_key(object, "image")).collect::<BTreeSet<_>>();
    let wanted: Vec<_> =
        wanted.iter().map(|image| image.replace("ghcr.io/", "ghcr.io/acme/")).collect();
    assert_eq!(pushed, wanted.iter().map(String::as_str).collect());
    // The cluster is started by cargo, which is not there.
    assert!(!make(&["docker"], &[]).status.success());
}

#[test]
fn without_a_builder_all_three_are_named() {
    let output = make(&[], &[ACME]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("install one of buildah podman docker"), "{said}");
    assert!(!output.status.success());
}

#[test]
fn the_builder_can_be_chosen() {
    let said =
        called(&make(&["buildah", "docker"], &[ACME, "IMAGES=canary-create", "BUILDER=docker"]));
    assert!(said.starts_with("docker "), "{said}");
}

//! Makes each recipe's image and pushes it to the local registry, unless that has it: a label of the image
//! carries its key.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::{Recipe, base, directory, envoy, kaniko, pause, python};
use crate::{
    build::go::Programs,
    command::{read, run},
    paths::Cache,
    progress::Progress,
};

/// The registry as the host sees it.
const ADDRESS: &str = "127.0.0.1:5000";
/// The label with the key
const LABEL: &str = "kanaria.recipe";

/// Makes and pushes what the add-ons stand on, unless the registry has it.
pub(crate) fn base_images(cache: &Cache, programs: &Programs, progress: &Progress) -> Result<()> {
    ensure([pause::recipe(), base::recipe()?], cache, programs, progress)
}

/// Makes and pushes what pods run beside the add-ons, unless the registry has it.
pub(crate) fn remaining_images(
    cache: &Cache,
    programs: &Programs,
    progress: &Progress,
) -> Result<()> {
    ensure([envoy::recipe(), kaniko::recipe()?, python::recipe()?], cache, programs, progress)
}

fn ensure<const N: usize>(
    recipes: [Recipe; N],
    cache: &Cache,
    programs: &Programs,
    progress: &Progress,
) -> Result<()> {
    for recipe in recipes {
        let key = recipe.key();
        if has(programs, recipe.image, &key) {
            continue;
        }
        let stage = progress.stage(format!("image {}", recipe.image));
        stage.set_detail("fills, packs, pushes");
        make(&recipe, &key, cache, programs)
            .with_context(|| format!("failed to make the image `{}`", recipe.image))?;
    }
    Ok(())
}

/// Whether the registry holds this image, made from just this.
fn has(programs: &Programs, image: &str, key: &str) -> bool {
    let config = run(programs.bin("crane"), ["config", &format!("{ADDRESS}/{image}")]);
    let labels = |text: String| serde_json::from_str::<serde_json::Value>(&text).ok();
    config.ok().and_then(labels).is_some_and(|config| config["config"]["Labels"][LABEL] == key)
}

fn make(recipe: &Recipe, key: &str, cache: &Cache, programs: &Programs) -> Result<()> {
    // Left behind when an earlier run was killed.
    let work = cache.join("image");
    let _ = fs::remove_dir_all(&work);
    let root = work.join("root");
    directory(&root, 0o755)?;
    (recipe.fill)(&root, programs)?;
    let layer = pack(&root)?;
    push(recipe, key, &layer, &programs.bin("crane"))?;
    fs::remove_dir_all(&work).with_context(|| format!("failed to remove `{}`", work.display()))
}

/// One layer, the same bytes for the same files.
fn pack(root: &Path) -> Result<PathBuf> {
    let layer = root.with_file_name("layer.tar.gz");
    read(
        Command::new("tar")
            .args([
                "--sort=name",
                "--mtime=@0",
                "--numeric-owner",
                "--use-compress-program=gzip -n1",
            ])
            .arg("-cf")
            .arg(&layer)
            .arg("-C")
            .arg(root)
            .arg("."),
    )?;
    Ok(layer)
}

fn push(recipe: &Recipe, key: &str, layer: &Path, crane: &Path) -> Result<()> {
    let (repository, _) = recipe.image.split_once(':').unwrap_or((recipe.image, ""));
    // The tag moves last, to an image that is whole.
    let bare = format!("{ADDRESS}/{repository}:bare");
    let append = ["append", "--oci-empty-base", "--new_tag", &bare, "--new_layer"];
    read(Command::new(crane).args(append).arg(layer))?;
    let label = format!("{LABEL}={key}");
    let target = format!("{ADDRESS}/{}", recipe.image);
    read(
        Command::new(crane)
            .args(["mutate", "--set-platform", "linux/amd64", "--label", &label])
            .args(recipe.config)
            .args(["--tag", &target, &bare]),
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::write;

    #[test]
    fn the_same_files_make_the_same_layer_whenever_they_were_written() {
        let layer = |seconds| {
            let place = tempfile::tempdir().unwrap();
            let root = place.path().join("root");
            directory(&root.join("tmp"), 0o1777).unwrap();
            write("hello", &root, "etc/greeting").unwrap();
            let file = fs::File::open(root.join("etc/greeting")).unwrap();
            let when = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            file.set_modified(when).unwrap();
            fs::read(pack(&root).unwrap()).unwrap()
        };
        assert_eq!(layer(1_000), layer(2_000));
    }
}

//! Images that no Go module gives, pushed to the local registry under the names the cluster uses.
//!
//! A recipe fills a directory, which becomes the image's one layer. A label of the image carries
//! the hash of all it was made from, so a second call asks the registry and makes nothing.

mod base;
mod envoy;
mod kaniko;
mod pause;
mod python;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use sha2::{Digest as _, Sha256};

use crate::{
    build::Built,
    command::{read, run},
    paths::{Cache, hex},
    progress::Progress,
};

/// The registry as the host sees it.
const REGISTRY: &str = "127.0.0.1:5000";
/// What the machine trusts: images trust the same, because pods reach package registries through
/// the machine's network.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
const RECIPE: &str = "kanaria.recipe";

/// An image, and how to make it.
struct Recipe {
    /// Repository and tag
    image: &'static str,
    /// The text of everything the content follows from
    made_from: Vec<String>,
    /// Flags of `crane mutate`
    config: &'static [&'static str],
    /// Fills the empty directory that becomes `/`
    fill: fn(&Path, &Built) -> Result<()>,
}

/// Makes and pushes what the engines stand on, unless the registry has it.
pub(crate) fn foundation(cache: &Cache, built: &Built, progress: &Progress) -> Result<()> {
    ensure([pause::recipe(), base::recipe()?], cache, built, progress)
}

/// Makes and pushes what pods run beside the engines, unless the registry has it.
pub(crate) fn rest(cache: &Cache, built: &Built, progress: &Progress) -> Result<()> {
    ensure([envoy::recipe(), kaniko::recipe()?, python::recipe()?], cache, built, progress)
}

fn ensure<const N: usize>(
    recipes: [Recipe; N],
    cache: &Cache,
    built: &Built,
    progress: &Progress,
) -> Result<()> {
    for recipe in recipes {
        let key = recipe.key();
        if has(built, recipe.image, &key) {
            continue;
        }
        let stage = progress.stage(format!("image {}", recipe.image));
        stage.says("fills, packs, pushes");
        make(&recipe, &key, cache, built)
            .with_context(|| format!("failed to make the image `{}`", recipe.image))?;
    }
    Ok(())
}

impl Recipe {
    fn key(&self) -> String {
        let mut hash = Sha256::new();
        for text in self.made_from.iter().map(String::as_str).chain(self.config.iter().copied()) {
            hash.update(text.len().to_le_bytes());
            hash.update(text);
        }
        hex(&hash.finalize()[..16])
    }
}

/// Whether the registry holds this image, made from just this.
fn has(built: &Built, image: &str, key: &str) -> bool {
    let config = run(built.bin("crane"), ["config", &format!("{REGISTRY}/{image}")]);
    let labels = |text: String| serde_json::from_str::<serde_json::Value>(&text).ok();
    config.ok().and_then(labels).is_some_and(|config| config["config"]["Labels"][RECIPE] == key)
}

fn make(recipe: &Recipe, key: &str, cache: &Cache, built: &Built) -> Result<()> {
    // Left behind when an earlier run was killed.
    let work = cache.join("image");
    let _ = fs::remove_dir_all(&work);
    let root = work.join("root");
    directory(&root, 0o755)?;
    (recipe.fill)(&root, built)?;
    let layer = pack(&root)?;
    push(recipe, key, &layer, &built.bin("crane"))?;
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
    let bare = format!("{REGISTRY}/{repository}:bare");
    let append = ["append", "--oci-empty-base", "--new_tag", &bare, "--new_layer"];
    read(Command::new(crane).args(append).arg(layer))?;
    let label = format!("{RECIPE}={key}");
    let target = format!("{REGISTRY}/{}", recipe.image);
    read(
        Command::new(crane)
            .args(["mutate", "--set-platform", "linux/amd64", "--label", &label])
            .args(recipe.config)
            .args(["--tag", &target, &bare]),
    )?;
    Ok(())
}

fn directory(path: &Path, mode: u32) -> Result<()> {
    fs::create_dir_all(path)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode)))
        .with_context(|| format!("failed to create `{}`", path.display()))
}

fn copy(from: impl AsRef<Path>, root: &Path, to: &str) -> Result<()> {
    let (from, to) = (from.as_ref(), root.join(to));
    directory(to.parent().unwrap_or(root), 0o755)?;
    fs::copy(from, &to).with_context(|| format!("failed to copy `{}`", from.display()))?;
    Ok(())
}

fn write(text: &str, root: &Path, to: &str) -> Result<()> {
    let to = root.join(to);
    directory(to.parent().unwrap_or(root), 0o755)?;
    fs::write(&to, text).with_context(|| format!("failed to write `{}`", to.display()))
}

fn authorities() -> Result<String> {
    fs::read_to_string(AUTHORITIES).with_context(|| format!("failed to read `{AUTHORITIES}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(made_from: &[&str], config: &'static [&'static str]) -> Recipe {
        let made_from = made_from.iter().map(ToString::to_string).collect();
        Recipe { image: "kanaria/test:1", made_from, config, fill: |_, _| Ok(()) }
    }

    #[test]
    fn an_image_made_from_other_text_or_with_other_settings_has_another_key() {
        let key = recipe(&["ab", "c"], &["--user", "0"]).key();
        assert_eq!(key, recipe(&["ab", "c"], &["--user", "0"]).key());
        assert_ne!(key, recipe(&["a", "bc"], &["--user", "0"]).key());
        assert_ne!(key, recipe(&["ab", "c"], &["--user", "1"]).key());
    }

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

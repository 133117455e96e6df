//! Images that no Go module gives: a recipe fills a directory, which becomes the image's one layer.
//!
//! A recipe's key is a hash of its file too: whoever edits one has its image made anew.

mod base;
mod envoy;
mod kaniko;
mod pause;
mod python;
pub(crate) mod registry;

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use anyhow::{Context, Result};
use sha2::{Digest as _, Sha256};
use step::text::hex;

use crate::build::go::Programs;

/// What the machine trusts: images trust the same, because pods reach package registries through
/// the machine's network.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// An image, and how to make it.
struct Recipe {
    /// Repository and tag
    image: &'static str,
    /// The text of everything the content follows from
    made_from: Vec<String>,
    /// Flags of `crane mutate`
    config: &'static [&'static str],
    /// Fills the empty directory that becomes `/`
    fill: fn(&Path, &Programs) -> Result<()>,
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
}

//! What pages load beside themselves. An address names the contents, so that a browser may keep them.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::LazyLock,
};

pub static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    // The gate's charts bring their own style, all of it below their own classes.
    let text = [include_str!("page.css"), prometheus_gate::STYLE].concat();
    Asset::new("page.css", "text/css; charset=utf-8", text)
});
pub static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("page.js", "text/javascript; charset=utf-8", include_str!("page.js").to_owned())
});
pub static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon.svg", "image/svg+xml", include_str!("icon.svg").to_owned()));

/// A file of the page
pub struct Asset {
    pub name: &'static str,
    pub media_type: &'static str,
    pub text: String,
    /// Of its contents
    pub hash: String,
}

impl Asset {
    fn new(name: &'static str, media_type: &'static str, text: String) -> Self {
        Self { name, media_type, hash: hash(&text), text }
    }

    pub fn address(&self, base: &str) -> String {
        format!("{base}/assets/{}?v={}", self.name, self.hash)
    }
}

/// Tells texts apart; it proves nothing.
pub fn hash(text: &str) -> String {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

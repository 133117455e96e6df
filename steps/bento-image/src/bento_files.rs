//! Which files of a listing make it a bento.

use bento_retrieve::bento::{DOCKERFILE, LEGACY_DOCKERFILE, LEGACY_MANIFEST, MANIFEST, Manifest};

use crate::recipe::{Entry, Listing};

/// How bentos are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Generation {
    /// 1.0 and later
    Modern,
    /// 0.x
    Legacy,
}

impl Generation {
    pub(crate) fn of(listing: &Listing) -> Option<Self> {
        [Self::Modern, Self::Legacy].into_iter().find(|generation| {
            matches!(listing.entries.get(generation.manifest()), Some(Entry::File { .. }))
        })
    }

    pub(crate) fn manifest(self) -> &'static str {
        match self {
            Self::Modern => MANIFEST,
            Self::Legacy => LEGACY_MANIFEST,
        }
    }

    pub(crate) fn dockerfile(self) -> &'static str {
        match self {
            Self::Modern => DOCKERFILE,
            Self::Legacy => LEGACY_DOCKERFILE,
        }
    }
}

/// What a bento says of itself, where that has come.
pub(crate) fn manifest(listing: &Listing) -> Option<Manifest> {
    let generation = Generation::of(listing)?;
    let text = String::from_utf8_lossy(listing.texts.get(generation.manifest())?);
    match generation {
        Generation::Modern => Manifest::parse(&text),
        Generation::Legacy => Manifest::parse_legacy(&text),
    }
    .ok()
}

/// The one directory that everything lies in, with its `/`; empty where there is none.
pub(crate) fn root(listing: &Listing) -> String {
    let mut tops = listing.entries.keys().filter(|path| !path.contains('/'));
    match (tops.next(), tops.next()) {
        (Some(only), None) if listing.entries.get(only) == Some(&Entry::Directory) => {
            format!("{only}/")
        }
        _ => String::new(),
    }
}

/// What lies below a root.
pub(crate) fn below(listing: Listing, root: &str) -> Listing {
    if root.is_empty() {
        return listing;
    }
    let strip = |path: String| path.strip_prefix(root).map(str::to_owned);
    let Listing { entries, texts } = listing;
    Listing {
        entries: entries.into_iter().filter_map(|(path, it)| Some((strip(path)?, it))).collect(),
        texts: texts.into_iter().filter_map(|(path, it)| Some((strip(path)?, it))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_folder_that_everything_is_in_is_taken_off() {
        let file = Entry::File { executable: false, size: 0, sha256: String::new() };
        let mut listing = Listing::default();
        listing.entries.insert("Iris".into(), Entry::Directory);
        listing.entries.insert("Iris/bentoml.yml".into(), file.clone());
        assert_eq!(root(&listing), "Iris/");
        let inner = below(listing.clone(), "Iris/");
        assert_eq!(Generation::of(&inner), Some(Generation::Legacy));
        listing.entries.insert("other".into(), file);
        assert_eq!(root(&listing), "");
    }
}

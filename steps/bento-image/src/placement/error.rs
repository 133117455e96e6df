//! Why it is not known how a bento would lie in an image.

use std::io;

use step::text::short;
use thiserror::Error;

/// Why there is no placement.
#[derive(Debug, Error)]
pub enum PlacementError {
    /// The layer's bytes did not come, or they are no layer. Another try may help.
    #[error("failed to read a layer")]
    Read(#[from] io::Error),
    /// The bento cannot be added to this image: it must be built whole.
    #[error(transparent)]
    Unfit(#[from] Unfit),
}

/// What of an image keeps a bento from being added. Reads as the end of a sentence that begins with the image.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Unfit {
    #[error("has a layer that is compressed with zstd, which is not read")]
    Zstd,
    #[error("has no layer with `.kanaria-environment`")]
    NoMarker,
    #[error("has `.kanaria-environment` twice, as `{0}` and `{1}`")]
    MarkerTwice(String, String),
    #[error("has {1} as `{0}`, not a file")]
    MarkerKind(String, &'static str),
    #[error("has a `{0}` that is not of this environment")]
    MarkerContent(String),
    #[error("has more than {0} in the layers above the bento's, too much to look through")]
    TooLarge(&'static str),
    #[error("has a file `{0}` with `..` in its name")]
    Parent(String),
    #[error("has a sparse file `{0}`")]
    Sparse(String),
    #[error("has the bento at `{0}`, a name that is not UTF-8")]
    NotUtf8(String),
    #[error("removes `{0}` after the bento was copied")]
    Whiteout(String),
    #[error("has {1} as `{0}` on the way to the bento")]
    Way(String, &'static str),
    #[error("has {1} as `{0}`, where the bento has a directory")]
    NoDirectory(String, &'static str),
    #[error("has `{0}` once as {1} and above that as {2}")]
    Replaced(String, &'static str, &'static str),
    #[error("puts {1} at `{0}` after the bento was copied")]
    MadeAfter(String, &'static str),
    #[error("gives `{0}` another owner after the bento was copied")]
    OwnedAfter(String),
}

/// A name as it may stand in a log; `/` for the root.
pub(crate) fn printable(name: &[u8]) -> String {
    if name.is_empty() {
        return "/".into();
    }
    short(&String::from_utf8_lossy(name), 200)
}

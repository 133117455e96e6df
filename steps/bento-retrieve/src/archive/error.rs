//! Why an archive is refused.

use std::{io, path::PathBuf};

use thiserror::Error;

use crate::archive::{limits::Limit, policy::Violation};

/// Why an archive was not unpacked.
#[derive(Debug, Error)]
pub enum ArchiveError {
    #[error("entry `{entry}` {violation}")]
    Entry { entry: String, violation: Violation },
    #[error(transparent)]
    Limit(#[from] Limit),
    #[error("its first bytes are of no format that BentoML writes (tar, gzip, xz, bzip2, zip)")]
    Format,
    #[error("it is a web page")]
    WebPage,
    #[error("it lies there with the frames of its upload in it")]
    Framed,
    #[error("the archive is truncated")]
    Truncated,
    #[error("other data follows its end")]
    Trailing,
    #[error("it is damaged: {0}")]
    Damaged(String),
    #[error("failed to write `{}`", .path.display())]
    Write { path: PathBuf, source: io::Error },
    /// The archive's bytes did not come; whoever fetches them knows why.
    #[error("its bytes did not arrive")]
    Input,
    #[error("stopped")]
    Stopped,
    /// A zip, for a sink that has no place to keep it.
    #[error("a zip tells at its end what is in it, so it cannot be unpacked while it comes")]
    NotStreamable,
    /// The sink's own failure, as it was returned.
    #[error(transparent)]
    Sink(#[from] anyhow::Error),
}

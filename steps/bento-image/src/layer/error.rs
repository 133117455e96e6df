//! Why something is in no layer, and the names that a layer cannot hold.

use std::io;

use step::text::short;
use thiserror::Error;

use crate::recipe::MARKER;

/// How a layer says that something of a lower one is gone.
pub(crate) const WHITEOUT: &str = ".wh.";

/// Why a layer was not written.
#[derive(Debug, Error)]
pub enum LayerError {
    /// What the layer is written to failed, or was not given what was announced.
    #[error(transparent)]
    Write(#[from] io::Error),
    /// The layer would not become what a builder makes of the same entry: the bento must be built whole.
    #[error("entry `{entry}` {problem}")]
    Unfit { entry: String, problem: &'static str },
}

impl LayerError {
    pub(crate) fn unfit(entry: &str, problem: &'static str) -> Self {
        Self::Unfit { entry: short(entry, 200), problem }
    }
}

/// Refuses a name that would mean something else in a layer. It is relative to the bento, as its archive has it.
pub(crate) fn fit(path: &str) -> Result<(), LayerError> {
    if path.split('/').any(|part| part.starts_with(WHITEOUT)) {
        return Err(LayerError::unfit(path, "has a name that removes another file of an image"));
    }
    if path.split('/').next() == Some(MARKER) {
        return Err(LayerError::unfit(path, "has the name of the file that marks an environment"));
    }
    Ok(())
}

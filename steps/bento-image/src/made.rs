//! What was made, as the results tell it.

use serde::{Deserialize, Serialize};

/// The image of a bento, or as much of it as is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// REPOSITORY:VERSION
    pub image: String,
    /// Of the image; empty where it was not made
    pub digest: String,
    /// NAME:VERSION, as its manifest says
    pub bento: String,
    /// Of the archive, in hexadecimal
    pub sha256: String,
    /// REPOSITORY@DIGEST; empty where it was built whole
    pub environment: String,
    /// `yes`, `environment-missing` or `whole`
    pub assembled: String,
    /// Why it was not assembled
    pub reason: String,
    /// Bytes
    pub uploaded: u64,
    /// Bytes of all layers
    pub size: u64,
}

//! What a listing shows.

use std::time::SystemTime;

use aws_sdk_s3::types;

/// An object as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub key: String,
    /// Bytes
    pub size: u64,
    /// When it was written, by the store's clock
    pub modified: Option<SystemTime>,
}

/// One answer of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// In the order of their keys
    pub objects: Vec<Listed>,
    /// With which the next one is asked for, if there is one
    pub next: Option<String>,
}

impl Listed {
    pub(super) fn of(object: types::Object) -> Option<Self> {
        Some(Self {
            key: object.key?,
            size: object.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
            modified: object.last_modified.and_then(|time| time.try_into().ok()),
        })
    }
}

//! What a bento is, and where stores keep it.

mod details;
pub mod dockerfile;
mod files;
mod folder;
mod image_name;
mod judge;
mod manifest;
mod peek;
pub mod store_layout;
mod tag;

pub use details::{Details, Model};
pub use files::BentoFiles;
pub use folder::BentoFolder;
pub use image_name::{Repository, RepositoryError};
pub use judge::{Bento, DOCKERFILE, LEGACY_DOCKERFILE, LEGACY_MANIFEST, MANIFEST};
pub use manifest::{BentoError, Manifest};
pub use peek::{ManifestFiles, PeekError, peek, peek_at};
pub use tag::{Tag, TagError};

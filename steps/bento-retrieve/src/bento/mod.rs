//! What a bento is, and where stores keep it.

mod details;
pub mod dockerfile;
mod folder;
mod image_name;
mod manifest;
mod peek;
pub mod store_layout;
mod tag;

pub use details::{Details, Model};
pub use folder::Bento;
pub use image_name::Repository;
pub use manifest::{BentoError, Manifest};
pub use peek::{ManifestFiles, PeekError, peek, peek_at};
pub use tag::Tag;

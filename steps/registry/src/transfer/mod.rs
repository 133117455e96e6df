//! Blobs on their way into a repository.
//!
//! - `session`: where a registry wants the bytes of one upload, and how that ends
//! - `upload`: bytes that nobody has twice, in one streamed PATCH
//! - `push`: blobs that are in memory, or in a repository already

mod push;
mod session;
mod upload;

pub use upload::Upload;

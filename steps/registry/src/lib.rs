//! An image registry as its clients see it: OCI distribution 1.1 and Docker's API 2, with the credentials of `docker login`.
//!
//! Knows no bento and no Task. Nothing that a registry sends is taken at its word: sizes are capped, a manifest is
//! hashed, and credentials go to nobody but the registry and whoever it names for tokens over TLS.

mod client;
mod credentials;
mod reference;

pub use client::{Access, Image, Registry, Trouble};
pub use credentials::{Credential, Credentials, NoCredentials};
pub use reference::{BadReference, Reference};

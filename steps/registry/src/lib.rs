//! An image registry as its clients see it: OCI distribution 1.1 and Docker's API 2, with the credentials of `docker login`.
//!
//! Knows no bento and no Task. Nothing that a registry sends is taken at its word: sizes are capped, a manifest is
//! hashed, and credentials go to nobody but the registry and whoever it names for tokens over TLS.
//!
//! - `reference`: the name of an image, as `docker pull` takes it
//! - `credentials`: `config.json` of `docker login`, and who we are for an image
//! - `repository`: what a tag or a digest holds, with retries, over TLS or not
//! - `authorization`: passwords and tokens, in answer to a 401
//! - `http`: the client, its proxies and redirects, answers and refusals
//! - `manifest`: images, indexes of them, and their labels
//! - `error`: why a registry gave no answer, or none that helps

mod authorization;
mod credentials;
mod error;
mod http;
mod manifest;
mod reference;
mod repository;

pub use credentials::{Credential, Credentials, CredentialsError};
pub use error::RegistryError;
pub use reference::{Reference, ReferenceError};
pub use repository::{Access, Image, Repository};

//! An image registry as its clients see it: OCI distribution 1.1 and Docker's API 2, with the credentials of `docker login`.
//!
//! Knows no bento and no Task. Nothing that a registry sends is taken at its word: sizes are capped, what has a
//! digest is hashed, and credentials go to nobody but the registry and whoever it names for tokens over TLS.
//!
//! - `reference`: the names of repositories and images, as `docker pull` takes them
//! - `credentials`: `config.json` of `docker login`, and who we are for a repository
//! - `error`: why a registry gave no answer, or none that helps
//! - `http`: the client, its proxies and redirects
//! - `refusal`: an answer that is not what was asked for, and what it means
//! - `authorization`: passwords and tokens, in answer to a 401
//! - `body`: bytes on their way out, watched
//! - `connection`: one registry, over TLS or not, with retries
//! - `repository`: one of its repositories
//! - `manifest`: images, indexes of them
//! - `blobs`: whether they are there, and their bytes
//! - `manifests`: what tags and digests hold, and what is put there
//! - `tags`: the names that there are
//! - `transfer`: blobs on their way in: streamed, pushed, mounted, copied

mod authorization;
mod blobs;
mod body;
mod connection;
mod credentials;
mod error;
mod http;
mod manifest;
mod manifests;
mod reference;
mod refusal;
mod repository;
mod tags;
mod transfer;

pub use blobs::BlobStream;
pub use credentials::{Credential, Credentials, CredentialsError};
pub use error::{RegistryError, Right};
pub use manifest::architecture;
pub use manifests::{Document, Image};
pub use reference::{Reference, ReferenceError, RepositoryName};
pub use repository::{Access, Repository};
pub use transfer::Upload;

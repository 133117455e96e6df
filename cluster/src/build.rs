//! What is made before anything runs: packages from Debian, programs from pinned Go modules, and
//! the manifests of the add-ons.
//!
//! Everything is kept in the cache under the hash of all it was made from, so that any clone of the same tree finds
//! it. It is made under another name and renamed at its end, so that a kill leaves nothing half done.

pub(crate) mod debian;
pub(crate) mod go;
pub(crate) mod manifests;

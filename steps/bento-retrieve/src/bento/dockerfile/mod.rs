//! A bento's Dockerfile: what a builder cannot build of it, and a copy that trusts a site's certificates.

pub mod ca_bundle;
pub mod parser;
pub mod unsupported;

//! Which Dockerfiles can be layered, in tables: the rules one by one, and what releases of BentoML write.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod bento;
mod properties;
mod releases;
mod rules;

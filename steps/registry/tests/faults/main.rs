//! The client and a registry that fails as each test wants it.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod manifests;
mod mounts;
mod pushes;
mod registry_state;
mod scripted;
mod tokens;
mod uploads;
mod wire;

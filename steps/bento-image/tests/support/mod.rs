//! What the tests of this step make bentos, registries and environments with.
//!
//! - `bentos`: bentos, and the archives that they come in
//! - `registry`: a registry in memory, with faults
//! - `kaniko`: what kaniko makes of what it is given
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

pub(crate) mod bentos;
pub(crate) mod kaniko;
pub(crate) mod registry;

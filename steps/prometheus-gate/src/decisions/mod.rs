//! What people decided about the release, and where that is read.

pub(crate) mod api_server;
pub(crate) mod decision;
pub(crate) mod people;

//! Holds the catalog's YAML to the steps, to the documents and to itself, without a cluster.
//!
//! Each test gathers every fault it finds and says for each what to change.

#[path = "catalog/arguments.rs"]
mod arguments;
#[path = "catalog/binaries.rs"]
mod binaries;
#[path = "catalog/calls.rs"]
mod calls;
#[path = "catalog/cron_jobs.rs"]
mod cron_jobs;
#[path = "catalog/documents.rs"]
mod documents;
#[path = "catalog/echo_server.rs"]
mod echo_server;
#[path = "catalog/events.rs"]
mod events;
#[path = "catalog/faults.rs"]
mod faults;
#[path = "catalog/images.rs"]
mod images;
#[path = "catalog/modules.rs"]
mod modules;
#[path = "catalog/names.rs"]
mod names;
#[path = "catalog/pipelines.rs"]
mod pipelines;
#[path = "catalog/proxies.rs"]
mod proxies;
#[path = "catalog/rights.rs"]
mod rights;
#[path = "catalog/secrets.rs"]
mod secrets;
#[path = "catalog/tasks.rs"]
mod tasks;
#[path = "catalog/tree.rs"]
mod tree;
#[path = "catalog/triggers.rs"]
mod triggers;

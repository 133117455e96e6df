//! Releases as a user sees them, on the real cluster. Each test has a namespace of its own, with the
//! catalog installed in it as a user would, and leaves nothing there when it passes.
//!
//! `make cluster-tests` brings the cluster up and runs them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod answer_counter;
mod answers;
mod bento;
mod bento_build;
mod bento_image;
mod bentoml;
mod build;
mod canary;
mod canary_create;
mod canary_rollback;
mod equality;
mod event_proofs;
mod events;
mod fault_injection;
mod figures;
mod gate;
mod http_server;
mod image;
mod interrupted_images;
mod interrupted_releases;
mod ladder;
mod namespace;
mod overlay;
mod page;
mod people;
mod pod_security;
mod proxies;
mod pulled;
mod release;
mod reverse_proxy;
mod rights;
mod samples;
mod service;
mod sink;
mod slow_start;
mod soak;
mod stand_ins;
mod task_run;
mod unrecoverable;

//! Pages: pure functions from what is known to markup.
//!
//! - `address`: which page an address means, and the address of a page
//! - `text`: texts of strangers, and commands to copy
//! - `when`: times, lengths of time, sizes
//! - `view`: what a page is made from, and what it comes to
//! - `assets`: style, script and icon
//! - `source`: place-holders for what could not be read
//! - `split`: who gets which part of the requests, as a bar
//! - `outcome`: how a release or a part of it ended, in a mark and a word
//! - `timeline`: a release over time
//! - `ladder`: the rungs that a canary climbs
//! - `gate`: what a gate that has not decided knows
//! - `commands`: what a person may want to do
//! - `layout`: the frame of every page, and of a list's parts
//! - `overview`, `models`, `model`, `service`, `release`: the pages

pub mod address;
pub mod assets;
mod commands;
mod gate;
mod ladder;
pub mod layout;
mod model;
mod models;
mod outcome;
mod overview;
mod release;
mod service;
mod source;
mod split;
mod text;
mod timeline;
pub mod view;
mod when;

pub use model::{Manifest, model};
pub use models::models;
pub use overview::overview;
pub use release::release;
pub use service::service;

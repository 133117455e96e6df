//! Releases in a terminal.
//!
//! - `args`: what is typed
//! - `watch`: one release from its begin to its end
//! - `list`: the services, who gets which part of the requests, and how far their releases are
//! - `row`: what is known of one service
//! - `follow`: what is new of one release, from what is known of it now
//! - `show`: what happened, on the time line
//! - `json`: the same for programs
//! - `timeline`: chapters and stages with their time, alive on a terminal, plain lines elsewhere
//! - `words`: what is known, in the words in which a terminal shows it
//! - `example`: a release and what is known of it at each moment, for tests

mod args;
#[cfg(test)]
mod example;
mod follow;
mod json;
mod list;
mod row;
mod show;
pub mod timeline;
mod watch;
mod words;

pub use args::{ListArgs, WatchArgs};
pub use follow::{Event, Waiting};
pub use list::list;
pub use show::Shown;
pub use watch::{Follower, of_cluster, watch};

//! What of a bento its environment is made of, and whether that can be known: pure functions over a Dockerfile and a
//! list of files.
//!
//! A Dockerfile of a bento installs an environment, copies the bento, and says how it is started. Where nothing reads
//! the bento but by a COPY that names what it takes, the environment can be built without the rest, once, and each
//! release laid onto it. In doubt the bento is built whole: that is slow, and never wrong.
//!
//! - `listing`: the files of a bento
//! - `whole`: why one has to be built whole
//! - `glob`: Go's `filepath.Match`, as builders take it
//! - `source`: what a COPY names
//! - `layered`: a Dockerfile that can be layered, and what of the bento it needs
//! - `late`: the commands after the whole COPY that read nothing of the bento
//! - `judge`: whether a Dockerfile can be layered
//! - `check`: whether the files of a bento agree
//! - `key`: the name of an environment, and what it is built over
//! - `requirements`: which packages changed between two requirements files
//! - `sources`: what an environment was built from, and what changed since

mod check;
mod glob;
mod judge;
mod key;
mod late;
mod layered;
mod listing;
pub mod requirements;
mod source;
pub mod sources;
mod whole;

pub use judge::judge;
pub use key::Skeleton;
pub use layered::Recipe;
pub use listing::{DIRECTORIES, Entry, Listing, MARKER};
pub use whole::Whole;

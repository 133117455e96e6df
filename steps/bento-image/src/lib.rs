//! Makes the image of a bento by adding layers to an environment that exists, straight from the store to the registry.
//!
//! A library beside the binary because its tests and benchmarks need the modules. In the order in which data flows:
//!
//! - `waiting`: for a registry, and no longer than the answer is wanted
//! - `annotations`: labels and annotations of environments, images and layers
//! - `recipe`: what of a bento its environment is made of, and whether that can be known
//! - `bento_files`: which files of a list make it a bento
//! - `listed_files`: a bento judged by its list
//! - `registries`: how registries are reached
//! - `base`: the base image, by its digest
//! - `placement`: where a bento lies in the image of its environment, and whose its files are
//! - `environment`: the environment of a key, in the registry
//! - `planner`: from a list to how the image is made
//! - `last_environment`: what changed since the environment before
//! - `layer`: layers of a bento's files, written and hashed as they come
//! - `pass`: one reading of the archive, into layers
//! - `time`: times as bentos and images write them
//! - `image`: the configuration and the manifest of an environment with layers on top
//! - `flatten`: what an image has, all its layers one over the other
//! - `made`: what was made
//! - `tagged`: what a tag holds already
//! - `publish`: an image on its way to the registry
//! - `failure`: what a registry said, and what to do next
//! - `assembler`: as many readings as it takes
//! - `prepared`: what the first step of a build leaves for the next ones

pub mod annotations;
pub mod assembler;
mod base;
mod bento_files;
pub mod environment;
mod failure;
pub mod flatten;
pub mod image;
mod last_environment;
pub mod layer;
mod listed_files;
pub mod made;
mod pass;
pub mod placement;
pub mod planner;
pub mod prepared;
mod publish;
pub mod recipe;
pub mod registries;
pub mod tagged;
pub mod time;
pub mod waiting;

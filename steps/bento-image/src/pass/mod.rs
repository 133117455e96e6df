//! One reading of the archive, into layers.
//!
//! - `reading`: lists what comes, and hands it to layers as soon as the environment is known
//! - `layers`: which entry goes into which layer
//! - `upload`: a layer on its way to the registry
//! - `shared`: what all readings of one archive share
//! - `learnt`: what a reading has found out for the next one
//! - `error`: why a reading was ended

mod error;
mod layers;
mod learnt;
mod reading;
mod shared;
mod upload;

pub(crate) use error::PassError;
pub(crate) use layers::FinishedLayer;
pub(crate) use learnt::{Known, Learnt, Stored};
pub(crate) use reading::{Ended, Pass};
pub(crate) use shared::{Shared, model_tag};
pub(crate) use upload::Ending;

//! A reading of one archive that anybody can ask for: from flags to the end of what takes it, with all the patience that
//! a network needs. Errors have their hint.

mod args;
mod find;
mod origin;
mod progress_line;
mod reading;
mod wanted;

pub use args::{AccessArgs, BentoArgs, LimitArgs, Output, RetryArgs, StoredBentoArgs};
pub use find::find;
pub use origin::{Origin, access, location};
pub use reading::Read;
pub use wanted::Request;

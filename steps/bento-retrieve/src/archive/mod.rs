//! Reads an archive that a stranger may have made: nothing outside of the folder, nothing beyond the limits.

mod entry;
mod error;
pub(crate) mod format;
pub(crate) mod limits;
mod policy;
mod read;
mod selected;
mod sink;
mod tar;
mod unpack_thread;
mod writer;
pub(crate) mod zip;

pub use error::ArchiveError;
pub use format::Format;
pub use limits::{Limit, Limits};
pub use policy::Violation;
pub use read::read;
pub use selected::{NotSelected, Selected};
pub use sink::{Contents, Last, Sink};
pub use unpack_thread::UnpackThread;
pub use writer::{Folder, FolderSink, Unpacked, unpack};

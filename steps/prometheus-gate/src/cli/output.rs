//! What a person asked to see, on stdout.

use std::io::{self, Write as _};

use anyhow::{Context, Result};
use step::{Failure, text::clean};

/// A line that a person asked to see.
pub(crate) fn say(line: &str) -> Result<()> {
    print(&(clean(line) + "\n"))
}

/// On stdout.
pub(super) fn print(text: &str) -> Result<()> {
    io::stdout().write_all(text.as_bytes()).with_context(|| Failure {
        what: "failed to write to stdout".to_owned(),
        hint: "the reader of the pipe has gone".to_owned(),
    })
}

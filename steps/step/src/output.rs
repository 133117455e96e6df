//! What a person or another program asked to see.

use std::io::{self, Write as _};

use anyhow::{Context, Result};

use crate::text::clean;

/// Writes to stdout. A reader that has gone, as `head` does, is no error.
pub fn print(text: impl AsRef<[u8]>) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_ref()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("failed to write to stdout")
        }
        _ => Ok(()),
    }
}

/// A line, of which a part may be a stranger's.
pub fn print_line(line: &str) -> Result<()> {
    print(clean(line) + "\n")
}

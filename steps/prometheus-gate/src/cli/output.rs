//! What a person asked to see, on stdout.

use anyhow::Result;
use step::{print, text::clean};

/// A line, of which a part may be a stranger's.
pub(super) fn print_line(line: &str) -> Result<()> {
    print(clean(line) + "\n")
}

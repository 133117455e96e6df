//! What has to be known of a bento's files to judge it: where it starts, which are there, and what a few of them say.

use std::io;

use crate::bento::dockerfile::Unsupported;

/// The files of an archive, wherever they are: in a folder, or seen while it was read. Paths are relative to the
/// archive's own root, with `/`.
pub trait BentoFiles {
    /// The one directory that everything is in, or empty where there is more.
    fn root(&self) -> io::Result<String>;

    /// Whether there is a file of that path, and neither a directory nor a symlink.
    fn is_file(&self, path: &str) -> bool;

    /// The text of a file that is there, or nothing if it has more than so many bytes.
    fn text(&self, path: &str, most: u64) -> io::Result<Option<String>>;

    /// The first by name in that directory with `\` in it, fit to be shown: what Windows takes for a path is a name here.
    fn name_with_backslash(&self, directory: &str) -> Option<String>;

    /// The scripts of a bento that starts there which Linux will not run.
    fn broken_scripts(&self, root: &str) -> io::Result<Vec<Unsupported>>;
}

/// A path below a directory, which may be empty.
pub(crate) fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") }
}

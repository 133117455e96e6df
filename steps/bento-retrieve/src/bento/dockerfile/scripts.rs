//! The scripts that an image will run, as far as Linux will not.

use std::path::Path;

use step::text::clean;

use crate::bento::dockerfile::unsupported::{Problem, Unsupported, shown};

/// Where they are, in the order in which they are told: bentos of 0.x keep them beside the Dockerfile, later ones in
/// folders of `env`.
pub const FOLDERS: [&str; 5] = ["", "env", "env/docker", "env/python", "env/conda"];

/// How much of one is looked at, in bytes: more than any script of a bento has.
pub(crate) const LARGEST: usize = 1 << 20;

/// What is wrong with a file of one of these folders, if it is a script at all. Its path is relative to the bento.
pub fn broken(file: &str, content: &[u8]) -> Option<Unsupported> {
    let is_script =
        content.starts_with(b"#!") || Path::new(file).extension().is_some_and(|end| end == "sh");
    let mut lines = (1..).zip(content.split(|byte| *byte == b'\n'));
    let (line, text) = lines.find(|(_, line)| is_script && line.ends_with(b"\r"))?;
    Some(Unsupported {
        file: clean(file),
        line,
        text: shown(&String::from_utf8_lossy(text)),
        problem: Problem::CarriageReturn,
    })
}

//! The file that keeps every answer. It is a courtesy: a volume that cannot be written, or fills up,
//! ends the record with a warning, and nothing else.

use std::{
    fmt::Display,
    fs::{self, File},
    io::{self, BufWriter, Seek as _, Write as _},
    path::{Path, PathBuf},
};

use crate::record::line::Line;

/// A record may have so many bytes: a pod whose volume of its own fills up is ended before its verdict.
pub(super) const LARGEST: u64 = 512 << 20;

pub(crate) struct RecordFile {
    pub(super) path: PathBuf,
    file: File,
}

impl RecordFile {
    /// A new file, or a warning.
    pub(crate) fn create(path: &Path) -> Option<Self> {
        let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
        match folder.and_then(|()| File::create(path)) {
            Ok(file) => Some(Self { path: path.to_owned(), file }),
            Err(cause) => {
                let what = format!("failed to create record `{}`: {cause}", path.display());
                warn(&what, cause.kind());
                None
            }
        }
    }

    /// Adds a line; says whether it could. After one that failed there is no record any more; what stands in
    /// the file ends with a whole line and has no end, so that `replay` refuses it.
    pub(crate) fn add(&mut self, line: &Line) -> bool {
        let whole = self.file.stream_position();
        let is_full = whole.as_ref().is_ok_and(|length| *length >= LARGEST);
        let written =
            if is_full { Err(io::ErrorKind::FileTooLarge.into()) } else { self.write(line) };
        let Err(cause) = written else { return true };
        let what = format!("failed to write record `{}`: {cause}", self.path.display());
        warn(format!("{what}; nothing more is recorded"), cause.kind());
        // Not all that can be written can be cut.
        let _ = whole.and_then(|length| self.file.set_len(length));
        false
    }

    /// Writes a line without a second copy of it in memory.
    fn write(&self, line: &Line) -> io::Result<()> {
        let mut out = BufWriter::with_capacity(64 << 10, &self.file);
        let written = serde_json::to_writer(&mut out, line)
            .map_err(io::Error::from)
            .and_then(|()| out.write_all(b"\n"))
            .and_then(|()| out.flush());
        // What is left in the buffer after an error must not be written when it is dropped.
        let _ = out.into_parts();
        written
    }
}

/// Says that evidence is missing, and what to do about it.
pub(crate) fn warn(what: impl Display, kind: io::ErrorKind) {
    tracing::warn!("{what}; the verdict does not depend on it; hint: {}", hint(kind));
}

/// Says that the report could not be written: a gate does not depend on its evidence.
pub(crate) fn without_report(error: &anyhow::Error, record_failed: bool) {
    if record_failed {
        // The same volume, most likely: one warning is enough.
        tracing::info!("{error:#}");
        return;
    }
    let cause = error.downcast_ref::<io::Error>().map_or(io::ErrorKind::Other, io::Error::kind);
    warn(format!("{error:#}"), cause);
}

fn hint(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::PermissionDenied => {
            "make the volume writable for user 65532: set `fsGroup: 65532` in the `securityContext` of the run's `podTemplate`"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room on the volume",
        io::ErrorKind::FileTooLarge => {
            "a record has 512 MiB at most; ask less often, as by `--step`, or for fewer series"
        }
        io::ErrorKind::ReadOnlyFilesystem => "bind a volume that is not read-only",
        _ => {
            "name a folder that can be written; for a volume set `fsGroup: 65532` in the `securityContext` of the run's `podTemplate`"
        }
    }
}

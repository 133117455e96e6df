//! Reads an archive's manifest without reading the archive: a peek.

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
};

use bzip2::bufread::BzDecoder;
use flate2::bufread::GzDecoder;
use liblzma::bufread::XzDecoder;
use thiserror::Error;

use crate::{
    archive::{
        ArchiveError, Format, Limits,
        format::not_an_archive,
        limits::{HEADERS, Meter, MeteredOutput},
        zip,
    },
    download::RetryPolicy,
    progress::Progress,
    source::{ByteRange, Source, SourceError},
};

/// How much of an archive is read to find its manifest, in bytes: at first, then more. BentoML 1.x puts it in front;
/// 0.x puts it behind the model.
const WINDOWS: [u64; 3] = [64 << 10, 1 << 20, 8 << 20];
/// The end of a zip, with a table of contents of some 500 entries. In bytes.
const ZIP_TAIL: u64 = 64 << 10;
/// More than a manifest or a model's description has, in bytes.
const LARGEST: u64 = 4 << 20;
/// What may come out of a window, in bytes.
const LIMITS: Limits = Limits { bytes: 256 << 20, entries: 100_000, ratio: u64::MAX };

/// The files of a bento that say what it is.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ManifestFiles {
    /// `bento.yaml`, or the `bentoml.yml` of 0.x
    pub manifest: String,
    pub is_legacy: bool,
    /// The text of each `models/NAME/VERSION/model.yaml` that lay near, by `NAME:VERSION`
    pub models: BTreeMap<String, String>,
}

/// Why no manifest was found.
#[derive(Debug, Error)]
pub enum PeekError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error("its manifest is not in the first {} MiB", WINDOWS[2] >> 20)]
    TooFar,
}

/// Reads the manifest, and as little else as possible.
pub async fn peek(source: &Source, retries: RetryPolicy) -> Result<ManifestFiles, PeekError> {
    let mut seen = Vec::new();
    let mut validator = None;
    for window in WINDOWS {
        let range = ByteRange::from(seen.len() as u64..window);
        let more = match retries.ask(|| read(source, range, validator.as_deref())).await {
            Err(SourceError::CannotResume(_)) => {
                seen.clear(); // a server without ranges sends it from its beginning again
                retries.ask(|| read(source, ByteRange::from(0..window), None)).await?
            }
            more => more?,
        };
        seen.extend(more.bytes);
        validator = more.validator;
        let is_whole = match more.total {
            Some(total) => seen.len() as u64 >= total,
            None => (seen.len() as u64) < window,
        };
        if Format::of(&seen) == Some(Format::Zip) {
            let Some(total) = more.total.or_else(|| is_whole.then_some(seen.len() as u64)) else {
                return Err(PeekError::TooFar); // what tells where everything is comes at its end
            };
            return peek_at_zip(source, &seen, total, validator.as_deref(), retries).await;
        }
        if let Some(found) = peek_at(&seen, is_whole)? {
            return Ok(found);
        }
        if is_whole {
            return Err(ArchiveError::Damaged("it has no manifest".into()).into());
        }
    }
    Err(PeekError::TooFar)
}

struct Window {
    bytes: Vec<u8>,
    total: Option<u64>,
    validator: Option<String>,
}

/// A server that sends more than was asked for is cut short.
async fn read(
    source: &Source,
    range: ByteRange,
    validator: Option<&str>,
) -> Result<Window, SourceError> {
    let mut opened = source.open(range, validator).await?;
    let most = range.end.unwrap_or(u64::MAX) - range.from;
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < most {
        match opened.body.next().await {
            Some(Ok(chunk)) => bytes.extend(chunk),
            Some(Err(_)) => return Err(SourceError::Cut(range.from + bytes.len() as u64)),
            None => break,
        }
    }
    bytes.truncate(usize::try_from(most).unwrap_or(usize::MAX));
    let expected = opened
        .total
        .map(|total| total.min(range.end.unwrap_or(u64::MAX)).saturating_sub(range.from));
    if expected.is_some_and(|expected| (bytes.len() as u64) < expected) {
        return Err(SourceError::Cut(range.from + bytes.len() as u64));
    }
    Ok(Window { bytes, total: opened.total, validator: opened.validator })
}

/// Scans the beginning of an archive. `None` when more of it is needed.
pub fn peek_at(beginning: &[u8], is_whole: bool) -> Result<Option<ManifestFiles>, ArchiveError> {
    let format = match Format::of(beginning) {
        Some(format) => format,
        None if is_whole || beginning.len() >= Format::HEAD => {
            return Err(not_an_archive(beginning));
        }
        None => return Ok(None),
    };
    let mut found = ManifestFiles::default();
    let scanned = match format {
        Format::Tar => scan(beginning, &mut found),
        Format::Gzip => scan(GzDecoder::new(beginning), &mut found),
        Format::Bzip2 => scan(BzDecoder::new(beginning), &mut found),
        Format::Xz => scan(XzDecoder::new(beginning), &mut found),
        Format::Zip => return Err(ArchiveError::Format),
    };
    match scanned {
        _ if !found.manifest.is_empty() => Ok(Some(found)), // what follows it is none of our business
        Err(_) if !is_whole => Ok(None),
        Err(error) => Err(ArchiveError::Damaged(error.to_string())),
        Ok(()) => Ok(None),
    }
}

fn scan(decoder: impl Read, found: &mut ManifestFiles) -> io::Result<()> {
    let progress = Progress::default();
    let meter = Meter::new(&LIMITS, &progress);
    let mut archive = tar::Archive::new(MeteredOutput { inner: decoder, meter: &meter });
    meter.allow(HEADERS);
    for entry in archive.entries()? {
        let entry = entry?;
        meter.allow(entry.size().saturating_add(HEADERS));
        if !entry.header().entry_type().is_file() || entry.size() > LARGEST {
            continue;
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        found.keep(&name, entry)?;
    }
    Ok(())
}

impl ManifestFiles {
    /// Keeps the text of a file if it is one of those that tell what a bento is.
    fn keep(&mut self, name: &str, text: impl Read) -> io::Result<()> {
        let parts: Vec<_> =
            name.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        let read = || {
            let mut bytes = Vec::new();
            text.take(LARGEST).read_to_end(&mut bytes)?;
            io::Result::Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        match parts.as_slice() {
            ["models", name, version, "model.yaml"] => {
                self.models.insert(format!("{name}:{version}"), read()?);
            }
            [file] | [_, file]
                if ["bento.yaml", "bentoml.yml"].contains(file) && self.manifest.is_empty() =>
            {
                self.manifest = read()?;
                self.is_legacy = *file == "bentoml.yml";
            }
            _ => {}
        }
        Ok(())
    }
}

/// A zip tells at its end where everything is, so its end is read, and then the entries that matter.
async fn peek_at_zip(
    source: &Source,
    beginning: &[u8],
    total: u64,
    validator: Option<&str>,
    retries: RetryPolicy,
) -> Result<ManifestFiles, PeekError> {
    let broken = |error: io::Error| match error.kind() {
        ErrorKind::UnexpectedEof => ArchiveError::Truncated,
        _ => ArchiveError::Damaged(error.to_string()),
    };
    // Holes where nothing was read: the file takes the space of what was.
    let mut file = tempfile::tempfile().map_err(broken)?;
    file.set_len(total).map_err(broken)?;
    file.write_all(beginning).map_err(broken)?;
    let fetch = async |file: &mut std::fs::File, from: u64, end: u64| -> Result<(), PeekError> {
        let end = end.min(total);
        if from < end && end > beginning.len() as u64 {
            let range = ByteRange::from(from..end);
            let chunk = retries.ask(|| read(source, range, validator)).await?;
            file.seek(SeekFrom::Start(from))
                .and_then(|_| file.write_all(&chunk.bytes))
                .map_err(broken)?;
        }
        Ok(())
    };
    fetch(&mut file, total.saturating_sub(ZIP_TAIL), total).await?;
    let table = zip::find_contents(&mut file, total).map_err(broken)?;
    if table.size > LARGEST {
        return Err(PeekError::TooFar);
    }
    if table.start < total.saturating_sub(ZIP_TAIL) {
        fetch(&mut file, table.start, table.start + table.size).await?;
    }
    let entries = zip::read_contents(&mut file, &table).map_err(broken)?;
    let mut found = ManifestFiles::default();
    for entry in entries
        .iter()
        .filter(|entry| entry.is_file() && is_manifest_file(&entry.name) && entry.packed <= LARGEST)
    {
        fetch(&mut file, entry.at, entry.at + entry.packed + ZIP_TAIL).await?;
        let name = String::from_utf8_lossy(&entry.name).into_owned();
        let text = zip::contents(&mut file, entry).map_err(broken)?;
        found.keep(&name, text).map_err(broken)?;
    }
    if found.manifest.is_empty() {
        Err(ArchiveError::Damaged("it has no manifest".into()).into())
    } else {
        Ok(found)
    }
}

/// Whether a file of this name is one that tells what a bento is.
fn is_manifest_file(name: &[u8]) -> bool {
    [b"bento.yaml".as_slice(), b"bentoml.yml", b"/model.yaml"].iter().any(|end| name.ends_with(end))
}

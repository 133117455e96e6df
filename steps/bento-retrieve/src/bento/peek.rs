//! Reads an archive's manifest without reading the archive.

use std::{
    collections::BTreeMap,
    io::{self, Read, Seek, SeekFrom, Write},
};

use bzip2::bufread::BzDecoder;
use flate2::bufread::GzDecoder;
use liblzma::bufread::XzDecoder;
use thiserror::Error;

use crate::{
    archive::limits::{HEADERS, Limits, Meter, Unpacked, Watch},
    archive::zip,
    archive::{BadArchive, Format, no_archive},
    download::Patience,
    source::error::Fault,
    source::{Part, Source},
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

/// What was seen of a bento.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Glance {
    /// `bento.yaml`, or the `bentoml.yml` of 0.x
    pub manifest: String,
    pub is_legacy: bool,
    /// The text of each `models/NAME/VERSION/model.yaml` that lay near, by `NAME:VERSION`
    pub models: BTreeMap<String, String>,
}

/// Why nothing was seen.
#[derive(Debug, Error)]
pub enum Unseen {
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error(transparent)]
    Archive(#[from] BadArchive),
    #[error("its manifest is not in the first {} MiB", WINDOWS[2] >> 20)]
    TooFar,
}

/// Reads the manifest, and as little else as possible.
pub async fn glance(source: &Source, patience: Patience) -> Result<Glance, Unseen> {
    let mut seen = Vec::new();
    let mut mark = None;
    for window in WINDOWS {
        let part = Part::from(seen.len() as u64..window);
        let more = match patience.ask(async || read(source, part, mark.as_deref()).await).await {
            Err(Fault::CannotResume(_)) => {
                seen.clear(); // a server without ranges sends it from its beginning again
                patience.ask(async || read(source, Part::from(0..window), None).await).await?
            }
            more => more?,
        };
        seen.extend(more.bytes);
        mark = more.mark;
        let is_whole = match more.total {
            Some(total) => seen.len() as u64 >= total,
            None => (seen.len() as u64) < window,
        };
        if Format::of(&seen) == Some(Format::Zip) {
            let Some(total) = more.total.or_else(|| is_whole.then_some(seen.len() as u64)) else {
                return Err(Unseen::TooFar); // what tells where everything is comes at its end
            };
            return glance_at_zip(source, &seen, total, mark.as_deref(), patience).await;
        }
        if let Some(found) = look(&seen, is_whole)? {
            return Ok(found);
        }
        if is_whole {
            return Err(BadArchive::Damaged("it has no manifest".into()).into());
        }
    }
    Err(Unseen::TooFar)
}

struct Piece {
    bytes: Vec<u8>,
    total: Option<u64>,
    mark: Option<String>,
}

/// A server that sends more than was asked for is cut short.
async fn read(source: &Source, part: Part, same: Option<&str>) -> Result<Piece, Fault> {
    let mut opened = source.open(part, same).await?;
    let most = part.end.unwrap_or(u64::MAX) - part.from;
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < most {
        match opened.body.next().await {
            Some(Ok(piece)) => bytes.extend(piece),
            Some(Err(_)) => return Err(Fault::Cut(part.from + bytes.len() as u64)),
            None => break,
        }
    }
    bytes.truncate(usize::try_from(most).unwrap_or(usize::MAX));
    let expected =
        opened.total.map(|total| total.min(part.end.unwrap_or(u64::MAX)).saturating_sub(part.from));
    if expected.is_some_and(|expected| (bytes.len() as u64) < expected) {
        return Err(Fault::Cut(part.from + bytes.len() as u64));
    }
    Ok(Piece { bytes, total: opened.total, mark: opened.mark })
}

/// Looks through the beginning of an archive. `None` when more of it is needed.
pub fn look(beginning: &[u8], is_whole: bool) -> Result<Option<Glance>, BadArchive> {
    let format = match Format::of(beginning) {
        Some(format) => format,
        None if is_whole || beginning.len() >= Format::HEAD => return Err(no_archive(beginning)),
        None => return Ok(None),
    };
    let mut found = Glance::default();
    let looked = match format {
        Format::Tar => look_through(beginning, &mut found),
        Format::Gzip => look_through(GzDecoder::new(beginning), &mut found),
        Format::Bzip2 => look_through(BzDecoder::new(beginning), &mut found),
        Format::Xz => look_through(XzDecoder::new(beginning), &mut found),
        Format::Zip => return Err(BadArchive::Format),
    };
    match looked {
        _ if !found.manifest.is_empty() => Ok(Some(found)), // what follows it is none of our business
        Err(_) if !is_whole => Ok(None),
        Err(error) => Err(BadArchive::Damaged(error.to_string())),
        Ok(()) => Ok(None),
    }
}

fn look_through(decoder: impl Read, found: &mut Glance) -> io::Result<()> {
    let watch = Watch::default();
    let meter = Meter::new(&LIMITS, &watch);
    let mut archive = tar::Archive::new(Unpacked { inner: decoder, meter: &meter });
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

impl Glance {
    /// Keeps the text of a file if it is one of those that tell what a bento is.
    fn keep(&mut self, name: &str, text: impl Read) -> io::Result<()> {
        let parts: Vec<_> =
            name.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        let read = |text: &mut dyn Read| {
            let mut bytes = Vec::new();
            text.take(LARGEST).read_to_end(&mut bytes)?;
            io::Result::Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        let mut text = text;
        match parts.as_slice() {
            ["bento.yaml"] | [_, "bento.yaml"] if self.manifest.is_empty() => {
                self.manifest = read(&mut text)?;
            }
            ["bentoml.yml"] | [_, "bentoml.yml"] if self.manifest.is_empty() => {
                self.manifest = read(&mut text)?;
                self.is_legacy = true;
            }
            ["models", name, version, "model.yaml"] => {
                self.models.insert(format!("{name}:{version}"), read(&mut text)?);
            }
            _ => {}
        }
        Ok(())
    }
}

/// A zip tells at its end where everything is, so its end is read, and then the entries that matter.
async fn glance_at_zip(
    source: &Source,
    beginning: &[u8],
    total: u64,
    same: Option<&str>,
    patience: Patience,
) -> Result<Glance, Unseen> {
    let broken = |error: io::Error| BadArchive::Damaged(error.to_string());
    // Holes where nothing was read: the file takes the space of what was.
    let mut file = tempfile::tempfile().map_err(broken)?;
    file.set_len(total).map_err(broken)?;
    file.write_all(beginning).map_err(broken)?;
    let fetch = async |file: &mut std::fs::File, from: u64, end: u64| -> Result<(), Unseen> {
        let end = end.min(total);
        if from < end && end > beginning.len() as u64 {
            let part = Part::from(from..end);
            let piece = patience.ask(async || read(source, part, same).await).await?;
            file.seek(SeekFrom::Start(from))
                .and_then(|_| file.write_all(&piece.bytes))
                .map_err(broken)?;
        }
        Ok(())
    };
    fetch(&mut file, total.saturating_sub(ZIP_TAIL), total).await?;
    let table = zip::find_contents(&mut file, total).map_err(broken)??;
    if table.size > LARGEST {
        return Err(Unseen::TooFar);
    }
    if table.start < total.saturating_sub(ZIP_TAIL) {
        fetch(&mut file, table.start, table.start + table.size).await?;
    }
    let entries = zip::read_contents(&mut file, &table).map_err(broken)??;
    let mut found = Glance::default();
    for entry in entries.iter().filter(|entry| entry.tells() && entry.packed <= LARGEST) {
        fetch(&mut file, entry.at, entry.at + entry.packed + ZIP_TAIL).await?;
        let name = String::from_utf8_lossy(&entry.name).into_owned();
        let text = zip::contents(&mut file, entry)?;
        found.keep(&name, text).map_err(broken)?;
    }
    if found.manifest.is_empty() {
        Err(BadArchive::Damaged("it has no manifest".into()).into())
    } else {
        Ok(found)
    }
}

/// Whether a file of this name is one that tells what a bento is.
pub(crate) fn tells(name: &[u8]) -> bool {
    [b"bento.yaml".as_slice(), b"bentoml.yml", b"/model.yaml"].iter().any(|end| name.ends_with(end))
}

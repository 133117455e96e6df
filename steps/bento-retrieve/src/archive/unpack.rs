//! Unpacks an archive that a stranger may have made: nothing outside of the folder, nothing beyond the limits.

use std::io::{BufRead, Cursor, Read};

use bzip2::bufread::BzDecoder;
use flate2::bufread::GzDecoder;
use liblzma::{bufread::XzDecoder, stream::Stream};

use crate::{
    archive::{
        entry::{Unpacker, explain},
        error::ArchiveError,
        format::{Format, not_an_archive},
        limits::{Limit, Limits, Meter, MeteredInput},
        tar::untar,
        writer::{Folder, Unpacked},
        zip,
    },
    progress::Progress,
};

/// Memory that a decoder of xz may take, in bytes: `xz -9` needs 65 MiB, BentoML's exports 9.
const XZ_MEMORY: u64 = 80 << 20;

/// Unpacks the whole archive into an empty folder. Memory stays flat at any size.
///
/// # Errors
/// The first rule or limit that the archive breaks, with the entry's name; the folder is then to be thrown away.
pub fn unpack(
    mut input: impl BufRead,
    folder: &Folder,
    limits: &Limits,
    progress: &Progress,
) -> Result<Unpacked, ArchiveError> {
    let meter = Meter::new(limits, progress);
    let mut head = Vec::with_capacity(Format::HEAD);
    input
        .by_ref()
        .take(Format::HEAD as u64)
        .read_to_end(&mut head)
        .map_err(|_| ArchiveError::Input)?;
    let format = Format::of(&head).ok_or_else(|| not_an_archive(&head))?;
    let input = MeteredInput { inner: Cursor::new(head).chain(input), meter: &meter };
    folder.fill(progress, |orders| {
        let mut unpacker = Unpacker::new(orders, &meter);
        match format {
            Format::Zip => unzip(input, folder, limits, &mut unpacker)?,
            Format::Tar => ends_here(untar(input, &mut unpacker)?, &meter)?,
            Format::Gzip => {
                ends_here(untar(GzDecoder::new(input), &mut unpacker)?.into_inner(), &meter)?;
            }
            Format::Bzip2 => {
                ends_here(untar(BzDecoder::new(input), &mut unpacker)?.into_inner(), &meter)?;
            }
            Format::Xz => {
                let stream = Stream::new_stream_decoder(XZ_MEMORY, 0)
                    .map_err(|error| ArchiveError::Damaged(error.to_string()))?;
                let decoder = XzDecoder::new_stream(input, stream);
                ends_here(untar(decoder, &mut unpacker)?.into_inner(), &meter)?;
            }
        }
        unpacker.last()
    })
}

/// Keeps the archive on the disk while it is unpacked, as a zip's table of contents comes last.
fn unzip(
    mut archive: impl BufRead,
    folder: &Folder,
    limits: &Limits,
    unpacker: &mut Unpacker,
) -> Result<(), ArchiveError> {
    let file = folder.scratch_file()?;
    let kept = zip::keep(&mut archive, file, limits.bytes).map_err(|source| {
        if unpacker.meter.input_failed.get() {
            ArchiveError::Input
        } else {
            ArchiveError::Write { path: "the archive".into(), source }
        }
    })?;
    let file = kept.ok_or(Limit::Bytes(limits.bytes))?;
    zip::unzip(file, unpacker)
}

/// Neither a second gzip member nor a second archive nor anything else may follow: readers disagree about it.
fn ends_here(mut rest: impl BufRead, meter: &Meter) -> Result<(), ArchiveError> {
    let following = rest.fill_buf().map_err(|error| explain(meter, &error))?;
    if following.is_empty() { Ok(()) } else { Err(ArchiveError::Trailing) }
}

//! Reads an archive of any format into a sink.

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
        sink::{Last, Sink},
        tar::untar,
        zip,
    },
    progress::Progress,
};

/// Memory that a decoder of xz may take, in bytes: `xz -9` needs 65 MiB, BentoML's exports 9.
const XZ_MEMORY: u64 = 80 << 20;

/// Reads the whole archive into a sink, entry by entry. Memory stays flat at any size.
///
/// # Errors
/// The first rule or limit that the archive breaks, with the entry's name, or what the sink itself failed at. What the
/// sink made of the archive is then to be thrown away.
pub fn read<S: Sink>(
    input: impl BufRead,
    mut sink: S,
    limits: &Limits,
    progress: &Progress,
) -> Result<S::Output, ArchiveError> {
    match read_entries(input, &mut sink, limits, progress) {
        Ok(last) => sink.finish(last),
        Err(error) => Err(sink.abandon(error)),
    }
}

fn read_entries(
    mut input: impl BufRead,
    sink: &mut dyn Sink,
    limits: &Limits,
    progress: &Progress,
) -> Result<Last, ArchiveError> {
    let meter = Meter::new(limits, progress);
    let mut head = Vec::with_capacity(Format::HEAD);
    input
        .by_ref()
        .take(Format::HEAD as u64)
        .read_to_end(&mut head)
        .map_err(|_| ArchiveError::Input)?;
    let format = Format::of(&head).ok_or_else(|| not_an_archive(&head))?;
    let input = MeteredInput { inner: Cursor::new(head).chain(input), meter: &meter };
    let mut unpacker = Unpacker::new(sink, &meter);
    match format {
        Format::Zip => unzip(input, limits, &mut unpacker)?,
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
}

/// Keeps the archive on the disk while it is unpacked, as a zip's table of contents comes last.
fn unzip(
    mut archive: impl BufRead,
    limits: &Limits,
    unpacker: &mut Unpacker,
) -> Result<(), ArchiveError> {
    let file = unpacker.sink.scratch_file()?.ok_or(ArchiveError::NotStreamable)?;
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

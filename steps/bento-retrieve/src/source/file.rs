//! An archive in a file.

use std::{io, path::Path};

use aws_sdk_s3::primitives::{ByteStream, Length};
use tokio::fs::File;

use crate::source::{
    body::{CHUNK, Opened},
    error::SourceError,
    range::ByteRange,
};

pub(crate) async fn open(path: &Path, range: ByteRange) -> Result<Opened, SourceError> {
    let open = async {
        let file = File::open(path).await?;
        let metadata = file.metadata().await?;
        if metadata.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        // A file may grow while it is read; what it had at first is the archive.
        let total = metadata.len();
        let from = range.from.min(total);
        let length = Length::Exact(range.end.unwrap_or(u64::MAX).min(total) - from);
        let stream = ByteStream::read_from().file(file).buffer_size(CHUNK);
        Ok((stream.offset(from).length(length).build().await.map_err(io::Error::other)?, total))
    };
    let (stream, total) = open.await.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => SourceError::NoObject,
        _ => SourceError::Refused(error.to_string()),
    })?;
    let body = stream.into();
    Ok(Opened { body, total: Some(total), validator: None, checksum: None, alteration: None })
}

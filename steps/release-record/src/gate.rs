//! What a gate has left goes into the store, and the step ends as the gate did.

use std::{
    fs::File,
    io::{self, ErrorKind, Write},
    path::Path,
};

use anyhow::Result;
use bento_retrieve::request::{access, location};
use flate2::{Compression, write::GzEncoder};
use release_record::{
    kept::{Kept, LARGEST},
    key::{KeptFile, RunKey},
};
use step::{Failure, Outcome, like_the_step_before};
use tokio::time::timeout;

use crate::args::{GateArgs, too_slow};

/// Whatever becomes of the evidence, the verdict stays what it is.
pub(crate) async fn gate(args: GateArgs) -> Result<Outcome> {
    let kept = timeout(args.timeout, keep(&args)).await;
    if let Err(error) = kept.unwrap_or_else(|_| Err(too_slow(args.timeout))) {
        let hint = error.downcast_ref::<Failure>().map_or("", |failure| failure.hint.as_str());
        tracing::warn!(hint, "{error:#}; the verdict does not depend on it");
    }
    args.exit_code_file.as_deref().map_or(Ok(Outcome::Done), like_the_step_before)
}

async fn keep(args: &GateArgs) -> Result<()> {
    let Some(releases) = &args.releases else {
        tracing::info!("nothing is kept: `releases` names no store");
        return Ok(());
    };
    let Some(key) = key(args) else {
        tracing::info!("nothing is kept: it is of no `service`, namespace and run");
        return Ok(());
    };
    let retries = args.patience.within(args.timeout);
    let access = access(&args.access, retries).await?;
    let kept = Kept::new(location("releases", releases)?, &access, retries.policy()).await;
    for file in KeptFile::EVIDENCE {
        match content(&args.folder, file) {
            Ok(bytes) => {
                let size = bytes.len();
                kept.put(&key, file, bytes.into()).await?;
                tracing::info!("kept `{}/{}`, {size} bytes", key.folder(), file.name());
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                tracing::info!("the gate has left no `{}`", source(file));
            }
            Err(error) => tracing::warn!("`{}` is not kept: {error}", source(file)),
        }
    }
    Ok(())
}

fn key(args: &GateArgs) -> Option<RunKey> {
    let run = args.run.name();
    Some(RunKey {
        namespace: args.namespace.clone()?,
        service: args.service.clone()?,
        version: args.canary_version.clone().unwrap_or_default(),
        run: Some(run.to_owned()).filter(|run| !run.is_empty())?,
    })
}

/// The name that the gate gives it
fn source(file: KeptFile) -> &'static str {
    file.name().trim_end_matches(".gz")
}

/// As it is kept: a record is packed, the same way each time.
fn content(folder: &Path, file: KeptFile) -> io::Result<Vec<u8>> {
    let mut plain = File::open(folder.join(source(file)))?;
    let kept = Bounded(Vec::new());
    if file == KeptFile::Record {
        let mut packed = GzEncoder::new(kept, Compression::default());
        io::copy(&mut plain, &mut packed)?;
        return Ok(packed.finish()?.0);
    }
    let mut kept = kept;
    io::copy(&mut plain, &mut kept)?;
    Ok(kept.0)
}

/// Takes what can be read again, and no more.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if (self.0.len() + bytes.len()) as u64 > LARGEST {
            let text = format!("it has more than {} MiB", LARGEST >> 20);
            return Err(io::Error::new(ErrorKind::FileTooLarge, text));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Read as _};

    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn a_record_is_packed_and_the_rest_is_kept_as_it_is() {
        let home = tempfile::tempdir().unwrap();
        let record = "{\"at\": 1}\n".repeat(10_000);
        fs::write(home.path().join("record.ndjson"), &record).unwrap();
        fs::write(home.path().join("verdict.json"), "{}").unwrap();
        let packed = content(home.path(), KeptFile::Record).unwrap();
        assert!(packed.len() < record.len() / 10);
        let mut plain = String::new();
        GzDecoder::new(packed.as_slice()).read_to_string(&mut plain).unwrap();
        assert_eq!(plain, record);
        assert_eq!(content(home.path(), KeptFile::Record).unwrap(), packed, "the same each time");
        assert_eq!(content(home.path(), KeptFile::Verdict).unwrap(), b"{}");
    }

    #[test]
    fn what_is_missing_or_too_large_is_told() {
        let home = tempfile::tempdir().unwrap();
        let kind = |file| content(home.path(), file).unwrap_err().kind();
        assert_eq!(kind(KeptFile::Report), ErrorKind::NotFound);
        let large = File::create(home.path().join("report.html")).unwrap();
        large.set_len(LARGEST).unwrap();
        assert!(content(home.path(), KeptFile::Report).is_ok());
        large.set_len(LARGEST + 1).unwrap();
        assert_eq!(kind(KeptFile::Report), ErrorKind::FileTooLarge);
    }
}

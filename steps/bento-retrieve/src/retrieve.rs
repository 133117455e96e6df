//! Gets a bento into a folder: all of it, or a part.

use std::{
    fs::File,
    path::{Path, absolute},
    pin::{Pin, pin},
    sync::Arc,
};

use anyhow::{Context, Result};
use step::{Failure, SecretFolder, Terminated};

use crate::{
    archive::{
        ArchiveError, Contents, Folder, FolderSink, Last, NotSelected, Selected, Sink, Unpacked,
    },
    bento::{
        BentoFolder,
        dockerfile::{Builder, ca_bundle},
    },
    destination::{Destination, Receipt, Staging},
    hints,
    progress::Progress,
    request::{Read, Request},
    size::Size,
};

/// A bento that is in its folder.
#[derive(Debug)]
pub struct Retrieved {
    pub receipt: Receipt,
    /// To build with: relative to the folder, or absolute where it is a copy beside it
    pub dockerfile: String,
}

/// Unpacks the whole bento into a folder, which is not touched if the bento is there already. With a builder, a bento
/// that it cannot build is refused. With a folder that has `ca.crt`, the Dockerfile to build with is a copy whose
/// commands trust it. `None` when a signal has ended it; nothing is left then, nor after an error.
pub async fn retrieve(
    request: &Request,
    into: &Path,
    builder: Option<Builder>,
    build_credentials: Option<&SecretFolder>,
    terminated: &mut Terminated,
) -> Result<Option<Retrieved>> {
    let destination = Destination::new(into).map_err(hints::destination)?;
    let wanted = request.bento.as_ref().map(ToString::to_string);
    let from = request.origin.to_string();
    let there = destination.receipt(wanted.as_deref(), request.sha256.as_deref(), &from);
    let receipt = if let Some(receipt) = there.map_err(hints::destination)? {
        tracing::info!("`{}` holds {} already", into.display(), receipt.bento);
        receipt
    } else {
        let read = request.read(|progress| Staged::new(&destination, progress), terminated).await?;
        let Some(Read { output: (staging, unpacked), received }) = read else {
            stopped();
            return Ok(None);
        };
        let bento = request.judge(&BentoFolder::new(staging.path()), builder)?;
        let receipt = Receipt {
            bento: bento.tag.to_string(),
            from,
            sha256: received.sha256,
            dockerfile: bento.dockerfile.into(),
            files: unpacked.files,
            bytes: unpacked.bytes,
        };
        destination.commit(staging, &bento.root, &receipt).map_err(hints::destination)?;
        let (files, size) = (receipt.files, Size(receipt.bytes));
        tracing::info!("unpacked {} into `{}`: {files} files, {size}", bento.tag, into.display());
        receipt
    };
    let dockerfile = dockerfile(into, &receipt, build_credentials)?;
    Ok(Some(Retrieved { receipt, dockerfile }))
}

/// Unpacks a part of the archive into a fresh folder: what the predicate names of its paths, with the directories that
/// it lies in. `root` is the one directory of the archive that becomes the folder, or empty. What came is not judged as a
/// bento, but is of the archive that was asked for. `None` when a signal has ended it.
pub async fn retrieve_selected(
    request: &Request,
    into: &Path,
    root: &Path,
    is_selected: impl Fn(&str) -> bool + Clone + Send + 'static,
    terminated: &mut Terminated,
) -> Result<Option<Read<Unpacked>>> {
    select_until(pin!(terminated.wait()), request, into, root, is_selected).await
}

async fn select_until(
    mut stop: Pin<&mut impl Future<Output = ()>>,
    request: &Request,
    into: &Path,
    root: &Path,
    is_selected: impl Fn(&str) -> bool + Clone + Send + 'static,
) -> Result<Option<Read<Unpacked>>> {
    let destination = Destination::new(into).map_err(hints::destination)?;
    let mut read = async |known: &NotSelected| {
        let sink = |progress: &Arc<Progress>| {
            let staged = Staged::new(&destination, progress)?;
            Ok(Selected::new(staged, is_selected.clone()).with(known))
        };
        request.read_until(stop.as_mut(), sink).await
    };
    let mut ended = read(&NotSelected::default()).await;
    if let Some(passed_over) = ended.as_ref().err().and_then(|error| error.downcast_ref()) {
        tracing::info!("{passed_over}; reading it once more");
        ended = read(&NotSelected::clone(passed_over)).await;
    }
    let Some(Read { output: (staging, unpacked), received }) = ended? else {
        stopped();
        return Ok(None);
    };
    destination.place(staging, root).map_err(hints::destination)?;
    Ok(Some(Read::<Unpacked> { output: unpacked, received }))
}

fn stopped() {
    tracing::warn!("stopped by a signal; nothing is left behind, run it again to start over");
}

/// What is unpacked beside the destination. It is removed after all that writes to it has ended.
struct Staged {
    folder: FolderSink,
    staging: Staging,
}

impl Staged {
    fn new(destination: &Destination, progress: &Arc<Progress>) -> Result<Self> {
        let staging = destination.stage().map_err(hints::destination)?;
        let folder = Folder::new(staging.path()).sink(progress);
        let folder =
            folder.map_err(|error| hints::archive(error, "failed to unpack".to_owned()))?;
        Ok(Self { folder, staging })
    }
}

impl Sink for Staged {
    type Output = (Staging, Unpacked);

    fn scratch_file(&mut self) -> Result<Option<File>, ArchiveError> {
        self.folder.scratch_file()
    }

    fn directory(&mut self, path: &str) -> Result<(), ArchiveError> {
        self.folder.directory(path)
    }

    fn file(
        &mut self,
        path: String,
        executable: bool,
        contents: &mut Contents,
    ) -> Result<(), ArchiveError> {
        self.folder.file(path, executable, contents)
    }

    fn finish(self, last: Last) -> Result<(Staging, Unpacked), ArchiveError> {
        let unpacked = self.folder.finish(last)?;
        Ok((self.staging, unpacked))
    }

    fn abandon(self, error: ArchiveError) -> ArchiveError {
        self.folder.abandon(error)
    }
}

/// The Dockerfile to build with: the bento's, or a copy whose commands trust the site's CA certificates.
fn dockerfile(
    into: &Path,
    receipt: &Receipt,
    build_credentials: Option<&SecretFolder>,
) -> Result<String> {
    let failed = || {
        Failure {
        what: "failed to let the Dockerfile's commands trust `ca.crt`".into(),
        hint: "`ca.crt` of the Secret that `build-secret` names must be readable, and the volume of --into writable".into(),
    }
    };
    let own =
        build_credentials.map_or(Ok(None), |folder| folder.bytes("ca.crt")).with_context(failed)?;
    let Some(own) = own else { return Ok(receipt.dockerfile.clone()) };
    let bento = absolute(into).with_context(failed)?;
    let copy = ca_bundle::lay_out(
        &bento,
        &receipt.dockerfile,
        &own,
        Path::new(ca_bundle::CA_CERTIFICATES),
    );
    let copy = copy.with_context(failed)?;
    tracing::info!("`{}` declares variables for the CA certificates in `ca.crt`", copy.display());
    Ok(copy.display().to_string())
}

#[cfg(test)]
mod tests {
    use std::{fs, future::pending};

    use super::*;

    #[tokio::test]
    async fn a_part_is_there_whole_or_not_at_all_and_hard_links_have_their_contents() {
        let home = tempfile::tempdir().unwrap();
        let mut tar = tar::Builder::new(Vec::new());
        let mut add = |name: &str, kind, text: &str| {
            let mut header = tar::Header::new_ustar();
            header.set_mode(0o644);
            header.set_entry_type(kind);
            if kind == tar::EntryType::Link {
                header.set_size(0);
                tar.append_link(&mut header, name, text).unwrap();
            } else {
                header.set_size(text.len() as u64);
                tar.append_data(&mut header, name, text.as_bytes()).unwrap();
            }
        };
        add("iris/src/a", tar::EntryType::Regular, "contents");
        add("iris/env/a", tar::EntryType::Link, "iris/src/a");
        add("iris/env/b", tar::EntryType::Regular, "b");
        let archive = home.path().join("bento.tar");
        fs::write(&archive, tar.into_inner().unwrap()).unwrap();
        let mut request = Request::of_file(&archive);
        let place = home.path().join("place");
        let into = place.join("context");
        let is_selected = |path: &str| path.starts_with("iris/env/") && path != "iris/env/b";
        let unpacked = async |request: &Request| {
            let stop = pin!(pending());
            select_until(stop, request, &into, Path::new("iris"), is_selected).await
        };
        let read = unpacked(&request).await.unwrap().unwrap();
        assert_eq!(read.output, Unpacked { files: 1, bytes: 8 });
        assert_eq!(fs::read_to_string(into.join("env/a")).unwrap(), "contents");
        assert_eq!(fs::read_dir(into.join("env")).unwrap().count(), 1);
        assert_eq!(fs::read_dir(&place).unwrap().count(), 1);

        fs::remove_dir_all(&place).unwrap();
        request.sha256 = Some("0".repeat(64));
        assert!(unpacked(&request).await.is_err());
        assert_eq!(fs::read_dir(&place).unwrap().count(), 0);
    }
}

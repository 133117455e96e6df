//! What to do about each failure, in the words of the Task.

use std::time::Duration;

use anyhow::{Error, anyhow};
use bento_retrieve::{
    archive::BadArchive,
    download::Patience,
    fault::Fault,
    glance::Unseen,
    manifest::NoBento,
    meter::Limit,
    obstacle::Obstacle,
    place::NoPlace,
    store::{Access, Store},
    tag::Tag,
};
use step::{Failure, Usage};

use crate::{find::Origin, show::newest};

const SOMEONE_ELSES: &str =
    "use another archive; the bento's maker can export it again with `bentoml export`";

/// A read from a store.
pub(crate) fn fault(fault: Fault, what: String) -> Error {
    let hint = match &fault {
        Fault::NoObject => "check the name; `bento-retrieve list` prints what is in a store".into(),
        Fault::NoBucket => "check the bucket in `store`; with a store that is not AWS, `s3-endpoint` too".into(),
        Fault::Denied(_) => "the credentials (Secret `canary-store`, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY) need \
                             s3:GetObject, and s3:ListBucket to find an archive with another ending; a store \
                             without s3:ListBucket says this of a missing object too, and a signed address runs out"
            .into(),
        Fault::NoCredentials(_) => "put AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY into the Secret that `store-secret` names, \
                                    or into the environment, or pass --anonymous for a public bucket"
            .into(),
        Fault::Certificate(_) => "put the server's certificate authority into the Secret that `store-secret` names, as the \
                                  key `ca.crt`"
            .into(),
        Fault::Region(region) => format!("set AWS_REGION to `{region}`"),
        Fault::Replaced => "someone exported it again in the meantime; run it again".into(),
        Fault::CannotResume(_) => "run it again; the server is not able to send a part of it".into(),
        Fault::Checksum => "run it again; if it stays so, the archive in the store is damaged".into(),
        Fault::Sha256(_) => "it is not the archive that `sha256` means: it was exported again, or by someone else".into(),
        Fault::Refused(_) => "is there a store at `s3-endpoint`, or a file at the address?".into(),
        Fault::Busy(_) => "the store is not well; run it again later, or raise --retries".into(),
        Fault::Stalled(_) => "the store does not answer; check `s3-endpoint`, or raise --idle-timeout".into(),
        Fault::Cut(_) => "the connection does not hold; run it again, or raise --retries".into(),
        Fault::Connect(_) => "check `s3-endpoint`, and that pods can reach it".into(),
    };
    Error::new(fault).context(Failure { what, hint })
}

/// An archive that is refused or did not fit.
pub(crate) fn archive(bad: BadArchive, what: String) -> Error {
    let hint = match &bad {
        BadArchive::Entry { .. } => format!(
            "BentoML writes no such archive, so it was made or changed by hand; {SOMEONE_ELSES}"
        ),
        BadArchive::Limit(Limit::Bytes(_)) => "if you trust it, raise --max-size".into(),
        BadArchive::Limit(Limit::Entries(_)) => "if you trust it, raise --max-entries".into(),
        BadArchive::Limit(Limit::Ratio(_)) => "if you trust it, raise --max-ratio".into(),
        BadArchive::Limit(Limit::Headers) | BadArchive::Format | BadArchive::Damaged(_) => {
            SOMEONE_ELSES.into()
        }
        BadArchive::CutShort => {
            format!("its upload did not end, or it was damaged; {SOMEONE_ELSES}")
        }
        BadArchive::Trailing => format!("a bento is one archive in one piece; {SOMEONE_ELSES}"),
        BadArchive::Write { .. } => {
            "the volume that --into is on must be writable and have room for all of it".into()
        }
        BadArchive::Input | BadArchive::Stopped => "run it again".into(),
    };
    Error::new(bad).context(Failure { what, hint })
}

/// A folder that is no bento, or not all of one.
pub(crate) fn bento(bad: NoBento, what: String) -> Error {
    let hint = match &bad {
        NoBento::NoManifest | NoBento::NoDockerfile(_) => {
            "export it with `bentoml export NAME:VERSION s3://…`; a copied folder of a store is no bento"
        }
        NoBento::Backslashes(_) => {
            "pack it with `bentoml export`, which writes `/`; other tools of Windows do not"
        }
        NoBento::Read(..) | NoBento::TooLarge(_) | NoBento::Parse { .. } | NoBento::Tag(..) => {
            SOMEONE_ELSES
        }
        NoBento::ModelsMissing(_) => {
            "export it with `bentoml export`, which puts the models in; a copied folder of a store lacks them"
        }
    };
    Error::new(bad).context(Failure { what, hint: hint.into() })
}

/// A bento whose image would not be what its maker meant.
pub(crate) fn obstacle(obstacle: &Obstacle, bento: &Tag) -> Error {
    let what = format!("failed to take `{bento}` for a bento that can be built: {obstacle}");
    Failure { what, hint: obstacle.cure().into() }.into()
}

/// A place that cannot be used.
pub(crate) fn place(bad: NoPlace) -> Error {
    let hint = match &bad {
        NoPlace::NoName(_) => "name a new folder, such as `--into=bento`",
        NoPlace::Taken(_) | NoPlace::Other { .. } | NoPlace::OtherArchive { .. } => {
            "remove it, or name another folder with --into"
        }
        NoPlace::Disk { .. } => {
            "the folder that --into lies in must be writable for the step's user, and --into no mount point"
        }
    };
    anyhow!(bad).context(Failure { what: "failed to unpack".into(), hint: hint.into() })
}

pub(crate) fn too_slow(limit: Duration) -> Error {
    Failure {
        what: format!("failed to retrieve the bento within {}", humantime::format_duration(limit)),
        hint: "raise --timeout, and the Task's own timeout above it".into(),
    }
    .into()
}

/// A manifest that could not be read.
pub(crate) fn unseen(unseen: Unseen, what: String) -> Error {
    match unseen {
        Unseen::Fault(fault) => self::fault(fault, what),
        Unseen::Archive(bad) => archive(bad, what),
        Unseen::TooFar => {
            let hint = "its model lies in front of it; retrieve the bento to see it".into();
            Error::new(unseen).context(Failure { what, hint })
        }
    }
}

/// `latest` where one bento has to be named, and which one that would be today.
pub(crate) async fn latest(
    tag: &Tag,
    origin: &Origin,
    access: &Access,
    patience: Patience,
) -> Error {
    let mut hint =
        "name the version, so that the same run brings the same model tomorrow".to_owned();
    if let Origin::Store(location) = origin {
        let store = Store::new(location.clone(), access).await;
        // Asked once: the answer is a courtesy.
        let once = Patience { retries: 0, ..patience };
        if let Ok((_, details)) = newest(&store, tag, once).await {
            hint = format!("{hint}: today the newest is `{}`", details.bento);
        }
    }
    Usage { what: format!("`{tag}` is not one bento but whichever is the newest"), hint }.into()
}

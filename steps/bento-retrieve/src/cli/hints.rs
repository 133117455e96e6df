//! What to do about each failure, in the words of the Task.

use std::time::Duration;

use anyhow::{Error, anyhow};
use bento_retrieve::{
    archive::BadArchive,
    archive::limits::Limit,
    bento::dockerfile::unsupported::Obstacle,
    bento::manifest::NoBento,
    bento::peek::Unseen,
    bento::tag::Tag,
    destination::NoPlace,
    download::Patience,
    source::Doubt,
    source::error::{Fault, Right},
    source::s3::{Access, Store},
};
use step::{Failure, Usage};

use crate::{cli::origin::Origin, cli::show::newest};

const SECRET: &str =
    "the Secret that `store-secret` names, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
const KEYS: &str = "Keys come from the environment, which the Secret that `store-secret` names fills, and then from the \
                    files of the AWS tools";
const NO_STORE: &str = "what answers at `s3-endpoint` is no S3: a proxy, a page to sign in, or the store's console, which has a \
                        port of its own (MinIO's is 9001, its store's 9000)";
const RESTORE: &str = "restore it first (`aws s3api restore-object --bucket … --key … --restore-request Days=1`), which takes \
                       minutes to hours, then run it again; bentos are better kept in a class that is read at once";
const SOMEONE_ELSES: &str =
    "use another archive; the bento's maker can export it again with `bentoml export`";

/// A read from a store.
pub(crate) fn fault(fault: Fault, what: String) -> Error {
    let hint = match &fault {
        Fault::NoObject => "check the name; `bento-retrieve list` prints what is in a store".into(),
        Fault::NoBucket => "check the bucket in `store`; with a store that is not AWS, `s3-endpoint` too".into(),
        Fault::Denied(_, right) => denied(right.as_ref()),
        Fault::NoCredentials(why) => no_credentials(why),
        Fault::UnknownKey(_) => format!(
            "AWS_ACCESS_KEY_ID is not a key of this store: it was deleted, belongs to another store than `s3-endpoint`, or has \
             a blank too much; keys that were lent need AWS_SESSION_TOKEN beside them. {KEYS}"
        ),
        Fault::Signature(_) => format!(
            "AWS_SECRET_ACCESS_KEY is not the one of this AWS_ACCESS_KEY_ID, or has a blank or a line break too much; with a \
             proxy before the store, it must leave host, path and headers as they are. {KEYS}"
        ),
        Fault::Expired(_) => "it was lent for a time that is over: put new credentials into the Secret, log in again \
                              (`aws sso login`), or sign the address again"
            .into(),
        Fault::Token(_) => format!(
            "AWS_SESSION_TOKEN belongs to other keys, or is one too much: keys of a user have none. {KEYS}"
        ),
        Fault::Clock(..) => "set the clock of this machine, for a pod that of its node: 15 minutes apart, and a store takes no \
                             request"
            .into(),
        Fault::Archived(_) => RESTORE.into(),
        Fault::Encryption(_) => "the credentials need kms:Decrypt on the key that it is encrypted with, and the key must be \
                                 enabled, and in the bucket's region"
            .into(),
        Fault::CustomerKey(_) => "it is encrypted with a key that only its uploader has (SSE-C); export it again without".into(),
        Fault::Account(_) => "the account or the bucket is closed or suspended; its owner has to settle that with the provider".into(),
        Fault::Certificate(_) => "put the server's certificate authority into the Secret that `store-secret` names, as the \
                                  key `ca.crt`"
            .into(),
        Fault::Region(region) => format!("set AWS_REGION to `{region}`"),
        Fault::Elsewhere(_) => "set AWS_REGION to the bucket's region (`aws s3api get-bucket-location --bucket …`); with a store \
                                that is not AWS, check `s3-endpoint`"
            .into(),
        Fault::Replaced => "someone exported it again in the meantime; run it again".into(),
        Fault::CannotResume(_) => "the server sends no part of it, so it was begun anew each time, as often as --retries \
                                   says; ask the store itself, without the proxy before it, or raise --retries"
            .into(),
        Fault::Checksum => "run it again; if it stays so, the archive in the store is damaged, or the store has a wrong checksum \
                            for it: --store-checksum=false goes by the archive's own, and by `sha256`"
            .into(),
        Fault::Sha256(_, doubt) => another_sha256(doubt.as_ref()),
        Fault::Unsupported(_) => "what answers at `s3-endpoint` cannot do this: it is another service, another port of the \
                                  store, or a store that lacks it, such as checksums: --store-checksum=false"
            .into(),
        Fault::NoStore(_) => NO_STORE.into(),
        Fault::NeedsTls(_) => "it does not speak plain HTTP: begin `s3-endpoint`, or the address, with `https://`, or check the \
                               port"
            .into(),
        Fault::NoTls(_) => "it does not speak TLS: begin `s3-endpoint`, or the address, with `http://`, or check the port".into(),
        Fault::Refused(_) => "is there a store at `s3-endpoint`, or a file at the address?".into(),
        Fault::Busy(_) => "the store is not well; run it again later, or raise --retries".into(),
        Fault::Stalled(_) => "the store does not answer; check `s3-endpoint`, or raise --idle-timeout".into(),
        Fault::Cut(_) => "the connection does not hold; run it again, or raise --retries".into(),
        Fault::Connect(_) => "check `s3-endpoint`, and that pods can reach it".into(),
    };
    Error::new(fault).context(Failure { what, hint })
}

fn denied(right: Option<&Right>) -> String {
    match right {
        None => "a signed address may have run out, or whoever signed it may lack the right; sign it again".into(),
        Some(right) if right.action == "s3:GetObject" => format!(
            "the credentials ({SECRET}) need {right}; without s3:ListBucket on the bucket, a store says this of a missing \
             object too"
        ),
        Some(right) => format!(
            "the credentials ({SECRET}) need {right}, which finds an archive whose name does not end in `.tar.gz`, and tells a \
             missing one from a forbidden one"
        ),
    }
}

fn no_credentials(why: &str) -> String {
    let keys = "put AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY into the Secret that `store-secret` names, or into the \
                environment";
    if why.contains("external process exited") {
        format!(
            "run the profile's `credential_process` by itself to see what it lacks; in a pod, {keys}"
        )
    } else if why.contains("external process") {
        format!(
            "the profile's `credential_process` runs a program, and the image has none, not even a shell; in a pod, {keys}"
        )
    } else if why.to_lowercase().contains("sso") {
        format!(
            "log in with `aws sso login`; a pod cannot, so there {keys}, or give its ServiceAccount a role"
        )
    } else {
        format!("{keys}, or pass --anonymous for a public bucket")
    }
}

fn another_sha256(doubt: Option<&Doubt>) -> String {
    let stored = "not the bytes that are stored, which `sha256` is of";
    let undo = "take `Content-Encoding` off the object's metadata, or ask the store itself, without the proxy before it";
    match doubt {
        None => {
            "it is not the archive that `sha256` means: it was exported again, or by someone else"
                .into()
        }
        Some(Doubt::Unpacked) => format!(
            "the name ends in `gz` but what came is not packed: a server or proxy unpacks it on the way, so these are {stored}; {undo}"
        ),
        Some(Doubt::NoLength) => format!(
            "it came without a length, as when a server or proxy unpacks it on the way: perhaps these are {stored}; {undo}; \
             or else it was exported again"
        ),
        Some(Doubt::Encoded(coding)) => format!(
            "it came with `Content-Encoding: {coding}`: perhaps it was packed or unpacked on the way, and these are {stored}; \
             {undo}; or else it was exported again"
        ),
    }
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
        BadArchive::WebPage => NO_STORE.into(),
        BadArchive::Framed => "the program that uploaded it adds checksums in a way that this store does not know, which keeps \
                               them as if they were data: set AWS_REQUEST_CHECKSUM_CALCULATION=when_required where it is \
                               exported, and export it again"
            .into(),
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

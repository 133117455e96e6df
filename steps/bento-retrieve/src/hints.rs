//! What to do about each error, in the words of the Task.

use std::time::Duration;

use anyhow::Error;
use step::Failure;

use crate::{
    archive::{ArchiveError, Limit},
    bento::{BentoError, PeekError, Tag, dockerfile::Unsupported},
    destination::DestinationError,
    source::{Alteration, Permission, SourceError},
};

const SECRET: &str =
    "the Secret that `store-secret` names, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
const KEYS: &str = "Keys come from the environment, which the Secret that `store-secret` names fills, and then from the \
                    files of the AWS tools";
const NO_STORE: &str = "what answers at `s3-endpoint` is not an S3 store: a proxy, a page to sign in, or the store's console, which has a \
                        port of its own (MinIO's is 9001, its store's 9000)";
const RESTORE: &str = "restore it first (`aws s3api restore-object --bucket … --key … --restore-request Days=1`), which takes \
                       minutes to hours, then run it again; bentos are better kept in a class that is read at once";
const SOMEONE_ELSES: &str =
    "use another archive; the bento's maker can export it again with `bentoml export`";

/// A read from a store.
pub fn source(error: SourceError, what: String) -> Error {
    let hint = match &error {
        SourceError::NoObject => "check the name; `bento-retrieve list` prints what is in a store".into(),
        SourceError::NoBucket => "check the bucket in `store`; with a store that is not AWS, `s3-endpoint` too".into(),
        SourceError::Denied(_, permission) => denied(permission.as_ref()),
        SourceError::NoCredentials(why) => no_credentials(why),
        SourceError::UnknownKey(_) => format!(
            "AWS_ACCESS_KEY_ID is not a key of this store: it was deleted, belongs to another store than `s3-endpoint`, or has \
             a blank too much; keys that were lent need AWS_SESSION_TOKEN beside them. {KEYS}"
        ),
        SourceError::Signature(_) => format!(
            "AWS_SECRET_ACCESS_KEY is not the one of this AWS_ACCESS_KEY_ID, or has a blank or a line break too much; with a \
             proxy before the store, it must leave host, path and headers as they are. {KEYS}"
        ),
        SourceError::Expired(_) => "it was lent for a time that is over: put new credentials into the Secret, log in again \
                              (`aws sso login`), or sign the address again"
            .into(),
        SourceError::Token(_) => format!(
            "AWS_SESSION_TOKEN belongs to other keys, or is one too much: keys of a user have none. {KEYS}"
        ),
        SourceError::Clock(..) => "set the clock of this machine, for a pod that of its node: 15 minutes apart, and a store takes no \
                             request"
            .into(),
        SourceError::Archived(_) => RESTORE.into(),
        SourceError::Encryption(_) => "the credentials need kms:Decrypt on the key that it is encrypted with, and the key must be \
                                 enabled, and in the bucket's region"
            .into(),
        SourceError::CustomerKey(_) => "it is encrypted with a key that only its uploader has (SSE-C); export it again without".into(),
        SourceError::Account(_) => "the account or the bucket is closed or suspended; its owner has to settle that with the provider".into(),
        SourceError::Certificate(_) => "put the server's CA certificate into the Secret that `store-secret` names, as the \
                                  key `ca.crt`"
            .into(),
        SourceError::Region(region) => format!("set AWS_REGION to `{region}`"),
        SourceError::Elsewhere(_) => "set AWS_REGION to the bucket's region (`aws s3api get-bucket-location --bucket …`); with a store \
                                that is not AWS, check `s3-endpoint`"
            .into(),
        SourceError::Replaced => "someone exported it again in the meantime; run it again".into(),
        SourceError::CannotResume(_) => "the server sends no part of it, so it was begun anew each time, as often as --retries \
                                   says; ask the store itself, without the proxy before it, or raise --retries"
            .into(),
        SourceError::Checksum => "run it again; if it stays so, the archive in the store is damaged, or the store has a wrong checksum \
                            for it: --store-checksum=false goes by the archive's own, and by `sha256`"
            .into(),
        SourceError::Sha256(_, alteration) => another_sha256(alteration.as_ref()),
        SourceError::Unsupported(_) => "what answers at `s3-endpoint` cannot do this: it is another service, another port of the \
                                  store, or a store that lacks it, such as checksums: --store-checksum=false"
            .into(),
        SourceError::NoStore(_) => NO_STORE.into(),
        SourceError::NeedsTls(_) => "it does not speak plain HTTP: begin `s3-endpoint`, or the address, with `https://`, or check the \
                               port"
            .into(),
        SourceError::NoTls(_) => "it does not speak TLS: begin `s3-endpoint`, or the address, with `http://`, or check the port".into(),
        SourceError::Refused(_) => "is there a store at `s3-endpoint`, or a file at the address?".into(),
        SourceError::Busy(..) => "the store is overloaded or failing; run it again later, or raise --retries".into(),
        SourceError::Stalled(_) => "the store does not answer; check `s3-endpoint`, or raise --idle-timeout".into(),
        SourceError::Cut(_) => "the connection does not hold; run it again, or raise --retries".into(),
        SourceError::Connect(_) => "check `s3-endpoint`, and that pods can reach it".into(),
    };
    Error::new(error).context(Failure { what, hint })
}

fn denied(permission: Option<&Permission>) -> String {
    match permission {
        None => "a signed address may have run out, or whoever signed it may lack the right; sign it again".into(),
        Some(permission) if permission.action == "s3:GetObject" => format!(
            "the credentials ({SECRET}) need {permission}; without s3:ListBucket on the bucket, a store says this of a missing \
             object too"
        ),
        Some(permission) if permission.action != "s3:ListBucket" => {
            format!("the credentials ({SECRET}) need {permission}")
        }
        Some(permission) => format!(
            "the credentials ({SECRET}) need {permission}, which finds an archive whose name does not end in `.tar.gz`, and tells a \
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

fn another_sha256(alteration: Option<&Alteration>) -> String {
    let stored = "not the bytes that are stored, which `sha256` is of";
    let undo = "take `Content-Encoding` off the object's metadata, or ask the store itself, without the proxy before it";
    match alteration {
        None => {
            "it is not the archive that `sha256` means: it was exported again, or by someone else"
                .into()
        }
        Some(Alteration::Unpacked) => format!(
            "the name ends in `gz` but what came is not packed: a server or proxy unpacks it on the way, so these are {stored}; {undo}"
        ),
        Some(Alteration::NoLength) => format!(
            "it came without a length, as when a server or proxy unpacks it on the way: perhaps these are {stored}; {undo}; \
             or else it was exported again"
        ),
        Some(Alteration::Encoded(coding)) => format!(
            "it came with `Content-Encoding: {coding}`: perhaps it was packed or unpacked on the way, and these are {stored}; \
             {undo}; or else it was exported again"
        ),
    }
}

/// An archive that is refused or did not fit. What a sink failed at is told as the sink does.
pub fn archive(error: ArchiveError, what: String) -> Error {
    let error = match error {
        ArchiveError::Sink(error) => return error,
        error => error,
    };
    let hint = match &error {
        ArchiveError::Entry { .. } => format!(
            "BentoML writes no such archive, so it was made or changed by hand; {SOMEONE_ELSES}"
        ),
        ArchiveError::Limit(Limit::Bytes(_)) => "if you trust it, raise --max-size".into(),
        ArchiveError::Limit(Limit::Entries(_)) => "if you trust it, raise --max-entries".into(),
        ArchiveError::Limit(Limit::Ratio(_)) => "if you trust it, raise --max-ratio".into(),
        ArchiveError::WebPage => NO_STORE.into(),
        ArchiveError::Framed => "the program that uploaded it adds checksums in a way that this store does not know, which keeps \
                               them as if they were data: set AWS_REQUEST_CHECKSUM_CALCULATION=when_required where it is \
                               exported, and export it again"
            .into(),
        ArchiveError::Limit(Limit::Headers) | ArchiveError::Format | ArchiveError::Damaged(_) => {
            SOMEONE_ELSES.into()
        }
        ArchiveError::Truncated => {
            format!("its upload did not end, or it was damaged; {SOMEONE_ELSES}")
        }
        ArchiveError::Trailing => format!("a bento is one archive in one piece; {SOMEONE_ELSES}"),
        ArchiveError::Write { .. } => {
            "the volume that --into is on must be writable and have room for all of it".into()
        }
        ArchiveError::Input | ArchiveError::Stopped => "run it again".into(),
        ArchiveError::NotStreamable => {
            "export it as a tar, `bentoml export NAME:VERSION s3://…/NAME/VERSION.tar.gz`".into()
        }
        ArchiveError::Sink(_) => String::new(), // which has its own, or none
    };
    Error::new(error).context(Failure { what, hint })
}

/// A folder that is not a bento, or not all of one.
pub fn bento(error: BentoError, what: String) -> Error {
    let hint = match &error {
        BentoError::NoManifest | BentoError::NoDockerfile(_) => {
            "export it with `bentoml export NAME:VERSION s3://…`; a copied folder of a store is not a bento"
        }
        BentoError::Backslashes(_) => {
            "pack it with `bentoml export`, which writes `/`; other tools of Windows do not"
        }
        BentoError::Read(..)
        | BentoError::TooLarge(_)
        | BentoError::Parse { .. }
        | BentoError::Tag(..) => SOMEONE_ELSES,
        BentoError::ModelsMissing(_) => {
            "export it with `bentoml export`, which puts the models in; a copied folder of a store lacks them"
        }
    };
    Error::new(error).context(Failure { what, hint: hint.into() })
}

/// A bento whose image would not be what its maker meant.
pub fn unsupported(unsupported: &Unsupported, bento: &Tag) -> Error {
    let what = format!("failed to prepare `{bento}` for its build: {unsupported}");
    Failure { what, hint: unsupported.cure().into() }.into()
}

/// A folder that cannot be used.
pub fn destination(error: DestinationError) -> Error {
    let hint = match &error {
        DestinationError::NoName(_) => "name a new folder, such as `--into=bento`",
        DestinationError::Taken(_)
        | DestinationError::Other { .. }
        | DestinationError::OtherArchive { .. } => "remove it, or name another folder with --into",
        DestinationError::Disk { .. } => {
            "the folder that --into lies in must be writable for the step's user, and --into no mount point"
        }
    };
    Error::new(error).context(Failure { what: "failed to unpack".into(), hint: hint.into() })
}

pub fn too_slow(limit: Duration) -> Error {
    Failure {
        what: format!("failed to retrieve the bento within {}", humantime::format_duration(limit)),
        hint: "raise --timeout, and the Task's own timeout above it".into(),
    }
    .into()
}

/// A manifest that could not be read.
pub fn peek(error: PeekError, what: String) -> Error {
    match error {
        PeekError::Source(error) => source(error, what),
        PeekError::Archive(error) => archive(error, what),
        PeekError::TooFar => {
            let hint = "its model lies in front of it; retrieve the bento to see it".into();
            Error::new(PeekError::TooFar).context(Failure { what, hint })
        }
    }
}

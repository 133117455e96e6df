//! Which archive is wanted, and what it has to hold.

use std::time::Duration;

use anyhow::{Error, Result};
use step::{Failure, Usage};

use crate::{
    archive::Limits,
    bento::{
        Bento, BentoFiles, Tag,
        dockerfile::{Builder, Unsupported},
    },
    download::RetryPolicy,
    hints,
    listing::newest,
    request::{
        args::{AccessArgs, BentoArgs, LimitArgs, RetryArgs},
        origin::{Origin, access},
    },
    source::{Access, Store},
};

/// An archive that is wanted, and how it is asked for. It may be read more than once.
#[derive(Clone, Debug)]
pub struct Request {
    pub origin: Origin,
    /// That it has to be
    pub bento: Option<Tag>,
    /// Of the archive, 64 hexadecimal digits
    pub sha256: Option<String>,
    pub access: Access,
    pub retries: RetryPolicy,
    /// For each reading
    pub timeout: Duration,
    pub limits: Limits,
    /// At most, and more than one only where one is the limit
    pub connections: usize,
}

impl Request {
    /// From what was typed, and what the variables and files of the AWS tools say.
    ///
    /// # Errors
    /// [`Usage`] for words that make no sense, and for `NAME:latest`, with the version that it would have meant.
    pub async fn new(
        bento: impl Into<BentoArgs>,
        access: &AccessArgs,
        retries: RetryArgs,
        limits: LimitArgs,
    ) -> Result<Self> {
        let BentoArgs { store, bento, from, sha256 } = bento.into();
        let access = self::access(access, retries).await?;
        let origin = Origin::new(store, from, &access)?;
        let request = Self {
            origin,
            bento,
            sha256,
            access,
            retries: retries.policy(),
            timeout: retries.timeout,
            limits: limits.limits(),
            connections: limits.connections,
        };
        match request.bento.as_ref().filter(|tag| tag.is_latest()) {
            Some(tag) => Err(request.latest(tag).await),
            None => Ok(request),
        }
    }

    /// `latest` where one bento has to be named, and which one that would be today.
    async fn latest(&self, tag: &Tag) -> Error {
        let mut hint =
            "name the version, so that the same run brings the same model tomorrow".to_owned();
        if let Origin::Store(location) = &self.origin {
            let store = Store::new(location.clone(), &self.access).await;
            // Asked once: the answer is a courtesy.
            let once = RetryPolicy { retries: 0, ..self.retries };
            if let Ok((_, details)) = newest(&store, tag, once).await {
                hint = format!("{hint}: today the newest is `{}`", details.bento);
            }
        }
        Usage { what: format!("`{tag}` is not one bento but whichever is the newest"), hint }.into()
    }

    /// Refuses a bento that is another than the one that was asked for.
    pub fn expect(&self, found: &Tag) -> Result<()> {
        match self.bento.as_ref().filter(|wanted| *wanted != found) {
            None => Ok(()),
            Some(wanted) => Err(Failure {
                what: format!(
                    "failed to retrieve the bento `{wanted}`: the manifest says `{found}`"
                ),
                hint: "the archive lies under a wrong name; export it again, or ask for what it is"
                    .into(),
            }
            .into()),
        }
    }

    /// What came is a bento, whole, the one that was asked for, and one that the builder can build. What is to be known of
    /// it besides is logged.
    pub fn judge(&self, files: &impl BentoFiles, builder: Option<Builder>) -> Result<Bento> {
        let what = || format!("failed to read `{}` as a bento", self.origin);
        let bento = Bento::judge(files).map_err(|error| hints::bento(error, what()))?;
        self.expect(&bento.tag)?;
        for warning in &bento.warnings {
            tracing::warn!("{warning}");
        }
        let stops = |one: &&Unsupported| builder.is_some_and(|builder| one.stops(builder));
        let stop = bento.unsupported.iter().find(stops);
        for unsupported in bento.unsupported.iter().filter(|one| Some(*one) != stop) {
            tracing::warn!("{unsupported}");
        }
        match stop {
            Some(unsupported) => Err(hints::unsupported(unsupported, &bento.tag)),
            None => Ok(bento),
        }
    }
}

#[cfg(test)]
impl Request {
    /// Of an archive that lies here, asked for without patience.
    pub(crate) fn of_file(path: &std::path::Path) -> Self {
        let idle = Duration::from_secs(9);
        Self {
            origin: Origin::File(path.into()),
            bento: None,
            sha256: None,
            access: Access {
                endpoint: None,
                path_style: true,
                region: None,
                profile: None,
                anonymous: true,
                credentials: None,
                ca_certificates: None,
                idle,
                checksum: true,
            },
            retries: RetryPolicy { idle, retries: 0 },
            timeout: Duration::from_mins(1),
            limits: Limits { bytes: 1 << 20, entries: 9, ratio: 200 },
            connections: 1,
        }
    }
}

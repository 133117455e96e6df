//! How the registry is reached: as whom, over what, and whom to trust.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use clap::Args;
use registry::{Access, Credentials, Reference, Registry};
use reqwest::Certificate;
use step::Failure;

#[derive(Args)]
#[command(next_help_heading = "Registry")]
pub(crate) struct AccessArgs {
    /// Folder that may have `config.json`, as `docker login` writes it. Programs that it names for
    /// credentials are not run
    #[arg(long, value_name = "DIR")]
    registry_auth: Option<PathBuf>,
    /// Folder that may have `ca.crt`, authorities to trust beside the system's, in PEM
    #[arg(long, value_name = "DIR")]
    credentials: Option<PathBuf>,
    /// Whether plain HTTP will do where the registry speaks no TLS
    #[arg(long)]
    registry_insecure: bool,
    /// Longest time in all
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

pub(crate) fn registry(image: &Reference, args: AccessArgs) -> Result<Registry> {
    let AccessArgs { registry_auth, credentials, registry_insecure, timeout } = args;
    let what = || format!("failed to prepare for the registry `{}`", image.host);
    let known = registry_auth.map(|folder| Credentials::read(&folder)).transpose();
    let known = known.with_context(|| Failure {
        what: what(),
        hint: "the workspace `registry-auth` holds `config.json`, as `docker login` writes it"
            .into(),
    })?;
    let credential = known.as_ref().and_then(|known| known.of(image)).cloned();
    let helper =
        known.as_ref().and_then(|known| known.helper(image)).filter(|_| credential.is_none());
    if let Some(helper) = helper {
        tracing::warn!(
            "credentials for {} come from `{helper}` in config.json, a program that is not here",
            image.host
        );
    }
    let authorities = credentials.map(|folder| authorities(&folder.join("ca.crt"))).transpose();
    let authorities = authorities.with_context(|| Failure {
        what: what(),
        hint: "`ca.crt` of the Secret that `build-secret` names holds certificates in PEM".into(),
    })?;
    let access = Access {
        credential,
        insecure: registry_insecure,
        authorities: authorities.unwrap_or_default(),
        timeout,
    };
    Ok(Registry::new(image.clone(), access)?)
}

/// Those of a file, if it is there.
fn authorities(file: &Path) -> Result<Vec<Certificate>> {
    let pem = match fs::read(file) {
        Ok(pem) => pem,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(error).with_context(|| format!("failed to read `{}`", file.display()));
        }
    };
    let found = Certificate::from_pem_bundle(&pem).unwrap_or_default();
    ensure!(!found.is_empty(), "`{}` holds no certificate in PEM", file.display());
    Ok(found)
}

//! How the registry is reached: credentials, TLS, additional CA certificates.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use registry::{Access, Credentials, Reference, Repository};
use reqwest::Certificate;
use step::{Failure, SecretFolder};

#[derive(Args)]
#[command(next_help_heading = "Registry")]
pub(crate) struct AccessArgs {
    /// Folder that may have `config.json`, as `docker login` writes it. Programs that it names for
    /// credentials are not run
    #[arg(long)]
    registry_auth: Option<SecretFolder>,
    /// Folder that may have `ca.crt`, additional CA certificates, in PEM
    #[arg(long)]
    credentials: Option<SecretFolder>,
    /// Whether plain HTTP will do where the registry speaks no TLS
    #[arg(long)]
    registry_insecure: bool,
    /// Longest time in all
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

pub(crate) fn repository(image: &Reference, args: AccessArgs) -> Result<Repository> {
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
    let authorities = credentials.map(|folder| authorities(&folder)).transpose();
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
    Ok(Repository::new(image.clone(), access)?)
}

/// Those of a Secret, if it has any.
fn authorities(folder: &SecretFolder) -> Result<Vec<Certificate>> {
    let Some(pem) = folder.bytes("ca.crt")? else { return Ok(Vec::new()) };
    let found = Certificate::from_pem_bundle(&pem).unwrap_or_default();
    let path = folder.path().join("ca.crt");
    ensure!(!found.is_empty(), "`{}` holds no certificate in PEM", path.display());
    Ok(found)
}

//! How registries are reached: credentials, TLS, additional CA certificates, plain HTTP.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context, Result, ensure};
use registry::{Access, Credentials, RegistryError, Repository, RepositoryName};
use reqwest::Certificate;
use step::{Failure, SecretFolder};

/// What is known of all registries.
#[derive(Debug)]
pub struct Registries {
    credentials: Credentials,
    authorities: Vec<Certificate>,
    plain: PlainHttp,
    /// One repository of each, whose connections the others share
    known: Mutex<BTreeMap<String, Repository>>,
}

/// Which registries may be asked by plain HTTP where they speak no TLS.
#[derive(Clone, Debug, Default)]
pub struct PlainHttp {
    pub all: bool,
    pub hosts: Vec<String>,
}

impl Registries {
    /// Reads `config.json` of one folder and `ca.crt` of the other.
    pub fn new(
        auth: Option<&SecretFolder>,
        build_credentials: Option<&SecretFolder>,
        plain: PlainHttp,
    ) -> Result<Self> {
        let what = || "failed to prepare for the registries".to_owned();
        let known = auth.map(Credentials::read).transpose();
        let credentials = known.with_context(|| Failure {
            what: what(),
            hint: "the workspace `registry-auth` holds `config.json`, as `docker login` writes it"
                .into(),
        })?;
        let authorities = build_credentials.map(authorities).transpose();
        let authorities = authorities.with_context(|| Failure {
            what: what(),
            hint: "`ca.crt` of the Secret that `build-secret` names holds certificates in PEM"
                .into(),
        })?;
        Ok(Self {
            credentials: credentials.unwrap_or_default(),
            authorities: authorities.unwrap_or_default(),
            plain,
            known: Mutex::default(),
        })
    }

    /// A repository, with the account for it.
    pub fn repository(&self, name: &RepositoryName) -> Result<Repository, RegistryError> {
        let credential = self.credentials.of(name).cloned();
        if let (None, Some(helper)) = (&credential, self.credentials.helper(name)) {
            tracing::warn!(
                hint = "put a token into `auths` of config.json: `aws ecr get-login-password`, `gcloud auth print-access-token` and `az acr login --expose-token` print one",
                "credentials for {} come from `{helper}` in config.json, a program that is not here",
                name.host
            );
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let neighbour = known.get(&name.host);
        if let Some(beside) = neighbour.and_then(|it| it.beside(name.clone(), credential.clone())) {
            return Ok(beside);
        }
        let access = Access {
            credential,
            insecure: self.plain.all || self.plain.hosts.contains(&name.host),
            authorities: self.authorities.clone(),
            ..Access::default()
        };
        let repository = Repository::new(name.clone(), access)?;
        Ok(known.entry(name.host.clone()).or_insert(repository).clone())
    }
}

/// Those of a Secret, if it has any.
fn authorities(folder: &SecretFolder) -> Result<Vec<Certificate>> {
    let Some(pem) = folder.bytes("ca.crt")? else { return Ok(Vec::new()) };
    let found = Certificate::from_pem_bundle(&pem).unwrap_or_default();
    let path = folder.path().join("ca.crt");
    ensure!(!found.is_empty(), "`{}` holds no certificate in PEM", path.display());
    Ok(found)
}

//! The data scientist's part: the notebook of `examples/iris`, executed without a browser.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, ensure};
use step::Failure;
use tokio::process::Command;

use crate::site::Site;

/// A Python environment with what the notebook needs.
pub struct Notebook {
    python: PathBuf,
}

/// A release that the notebook asks for.
#[derive(Clone, Copy, Debug)]
pub struct ReleaseRequest<'a> {
    pub service: &'a str,
    pub version: &'a str,
    /// `first`, `good`, `broken`, `refusing` or `skewed`
    pub model: &'a str,
    /// Id of the event
    pub id: &'a str,
}

impl Notebook {
    /// Installs the pinned requirements, once for all clones of the tree.
    pub async fn prepare() -> Result<Self> {
        let python = run(Command::new("./venv").current_dir(folder())).await?;
        Ok(Self { python: python.trim().into() })
    }

    /// Executes the notebook, which ends with its event, and returns what its cells printed.
    pub async fn execute(&self, site: &Site, request: ReleaseRequest<'_>) -> Result<String> {
        let ReleaseRequest { service, version, model, id } = request;
        let store = &site.cluster.store;
        run(Command::new(&self.python)
            .arg("run.py")
            .current_dir(folder())
            .env("MODEL", model)
            .env("VERSION", version)
            .env("SERVICE_NAME", service)
            .env("NAMESPACE", &site.namespace)
            .env("EVENT_ID", id)
            .env("EVENT_SINK", &site.listener)
            .env("BENTO_STORE", format!("s3://{}", store.bucket))
            .env("AWS_ACCESS_KEY_ID", &store.access_key)
            .env("AWS_SECRET_ACCESS_KEY", &store.secret_key)
            .env("AWS_DEFAULT_REGION", &store.region)
            .env("AWS_ENDPOINT_URL", &store.endpoint.host))
        .await
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/iris")
}

async fn run(command: &mut Command) -> Result<String> {
    let program = command.as_std().get_program().display().to_string();
    let ended = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let ended = ended.with_context(|| Failure {
        what: format!("failed to run `{program}`"),
        hint: "the notebook needs Python 3.11 or newer with its venv module".into(),
    })?;
    let why = String::from_utf8_lossy(&ended.stderr);
    ensure!(ended.status.success(), "failed to run `{program}`: {}", why.trim());
    Ok(String::from_utf8_lossy(&ended.stdout).into_owned())
}

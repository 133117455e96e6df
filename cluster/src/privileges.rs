//! What only root may do.

use anyhow::Result;
use step::Failure;

pub(crate) fn require_root(what: &str) -> Result<()> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(Failure {
        what: format!(
            "failed to {what}: it takes root, for namespaces, the network and containers"
        ),
        hint: "run it with sudo -E (the cache stays yours), or in a root shell".into(),
    }
    .into())
}

//! The evidence as files: what a program reads afterwards.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use step::Failure;

use crate::gate::Account;

/// Writes `verdict.json` into the folder, which is made where it is missing.
pub(crate) fn write(folder: &Path, account: &Account) -> Result<()> {
    let json = serde_json::to_string_pretty(account)?;
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(folder.join("verdict.json"), json + "\n"))
        .with_context(|| Failure {
            what: format!("failed to write the evidence into `{}`", folder.display()),
            hint: "`--report` names a folder that can be written, such as the workspace `evidence`"
                .to_owned(),
        })
}

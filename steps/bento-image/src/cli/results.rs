//! What was made, written to the results.

use anyhow::Result;
use bento_image::made::Made;
use serde_json::json;

use crate::cli::args::Results;

impl Results {
    /// Writes what is known.
    pub(crate) fn write(&self, made: &Made, store: &str) -> Result<()> {
        self.result_image_url.write(&made.image)?;
        self.result_bento.write(&made.bento)?;
        self.result_sha256.write(&made.sha256)?;
        self.result_environment.write(&made.environment)?;
        self.result_assembled.write(&made.assembled)?;
        self.result_reason.write_text(&made.reason)?;
        self.result_uploaded.write(made.uploaded.to_string())?;
        self.result_size.write(made.size.to_string())?;
        if !made.sha256.is_empty() {
            let (name, version) = made.bento.split_once(':').unwrap_or_default();
            let uri = format!("{store}/{name}/{version}");
            self.result_artifact_inputs
                .write(artifact(&uri, &format!("sha256:{}", made.sha256)))?;
        }
        if made.digest.is_empty() {
            return Ok(()); // nothing releases an image that is not there
        }
        self.result_image_digest.write(&made.digest)?;
        self.result_artifact_outputs.write(artifact(&made.image, &made.digest))
    }
}

/// As Tekton Chains reads it.
fn artifact(uri: &str, digest: &str) -> String {
    json!({ "uri": uri, "digest": digest }).to_string()
}

//! Writes of what people decide about a release.

use crate::{
    api_error::ApiError,
    client::Service,
    decision_lease::{self, Decision, decision_lease},
};

impl Service {
    /// Leaves no decision of an earlier release. Where the rights do not suffice it goes on: a decision about
    /// another version has no effect.
    pub(crate) async fn clear_decisions(&self, uid: &str) -> Result<(), ApiError> {
        match decision_lease::clear(&self.leases(), &self.name, uid).await {
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()), // made meanwhile, and empty
            Err(kube::Error::Api(status)) if status.code == 403 => {
                self.warn_once("nobody can decide about this release", &status.message);
                Ok(())
            }
            cleared => cleared.map_err(self.error("write Lease", &decision_lease(&self.name))),
        }
    }

    /// Writes a decision, or without a value removes it.
    pub(crate) async fn decide(
        &self,
        uid: &str,
        decision: Decision,
        value: Option<&str>,
    ) -> Result<(), ApiError> {
        let written = decision_lease::write(&self.leases(), &self.name, uid, decision, value).await;
        written.map_err(self.error("write Lease", &decision_lease(&self.name)))
    }
}

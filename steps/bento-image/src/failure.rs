//! What to do next, by what a registry said.

use anyhow::Error;
use registry::{RegistryError, Right};
use step::Failure;

use crate::{pass::PassError, publish::PublishError};

/// What a registry said, if it was one.
pub(crate) fn registry_error(error: &Error) -> Option<&RegistryError> {
    let by_pass = error.downcast_ref::<PassError>().and_then(PassError::registry);
    let by_publishing = error.downcast_ref().and_then(|error| match error {
        PublishError::Registry(error) => Some(error),
        PublishError::Image(_) => None,
    });
    by_pass.or(by_publishing)
}

/// The same error with its hint, if it is of a registry.
pub(crate) fn with_hint(error: Error, image: &str) -> Error {
    let Some(said) = registry_error(&error) else { return error };
    let hint = match said {
        RegistryError::Denied { right: Right::Push, .. } => {
            "the workspace `registry-auth` holds `config.json` with an account that may push there; some registries want the repository to be made first"
        }
        RegistryError::Denied { .. } => {
            "the workspace `registry-auth` holds `config.json` with an account that may pull from there"
        }
        RegistryError::Immutable(_) => {
            "the tag holds the image of another archive and must not change: release another version"
        }
        RegistryError::Certificate(_) => {
            "`ca.crt` of the Secret that `build-secret` names holds the registry's CA certificate, PEM"
        }
        RegistryError::Unreachable(_) => {
            "check the registry's name and port; plain HTTP wants `registry-insecure`, Docker Hub out of reach a `registry-mirror`, and ECR hangs up where the repository has not been made"
        }
        RegistryError::Busy { .. } | RegistryError::Ended(_) => {
            "run it again: what is there already is not uploaded again"
        }
        _ => "the registry's own log may say more; run it again once it is well",
    };
    let what = format!("failed to make {image}");
    error.context(Failure { what, hint: hint.into() })
}

//! A request to the API server that failed: what that means, and what helps.

use anyhow::anyhow;
use step::{Failure, api_server::cause};

/// A request that failed.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {}", cause(error))]
pub(crate) struct ApiError {
    /// `failed to VERB OBJECT`
    pub(crate) what: String,
    pub(crate) error: kube::Error,
}

/// What a failed request means.
#[derive(PartialEq)]
pub(crate) enum Meaning {
    Retryable,
    NotAllowed,
    NotInstalled,
    Invalid,
    Unreachable,
}

impl ApiError {
    pub(crate) fn meaning(&self) -> Meaning {
        match &self.error {
            kube::Error::Api(status) => match status.code {
                // A webhook, a quota: not the rights of the ServiceAccount
                403 if !status.message.contains(" cannot ") => Meaning::Invalid,
                401 | 403 => Meaning::NotAllowed,
                404 => Meaning::NotInstalled,
                429 | 500.. => Meaning::Retryable,
                _ => Meaning::Invalid,
            },
            kube::Error::Service(_) | kube::Error::HyperError(_)
                if !cause(&self.error).contains("certificate") =>
            {
                Meaning::Retryable
            }
            kube::Error::SerdeError(_) => Meaning::Invalid,
            _ => Meaning::Unreachable,
        }
    }

    pub(crate) fn is_retryable(&self) -> bool {
        self.meaning() == Meaning::Retryable
    }

    pub(crate) fn into_failure(self) -> anyhow::Error {
        let hint = match self.meaning() {
            Meaning::Retryable => {
                "run it again when the API server answers; it goes on where it stopped"
            }
            Meaning::NotAllowed => {
                "give the serviceAccount the Role in the Task's README, under `Rights`"
            }
            Meaning::NotInstalled => {
                "install KServe and Knative Serving, and make the `namespace`; KServe's controller takes note of Knative when it starts"
            }
            Meaning::Invalid => {
                "the API server refuses the object: see the cause, and compare with `--dry-run`"
            }
            Meaning::Unreachable => {
                "check the kubeconfig: `kubectl get inferenceservices` must work with it"
            }
        };
        anyhow!(cause(&self.error)).context(Failure { what: self.what, hint: hint.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api_error(code: u16, message: &str) -> ApiError {
        let status =
            kube::core::Status { code, message: message.into(), ..kube::core::Status::default() };
        ApiError {
            what: "failed to patch InferenceService `models/iris`".into(),
            error: kube::Error::Api(Box::new(status)),
        }
    }

    #[test]
    fn what_may_heal_is_tried_again_and_what_will_not_is_not() {
        for (code, is_retryable) in [
            (400, false),
            (401, false),
            (403, false),
            (404, false),
            (422, false),
            (429, true),
            (500, true),
            (503, true),
        ] {
            assert_eq!(api_error(code, "").is_retryable(), is_retryable, "{code}");
        }
    }

    #[test]
    fn a_refusal_is_given_in_the_words_of_the_api_server() {
        let error = api_error(403, "inferenceservices is forbidden").into_failure();
        assert_eq!(
            format!("{error:#}"),
            "failed to patch InferenceService `models/iris`: inferenceservices is forbidden"
        );
    }
}

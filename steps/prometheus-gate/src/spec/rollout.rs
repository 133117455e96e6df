//! Whose verdict it is.

use serde::{Deserialize, Serialize};

use crate::spec::file::RolloutSpec;

/// The release that a gate judges, for people: nothing in it decides.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Subject {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) service: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) namespace: Option<String>,
    #[serde(skip_serializing_if = "Version::is_unknown")]
    pub(crate) canary: Version,
    #[serde(skip_serializing_if = "Version::is_unknown")]
    pub(crate) baseline: Version,
    /// The canary's part of the traffic, 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) percent: Option<f64>,
    /// The run that asks, such as a PipelineRun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) run: Option<String>,
}

/// One side of a release.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_field_names, reason = "a version of the service has a version of its own")]
pub(crate) struct Version {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) revision: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) image: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
}

impl Version {
    pub(crate) fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}

impl From<&RolloutSpec> for Subject {
    fn from(rollout: &RolloutSpec) -> Self {
        Self {
            service: rollout.service.clone(),
            namespace: rollout.namespace.clone(),
            canary: Version {
                revision: rollout.canary_revision.clone(),
                image: rollout.canary_image.clone(),
                version: rollout.canary_version.clone(),
            },
            baseline: Version {
                revision: rollout.baseline_revision.clone(),
                image: rollout.baseline_image.clone(),
                version: rollout.baseline_version.clone(),
            },
            percent: rollout.percent,
            run: rollout.run.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::file::{parse, percent};

    #[test]
    fn a_percentage_is_a_number_up_to_100() {
        assert_eq!(["0", "2.5", "100"].map(percent), [Ok(0.0), Ok(2.5), Ok(100.0)]);
        for text in ["101", "-1", "NaN", "10 %", ""] {
            assert!(percent(text).is_err(), "{text}");
        }
        let file = |percent: &str| parse(&format!("rollout: {{percent: {percent}}}\ncriteria: []"));
        assert_eq!(file("12.5").unwrap().rollout.percent, Some(12.5));
        assert!(format!("{:#}", file("101").unwrap_err()).contains("from 0 to 100"));
    }

    #[test]
    fn what_is_not_known_is_not_written() {
        let subject = Subject { percent: Some(10.0), ..Subject::default() };
        assert_eq!(serde_json::to_string(&subject).unwrap(), r#"{"percent":10.0}"#);
        assert_eq!(serde_json::from_str::<Subject>("{}").unwrap(), Subject::default());
    }
}

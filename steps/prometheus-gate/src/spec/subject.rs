//! Whose verdict it is.

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use crate::{args::AboutArgs, spec_file::RolloutPart};

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

impl From<&RolloutPart> for Subject {
    fn from(rollout: &RolloutPart) -> Self {
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

/// Flags override what a file says.
pub(crate) fn overlay(rollout: &mut RolloutPart, about: &AboutArgs) {
    for (flag, field) in [
        (&about.service, &mut rollout.service),
        (&about.namespace, &mut rollout.namespace),
        (&about.canary_revision, &mut rollout.canary_revision),
        (&about.baseline_revision, &mut rollout.baseline_revision),
        (&about.canary_image, &mut rollout.canary_image),
        (&about.baseline_image, &mut rollout.baseline_image),
        (&about.canary_version, &mut rollout.canary_version),
        (&about.baseline_version, &mut rollout.baseline_version),
        (&about.run, &mut rollout.run),
    ] {
        if flag.is_some() {
            field.clone_from(flag);
        }
    }
    rollout.percent = about.percent.or(rollout.percent);
}

/// A percentage as it is typed.
pub(crate) fn percent(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|percent| (0.0..=100.0).contains(percent)).ok_or_else(out_of_range)
}

/// A percentage as a file has it.
pub(crate) fn percent_of_file<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    let percent = Option::<f64>::deserialize(from)?;
    match percent {
        Some(percent) if !(0.0..=100.0).contains(&percent) => Err(D::Error::custom(out_of_range())),
        percent => Ok(percent),
    }
}

fn out_of_range() -> String {
    "it has to be a number from 0 to 100".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec_file::parse;

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

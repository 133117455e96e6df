//! Whose verdict it is, and where the release stands.

use ladder::{Climbed, Ladder};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use crate::spec::rungs::optional_from_text;
use crate::time::Length;

/// The canary and the baseline, in a file and by flags.
#[derive(Clone, Debug, Default, Deserialize, clap::Args)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RolloutSpec {
    /// The InferenceService, for the log and for `$service` in queries
    #[arg(long, value_name = "NAME", help_heading = "What to ask")]
    pub(crate) service: Option<String>,
    /// The Knative revision that is on trial, such as `iris-predictor-00002`; `$canary` in queries
    #[arg(long, value_name = "REVISION", help_heading = "What to ask")]
    pub(crate) canary_revision: Option<String>,
    /// The Knative revision that it has to be no worse than; `$baseline` in queries
    #[arg(long, value_name = "REVISION", help_heading = "What to ask")]
    pub(crate) baseline_revision: Option<String>,
    /// Namespace of both; `$namespace` in queries [default: the pod's own]
    #[arg(long, env = "POD_NAMESPACE", help_heading = "What to ask")]
    pub(crate) namespace: Option<String>,
    /// Image of the canary, for the report
    #[arg(long, value_name = "IMAGE", help_heading = "About the release")]
    pub(crate) canary_image: Option<String>,
    /// Image of the baseline, for the report
    #[arg(long, value_name = "IMAGE", help_heading = "About the release")]
    pub(crate) baseline_image: Option<String>,
    /// Version of the canary, such as that of its model, for the report, and for `answers`, which counts by it
    #[arg(long, value_name = "VERSION", help_heading = "About the release")]
    pub(crate) canary_version: Option<String>,
    /// Version of the baseline, for the report
    #[arg(long, value_name = "VERSION", help_heading = "About the release")]
    pub(crate) baseline_version: Option<String>,
    /// Percent of the traffic that the canary gets, 0 to 100; with it, requests that never end are seen where only ends are counted
    #[arg(long, value_name = "PERCENT", value_parser = percent, help_heading = "About the release")]
    #[serde(default, deserialize_with = "percent_of_file")]
    pub(crate) percent: Option<f64>,
    /// Rungs of the ladder that the canary has climbed before this one, such as `10@2026-11-24T09:30:00Z`. Evidence counts
    /// from the first on, and all that a pass takes from `--start` on
    #[arg(long, value_name = "PERCENT@TIME,…", help_heading = "About the release")]
    #[serde(default, deserialize_with = "optional_from_text")]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub(crate) climbed: Option<Climbed>,
    /// Percents that the canary climbs, such as `10,25,50,100`: a pass leads to the one above `--percent`, and their gates
    /// share `--alpha`, so that it is the chance of the whole release
    #[arg(long, value_name = "PERCENT,…", help_heading = "About the release")]
    #[serde(default, deserialize_with = "optional_from_text")]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub(crate) ladder: Option<Ladder>,
    /// Name of the run that asks, for the report
    #[arg(long, value_name = "NAME", help_heading = "About the release")]
    pub(crate) run: Option<String>,
    /// When the canary got its first request, on this rung: RFC 3339, or `@SECONDS` since 1970
    #[arg(skip)]
    pub(crate) start: Option<String>,
    /// By how much the clock of the start may differ from the server's. 2s unless given
    #[arg(skip)]
    pub(crate) skew: Option<Length>,
    /// Label matchers that select the canary's series of a spec's own counters. `namespace="…",revision="…"` unless given
    #[arg(skip)]
    pub(crate) canary_selector: Option<String>,
    /// Label matchers that select the baseline's series
    #[arg(skip)]
    pub(crate) baseline_selector: Option<String>,
}

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
    /// What was not judged, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) notes: Vec<String>,
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
            notes: Vec::new(),
        }
    }
}

const OUT_OF_RANGE: &str = "it has to be a number from 0 to 100";

/// A percentage as it is typed.
pub(crate) fn percent(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|percent| (0.0..=100.0).contains(percent))
        .ok_or_else(|| OUT_OF_RANGE.to_owned())
}

/// A percentage as a file has it.
pub(crate) fn percent_of_file<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    let percent = Option::<f64>::deserialize(from)?;
    match percent {
        Some(percent) if !(0.0..=100.0).contains(&percent) => Err(D::Error::custom(OUT_OF_RANGE)),
        percent => Ok(percent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::file::parse;

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

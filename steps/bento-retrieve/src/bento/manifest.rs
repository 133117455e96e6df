//! What a bento's manifest says, as far as retrieving needs it.

use std::{collections::BTreeMap, io};

use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use crate::bento::tag::{Tag, TagError};

/// Why something is not a bento, or not all of one.
#[derive(Debug, Error)]
pub enum BentoError {
    #[error("it has neither a `bento.yaml` nor a `bentoml.yml`")]
    NoManifest,
    #[error("failed to read `{0}`")]
    Read(&'static str, #[source] io::Error),
    #[error("`{0}` is larger than any manifest")]
    TooLarge(&'static str),
    #[error("failed to parse `{file}`: {problem}")]
    Parse { file: &'static str, problem: String },
    #[error("`{0}` does not name a bento")]
    Tag(&'static str, #[source] TagError),
    #[error("it has no `{0}` to build an image with")]
    NoDockerfile(&'static str),
    #[error("the archive names its files as Windows does: `{0}`")]
    Backslashes(String),
    #[error("it lacks {}", .0.join(", "))]
    ModelsMissing(Vec<String>),
}

/// The part of a manifest that retrieving needs.
#[derive(Debug, PartialEq, Eq)]
pub struct Manifest {
    pub tag: Tag,
    /// As it is written there, in all generations in UTC, such as `2026-11-24T06:00:00.000000+00:00` or, by 0.x, as
    /// `2026-11-24 06:00:00.000000`; empty where it does not say
    pub creation_time: String,
    /// Models whose files must be in the archive, and when each was made, written like [`Self::creation_time`]; none of
    /// 0.x
    pub models: BTreeMap<Tag, String>,
    pub warnings: Vec<String>,
}

impl Manifest {
    /// Reads a `bento.yaml` of 1.0 and later. Fields that are not known are left alone.
    pub fn parse(text: &str) -> Result<Self, BentoError> {
        const FILE: &str = "bento.yaml";
        let fields: Fields = parse(FILE, text)?;
        let mut models = BTreeMap::new();
        let mut warnings = Vec::new();
        for model in
            fields.models.iter().chain(fields.services.iter().flat_map(|service| &service.models))
        {
            if model.registry.as_deref() == Some("huggingface") {
                warnings.push(format!("the model `{}` is not in the archive: it is fetched from Hugging Face at the start", model.tag));
            } else {
                let tag = model.tag.parse().map_err(|error| BentoError::Tag(FILE, error))?;
                let created: &mut String = models.entry(tag).or_default();
                if created.is_empty() {
                    *created = time(&model.creation_time);
                }
            }
        }
        warnings.sort();
        warnings.dedup();
        if fields.envs.iter().any(|env| env.value.as_deref().is_some_and(|value| !value.is_empty()))
        {
            warnings.push(
                "its `envs` have values, which everyone who can pull the image can read".to_owned(),
            );
        }
        let tag = Tag::new(&fields.name, &fields.version)
            .map_err(|error| BentoError::Tag(FILE, error))?;
        Ok(Self { tag, creation_time: time(&fields.creation_time), models, warnings })
    }

    /// Reads a `bentoml.yml` of 0.x, whose models lie among its code.
    pub fn parse_legacy(text: &str) -> Result<Self, BentoError> {
        const FILE: &str = "bentoml.yml";
        let fields: LegacyFields = parse(FILE, text)?;
        let LegacyMetadata { service_name, service_version, created_at } = fields.metadata;
        let tag = Tag::new(&service_name, &service_version)
            .map_err(|error| BentoError::Tag(FILE, error))?;
        let creation_time = time(&created_at);
        Ok(Self { tag, creation_time, models: BTreeMap::new(), warnings: Vec::new() })
    }
}

fn parse<T: for<'a> Deserialize<'a>>(file: &'static str, text: &str) -> Result<T, BentoError> {
    serde_saphyr::from_str(text).map_err(|error| {
        // The parser shows lines of the file, and a manifest may hold clear text secrets.
        let problem = error.without_snippet().to_string();
        BentoError::Parse { file, problem: problem.lines().next().unwrap_or_default().to_owned() }
    })
}

/// Nothing that only some readers need refuses a manifest.
fn time(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[derive(Deserialize)]
struct Fields {
    name: String,
    version: String,
    #[serde(default)]
    creation_time: Value,
    #[serde(default)]
    models: Vec<Model>,
    #[serde(default)]
    services: Vec<Service>,
    #[serde(default)]
    envs: Vec<Env>,
}

#[derive(Deserialize)]
struct Service {
    #[serde(default)]
    models: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    tag: String,
    registry: Option<String>,
    #[serde(default)]
    creation_time: Value,
}

#[derive(Deserialize)]
struct Env {
    value: Option<String>,
}

#[derive(Deserialize)]
struct LegacyFields {
    metadata: LegacyMetadata,
}

#[derive(Deserialize)]
struct LegacyMetadata {
    service_name: String,
    service_version: String,
    #[serde(default)]
    created_at: Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_they_are_written_and_refuse_nothing_where_they_are_none() {
        let read = |text: &str| {
            let Manifest { creation_time, models, .. } = Manifest::parse(text).unwrap();
            let models = models.iter().map(|(tag, created)| format!("{tag} {created}"));
            (creation_time, models.collect::<Vec<_>>())
        };
        let text = "name: flowers\nversion: 1.10\ncreation_time: '2026-11-29T08:34:23.209125+00:00'\n\
                    models:\n- {tag: a:m1}\n- {tag: b:m2, creation_time: 2026-11-29 08:34:19+00:00}\n\
                    - {tag: hf:m3, registry: huggingface, creation_time: 'x'}\n\
                    services:\n- name: Flowers\n  models:\n  - {tag: a:m1, creation_time: '2026-11-29T08:34:19.265580+00:00'}\n\
                    \x20 - {tag: b:m2, creation_time: another}\n";
        assert_eq!(
            read(text),
            (
                "2026-11-29T08:34:23.209125+00:00".into(),
                vec![
                    "a:m1 2026-11-29T08:34:19.265580+00:00".into(),
                    "b:m2 2026-11-29 08:34:19+00:00".into()
                ]
            )
        );
        for time in ["null", "{a: 1}", "[1]", "7", "true", "~", ""] {
            let text = format!(
                "name: a\nversion: v1\ncreation_time: {time}\nmodels:\n- tag: a:m1\n  creation_time: {time}\n"
            );
            assert_eq!(read(&text), (String::new(), vec!["a:m1 ".into()]), "{time}");
        }
        let legacy = "metadata: {service_name: Iris, service_version: 2020_A, created_at: '2020-01-02 03:04:05'}";
        let legacy = Manifest::parse_legacy(legacy).unwrap();
        assert_eq!(
            (legacy.creation_time.as_str(), legacy.models.len()),
            ("2020-01-02 03:04:05", 0)
        );
    }
}

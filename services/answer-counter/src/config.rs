//! Which answers of which service are counted: a file for people, checked as a whole, and what is looked up
//! in it for each event.

use std::collections::{BTreeSet, HashMap};

use serde::Deserialize;
use step::{Usage, text::without_values};

use crate::pointer::Pointer;

/// Of a service: each is a set of series for each of its versions.
pub const MOST_FIELDS: usize = 20;
const MOST_BUCKETS: usize = 30;
const MOST_SERVICES: usize = 1_000;

const EXAMPLE: &str =
    "`fields: [{pointer: /species}, {pointer: /score, kind: number, buckets: [0.5, 0.9]}]`";

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    #[serde(default)]
    services: Vec<ServiceEntry>,
    #[serde(default)]
    others: Others,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ServiceEntry {
    name: Option<String>,
    namespace: Option<String>,
    fields: Option<Vec<FieldEntry>>,
    #[serde(default)]
    except: Vec<Pointer>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FieldEntry {
    pointer: Pointer,
    #[serde(default)]
    kind: Kind,
    buckets: Option<Vec<f64>>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
enum Kind {
    #[default]
    Category,
    Number,
}

/// What becomes of services that no entry fits
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
enum Others {
    #[default]
    Count,
    Refuse,
}

/// What is counted of each service
#[derive(Debug, Default)]
pub struct Config {
    services: HashMap<Names, Selection>,
    by_default: Option<Selection>,
}

/// Namespace and name of a service, as far as an entry gives them
type Names = (Option<String>, Option<String>);

/// What is counted of a service
#[derive(Clone, Debug, PartialEq)]
pub enum Selection {
    /// What is known for an answer without being told, but for these
    ByItself { except: Vec<Pointer> },
    /// These and no others
    Fields(Vec<Field>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    pub pointer: Pointer,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub enum What {
    Category,
    /// With the upper bounds of its histogram
    Number(Box<[f64]>),
}

impl Config {
    /// All services, by themselves
    pub fn open() -> Self {
        Self {
            services: HashMap::new(),
            by_default: Some(Selection::ByItself { except: Vec::new() }),
        }
    }

    pub fn parse(text: &str) -> Result<Self, Usage> {
        if text.trim().is_empty() {
            return Ok(Self::open());
        }
        let file: File = serde_saphyr::from_str(text).map_err(|error| {
            let error = error.to_string();
            let error = error.lines().next().unwrap_or_default().trim_start_matches("error: ");
            let error = without_values(error);
            usage(
                error,
                format!("write `services`, a list in which each has {EXAMPLE}, and `others`"),
            )
        })?;
        let by_default = match file.others {
            Others::Count => Self::open().by_default,
            Others::Refuse => None,
        };
        if file.services.len() > MOST_SERVICES {
            return Err(usage(
                format!("`services` has more than {MOST_SERVICES} entries"),
                "leave `name` out of one that is meant for all services of a namespace",
            ));
        }
        let mut services = HashMap::new();
        for (at, entry) in file.services.into_iter().enumerate() {
            let here = format!("services[{at}]");
            let names = names(&here, &entry)?;
            if services.insert(names, selection(&here, entry)?).is_some() {
                return Err(usage(
                    format!("`{here}` is about the same services as one before it"),
                    "write all fields of a service into one entry",
                ));
            }
        }
        Ok(Self { services, by_default })
    }

    /// What is counted of this service: by the entry that says most about it. Nothing of one that is refused.
    pub fn of(&self, namespace: &str, service: &str) -> Option<&Selection> {
        if self.services.is_empty() {
            return self.by_default.as_ref();
        }
        let (namespace, service) = (Some(namespace.to_owned()), Some(service.to_owned()));
        let entries = [
            (namespace.clone(), service.clone()),
            (None, service),
            (namespace, None),
            (None, None),
        ];
        entries.iter().find_map(|names| self.services.get(names)).or(self.by_default.as_ref())
    }

    /// What it says, for the log
    pub fn summary(&self) -> String {
        let fields = self.services.values().map(|selection| match selection {
            Selection::Fields(fields) => fields.len(),
            Selection::ByItself { .. } => 0,
        });
        let fields: usize = fields.sum();
        let entries = self.services.len();
        let others = if self.by_default.is_some() { "counted by themselves" } else { "refused" };
        match entries {
            0 => format!("all services are {others}"),
            _ => {
                format!("{entries} of `services` with {fields} fields; other services are {others}")
            }
        }
    }
}

fn names(here: &str, entry: &ServiceEntry) -> Result<Names, Usage> {
    for (key, name) in [("name", &entry.name), ("namespace", &entry.namespace)] {
        if name.as_deref().is_some_and(|name| !is_name(name)) {
            return Err(usage(
                format!("`{here}.{key}` is no name of Kubernetes"),
                "write it as `kubectl get inferenceservices -A` shows it, or leave it out for all",
            ));
        }
    }
    Ok((entry.namespace.clone(), entry.name.clone()))
}

fn selection(here: &str, entry: ServiceEntry) -> Result<Selection, Usage> {
    let Some(fields) = entry.fields else {
        return Ok(Selection::ByItself { except: entry.except });
    };
    if !entry.except.is_empty() {
        return Err(usage(
            format!("`{here}` has both `fields` and `except`"),
            "`fields` are all that is counted; `except` takes away from what is counted without them",
        ));
    }
    if fields.len() > MOST_FIELDS {
        return Err(usage(
            format!("`{here}.fields` has more than {MOST_FIELDS} entries"),
            "choose the fields that tell whether a model answers well",
        ));
    }
    let mut seen = BTreeSet::new();
    let mut selected = Vec::with_capacity(fields.len());
    for (at, field) in fields.into_iter().enumerate() {
        let here = format!("{here}.fields[{at}]");
        if !seen.insert(field.pointer.as_str().to_owned()) {
            return Err(usage(
                format!("`{here}.pointer` is there twice"),
                "a field is either a category or a number; write it once",
            ));
        }
        let what = what(&here, field.kind, field.buckets)?;
        selected.push(Field { pointer: field.pointer, what });
    }
    Ok(Selection::Fields(selected))
}

fn what(here: &str, kind: Kind, buckets: Option<Vec<f64>>) -> Result<What, Usage> {
    let fault = |fault: &str| {
        let what = format!("`{here}.buckets` {fault}");
        usage(what, "write the upper bounds of a histogram, such as `buckets: [0.1, 0.5, 0.9]`")
    };
    match (kind, buckets) {
        (Kind::Category, None) => Ok(What::Category),
        (Kind::Category, Some(_)) => Err(usage(
            format!("`{here}` has `buckets`, and is a category"),
            "write `kind: number` beside them, or leave them out",
        )),
        (Kind::Number, None) => Err(fault("are missing, and `kind` is `number`")),
        (Kind::Number, Some(bounds)) if bounds.is_empty() => Err(fault("are none")),
        (Kind::Number, Some(bounds)) if bounds.len() > MOST_BUCKETS => {
            Err(fault(&format!("are more than {MOST_BUCKETS}")))
        }
        (Kind::Number, Some(bounds)) if !bounds.iter().all(|bound| bound.is_finite()) => {
            Err(fault("are not all finite: the last one, `+Inf`, is there by itself"))
        }
        (Kind::Number, Some(bounds)) if !bounds.is_sorted_by(|one, next| one < next) => {
            Err(fault("do not rise"))
        }
        (Kind::Number, Some(bounds)) => Ok(What::Number(bounds.into())),
    }
}

fn usage(what: impl Into<String>, hint: impl Into<String>) -> Usage {
    Usage { what: what.into(), hint: hint.into() }
}

/// A label of DNS, as names of namespaces and of services are
pub fn is_name(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests;

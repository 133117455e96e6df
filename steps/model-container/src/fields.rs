//! Fields of a model's container, and how those that a release brings come onto those that are there.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use step::text::hex;

use crate::{quantity::quantity, rules::check};

/// The fields that a release can bring, and that its rollback takes back.
pub const BROUGHT: [&str; 2] = ["resources", "env"];

/// Fields of a container by name; null stands for one that is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Fields(pub Map<String, Value>);

impl Fields {
    /// Reads what a release brings, as JSON; the error never repeats a value, which may be a secret.
    pub fn read(text: &str) -> Result<Self, String> {
        let container: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        check(&container)?;
        let mut brought: Self =
            serde_json::from_value(container).map_err(|error| error.to_string())?;
        brought.0.retain(|_, value| !or_null(value.clone()).is_null());
        // The API server leaves out the value of a variable that is empty.
        let variables = brought.0.get_mut("env").and_then(Value::as_array_mut);
        for variable in variables.into_iter().flatten().filter_map(Value::as_object_mut) {
            if variable.get("value").is_some_and(|value| *value == "") {
                variable.remove("value");
            }
        }
        Ok(brought)
    }

    /// Tells two releases of one image apart; empty for one that brings nothing.
    pub fn fingerprint(&self) -> String {
        if self.is_empty() {
            return String::new();
        }
        hex(&Sha256::digest(json!(self).to_string())[..8])
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Null where there is none
    pub fn get(&self, name: &str) -> Value {
        self.0.get(name).cloned().unwrap_or_default()
    }

    /// These, and of `others` those that are missing here.
    pub fn or(mut self, others: Self) -> Self {
        for (name, value) in others.0 {
            self.0.entry(name).or_insert(value);
        }
        self
    }

    /// The fields of a container after a release has brought these. Of `resources` each quantity comes
    /// by its name, of `env` each variable; null takes one away, and what is not named stays.
    pub fn onto(&self, container: &Self) -> Self {
        let mut fields = container.clone();
        if let Some(resources) = self.0.get("resources") {
            fields
                .0
                .insert("resources".into(), with_resources(container.get("resources"), resources));
        }
        if let Some(variables) = self.0.get("env").and_then(Value::as_array) {
            fields.0.insert("env".into(), with_variables(container.get("env"), variables));
        }
        fields
    }

    /// Whether a container has all that these bring. The API server may write a quantity in another
    /// way than it was asked for, 2Gi for 2048Mi, and KServe sets one of its own for one that was taken
    /// away.
    pub fn are_in(&self, container: &Self) -> bool {
        let mut brought = self.clone();
        if let Some(kinds) = brought.0.get_mut("resources").and_then(Value::as_object_mut) {
            for quantities in kinds.values_mut().filter_map(Value::as_object_mut) {
                quantities.retain(|_, quantity| !quantity.is_null());
            }
        }
        let wanted = brought.onto(container);
        is_same(&wanted.get("resources"), &container.get("resources"))
            && wanted.get("env") == container.get("env")
    }
}

fn with_resources(mut resources: Value, brought: &Value) -> Value {
    json_patch::merge(&mut resources, brought);
    // An empty list of quantities is not stored.
    if let Some(kinds) = resources.as_object_mut() {
        kinds.retain(|_, quantities| *quantities != json!({}));
    }
    or_null(resources)
}

fn with_variables(variables: Value, brought: &[Value]) -> Value {
    let mut variables = match variables {
        Value::Array(variables) => variables,
        _ => Vec::new(),
    };
    for variable in brought {
        let is_named = |other: &Value| other["name"] == variable["name"];
        // Of two of one name the last one counts.
        match variables.iter().rposition(is_named) {
            _ if is_removed(variable) => variables.retain(|other| !is_named(other)),
            Some(at) => variables[at] = variable.clone(),
            None => variables.push(variable.clone()),
        }
    }
    or_null(variables.into())
}

/// Its `value` is null. One that is not there is an empty text, or comes from elsewhere.
fn is_removed(variable: &Value) -> bool {
    variable.get("value").is_some_and(Value::is_null)
}

/// What is empty is not stored, and read as missing.
pub fn or_null(value: Value) -> Value {
    let is_empty = value == json!({}) || value == json!([]);
    if is_empty { Value::Null } else { value }
}

/// Equal but for how quantities are written.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(key, value)| other.get(key).is_some_and(|other| is_same(value, other)))
        }
        _ => one == other || quantity(one).is_some_and(|one| quantity(other) == Some(one)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fields(value: Value) -> Fields {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn an_empty_value_is_written_as_the_api_server_stores_it() {
        let read = Fields::read(r#"{"env": [{"name": "A", "value": ""}]}"#).unwrap();
        assert_eq!(json!(read), json!({"env": [{"name": "A"}]}));
    }

    #[test]
    fn what_is_not_json_is_refused_without_its_text() {
        let error = Fields::read("{\"env\": [hunter2]}").unwrap_err();
        assert!(error.starts_with("expected value") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn what_brings_nothing_has_no_fingerprint_and_every_other_its_own() {
        let of = |fields: Value| Fields::read(&fields.to_string()).unwrap().fingerprint();
        assert_eq!(Fields::default().fingerprint(), "");
        assert_eq!(of(json!({"env": [], "resources": {}})), "");
        let one = of(json!({"env": [{"name": "A", "value": "1"}]}));
        assert_eq!(one.len(), 16);
        assert_ne!(one, of(json!({"env": [{"name": "A", "value": "2"}]})));
    }

    #[test]
    fn quantities_and_variables_come_by_name_and_null_takes_one_away() {
        let container = fields(json!({
            "resources": {"requests": {"cpu": "100m", "memory": "512Mi"}, "limits": {"memory": "512Mi"}},
            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}, {"name": "C"}],
        }));
        let brought = fields(json!({
            "resources": {"limits": {"memory": null, "nvidia.com/gpu": 1}, "requests": {"memory": "2Gi"}},
            "env": [
                {"name": "D", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                {"name": "B", "value": null}, {"name": "A", "value": "3"},
            ],
        }));
        let wanted = fields(json!({
            "resources": {"requests": {"cpu": "100m", "memory": "2Gi"}, "limits": {"nvidia.com/gpu": 1}},
            "env": [
                {"name": "A", "value": "3"}, {"name": "C"},
                {"name": "D", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
            ],
        }));
        assert_eq!(brought.onto(&container), wanted);
        assert!(brought.are_in(&wanted) && !brought.are_in(&container));
        let mut defaulted = wanted.clone();
        defaulted.0["resources"]["limits"]["memory"] = json!("2Gi");
        assert!(
            brought.are_in(&defaulted),
            "KServe puts its own in the place of what is taken away"
        );
        assert_eq!(Fields::default().onto(&container), container);
    }

    #[test]
    fn what_becomes_empty_is_not_there() {
        let container =
            fields(json!({"resources": {"limits": {"memory": "1Gi"}}, "env": [{"name": "A"}]}));
        let brought = fields(json!({
            "resources": {"limits": {"memory": null}}, "env": [{"name": "A", "value": null}],
        }));
        assert_eq!(brought.onto(&container), fields(json!({"resources": null, "env": null})));
        assert!(brought.are_in(&Fields::default()));
    }

    #[test]
    fn a_quantity_is_the_same_however_it_is_written() {
        for (one, other) in [
            (json!("2048Mi"), json!("2Gi")),
            (json!("1000m"), json!("1")),
            (json!(0.5), json!("500m")),
            (json!("1e3"), json!("1k")),
            (json!(2), json!("2")),
        ] {
            assert!(is_same(&json!({"cpu": one}), &json!({"cpu": other})), "{one} {other}");
        }
        for (one, other) in
            [(json!("2G"), json!("2Gi")), (json!("x"), json!("y")), (json!("1.5.2"), json!(1))]
        {
            assert!(!is_same(&one, &other), "{one} {other}");
        }
    }

    fn variables() -> impl Strategy<Value = Value> {
        let value = prop_oneof![Just(json!(null)), "[a-c]".prop_map(Value::from)];
        let variable =
            ("[A-D]", value).prop_map(|(name, value)| json!({"name": name, "value": value}));
        proptest::collection::vec(variable, 0..4).prop_map(Value::from)
    }

    fn stored() -> impl Strategy<Value = Value> {
        variables().prop_map(|variables| {
            let kept = variables.as_array().unwrap().iter().filter(|one| !is_removed(one));
            or_null(kept.cloned().collect::<Vec<_>>().into())
        })
    }

    proptest! {
        #[test]
        fn what_a_release_has_brought_is_there_and_brought_again_changes_nothing(
            container in stored(), brought in variables(), memory in "[1-3]Gi", before in proptest::option::of("[1-3]Gi"),
        ) {
            let container = fields(json!({"env": container, "resources": before.map(|before| json!({"limits": {"memory": before}}))}));
            let brought = fields(json!({"env": brought, "resources": {"limits": {"memory": memory}}}));
            let after = brought.onto(&container);
            let names: std::collections::BTreeSet<_> =
                brought.0["env"].as_array().unwrap().iter().map(|one| one["name"].to_string()).collect();
            if names.len() == brought.0["env"].as_array().unwrap().len() {
                prop_assert!(brought.are_in(&after), "{after:?}");
                prop_assert_eq!(brought.onto(&after), after);
            }
        }
    }
}

//! What a step would do first, for people, without doing it.

use std::fmt;

use anyhow::Result;
use model_container::Fields;
use serde_json::{Value, json};
use step::text::{self, clean};

use crate::{
    action::Action, client::Service, observed::Observed, owner_lease::Mark, patch::GuardedPatch,
    room::ScalePatch,
};

impl Service {
    /// Prints what [`Service::reconcile`] would do first, and changes nothing.
    pub async fn preview<T: fmt::Display>(
        &self,
        mut decide: impl FnMut(&Observed) -> Result<Action<T>>,
    ) -> Result<()> {
        let mut observed = self.observe().await?;
        let (name, image) = (observed.full_name(), observed.image().unwrap_or("none"));
        let percent =
            observed.percent().map_or("no percent".into(), |one| format!("percent {one}"));
        let found = match &observed.service {
            None => format!("{name}: there is no such service"),
            Some(_) => format!("{name}: image {image}, {percent}; route: {}", observed.route()),
        };
        let mut first = decide(&observed)?;
        if let Action::Mark(mark) = first {
            observed.mark = *mark; // by itself it says nothing; what comes after it does
            first = decide(&observed)?;
        }
        let plan = match first {
            Action::Done(ended) => format!("nothing to do: {ended}"),
            Action::Wait(line) => format!("would wait: {line}"),
            Action::Patch(GuardedPatch { what, patch }) => {
                format!("would {what}:\n{:#}", without_variables(json!(patch)))
            }
            Action::Mark(mark) => {
                let mark = Mark { before: Fields::default(), ..*mark }; // it may hold a secret
                format!("would write a mark:\n{:#}", mark.lease(&self.name, observed.uid()))
            }
            Action::Scale(ScalePatch { what, patch, .. }) => {
                format!("would {what}:\n{:#}", json!(patch))
            }
            Action::Delete(revision) => format!("would delete revision `{revision}`"),
            Action::Decide(decision, value) => {
                format!("would {}", decision.described(value.as_deref()))
            }
            Action::Create(object) => {
                format!("would create:\n{:#}", without_variables(json!(object)))
            }
        };
        step::print(format!("{}\n{}\n", clean(&found), text::json(&plan)))
    }
}

/// The same for people: what a model's variables hold may be secret.
fn without_variables(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let variables = field.as_array_mut().filter(|_| name == "env");
                for variable in variables.into_iter().flatten() {
                    if let Some(value) = variable.get_mut("value") {
                        *value = "(not shown)".into();
                    }
                }
                *field = without_variables(field.take());
            }
        }
        Value::Array(items) => {
            for item in items {
                *item = without_variables(item.take());
            }
        }
        _ => {}
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preview_names_variables_without_their_values() {
        let container = json!({"image": "r/iris", "env": [{"name": "TOKEN", "value": "s3cr3t"}]});
        let patch = without_variables(json!([{"op": "replace", "value": [container]}]));
        assert_eq!(
            patch.pointer("/0/value/0/env/0"),
            Some(&json!({"name": "TOKEN", "value": "(not shown)"}))
        );
        assert_eq!(patch.pointer("/0/value/0/image"), Some(&json!("r/iris")));
    }
}

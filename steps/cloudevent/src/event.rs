//! One event, from attributes as they were typed or read to the SDK's event model.

use cloudevents::{Event, EventBuilder as _, EventBuilderV10, event::ExtensionValue};
use step::Usage;

use crate::validate;

/// The attributes and the data of an event before anything is checked.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    pub id: String,
    pub source: String,
    pub ty: String,
    pub subject: Option<String>,
    pub time: Option<String>,
    pub datacontenttype: Option<String>,
    pub dataschema: Option<String>,
    pub extensions: Vec<(String, ExtensionValue)>,
    /// As it goes over the wire in binary mode; empty means none
    pub data: Vec<u8>,
}

impl Draft {
    /// The event, if it keeps every rule of the specification and of this catalog.
    pub fn build(self) -> Result<Event, Usage> {
        self.check()?;
        let mut event = EventBuilderV10::new().id(self.id).source(self.source).ty(self.ty);
        if let Some(subject) = self.subject {
            event = event.subject(subject);
        }
        if let Some(time) = self.time {
            event = event.time(time);
        }
        for (name, value) in self.extensions {
            event = event.extension(&name, value);
        }
        // The model holds bytes, so that JSON keeps its key order and its numbers.
        event = match (self.datacontenttype, self.dataschema) {
            (None, None) if self.data.is_empty() => event,
            (media_type, None) => event.data(media_type.unwrap_or_else(json), self.data),
            (media_type, Some(schema)) => {
                event.data_with_schema(media_type.unwrap_or_else(json), schema, self.data)
            }
        };
        event.build().map_err(|error| Usage { what: error.to_string(), hint: String::new() })
    }

    /// The first rule that an event to be sent breaks.
    pub fn check(&self) -> Result<(), Usage> {
        validate::short_names(&self.extensions)?;
        self.check_received()
    }

    /// The first rule that somebody else's event breaks.
    pub fn check_received(&self) -> Result<(), Usage> {
        validate::text("id", &self.id)?;
        validate::text("type", &self.ty)?;
        validate::source(&self.source)?;
        self.subject.as_deref().map_or(Ok(()), |subject| validate::text("subject", subject))?;
        self.time.as_deref().map_or(Ok(()), validate::time)?;
        self.dataschema.as_deref().map_or(Ok(()), validate::dataschema)?;
        validate::data(self.datacontenttype.as_deref(), &self.data)?;
        validate::extensions(&self.extensions)
    }

    /// Sets an extension, replacing one of that name: how Knative's overrides work.
    pub fn override_extension(&mut self, name: String, value: ExtensionValue) {
        self.extensions.retain(|(known, _)| *known != name);
        self.extensions.push((name, value));
    }
}

fn json() -> String {
    "application/json".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_override_replaces_the_extension_of_its_name() {
        let mut draft = Draft {
            extensions: vec![("a".into(), 1.into()), ("b".into(), 2.into())],
            ..Draft::default()
        };
        draft.override_extension("a".into(), "x".into());
        assert_eq!(draft.extensions, [("b".into(), 2.into()), ("a".into(), "x".into())]);
    }
}

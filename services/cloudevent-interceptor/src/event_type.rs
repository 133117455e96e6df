//! Which types of events are known here.

use crate::refusal::{Refusal, shown};

/// The types of this catalog, by what follows their prefix.
pub(crate) struct EventTypes {
    prefix: String,
}

/// A type that is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventType {
    /// Asks for a release
    Requested,
    /// A canary got its first requests
    CanaryCreated,
    /// A canary climbed a rung, and a gate is to decide about the next
    CanaryAdvanced,
    /// A person's word about a release in progress
    DecisionRequested,
    /// A person wants the version before back
    RollbackRequested,
    /// How a release or a canary ended, which starts nothing
    Outcome,
}

impl EventTypes {
    pub(crate) fn new(prefix: &str) -> Self {
        Self { prefix: format!("{}.", prefix.trim_end_matches('.')) }
    }

    /// Types are compared whole: a prefix would match what the pipelines send themselves, a loop. The
    /// one type that a promotion sends and that starts a promotion ends by itself, as weights ascend.
    pub(crate) fn find(&self, ty: &str) -> Result<EventType, Refusal> {
        match ty.strip_prefix(&self.prefix) {
            Some("requested.v1") => Ok(EventType::Requested),
            Some("canary.created.v1") => Ok(EventType::CanaryCreated),
            Some("canary.advanced.v1") => Ok(EventType::CanaryAdvanced),
            Some("decision.requested.v1") => Ok(EventType::DecisionRequested),
            Some("rollback.requested.v1") => Ok(EventType::RollbackRequested),
            Some("canary.promoted.v1" | "canary.rolledback.v1" | "failed.v1") => {
                Ok(EventType::Outcome)
            }
            _ => Err(Refusal::invalid(
                format!("attribute `type` is `{}`, which is unknown here", shown(ty)),
                format!(
                    "write `{0}requested.v1` to ask for a release, `{0}decision.requested.v1` to say a word about one, `{0}rollback.requested.v1` to undo it; `{0}canary.created.v1` and `{0}canary.advanced.v1` start promotions",
                    self.prefix
                ),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_that_has_a_schema_is_known() {
        let folder =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../triggers/schemas");
        let types = EventTypes::new("build.canary.release");
        let mut known = 0;
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_none_or(|end| end != "json") {
                continue;
            }
            let schema: serde_json::Value =
                serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            let title = schema["title"].as_str().unwrap();
            if title.starts_with("build.") {
                types.find(title).unwrap_or_else(|refusal| panic!("{}", refusal.line()));
                known += 1;
            }
        }
        assert!(known > 2, "{known}");
    }

    #[test]
    fn a_type_is_compared_whole() {
        let types = EventTypes::new("org.example.");
        assert_eq!(types.find("org.example.requested.v1"), Ok(EventType::Requested));
        for unknown in [
            "org.example.requested.v2",
            "org.example.requested.v1 ",
            "ORG.example.requested.v1",
            "requested.v1",
            "",
        ] {
            assert!(types.find(unknown).is_err(), "{unknown}");
        }
    }
}

//! Who an event is: its id, its release and its type.

use cloudevent::id::is_label;
use uuid::Uuid;

/// Who an event is, and which release it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) id: String,
    pub(crate) correlation: String,
}

impl Identity {
    /// `derive` makes the id from the correlation id. The first event of a release has neither:
    /// one new UUID becomes both.
    pub(crate) fn new(
        id: Option<String>,
        correlation: Option<String>,
        derive: impl Fn(&str) -> String,
    ) -> Self {
        match (id, correlation) {
            (Some(id), Some(correlation)) => Self { id, correlation },
            (None, Some(correlation)) => Self { id: derive(&correlation), correlation },
            (Some(id), None) if is_label(&id) => Self { correlation: id.clone(), id },
            (Some(id), None) => Self { id, correlation: Uuid::new_v4().to_string() },
            (None, None) => {
                let id = Uuid::new_v4().to_string();
                Self { correlation: id.clone(), id }
            }
        }
    }
}

/// The name that a type has on the wire: after the prefix, unless it begins with it already.
pub(crate) fn full_type(prefix: Option<&str>, ty: &str) -> String {
    let Some(prefix) =
        prefix.map(|prefix| prefix.trim_end_matches('.')).filter(|prefix| !prefix.is_empty())
    else {
        return ty.to_owned();
    };
    match ty.strip_prefix(prefix) {
        Some(rest) if rest.starts_with('.') => ty.to_owned(),
        _ => format!("{prefix}.{}", ty.trim_start_matches('.')),
    }
}

#[cfg(test)]
mod tests {
    use cloudevent::id::derived_id;

    use super::*;

    #[test]
    fn one_new_uuid_is_the_id_and_the_correlation_of_a_first_event() {
        let first = Identity::new(None, None, |_| unreachable!());
        assert_eq!(first.id, first.correlation);
        assert_ne!(first, Identity::new(None, None, |_| unreachable!()));
    }

    #[test]
    fn an_id_that_fits_a_label_is_its_own_correlation() {
        let known = |id: &str| Identity::new(Some(id.into()), None, |_| unreachable!());
        assert_eq!(known("build-7").correlation, "build-7");
        assert_ne!(known("build/7").correlation, "build/7");
    }

    #[test]
    fn a_known_release_gives_the_same_id_each_time() {
        let again = || {
            Identity::new(None, Some("r-1".into()), |key| {
                derived_id(&["/s", "t.v1", "ns/iris", key])
            })
        };
        assert_eq!(again(), again());
        assert_eq!(again().id.len(), 32);
    }

    #[test]
    fn a_type_is_joined_with_the_prefix_once() {
        let prefix = Some("build.canary.release");
        assert_eq!(
            full_type(prefix, "canary.created.v1"),
            "build.canary.release.canary.created.v1"
        );
        assert_eq!(full_type(prefix, ".failed.v1"), "build.canary.release.failed.v1");
        assert_eq!(
            full_type(prefix, "build.canary.release.failed.v1"),
            "build.canary.release.failed.v1"
        );
        assert_eq!(
            full_type(prefix, "build.canary.releases.v1"),
            "build.canary.release.build.canary.releases.v1"
        );
        assert_eq!(full_type(None, "com.example.order.v1"), "com.example.order.v1");
    }
}

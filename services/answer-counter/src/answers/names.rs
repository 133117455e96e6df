//! Members that by their name are no answer: they tell who answered, when, and in how long. One that every
//! version says differently would be a shift that is none.

/// Compared in lower case and without `_`, `-` and `.`: `modelVersion` and `model_version` are the same.
const NO_ANSWERS: [&str; 50] = [
    "build",
    "commit",
    "correlationid",
    "created",
    "createdat",
    "date",
    "datetime",
    "digest",
    "duration",
    "durationms",
    "elapsed",
    "elapsedms",
    "eventid",
    "generatedat",
    "guid",
    "hash",
    "host",
    "hostname",
    "id",
    "inferenceid",
    "latency",
    "latencyms",
    "model",
    "modelid",
    "modelname",
    "modelrevision",
    "modelurl",
    "modelversion",
    "node",
    "object",
    "pod",
    "predictionid",
    "processedat",
    "requestid",
    "responseid",
    "revision",
    "runid",
    "servedby",
    "server",
    "sessionid",
    "sha",
    "spanid",
    "systemfingerprint",
    "time",
    "timestamp",
    "took",
    "traceid",
    "ts",
    "uuid",
    "version",
];

pub(super) fn is_no_answer(name: &str) -> bool {
    let plain: String = name
        .chars()
        .filter(|c| !matches!(c, '_' | '-' | '.'))
        .map(|c| c.to_ascii_lowercase())
        .collect();
    NO_ANSWERS.binary_search(&plain.as_str()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_readme_has_it() {
        assert!(NO_ANSWERS.is_sorted());
        let readme = include_str!("../../README.md");
        for name in NO_ANSWERS {
            assert!(readme.contains(&format!("`{name}`")), "README.md: `{name}`");
        }
    }

    #[test]
    fn a_name_is_compared_however_it_is_written() {
        for name in ["version", "Version", "modelVersion", "model_version", "MODEL-NAME", "x.id"] {
            assert_eq!(is_no_answer(name), name != "x.id", "{name}");
        }
        for name in ["species", "label", "class_id", "valid", "status", ""] {
            assert!(!is_no_answer(name), "{name}");
        }
    }
}

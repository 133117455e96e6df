//! Under which keys a store has what is kept: `SERVICE/VERSION/NAMESPACE.RUN/FILE`.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::run::RunRecord;

/// What stands for itself; all else is written as `%` and two digits, so that no name is a path.
const PLAIN: AsciiSet = NON_ALPHANUMERIC.remove(b'.').remove(b'_').remove(b'-');
/// The same for a namespace, which ends at the first dot. Kubernetes has no namespaces with dots.
const PLAIN_NAMESPACE: AsciiSet = PLAIN.add(b'.');
/// What stands for a name that is not known, as in events.
const UNKNOWN: &str = "unknown";

/// A file that is kept of a run
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeptFile {
    /// A `RunRecord`
    Run,
    /// The gate's verdict
    Verdict,
    /// The same to look at
    Report,
    /// All that Prometheus said, for `prometheus-gate replay`
    Record,
}

impl KeptFile {
    pub const ALL: [Self; 4] = [Self::Run, Self::Verdict, Self::Report, Self::Record];
    /// What a gate leaves
    pub const EVIDENCE: [Self; 3] = [Self::Verdict, Self::Report, Self::Record];

    pub fn name(self) -> &'static str {
        match self {
            Self::Run => "run.json",
            Self::Verdict => "verdict.json",
            Self::Report => "report.html",
            Self::Record => "record.ndjson.gz",
        }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::Run | Self::Verdict => "application/json",
            Self::Report => "text/html; charset=utf-8",
            Self::Record => "application/gzip",
        }
    }
}

/// Which run it is. A store may have those of several namespaces, and a run is named by its event, so that two of
/// them may have runs of one name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunKey {
    pub namespace: String,
    pub service: String,
    pub version: String,
    pub run: String,
}

impl RunKey {
    pub fn of(record: &RunRecord) -> Self {
        Self {
            namespace: record.namespace.clone(),
            service: record.service.clone(),
            version: record.version.clone(),
            run: record.name.clone(),
        }
    }

    /// Below the store's prefix, without a slash at its end.
    pub fn folder(&self) -> String {
        let namespace = utf8_percent_encode(known(&self.namespace), &PLAIN_NAMESPACE);
        let run = utf8_percent_encode(known(&self.run), &PLAIN);
        format!("{}/{}/{namespace}.{run}", segment(&self.service), segment(&self.version))
    }

    /// The run and the file's name of a key below the store's prefix; nothing for a key that is not of this layout.
    pub fn parse(below: &str) -> Option<(Self, &str)> {
        let mut segments = below.splitn(4, '/');
        let [service, version, run, file] = std::array::from_fn(|_| segments.next());
        let (namespace, run) = run?.split_once('.')?;
        let plain = |text: &str| {
            let text = percent_decode_str(text).decode_utf8().ok();
            text.filter(|text| !text.is_empty()).map(Cow::into_owned)
        };
        let found = Self {
            namespace: plain(namespace)?,
            service: plain(service?)?,
            version: plain(version?)?,
            run: plain(run)?,
        };
        // One run has one folder.
        let is_ours = below.strip_prefix(&found.folder()).is_some_and(|rest| rest.starts_with('/'));
        let file = file.filter(|file| !file.is_empty() && is_ours)?;
        Some((found, file))
    }
}

fn known(name: &str) -> &str {
    if name.is_empty() { UNKNOWN } else { name }
}

/// `.` and `..` would be folders of a store that keeps files.
fn segment(name: &str) -> String {
    match known(name) {
        dots @ ("." | "..") => dots.replace('.', "%2E"),
        name => utf8_percent_encode(name, &PLAIN).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(names: [&str; 4]) -> RunKey {
        let [namespace, service, version, run] = names.map(str::to_owned);
        RunKey { namespace, service, version, run }
    }

    #[test]
    fn a_folder_says_service_version_namespace_and_run() {
        let folder = |names| key(names).folder();
        assert_eq!(folder(["models", "iris", "v2", "release-1.a"]), "iris/v2/models.release-1.a");
        assert_eq!(folder(["models", "iris", "../a b", "r"]), "iris/..%2Fa%20b/models.r");
        assert_eq!(folder(["models", "iris", "..", "r"]), "iris/%2E%2E/models.r");
        assert_eq!(folder(["models", "iris", "", "r"]), "iris/unknown/models.r");
    }

    #[test]
    fn what_has_another_layout_is_no_run() {
        for key in [
            "",
            "iris",
            "iris/v1.tar.gz",
            "iris/v2/models.r",
            "iris/v2/models.r/",
            "iris/v2/models/run.json",
            "iris//models.r/run.json",
            "iris/v%32/models.r/run.json",
            "iris/v%ff/models.r/run.json",
            "iris/../models.r/run.json",
        ] {
            assert_eq!(RunKey::parse(key), None, "{key}");
        }
    }

    proptest! {
        #[test]
        fn a_key_is_read_as_it_was_written(namespace in "\\PC+", service in "\\PC+", version in "\\PC+", run in "\\PC+") {
            let written = key([&namespace, &service, &version, &run]);
            let folder = written.folder();
            prop_assert!(folder.split('/').count() == 3 && !folder.split('/').any(|part| part == "." || part == ".."));
            prop_assert!(folder.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"%._-/".contains(&byte)));
            let key = folder + "/run.json";
            prop_assert_eq!(RunKey::parse(&key), Some((written, "run.json")));
        }

        #[test]
        fn no_key_is_too_strange_to_be_asked(key in "\\PC*") {
            let _ = RunKey::parse(&key);
        }
    }
}

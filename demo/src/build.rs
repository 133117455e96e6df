//! What a release's image took, and what that saved.

use std::time::Duration;

use demo::TaskRun;

/// One run of Task `bento-build`, as its status tells of it.
#[derive(Clone, Debug)]
pub(crate) struct Build {
    took: Duration,
    /// `yes`, `environment-missing` or `whole`
    assembled: String,
    uploaded: Option<u64>,
    size: Option<u64>,
}

impl Build {
    /// Nothing while it runs, when it failed, or where its Task has no such results.
    pub(crate) fn of(task: &TaskRun) -> Option<Self> {
        let result = |name| task.results.get(name).filter(|value| !value.is_empty());
        let bytes = |name| result(name)?.parse().ok();
        Some(Self {
            took: task.took.filter(|_| task.succeeded)?,
            assembled: result("assembled")?.clone(),
            uploaded: bytes("uploaded"),
            size: bytes("size"),
        })
    }

    /// One line, beside the first image of this demo.
    pub(crate) fn remark(&self, first: Option<&Self>) -> String {
        let seconds = |build: &Self| format!("{} s", build.took.as_secs());
        let took = format!("its image took {}", seconds(self));
        let bytes = match (self.uploaded, self.size) {
            (Some(uploaded), Some(size)) => {
                format!("; {} were uploaded of {}", text(uploaded), text(size))
            }
            _ => String::new(),
        };
        match (self.assembled.as_str(), first) {
            ("yes", Some(first)) if first.assembled != "yes" => {
                format!("{took} where the first took {}{bytes}", seconds(first))
            }
            ("yes", _) => format!("{took}{bytes}"),
            ("environment-missing", _) => {
                format!("{took}, with an environment that later ones have as well")
            }
            _ => format!("{took}, built whole"),
        }
    }
}

/// Bytes as people say them, with two digits: 9.4 kB, 61 MB
#[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
fn text(bytes: u64) -> String {
    let mut number = bytes as f64;
    let mut units = ["B", "kB", "MB", "GB"].iter();
    let mut unit = units.next();
    while number >= 999.5 {
        let Some(larger) = units.next() else { break };
        number /= 1000.0;
        unit = Some(larger);
    }
    let unit = unit.unwrap_or(&"");
    // 9.96 is 10 with two digits, and bytes are never parts of one.
    if number < 9.95 && *unit != "B" {
        format!("{number:.1} {unit}")
    } else {
        format!("{number:.0} {unit}")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn build(seconds: u64, results: &[(&str, &str)]) -> Option<Build> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Build::of(&TaskRun {
            task: "bento-build".into(),
            pod: String::new(),
            reason: String::new(),
            has_ended: true,
            succeeded: true,
            message: String::new(),
            took: Some(Duration::from_secs(seconds)),
            results: results.iter().map(owned).collect::<BTreeMap<_, _>>(),
        })
    }

    const NEW: [(&str, &str); 2] = [("assembled", "environment-missing"), ("size", "61208114")];
    const LAID_ON: [(&str, &str); 3] =
        [("assembled", "yes"), ("uploaded", "9421"), ("size", "61208114")];

    #[test]
    fn a_release_says_what_its_image_took_and_what_that_saved() {
        let remark = |seconds, results: &[(&str, &str)], first: Option<&Build>| {
            build(seconds, results).map(|build| build.remark(first)).unwrap_or_default()
        };
        let first = build(71, &NEW);
        let lines = [
            remark(71, &NEW, None),
            remark(4, &LAID_ON, first.as_ref()),
            remark(4, &LAID_ON, build(5, &LAID_ON).as_ref()),
            remark(5, &LAID_ON, None),
            remark(4, &LAID_ON[..1], first.as_ref()),
            remark(4, &[("assembled", "yes"), ("uploaded", "many")], None),
            remark(75, &[("assembled", "whole"), ("uploaded", "0")], first.as_ref()),
        ];
        insta::assert_snapshot!(lines.join("\n"), @"
        its image took 71 s, with an environment that later ones have as well
        its image took 4 s where the first took 71 s; 9.4 kB were uploaded of 61 MB
        its image took 4 s; 9.4 kB were uploaded of 61 MB
        its image took 5 s; 9.4 kB were uploaded of 61 MB
        its image took 4 s where the first took 71 s
        its image took 4 s
        its image took 75 s, built whole
        ");
    }

    #[test]
    fn a_build_without_results_says_nothing() {
        assert!(build(71, &[]).is_none() && build(71, &[("assembled", "")]).is_none());
    }

    #[test]
    fn bytes_have_two_digits() {
        let texts = [0, 7, 999, 1000, 9_421, 9_949, 9_950, 61_208_114, 999_600, 4_000_000_000];
        insta::assert_snapshot!(texts.map(text).join(", "), @"0 B, 7 B, 999 B, 1.0 kB, 9.4 kB, 9.9 kB, 10 kB, 61 MB, 1.0 MB, 4.0 GB");
    }
}

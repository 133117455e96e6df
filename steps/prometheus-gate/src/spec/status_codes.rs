//! Which answers count as failed, and which as rejected.
//!
//! Between them no code is lost: what is neither 1xx to 3xx nor a client's mistake has failed, codes
//! that no list knows and answers without one included.

use std::{fmt, str::FromStr};

/// Statuses of answers that count as rejections: exact ones, and the classes `3xx` and `4xx`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Codes(Vec<String>);

/// 4xx without 429 and 499: a service that has too little room, and one that is too slow for its
/// client, have failed.
const CLIENTS_MISTAKES: &str = "4[013-8].|42[0-8]|49[0-8]";

impl<'de> serde::Deserialize<'de> for Codes {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Default for Codes {
    fn default() -> Self {
        Self(vec!["3xx".to_owned(), "4xx".to_owned()])
    }
}

impl Codes {
    /// A matcher for answers that failed.
    pub(crate) fn failed(&self, label: &str) -> String {
        let exact = self.0.iter().map(String::as_str).filter(|code| code.parse::<u16>().is_ok());
        let others: Vec<&str> = ["[123]..", CLIENTS_MISTAKES].into_iter().chain(exact).collect();
        format!("{label}!~\"{}\"", others.join("|"))
    }

    /// A matcher for answers that were rejected.
    pub(crate) fn rejected(&self, label: &str) -> String {
        let patterns: Vec<&str> = self
            .0
            .iter()
            .map(|code| match code.as_str() {
                "3xx" => "3..",
                "4xx" => CLIENTS_MISTAKES,
                code => code,
            })
            .collect();
        format!("{label}=~\"{}\"", patterns.join("|"))
    }

    /// What no criterion judges, because somebody wanted fewer codes to count.
    pub(crate) fn unjudged(&self) -> Option<String> {
        let missing: Vec<&str> = ["3xx", "4xx"]
            .into_iter()
            .filter(|class| !self.0.iter().any(|code| code == class))
            .collect();
        (!missing.is_empty()).then(|| {
            format!(
                "answers {} other than {self} are judged by no criterion",
                missing.join(" and ")
            )
        })
    }
}

impl FromStr for Codes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let code = |word: &str| {
            let word = word.trim().to_ascii_lowercase();
            let exact = word.parse().is_ok_and(|code: u16| (300..600).contains(&code));
            if exact || matches!(word.as_str(), "3xx" | "4xx") {
                Ok(word)
            } else {
                Err(format!(
                    "`{word}` is not a valid code; write statuses from 300 to 599, `3xx` or `4xx`, joined by commas"
                ))
            }
        };
        text.split(',').map(code).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for Codes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a regular expression of the few kinds that are used here matches.
    fn matches(pattern: &str, code: &str) -> bool {
        let one = |pattern: &str| {
            let mut rest = pattern;
            for digit in code.chars() {
                let (class, after) = match rest.strip_prefix('[') {
                    Some(class) => class.split_once(']').unwrap(),
                    None => rest.split_at(rest.chars().next().map_or(0, char::len_utf8)),
                };
                let known = match class {
                    "." => true,
                    "013-8" => "0134 5678".contains(digit),
                    "0-8" => "012345678".contains(digit),
                    class => class.contains(digit),
                };
                if class.is_empty() || !known {
                    return false;
                }
                rest = after;
            }
            rest.is_empty()
        };
        pattern.split('|').any(one)
    }

    fn quoted(matcher: &str) -> &str {
        matcher.split('"').nth(1).unwrap()
    }

    #[test]
    fn every_code_is_good_or_failed_or_rejected_and_never_two_of_them() {
        for codes in ["3xx,4xx", "422,429,503", "401,404"] {
            let codes: Codes = codes.parse().unwrap();
            let (failed, rejected) = (codes.failed("c"), codes.rejected("c"));
            for code in (0..=999).map(|code| format!("{code:03}")).chain([String::new()]) {
                let failed = !matches(quoted(&failed), &code);
                let rejected = matches(quoted(&rejected), &code);
                assert!(!(failed && rejected), "{code} by {codes}");
                if codes == Codes::default() {
                    let good = !failed && !rejected;
                    assert_eq!(good, code.len() == 3 && code.starts_with(['1', '2']), "{code}");
                }
            }
        }
    }

    #[test]
    fn too_many_requests_are_the_services_failure_unless_somebody_says_otherwise() {
        let failed = |codes: &Codes, code: &str| !matches(quoted(&codes.failed("c")), code);
        assert!(failed(&Codes::default(), "429") && failed(&Codes::default(), "499"));
        let told: Codes = "4xx,429".parse().unwrap();
        assert!(!failed(&told, "429") && matches(quoted(&told.rejected("c")), "429"));
    }

    #[test]
    fn codes_that_are_left_out_are_named() {
        let told: Codes = "422".parse().unwrap();
        assert_eq!(
            told.unjudged().unwrap(),
            "answers 3xx and 4xx other than 422 are judged by no criterion"
        );
        assert_eq!(Codes::default().unjudged(), None);
    }

    #[test]
    fn what_is_no_code_is_refused() {
        for wrong in ["", "4", "200", "5xx", "422;500", "four"] {
            assert!(wrong.parse::<Codes>().is_err(), "{wrong}");
        }
    }
}

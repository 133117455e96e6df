//! Times as bentos write them, and as images do.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

/// Seconds since 1970 of a bento's or a model's time: ISO 8601 with a `T` or a space; without an offset it is UTC, as
/// BentoML means it.
pub fn seconds(text: &str) -> Option<i64> {
    let text = text.trim();
    let instant = text.parse::<Timestamp>().ok().or_else(|| {
        let local = text.parse::<DateTime>().ok()?;
        TimeZone::UTC.to_timestamp(local).ok()
    })?;
    Some(instant.as_second())
}

/// The same as an image's configuration and annotations have it, such as `2026-11-29T08:40:31Z`; `None` for what no
/// calendar has.
pub fn rfc3339(seconds: i64) -> Option<String> {
    Timestamp::from_second(seconds).ok().map(|instant| instant.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_in_every_form_that_bentoml_has_written() {
        let forms = [
            ("2020-01-02T03:04:05.123456+00:00", Some(1_577_934_245)),
            ("2020-01-02T03:04:05Z", Some(1_577_934_245)),
            ("2020-01-02T04:04:05+01:00", Some(1_577_934_245)),
            ("2020-01-02 03:04:05+00:00", Some(1_577_934_245)),
            ("2020-01-02T03:04:05.123456", Some(1_577_934_245)),
            ("2020-01-02 03:04:05.123", Some(1_577_934_245)),
            (" 2020-01-02 03:04:05\n", Some(1_577_934_245)),
            ("2020-01-02", Some(1_577_923_200)),
            ("yesterday", None),
            ("", None),
        ];
        for (text, wanted) in forms {
            assert_eq!(seconds(text), wanted, "{text}");
        }
    }

    #[test]
    fn a_time_is_written_as_rfc_3339() {
        assert_eq!(rfc3339(1_577_934_245).as_deref(), Some("2020-01-02T03:04:05Z"));
        assert_eq!(rfc3339(0).as_deref(), Some("1970-01-01T00:00:00Z"));
        assert_eq!(rfc3339(i64::MAX), None);
    }
}

//! Moments and lengths of time: what they are, and how they are read and written.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Milliseconds: a length of time, or a moment since 1970 by the server's clock.
pub(crate) type Ms = i64;

pub(crate) const SECOND: Ms = 1000;

/// A moment or length in milliseconds, where it is one.
pub(crate) fn millis(number: f64) -> Option<Ms> {
    #[expect(clippy::cast_possible_truncation, reason = "checked to be within range")]
    (number.abs() < 9e15).then(|| number.round() as Ms)
}

#[expect(clippy::cast_precision_loss, reason = "a moment in milliseconds has 41 bits")]
pub(crate) fn as_float(moment: Ms) -> f64 {
    moment as f64
}

/// Milliseconds as seconds, for people and for the server.
pub(crate) fn seconds(length: Ms) -> f64 {
    as_float(length) / as_float(SECOND)
}

/// This machine's clock.
pub(crate) fn local_clock() -> Ms {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ms::try_from(since.as_millis()).unwrap_or(Ms::MAX)
}

/// A moment in UTC, to the second.
pub(crate) fn rfc3339(moment: Ms) -> String {
    let since = std::time::Duration::from_millis(moment.unsigned_abs());
    humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + since).to_string()
}

/// A length of time for people, such as `1m 30s`.
pub(crate) fn length(length: Ms) -> String {
    humantime::format_duration(std::time::Duration::from_millis(length.unsigned_abs())).to_string()
}

/// A length of time such as `90s`, `5m` or `1h30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(with = "String"))]
pub(crate) struct Length(pub(crate) Ms);

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        duration(&text).map(Self).map_err(D::Error::custom)
    }
}

impl Serialize for Length {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&length(self.0))
    }
}

/// A length of time such as `90s`, `5m` or `1h30m`, in milliseconds.
pub(crate) fn duration(text: &str) -> Result<Ms, String> {
    /// A year: sums of a few of these stay far within range.
    const LONGEST: Ms = 366 * 24 * 3600 * SECOND;
    let length = humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write `90s`, `5m` or `1h30m`"))?;
    let length = Ms::try_from(length.as_millis()).unwrap_or(Ms::MAX);
    if length > LONGEST { Err("it is longer than a year".to_owned()) } else { Ok(length) }
}

/// RFC 3339 with any offset, or `@` and seconds since 1970.
pub(crate) fn moment(text: &str) -> Result<Ms, String> {
    /// The year 2100: what is beyond was written in milliseconds, or by mistake.
    const LATEST: Ms = 4_102_444_800 * SECOND;
    let moment = any_moment(text)?;
    match moment {
        0..LATEST => Ok(moment),
        _ if text.starts_with('@') => {
            Err("it is not between 1970 and 2100; write seconds since 1970, not milliseconds"
                .to_owned())
        }
        _ => Err("it is not between 1970 and 2100".to_owned()),
    }
}

fn any_moment(text: &str) -> Result<Ms, String> {
    let wrong = || "write RFC 3339 such as `2026-11-24T12:00:00Z`, or `@1795521600`".to_owned();
    if let Some(seconds) = text.strip_prefix('@') {
        return seconds
            .parse()
            .ok()
            .and_then(|seconds: f64| millis(seconds * 1000.0))
            .ok_or_else(wrong);
    }
    let (local, offset) = match text.len().checked_sub(6).and_then(|at| text.split_at_checked(at)) {
        Some((local, offset)) if offset.starts_with(['+', '-']) => {
            (format!("{local}Z"), Some(offset))
        }
        _ => (text.to_owned(), None),
    };
    let since = humantime::parse_rfc3339(&local)
        .map_err(|_| wrong())?
        .duration_since(std::time::UNIX_EPOCH);
    let moment = Ms::try_from(since.map_err(|_| wrong())?.as_millis()).map_err(|_| wrong())?;
    let ahead = match offset.map(|offset| (offset.starts_with('-'), offset[1..].split_once(':'))) {
        None => 0,
        Some((west, Some((hours, minutes)))) => {
            let part = |text: &str| text.parse::<Ms>().map_err(|_| wrong());
            let (hours, minutes) = (part(hours)?, part(minutes)?);
            if hours > 23 || minutes > 59 {
                return Err(wrong());
            }
            let length = (hours * 60 + minutes) * 60 * SECOND;
            if west { -length } else { length }
        }
        Some((_, None)) => return Err(wrong()),
    };
    Ok(moment - ahead)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_told_in_any_time_zone() {
        let noon = Ok(1_795_521_600_000);
        assert_eq!(moment("2026-11-24T12:00:00Z"), noon);
        assert_eq!(moment("2026-11-24T14:00:00+02:00"), noon);
        assert_eq!(moment("2026-11-24T07:30:00.000-04:30"), noon);
        assert_eq!(moment("@1795521600"), noon);
        for wrong in [
            "yesterday",
            "",
            "2026-11-24",
            "2026-11-24T12:00:00+2",
            "@now",
            "@1795521600000",
            "@1e300",
            "@-5",
            "@NaN",
            "9999-12-31T23:59:59Z",
            "12000-01-01T00:00:00Z",
            "2026-11-24T12:00:00+99999999999999:00",
        ] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }
}

//! Timestamps, durations, and the points at which series are evaluated: how they are read and written.

use std::{iter, str::FromStr};

use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

/// The points `from`, `from + step`, … up to `to`, as a range query has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Grid {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    pub(crate) step: SignedDuration,
}

impl Grid {
    pub(crate) fn points(self) -> impl Iterator<Item = Timestamp> {
        let next = move |point: &Timestamp| point.checked_add(self.step).ok();
        iter::successors(Some(self.from), next).take_while(move |point| *point <= self.to)
    }
}

/// The last multiple of a step, counted from 1970, up to a moment.
pub(crate) fn floor(moment: Timestamp, step: SignedDuration) -> Timestamp {
    let over = moment.as_nanosecond().rem_euclid(step.as_nanos().max(1));
    moment - SignedDuration::from_nanos_i128(over)
}

/// Seconds since 1970 as a server writes them, to the millisecond; none beyond the year 8000, so that
/// what is added to them stays within range.
pub(crate) fn from_seconds(seconds: f64) -> Option<Timestamp> {
    const FURTHEST: f64 = 190_000_000_000.0;
    let since = duration_of(seconds).filter(|_| seconds.abs() < FURTHEST)?;
    Timestamp::from_duration(since).ok()
}

/// So many seconds, to the millisecond.
pub(crate) fn duration_of(seconds: f64) -> Option<SignedDuration> {
    SignedDuration::try_from_secs_f64((seconds * 1000.0).round() / 1000.0).ok()
}

/// Seconds since 1970.
pub(crate) fn to_seconds(moment: Timestamp) -> f64 {
    moment.as_duration().as_secs_f64()
}

/// One duration as a part of another.
pub(crate) fn part(some: SignedDuration, all: SignedDuration) -> f64 {
    if all.is_positive() { some.div_duration_f64(all) } else { 0.0 }
}

/// This machine's clock, to the millisecond.
pub(crate) fn local_clock() -> Timestamp {
    floor(Timestamp::now(), SignedDuration::from_millis(1))
}

/// A moment in UTC, to the second.
pub(crate) fn rfc3339(moment: Timestamp) -> String {
    floor(moment, SignedDuration::from_secs(1)).to_string()
}

/// A duration for people, such as `1m 30s`.
pub(crate) fn length(duration: SignedDuration) -> String {
    format!("{:#}", duration.abs())
}

/// A duration in a spec, such as `90s`, `5m` or `1h30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(with = "String"))]
pub(crate) struct Length(pub(crate) SignedDuration);

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

impl FromStr for Length {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        /// Sums of a few of these stay far within range.
        const LONGEST: SignedDuration = SignedDuration::from_hours(366 * 24);
        let span = text.parse::<Span>().ok();
        match span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()) {
            Some(duration) if duration > LONGEST => Err("it is longer than a year".to_owned()),
            Some(duration) if !duration.is_negative() => Ok(Self(duration)),
            _ => Err("write `90s`, `5m` or `1h30m`".to_owned()),
        }
    }
}

/// RFC 3339 with any offset, or `@` and seconds since 1970.
pub(crate) fn timestamp(text: &str) -> Result<Timestamp, String> {
    /// The year 2100: what is beyond was written in milliseconds, or by mistake.
    const LATEST: Timestamp = Timestamp::constant(4_102_444_800, 0);
    let moment = match text.strip_prefix('@') {
        Some(seconds) => seconds.parse().ok().and_then(from_seconds),
        None => text.parse().ok(),
    };
    match moment {
        Some(moment) if (Timestamp::UNIX_EPOCH..LATEST).contains(&moment) => Ok(moment),
        Some(_) => Err("it is not between 1970 and 2100".to_owned()),
        None => Err("write RFC 3339 such as `2026-11-24T12:00:00Z`, or seconds since 1970, not \
                     milliseconds, such as `@1795521600`"
            .to_owned()),
    }
}

/// So many milliseconds after 1970.
#[cfg(test)]
pub(crate) fn after(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_read_in_any_time_zone() {
        let noon = Ok(after(1_795_521_600_000));
        assert_eq!(timestamp("2026-11-24T12:00:00Z"), noon);
        assert_eq!(timestamp("2026-11-24T14:00:00+02:00"), noon);
        assert_eq!(timestamp("2026-11-24T07:30:00.000-04:30"), noon);
        assert_eq!(timestamp("@1795521600"), noon);
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
            assert!(timestamp(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_duration_has_a_unit_and_is_no_longer_than_a_year() {
        for (text, seconds) in [("90s", 90), ("1h30m", 5400), ("1h 30m", 5400), ("2 days", 172_800)]
        {
            assert_eq!(text.parse(), Ok(Length(SignedDuration::from_secs(seconds))), "{text}");
        }
        assert_eq!("500ms".parse(), Ok(Length(SignedDuration::from_millis(500))));
        for wrong in ["", "90", "5q", "-5m", "400d", "1h30", "PT"] {
            assert!(wrong.parse::<Length>().is_err(), "{wrong}");
        }
        assert_eq!(length(SignedDuration::from_millis(-5_400_500)), "1h 30m 500ms");
    }

    #[test]
    fn a_grid_has_both_its_ends() {
        let step = SignedDuration::from_secs(5);
        let grid = Grid { from: after(5000), to: after(15_999), step };
        assert_eq!(grid.points().collect::<Vec<_>>(), [5000, 10_000, 15_000].map(after));
        assert_eq!(Grid { to: after(0), ..grid }.points().count(), 0);
        assert_eq!(floor(after(19_999), step), after(15_000));
    }
}

//! Times and sizes as people read them.

use jiff::{
    SignedDuration, Timestamp,
    civil::DateTime,
    tz::{Offset, TimeZone},
};
use maud::{Markup, html};
use step::text::short;

/// How long ago that was: `12 s ago`, `3 min ago`, `2 h ago`, `5 d ago`. The script says it in the same words.
pub(super) fn ago(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(at).as_secs();
    let size = seconds.unsigned_abs();
    let words = match size {
        0..5 => return "just now".into(),
        5..60 => format!("{size} s"),
        60..3600 => format!("{} min", size / 60),
        3600..172_800 => format!("{} h", size / 3600),
        _ => format!("{} d", size / 86_400),
    };
    if seconds < 0 { format!("in {words}") } else { format!("{words} ago") }
}

/// A moment: how long ago, and which one.
pub(super) fn moment(at: Timestamp, now: Timestamp) -> Markup {
    html! { time datetime=(exact(at)) title=(utc(at)) data-ago { (ago(at, now)) } }
}

/// A moment by its date and time.
pub(super) fn date(at: Timestamp) -> Markup {
    html! { time datetime=(exact(at)) { (utc(at)) } }
}

/// A moment as a manifest writes it; whatever it is if it is none.
pub(super) fn written(text: &str, now: Timestamp) -> Markup {
    match parse(text) {
        Some(at) => moment(at, now),
        None if text.is_empty() => html! { "–" },
        None => html! { (short(text, 40)) },
    }
}

/// ISO 8601; without an offset it is UTC.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    let utc = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok();
    text.parse().ok().or_else(|| Some(utc()?.timestamp()))
}

/// To the second: `2026-11-24T09:30:00Z`.
fn exact(at: Timestamp) -> String {
    format!("{}Z", civil(at).strftime("%Y-%m-%dT%H:%M:%S"))
}

/// For people: `2026-11-24 09:30:00 UTC`.
pub(super) fn utc(at: Timestamp) -> String {
    format!("{} UTC", civil(at).strftime("%Y-%m-%d %H:%M:%S"))
}

fn civil(at: Timestamp) -> DateTime {
    Offset::UTC.to_datetime(at)
}

/// How long: `12 s`, `3 min 5 s`, `1 h 12 min`, `3 d 4 h`.
pub(super) fn length(of: SignedDuration) -> String {
    let seconds = of.as_secs().max(0);
    let two = |large: i64, name: &str, small: i64, other: &str| match small {
        0 => format!("{large} {name}"),
        small => format!("{large} {name} {small} {other}"),
    };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => two(seconds / 60, "min", seconds % 60, "s"),
        3600..86_400 => two(seconds / 3600, "h", seconds % 3600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    }
}

/// From one moment to another, or until now.
pub(super) fn took(began: Timestamp, ended: Option<Timestamp>, now: Timestamp) -> String {
    length(ended.unwrap_or(now).duration_since(began))
}

/// In units of a thousand: `812 B`, `48.3 kB`, `1.2 GB`.
#[expect(clippy::cast_precision_loss, reason = "three digits of it are shown")]
pub(super) fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    for next in units {
        if value < 999.5 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    if unit == "B" || value >= 99.95 {
        format!("{value:.0} {unit}")
    } else {
        format!("{value:.1} {unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_in_one_word_that_fits() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let said = |seconds| ago(at(0), at(seconds));
        assert_eq!(
            [0, 59, 60, 3599, 3600, 172_800].map(said),
            ["just now", "59 s ago", "1 min ago", "59 min ago", "1 h ago", "2 d ago"]
        );
        assert_eq!(ago(at(90), at(0)), "in 1 min", "of a clock that goes wrong");
        assert_eq!(ago(Timestamp::MIN, Timestamp::MAX), "7304481 d ago");
    }

    #[test]
    fn lengths_and_sizes_have_two_units_and_three_digits() {
        let said = |seconds| length(SignedDuration::from_secs(seconds));
        assert_eq!(
            [0, 60, 185, 4321, 273_600, -5].map(said),
            ["0 s", "1 min", "3 min 5 s", "1 h 12 min", "3 d 4 h", "0 s"]
        );
        assert_eq!(
            [0, 999, 1000, 48_300, 999_950, 1_234_567_890, u64::MAX].map(size),
            ["0 B", "999 B", "1.0 kB", "48.3 kB", "1.0 MB", "1.2 GB", "18.4 EB"]
        );
    }

    #[test]
    fn times_of_manifests_are_read_in_all_forms() {
        for text in
            ["2026-11-24T06:00:00.5+00:00", "2026-11-24 06:00:00.123", "2026-11-24T07:00:00+01:00"]
        {
            assert_eq!(parse(text).map(utc).as_deref(), Some("2026-11-24 06:00:00 UTC"), "{text}");
        }
        assert_eq!(parse("yesterday"), None);
    }
}

use proptest::prelude::*;

use super::*;

fn windows(text: &str) -> Windows {
    text.parse().unwrap_or_else(|why| panic!("{text}: {why}"))
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn a_window_is_open_from_its_first_minute_up_to_its_last() {
    let office = windows("Mon-Fri 09:00-17:00 Europe/Berlin");
    for (moment, is_open) in [
        ("2026-11-27T07:59:59Z", false),
        ("2026-11-27T08:00:00Z", true),
        ("2026-11-27T15:59:59Z", true),
        ("2026-11-27T16:00:00Z", false),
        ("2026-11-28T10:00:00Z", false),
    ] {
        assert_eq!(office.is_open(at(moment)), is_open, "{moment}");
    }
}

#[test]
fn a_window_over_midnight_belongs_to_the_day_on_which_it_begins() {
    let night = windows("Fri 22:00-06:00 UTC");
    for (moment, is_open) in [
        ("2026-11-27T05:00:00Z", false), // Friday morning
        ("2026-11-27T22:00:00Z", true),
        ("2026-11-28T05:59:00Z", true),
        ("2026-11-28T06:00:00Z", false),
        ("2026-11-28T22:00:00Z", false),
    ] {
        assert_eq!(night.is_open(at(moment)), is_open, "{moment}");
    }
}

#[test]
fn several_windows_days_and_zones_are_one_answer() {
    let both = windows("sat,MON-tue 0:00-24:00 UTC; Sun-Sun 20:00-24:00 Asia/Tokyo");
    for (moment, is_open) in [
        ("2026-11-28T23:59:00Z", true),  // Saturday
        ("2026-11-29T10:59:00Z", false), // Sunday, 19:59 in Tokyo
        ("2026-11-29T11:00:00Z", true),
        ("2026-11-29T15:00:00Z", false), // Monday in Tokyo, Sunday in UTC
        ("2026-11-30T00:00:00Z", true),
        ("2026-12-02T00:00:00Z", false), // Wednesday
    ] {
        assert_eq!(both.is_open(at(moment)), is_open, "{moment}");
    }
}

#[test]
fn the_next_opening_is_told_by_the_clocks_of_its_place() {
    let office = windows("Mon-Fri 09:00-17:00 Europe/Berlin");
    let opening = |now| office.opens_at(at(now)).map(|opening| opening.to_string());
    assert_eq!(opening("2026-11-27T16:00:00Z").as_deref(), Some("Mon 09:00 Europe/Berlin"));
    let now = at("2026-11-27T10:00:30Z");
    assert_eq!(office.opens_at(now).map(|opening| opening.at), Some(now), "it is open");
}

#[test]
fn an_hour_that_the_clocks_skip_opens_a_week_later() {
    // At 02:00 on 29 March 2026 the clocks of Berlin are set to 03:00.
    let skipped = windows("Sun 02:00-03:00 Europe/Berlin");
    let opening = skipped.opens_at(at("2026-03-28T12:00:00Z")).unwrap();
    assert_eq!(opening.at, at("2026-04-05T00:00:00Z"));
}

#[test]
fn what_is_no_window_is_refused_with_an_example() {
    for wrong in [
        "",
        "always",
        "Mon-Fri",
        "09:00-17:00",
        "Mon-Fri 09:00-17:00",
        "Mon-Fri 9-17 Europe/Berlin",
        "Mon-Fri 09:00 Europe/Berlin",
        "Mon-Fri 09:00-24:01 Europe/Berlin",
        "Mon-Fri 09:60-17:00 Europe/Berlin",
        "Mon-Fri +9:00-17:00 Europe/Berlin",
        "Mo-Fr 09:00-17:00 Europe/Berlin",
        "Mon- 09:00-17:00 Europe/Berlin",
        "Mon-Fri 09:00-17:00 Europe/Berlin;",
        "Mon-Fri 09:00-17:00 UTC Tue",
    ] {
        let why = wrong.parse::<Windows>().unwrap_err();
        assert!(why.contains("`Mon-Fri 09:00-17:00 Europe/Berlin`"), "{wrong}: {why}");
    }
    for never in ["Mon 09:00-09:00 UTC", "Mon 24:00-06:00 UTC"] {
        assert!(never.parse::<Windows>().unwrap_err().contains("`00:00-24:00`"), "{never}");
    }
    let nowhere = "Mon 09:00-17:00 Europe/Atlantis".parse::<Windows>().unwrap_err();
    assert!(nowhere.contains("no time zone of that name"), "{nowhere}");
}

#[test]
fn windows_are_read_from_a_record_as_they_were_written() {
    let office = windows(" Mon-Fri  09:00-17:00 Europe/Berlin ;Sat 10:00-12:00 UTC");
    assert_eq!(office.to_string(), "Mon-Fri 09:00-17:00 Europe/Berlin ;Sat 10:00-12:00 UTC");
    let json = serde_json::to_string(&office).unwrap();
    assert_eq!(serde_json::from_str::<Windows>(&json).unwrap(), office);
}

/// Minutes of two weeks around a night in which the clocks of Berlin are changed: the first minute is
/// midnight of a Monday there, and `change` the minute in UTC at which the offset becomes the other.
struct Weeks {
    first: Timestamp,
    change: i64,
    offsets: [i64; 2],
}

impl Weeks {
    /// Minutes since midnight of the first Monday, by the clocks of Berlin, from arithmetic alone.
    fn local(&self, minute: i64) -> i64 {
        let [before, after] = self.offsets;
        if minute < self.change { minute } else { minute + (after - before) * 60 }
    }
}

fn weeks() -> [Weeks; 2] {
    // From 23 March 2026, with the night to the 29th at 01:00 UTC: 6 days and 2 hours later.
    let spring =
        Weeks { first: at("2026-03-22T23:00:00Z"), change: (6 * 24 + 2) * 60, offsets: [1, 2] };
    // From 19 October 2026, with the night to the 25th at 01:00 UTC: 6 days and 3 hours later.
    let autumn =
        Weeks { first: at("2026-10-18T22:00:00Z"), change: (6 * 24 + 3) * 60, offsets: [2, 1] };
    [spring, autumn]
}

const TWO_WEEKS: i64 = 14 * 24 * 60;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn every_minute_of_two_weeks_over_a_change_of_clocks_is_as_arithmetic_has_it(
        days in proptest::collection::btree_set(0..7_i64, 1..7), from in 0..1440_i64, length in 1..1440_i64,
    ) {
        let to = if from + length <= 1440 { from + length } else { (from + length) % 1440 };
        let names: Vec<&str> = days.iter().map(|day| DAYS[usize::try_from(*day).unwrap()]).collect();
        let text = format!(
            "{} {:02}:{:02}-{:02}:{:02} Europe/Berlin", names.join(","), from / 60, from % 60, to / 60, to % 60
        );
        let windows = windows(&text);
        for weeks in weeks() {
            let is_open = |minute: i64| {
                // Minutes of a week of seven times 24 hours, in which each window is a stretch.
                let local = weeks.local(minute).rem_euclid(7 * 1440);
                days.iter().any(|day| (local - day * 1440 - from).rem_euclid(7 * 1440) < length)
            };
            let moment = |minute: i64| weeks.first + SignedDuration::from_mins(minute);
            let mut next_open = None;
            for minute in (0..TWO_WEEKS).rev() {
                if is_open(minute) {
                    next_open = Some(minute);
                }
                prop_assert_eq!(windows.is_open(moment(minute)), is_open(minute), "{}, minute {}", text, minute);
                if minute % 2999 == 0 && next_open.is_some() {
                    let opening = windows.opens_at(moment(minute)).map(|opening| opening.at);
                    prop_assert_eq!(opening, next_open.map(moment), "{}, minute {}", text, minute);
                }
            }
        }
    }
}

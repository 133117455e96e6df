//! Days and hours in which a rung may be climbed, by the clocks of a place.

use std::{fmt, iter, str::FromStr};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

use crate::time::floor;

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// What to write, for whoever wrote something else.
const EXAMPLE: &str =
    "write `Mon-Fri 09:00-17:00 Europe/Berlin`, and several joined by `;`; days are `Mon-Thu,Sat`";

/// Written `Mon-Fri 09:00-17:00 Europe/Berlin`, several joined by `;`: one of them has to be open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Windows {
    text: String,
    all: Vec<Window>,
}

#[derive(Clone, Debug, PartialEq)]
struct Window {
    /// Whether one begins on it, from Monday on
    days: [bool; 7],
    /// Minutes after midnight: the first one in it
    from: u16,
    /// Minutes after midnight: the first one after it; below `from` it is one of the next day
    to: u16,
    zone: TimeZone,
}

/// When a window opens.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Opening {
    pub(crate) at: Timestamp,
    zone: TimeZone,
}

impl Windows {
    pub(crate) fn is_open(&self, now: Timestamp) -> bool {
        self.all.iter().any(|window| window.is_open(now))
    }

    /// The first whole minute from `now` on in which one is open; none where that is more than two
    /// weeks away, as with hours that the clocks skip.
    pub(crate) fn opens_at(&self, now: Timestamp) -> Option<Opening> {
        /// A night of the year has no 02:30, and the same day of the week after has one.
        const FURTHEST: SignedDuration = SignedDuration::from_hours(15 * 24);
        const MINUTE: SignedDuration = SignedDuration::from_secs(60);
        // Minute by minute: what a clock does at night needs no thought, and a day is soon over.
        let minutes = iter::successors(Some(floor(now, MINUTE)), |at| at.checked_add(MINUTE).ok());
        minutes.take_while(|at| at.duration_since(now) < FURTHEST).find_map(|at| {
            let open = self.all.iter().find(|window| window.is_open(at))?;
            Some(Opening { at: at.max(now), zone: open.zone.clone() })
        })
    }
}

impl Window {
    fn is_open(&self, now: Timestamp) -> bool {
        let local = self.zone.to_datetime(now);
        let part = |number: i8| u16::from(number.unsigned_abs());
        let minute = part(local.hour()) * 60 + part(local.minute());
        let today = usize::from(local.weekday().to_monday_zero_offset().unsigned_abs());
        if self.from < self.to {
            return self.days[today] && (self.from..self.to).contains(&minute);
        }
        let yesterday = (today + 6) % 7;
        self.days[today] && minute >= self.from || self.days[yesterday] && minute < self.to
    }
}

impl FromStr for Windows {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = text.split(';').map(window).collect::<Result<Vec<Window>, String>>()?;
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        Ok(Self { text, all })
    }
}

fn window(text: &str) -> Result<Window, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [days, hours, zone] = words[..] else { return Err(EXAMPLE.to_owned()) };
    let days = self::days(days).ok_or(EXAMPLE)?;
    let (from, to) = hours.split_once('-').ok_or(EXAMPLE)?;
    let (from, to) = (minute(from).ok_or(EXAMPLE)?, minute(to).ok_or(EXAMPLE)?);
    if from == to || from == DAY {
        return Err("it is never open: a whole day is `00:00-24:00`".to_owned());
    }
    let zone = TimeZone::get(zone).map_err(|_| {
        "there is no time zone of that name: write one such as `Europe/Berlin` or `UTC`".to_owned()
    })?;
    Ok(Window { days, from, to, zone })
}

/// `Mon-Fri`, `Sat`, `Fri-Mon,Wed`.
fn days(text: &str) -> Option<[bool; 7]> {
    let day = |name: &str| DAYS.iter().position(|day| day.eq_ignore_ascii_case(name));
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        for after in 0..=(last + 7 - first) % 7 {
            days[(first + after) % 7] = true;
        }
    }
    Some(days)
}

/// `09:00` and up to `24:00`, in minutes after midnight.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |digits: &str, lengths: &[usize]| {
        let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<u16>().ok().filter(|_| is_plain && lengths.contains(&digits.len()))
    };
    let (hour, minute) = (number(hour, &[1, 2])?, number(minute, &[2])?);
    let all = hour * 60 + minute;
    (minute < 60 && all <= DAY).then_some(all)
}

impl fmt::Display for Windows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Windows> for String {
    fn from(windows: Windows) -> Self {
        windows.text
    }
}

impl TryFrom<String> for Windows {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// `Mon 09:00 Europe/Berlin`.
impl fmt::Display for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local = self.zone.to_datetime(self.at);
        let day = DAYS[usize::from(local.weekday().to_monday_zero_offset().unsigned_abs())];
        let zone = self.zone.iana_name().unwrap_or("UTC");
        write!(f, "{day} {:02}:{:02} {zone}", local.hour(), local.minute())
    }
}

#[cfg(test)]
mod tests;

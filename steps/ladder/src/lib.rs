//! The percents that a canary climbs, and what it has climbed already, as params and events write them.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use thiserror::Error;

/// Percents of the traffic, each above the one before; a gate decides about each rung below 100, and the last leads
/// to 100. Written `10,25,50,100`, where the 100 may be left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ladder(Vec<u8>);

/// One rung that a canary stood on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rung {
    pub percent: u8,
    /// When it got its first requests at this percent
    pub started_at: Timestamp,
}

/// The rungs below the one that a canary stands on, from its first requests on. Written
/// `10@2026-11-24T09:30:00Z,25@2026-11-24T09:41:00Z`; empty on the first rung.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Climbed(pub Vec<Rung>);

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LadderError {
    #[error(
        "`{0}` is not a valid percent: write whole numbers from 0 to 100, such as `10,25,50,100`"
    )]
    Percent(String),
    #[error("each percent has to be above the one before, and `{1}` follows `{0}`")]
    Descends(u8, u8),
    #[error("the first percent has to be below 100, so that there is a canary to judge")]
    NoRung,
    #[error("`{0}` is not a valid rung: write PERCENT@TIME, such as `10@2026-11-24T09:30:00Z`")]
    Rung(String),
}

impl Ladder {
    /// The percent that a canary begins at.
    pub fn first(&self) -> u8 {
        self.0[0]
    }

    /// The next percent above one; 100 at the end.
    pub fn above(&self, percent: u8) -> u8 {
        self.0.iter().copied().find(|rung| *rung > percent).unwrap_or(100)
    }

    /// The number of a rung, counted from 1.
    pub fn number(&self, percent: u8) -> usize {
        self.0.iter().filter(|rung| **rung < percent).count() + 1
    }

    /// How many gates decide on the way to 100 %.
    pub fn gates(&self) -> usize {
        self.0.len()
    }
}

impl FromStr for Ladder {
    type Err = LadderError;

    fn from_str(text: &str) -> Result<Self, LadderError> {
        let percents = text.split(',').map(percent).collect::<Result<Vec<_>, _>>()?;
        ascending(&percents)?;
        let rungs: Vec<u8> = percents.into_iter().filter(|percent| *percent < 100).collect();
        if rungs.is_empty() { Err(LadderError::NoRung) } else { Ok(Self(rungs)) }
    }
}

impl fmt::Display for Ladder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|rung| write!(f, "{rung},"))?;
        f.write_str("100")
    }
}

impl FromStr for Climbed {
    type Err = LadderError;

    fn from_str(text: &str) -> Result<Self, LadderError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let rung = |text: &str| {
            let wrong = || LadderError::Rung(text.to_owned());
            let (percent, started_at) = text.split_once('@').ok_or_else(wrong)?;
            let started_at = started_at.parse().map_err(|_| wrong())?;
            Ok(Rung { percent: self::percent(percent)?, started_at })
        };
        let rungs = text.split(',').map(rung).collect::<Result<Vec<Rung>, LadderError>>()?;
        ascending(&rungs.iter().map(|rung| rung.percent).collect::<Vec<_>>())?;
        match rungs.windows(2).find(|pair| pair[0].started_at > pair[1].started_at) {
            Some(pair) => Err(LadderError::Rung(pair[1].to_string())),
            None => Ok(Self(rungs)),
        }
    }
}

impl fmt::Display for Climbed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rungs: Vec<String> = self.0.iter().map(Rung::to_string).collect();
        f.write_str(&rungs.join(","))
    }
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.percent, self.started_at)
    }
}

fn percent(text: &str) -> Result<u8, LadderError> {
    let digits = text.trim();
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    let percent = digits.parse().ok().filter(|percent| is_plain && *percent <= 100);
    percent.ok_or_else(|| LadderError::Percent(text.to_owned()))
}

fn ascending(percents: &[u8]) -> Result<(), LadderError> {
    match percents.windows(2).find(|pair| pair[0] >= pair[1]) {
        Some(pair) => Err(LadderError::Descends(pair[0], pair[1])),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_last_percent_may_be_left_out() {
        let short: Ladder = "10, 25,50".parse().unwrap();
        assert_eq!(short, "10,25,50,100".parse().unwrap());
        assert_eq!(
            (short.first(), short.gates(), short.to_string()),
            (10, 3, "10,25,50,100".into())
        );
        assert_eq!(
            [0, 10, 30, 50, 100].map(|percent| short.above(percent)),
            [10, 25, 50, 100, 100]
        );
        assert_eq!([10, 25, 50, 100].map(|percent| short.number(percent)), [1, 2, 3, 4]);
    }

    #[test]
    fn what_is_no_ladder_is_an_error_that_says_why() {
        let error = |text: &str| text.parse::<Ladder>().unwrap_err();
        assert_eq!(error("10,5"), LadderError::Descends(10, 5));
        assert_eq!(error("10,10"), LadderError::Descends(10, 10));
        assert_eq!(error("100"), LadderError::NoRung);
        for wrong in ["", "10,", "101", "+10", "ten", "10.5", "-1", "1000"] {
            assert!(matches!(error(wrong), LadderError::Percent(_)), "{wrong}");
        }
    }

    #[test]
    fn what_was_climbed_has_ascending_percents_and_times() {
        let error = |text: &str| text.parse::<Climbed>().unwrap_err();
        let [early, late] = ["2026-11-24T09:30:00Z", "2026-11-24T09:41:00Z"];
        assert_eq!(error(&format!("25@{early},10@{late}")), LadderError::Descends(25, 10));
        for wrong in ["10", "10@", "10@yesterday", &format!("10@{late},25@{early}")] {
            assert!(matches!(error(wrong), LadderError::Rung(_)), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_it_was(
            percents in proptest::collection::btree_set(0..100_u8, 1..9), seconds in 0..4_000_000_000_i64,
        ) {
            let ladder = Ladder(percents.iter().copied().collect());
            prop_assert_eq!(ladder.to_string().parse::<Ladder>().unwrap(), ladder);
            let at = |(number, percent): (i64, &u8)| Rung {
                percent: *percent,
                started_at: Timestamp::from_second(seconds + number).unwrap(),
            };
            let climbed = Climbed((0..).zip(&percents).map(at).collect());
            prop_assert_eq!(climbed.to_string().parse::<Climbed>().unwrap(), climbed);
        }
    }
}

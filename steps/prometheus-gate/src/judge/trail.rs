//! What each point showed, for pictures: of a long watch in no more points than a picture has room for.

use std::ops::Deref;

use jiff::{SignedDuration, Timestamp};

/// Several for each dot of a picture.
const MOST: usize = 2048;

/// The newest are shown one by one.
const NEWEST: usize = 128;

/// What one point shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// The value may still reach back to before the canary, or to its cold start.
    Warmup,
    Good,
    Bad,
    /// The server answered, and there was no number.
    Missing,
}

/// What one point showed, and what was known then.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct TrailPoint {
    pub(crate) at: Timestamp,
    /// How many points in a row showed it.
    pub(crate) count: usize,
    pub(crate) class: Class,
    /// The value, or the canary's share of errors so far.
    pub(crate) value: Option<f64>,
    /// The baseline's share of errors so far.
    pub(crate) baseline_rate: Option<f64>,
    pub(crate) log_e: Option<f64>,
    pub(crate) log_good: Option<f64>,
    pub(crate) held: SignedDuration,
}

/// Points in time order; neighbours that show the same are one once there are many.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Trail {
    points: Vec<TrailPoint>,
    /// So many points may be one.
    together: usize,
    /// How many there were after the last time that neighbours were put together.
    thinned: usize,
}

impl Trail {
    pub(crate) fn push(&mut self, point: TrailPoint) {
        self.points.push(point);
        // Where no neighbours are alike there are as many as there are; they are not tried at each point.
        if self.points.len() >= MOST.max(self.thinned * 3 / 2) {
            self.thin();
        }
    }

    /// Puts neighbours together, the newer one's numbers for both, and counts them.
    fn thin(&mut self) {
        if self.thinned == 0 || self.thinned > MOST / 2 {
            self.together = self.together.max(1).saturating_mul(2);
        }
        let newest = self.points.len() - NEWEST;
        let mut thinned: Vec<TrailPoint> = Vec::with_capacity(MOST);
        let mut follows_warmup = false;
        for (at, point) in self.points.drain(..).enumerate() {
            match thinned.last_mut() {
                // Where counting begins is a point of its own.
                Some(last)
                    if at < newest
                        && !follows_warmup
                        && shows_the_same(last, &point)
                        && last.count + point.count <= self.together =>
                {
                    *last = TrailPoint { at: last.at, count: last.count + point.count, ..point };
                }
                last => {
                    let is_warmup = |last: &TrailPoint| last.class == Class::Warmup;
                    follows_warmup = last.is_some_and(|last| is_warmup(last)) && !is_warmup(&point);
                    thinned.push(point);
                }
            }
        }
        self.thinned = thinned.len();
        self.points = thinned;
    }
}

fn shows_the_same(one: &TrailPoint, other: &TrailPoint) -> bool {
    one.class == other.class && one.value.is_some() == other.value.is_some()
}

impl Deref for Trail {
    type Target = [TrailPoint];

    fn deref(&self) -> &[TrailPoint] {
        &self.points
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::after;

    fn point(at: usize, class: Class) -> TrailPoint {
        TrailPoint {
            at: after(i64::try_from(at).unwrap() * 5000),
            count: 1,
            class,
            value: Some(0.0),
            baseline_rate: None,
            log_e: None,
            log_good: None,
            held: SignedDuration::ZERO,
        }
    }

    #[test]
    fn a_week_of_points_has_room_and_no_bad_one_is_lost() {
        let mut trail = Trail::default();
        for at in 0..120_960 {
            let class = match at {
                0..4 => Class::Warmup,
                70_000 => Class::Bad,
                _ => Class::Good,
            };
            trail.push(point(at, class));
        }
        assert!(trail.len() < MOST, "{}", trail.len());
        let counted = |class| -> usize {
            trail.iter().filter(|point| point.class == class).map(|point| point.count).sum()
        };
        let counts = [Class::Warmup, Class::Good, Class::Bad].map(counted);
        assert_eq!(counts, [4, 120_955, 1]);
        assert!(trail.windows(2).all(|pair| pair[0].at < pair[1].at));
        assert!(trail.iter().rev().take(NEWEST).all(|point| point.count == 1));
    }

    #[test]
    fn what_is_short_stays_as_it_is() {
        let mut trail = Trail::default();
        (0..MOST - 1).for_each(|at| trail.push(point(at, Class::Good)));
        assert_eq!(trail.len(), MOST - 1);
    }
}

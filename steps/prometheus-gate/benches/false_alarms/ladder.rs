//! Made-up releases that climb a ladder, with a gate on each rung.

use prometheus_gate::{Counts, Process as _, Ratio, Restarted};

use super::simulation::{Chance, Past, Power, Release, SECONDS, Source, as_float, before, median};

/// A release over rungs of the same length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Climb {
    pub(crate) release: Release,
    /// The canary's part grows from 5 to 50 % over so many.
    pub(crate) rungs: usize,
    /// Looks on each.
    pub(crate) looks: usize,
    /// The rung, counted from 1, from which on the canary is worse by the release's ratio.
    pub(crate) bad_from: usize,
}

/// By what the canary is refused.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Evidence {
    /// A test begins on each rung, and those before go on.
    Restarted,
    /// One test goes on over all rungs.
    GoingOn,
    /// A test of each rung alone, which has the whole chance of a false alarm.
    OfOneRung,
}

impl Climb {
    pub(crate) fn new(release: Release, rungs: usize) -> Self {
        Self { release, rungs, looks: 120, bad_from: 1 }
    }

    fn weight(self, rung: usize) -> f64 {
        0.05 * 10_f64.powf(as_float(rung) / as_float(self.rungs - 1))
    }

    /// What came of so many releases: time and requests are counted from when the canary is worse.
    pub(crate) fn power(self, evidence: Evidence, past: Past, runs: u32) -> Power {
        let found: Vec<(f64, f64)> =
            (0..runs).filter_map(|run| self.refused(evidence, past, run)).collect();
        Power {
            found: as_float(found.len()) / f64::from(runs),
            minutes: median(found.iter().map(|(minutes, _)| *minutes)),
            requests: median(found.iter().map(|(_, requests)| *requests)),
        }
    }

    /// After how many minutes and requests the canary was refused, if it was: below none where it was
    /// before it was worse.
    fn refused(self, evidence: Evidence, past: Past, run: u32) -> Option<(f64, f64)> {
        let Self { release, rungs, looks, bad_from } = self;
        let mut chance = Chance::new(run);
        let test = Ratio::new(1.0, &before(release, past, &mut chance));
        let gates = if evidence == Evidence::Restarted { rungs } else { 1 };
        let mut test = Restarted::new(test, 1, gates);
        let (mut canary, mut baseline) = (Source::default(), Source::default());
        let (mut requests, mut bad_looks) = (0.0, 0);
        for look in 0..rungs * looks {
            let rung = look / looks;
            match evidence {
                _ if look == 0 || look % looks > 0 => {}
                Evidence::Restarted => test.begin(),
                Evidence::GoingOn => test.each(Ratio::part),
                Evidence::OfOneRung => {
                    test.each(Ratio::part);
                    test = Restarted::new(test.newest().anew(), 1, 1);
                }
            }
            let is_bad = rung + 1 >= bad_from;
            let ratio = if is_bad { release.ratio } else { 1.0 };
            let weight = self.weight(rung);
            let worse = Release { share: release.share * ratio, ..release };
            let counts = Counts {
                canary: canary.look(worse, weight, look, &mut chance),
                baseline: baseline.look(release, 1.0 - weight, look, &mut chance),
            };
            if is_bad {
                requests += counts.canary.total;
                bad_looks += 1;
            }
            test.each(|test| test.look(counts));
            if test.log_e() >= 20_f64.ln() {
                return Some((as_float(bad_looks) * SECONDS / 60.0, requests));
            }
        }
        None
    }
}

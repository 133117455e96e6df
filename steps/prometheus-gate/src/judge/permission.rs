//! Whether a rung may be climbed that all criteria allow, from point to point; since when that is waited for,
//! and for how long an approval was.

use jiff::{SignedDuration, Timestamp};

use crate::decisions::decision::{Decision, Kind};
use crate::judge::decided::Decided;
use crate::judge::waiting::{Obstacle, Waiting};
use crate::spec::permission::Permission;
use crate::time::length;

/// What is answered at a point at which all criteria hold.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    /// It may be climbed; with the words of whoever approved it.
    Granted(Option<String>),
    Waits,
    /// Nobody approved it in time.
    Expired(String),
}

/// What a canary waits for at a moment, whatever people decided: an open window, or an approval.
pub(crate) fn blocked(rules: &Permission, moment: Timestamp) -> Option<Waiting> {
    let rules = &Permission { decisions: false, ..rules.clone() };
    let ground = Ground { rules, decided: &Decided::default() };
    let mut permits = Permits::default();
    permits.ask(ground, moment, moment);
    permits.waiting(ground)
}

/// What permission rests on.
#[derive(Clone, Copy)]
pub(crate) struct Ground<'a> {
    pub(crate) rules: &'a Permission,
    pub(crate) decided: &'a Decided,
}

/// Permission on its way over the points.
#[derive(Default)]
pub(crate) struct Permits {
    /// What it waits for, and since when, as of the point that was looked at last.
    waiting: Option<(Obstacle, Timestamp)>,
    /// The point that was looked at last.
    last: Option<Timestamp>,
    /// For how long nothing was missing but the approval.
    unapproved: SignedDuration,
}

impl Permits {
    /// Asks at a point at which all criteria hold, which is looked at in the moment in which it is final.
    pub(crate) fn ask(&mut self, ground: Ground, point: Timestamp, moment: Timestamp) -> Answer {
        let last = self.last.replace(point);
        let Some(obstacle) = ground.obstacle(moment) else {
            self.waiting = None;
            return Answer::Granted(ground.approver(moment));
        };
        let before = self.waiting.take();
        if obstacle == Obstacle::Approval {
            // Nights in which no window is open, and hours in which it is held, are not the approver's.
            if let (Some((Obstacle::Approval, _)), Some(last)) = (&before, last) {
                self.unapproved += point.duration_since(last);
            }
            if self.unapproved >= ground.rules.approval_timeout {
                return Answer::Expired(format!(
                    "nobody approved {} % within {}",
                    ground.rules.next,
                    length(ground.rules.approval_timeout)
                ));
            }
        }
        let since =
            before.filter(|(known, _)| *known == obstacle).map_or(moment, |(_, since)| since);
        self.waiting = Some((obstacle, since));
        Answer::Waits
    }

    /// Whether it waits at a point. Where criteria do not hold at it, it does not any more.
    pub(crate) fn waits_at(&mut self, point: Timestamp) -> bool {
        if self.last != Some(point) {
            self.waiting = None;
        }
        self.waiting.is_some()
    }

    /// What is waited for now.
    pub(crate) fn waiting(&self, ground: Ground) -> Option<Waiting> {
        let (obstacle, since) = self.waiting.clone()?;
        Some(Waiting { since, words: ground.words(&obstacle, since), obstacle })
    }
}

impl<'a> Ground<'a> {
    fn obstacle(&self, moment: Timestamp) -> Option<Obstacle> {
        if self.rules.decisions {
            let Some(decisions) = self.decided.at(moment) else { return Some(Obstacle::Unknown) };
            let find = |kind| decisions.iter().find(|decision| decision.kind == kind).cloned();
            if let Some(stop) = find(Kind::StopHold) {
                return Some(Obstacle::Stopped(stop));
            }
            if let Some(hold) = find(Kind::Hold) {
                return Some(Obstacle::Held(hold));
            }
        }
        if self.rules.windows.as_ref().is_some_and(|windows| !windows.is_open(moment)) {
            return Some(Obstacle::Closed);
        }
        (self.rules.approval && self.approval(moment).is_none()).then_some(Obstacle::Approval)
    }

    /// The approval that counts for the next percent.
    fn approval(&self, moment: Timestamp) -> Option<&'a Decision> {
        let next = self.rules.next;
        self.decided
            .at(moment)?
            .iter()
            .find(|decision| decision.kind == Kind::Approve && decision.percent >= next)
    }

    fn approver(&self, moment: Timestamp) -> Option<String> {
        let approval = self.approval(moment).filter(|_| self.rules.approval)?;
        Some(format!("up to {} % approved by {approval}", approval.percent))
    }

    fn words(&self, obstacle: &Obstacle, since: Timestamp) -> String {
        match obstacle {
            Obstacle::Unknown => {
                "waiting for the API server, which knows what people decided".to_owned()
            }
            Obstacle::Stopped(by) => format!("all releases of the namespace are held by {by}"),
            Obstacle::Held(by) => format!("held by {by}"),
            Obstacle::Closed => {
                let opening =
                    self.rules.windows.as_ref().and_then(|windows| windows.opens_at(since));
                match opening {
                    Some(opening) => format!("waiting until {opening}, when windows open"),
                    None => "waiting for windows to open, which is not within two weeks".to_owned(),
                }
            }
            Obstacle::Approval => format!("waiting for approval of {} %", self.rules.next),
        }
    }
}

//! What people had decided, and from which moment on: a fact of the run, which no answer of Prometheus tells.

use jiff::Timestamp;
use serde::Serialize;

use crate::decisions::decision::{Decision, Kind};
use crate::judge::verdict::Verdict;

/// All decisions that were in force, from each moment at which they were others than before. What
/// was there at the first look is taken to have been there before.
#[derive(Clone, Debug, Default)]
pub(crate) struct Decided(Vec<(Timestamp, Vec<Decision>)>);

/// A decision and when the gate saw it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SeenDecision {
    #[serde(flatten)]
    pub(crate) decision: Decision,
    pub(crate) seen_at: Timestamp,
    /// When it was not there any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) gone_at: Option<Timestamp>,
}

impl Decided {
    /// Takes in what is in force at a moment; says whether that is news. Time does not go back, whatever
    /// a clock does.
    pub(crate) fn add(&mut self, now: Timestamp, decisions: Vec<Decision>) -> bool {
        let last = self.0.last();
        if last.is_some_and(|(_, known)| *known == decisions) {
            return false;
        }
        let now = last.map_or(now, |(at, _)| now.max(*at));
        self.0.push((now, decisions));
        true
    }

    /// The changes, in time order.
    pub(crate) fn changes(&self) -> &[(Timestamp, Vec<Decision>)] {
        &self.0
    }

    /// What was in force at a moment; nothing while nobody has looked yet.
    pub(crate) fn at(&self, moment: Timestamp) -> Option<&[Decision]> {
        let after = self.0.partition_point(|(at, _)| *at <= moment);
        self.0.get(after.saturating_sub(1)).map(|(_, decisions)| decisions.as_slice())
    }

    /// The verdict of the person who has the last word now, and their words.
    pub(crate) fn last_word(&self, next: u8) -> Option<(Verdict, String)> {
        self.0.last().and_then(|(_, decisions)| last_word(decisions, next))
    }

    /// Every decision there was, in the order in which they were seen.
    pub(crate) fn seen(&self) -> Vec<SeenDecision> {
        let mut all: Vec<SeenDecision> = Vec::new();
        for (at, decisions) in &self.0 {
            let there = |seen: &SeenDecision| seen.gone_at.is_none();
            for gone in
                all.iter_mut().filter(|seen| there(seen) && !decisions.contains(&seen.decision))
            {
                gone.gone_at = Some(*at);
            }
            for decision in decisions {
                if !all.iter().any(|seen| there(seen) && seen.decision == *decision) {
                    all.push(SeenDecision {
                        decision: decision.clone(),
                        seen_at: *at,
                        gone_at: None,
                    });
                }
            }
        }
        all
    }
}

/// Whoever takes the canary back goes before whoever holds it, and that one before whoever promotes it.
pub(crate) fn last_word(decisions: &[Decision], next: u8) -> Option<(Verdict, String)> {
    let find = |kind| decisions.iter().find(|decision| decision.kind == kind);
    if let Some(stop) = find(Kind::StopRollback) {
        let who = format!("all releases of the namespace are taken back by {stop}");
        return Some((Verdict::Fail, who));
    }
    if let Some(abort) = find(Kind::Abort) {
        return Some((Verdict::Fail, format!("aborted by {abort}")));
    }
    if find(Kind::StopHold).or(find(Kind::Hold)).is_some() {
        return None;
    }
    let promote = find(Kind::Promote).filter(|promote| promote.percent >= next)?;
    Some((Verdict::Pass, format!("promoted to {next} % by {promote}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::after;

    fn decision(kind: Kind, percent: u8) -> Decision {
        Decision { kind, by: "ada".to_owned(), why: "42".to_owned(), percent }
    }

    #[test]
    fn what_was_there_at_the_first_look_was_there_before() {
        let mut decided = Decided::default();
        assert_eq!(decided.at(after(0)), None);
        assert!(decided.add(after(10), vec![]));
        assert!(!decided.add(after(20), vec![]), "no news");
        let hold = vec![decision(Kind::Hold, 100)];
        assert!(decided.add(after(30), hold.clone()));
        assert_eq!([0, 10, 29].map(|at| decided.at(after(at))), [Some(&[][..]); 3]);
        assert_eq!([30, 99].map(|at| decided.at(after(at))), [Some(hold.as_slice()); 2]);
        decided.add(after(20), vec![]); // by a clock that was set back
        assert_eq!(decided.changes()[2].0, after(30));
    }

    #[test]
    fn who_takes_back_goes_before_who_holds_and_that_one_before_who_promotes() {
        let word = |kinds: &[Kind], next| {
            let mut decided = Decided::default();
            decided.add(after(0), kinds.iter().map(|kind| decision(*kind, 50)).collect());
            decided.last_word(next)
        };
        let all = [Kind::Approve, Kind::Hold, Kind::Promote, Kind::Abort, Kind::StopRollback];
        let fail = |text: &str| Some((Verdict::Fail, text.to_owned()));
        assert_eq!(word(&all, 50), fail("all releases of the namespace are taken back by ada: 42"));
        assert_eq!(word(&all[..4], 50), fail("aborted by ada: 42"));
        assert_eq!(word(&all[..3], 50), None);
        assert_eq!(word(&[Kind::StopHold, Kind::Promote], 50), None);
        let promoted = Some((Verdict::Pass, "promoted to 25 % by ada: 42".to_owned()));
        assert_eq!(word(&[Kind::Promote], 25), promoted);
        assert_eq!(word(&[Kind::Promote], 51), None, "up to 50 % only");
        assert_eq!(word(&[Kind::Approve], 50), None);
    }

    #[test]
    fn a_decision_is_listed_from_when_it_was_seen_until_it_was_gone() {
        let mut decided = Decided::default();
        decided.add(after(0), vec![decision(Kind::Hold, 100)]);
        decided.add(after(10), vec![decision(Kind::Approve, 50), decision(Kind::Hold, 100)]);
        decided.add(after(20), vec![decision(Kind::Approve, 50)]);
        decided.add(after(30), vec![decision(Kind::Hold, 100)]);
        let listed: Vec<_> = decided
            .seen()
            .into_iter()
            .map(|seen| (seen.decision.kind, seen.seen_at, seen.gone_at))
            .collect();
        assert_eq!(
            listed,
            [
                (Kind::Hold, after(0), Some(after(20))),
                (Kind::Approve, after(10), Some(after(30))),
                (Kind::Hold, after(30), None),
            ]
        );
    }
}

//! Listens to people while Prometheus is asked, and says what a canary waits for that nothing else keeps from
//! its next rung.

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use step::text::is_plain_path;

use crate::decisions::people::lease;
use crate::judge::waiting::{Obstacle, Waiting};
use crate::judge::{decided::last_word, verdict::Judgement};
use crate::output::report;
use crate::record::file::without_report;
use crate::record::line::Last;
use crate::spec::{permission::Permission, rollout::Subject};
use crate::watch::state::{Round, Watch};

/// A canary that waits is judged every half minute at most, since all its points are judged again each
/// time, and there are more and more of them: a day's are judged within a second.
const LONGEST_REST: SignedDuration = SignedDuration::from_secs(30);

/// What came of listening and asking.
pub(super) enum Heard {
    /// A person has ended it.
    LastWord(Last),
    /// It waits, nobody has decided anything, and Prometheus was not asked.
    Nothing,
    Round(Round),
}

impl Watch {
    /// Listens to people and asks Prometheus at the same time. Whoever ends the gate is not made to wait
    /// for an answer.
    pub(super) async fn listen_and_ask(&mut self) -> Result<Heard> {
        let rests = self.rests_until.is_some_and(|until| self.now() < until);
        let Some(mut people) = self.people.take() else {
            return if rests { Ok(Heard::Nothing) } else { self.ask().await.map(Heard::Round) };
        };
        let next = self.record.spec.permission.next;
        let (decisions, round) = {
            let mut asking =
                std::pin::pin!(async { if rests { Ok(None) } else { self.ask().await.map(Some) } });
            let mut listening = std::pin::pin!(people.read());
            tokio::select! {
                round = &mut asking => (listening.await, Some(round?)),
                decisions = &mut listening => {
                    let ends = decisions.as_ref().is_some_and(|all| last_word(all, next).is_some());
                    (decisions, if ends { None } else { Some(asking.await?) })
                }
            }
        };
        self.people = Some(people);
        let now = self.now();
        let is_news = decisions.is_some_and(|decisions| self.record.decide(now, decisions));
        if let Some((verdict, who)) = self.record.samples.decided.last_word(next) {
            return Ok(Heard::LastWord(Last::Overridden { verdict, who }));
        }
        match round.flatten() {
            Some(round) => Ok(Heard::Round(round)),
            None if is_news => self.ask().await.map(Heard::Round),
            None => Ok(Heard::Nothing),
        }
    }

    /// Says once what is waited for, and how to go on, and leaves the evidence to look at.
    pub(super) fn wait(&mut self, judgement: &Judgement, now: Timestamp) {
        let Some(waiting) = &judgement.waiting else {
            self.waits_for = None;
            self.rests_until = None;
            return;
        };
        // As long as it has been watched for, a rest more or less does not matter.
        let rest = (now.duration_since(self.record.t0) / 120).min(LONGEST_REST);
        // What was decided just now counts from the next point on.
        let decided = self.record.samples.decided.changes().last().map(|(at, _)| *at);
        let is_quiet = decided.is_none_or(|at| now.duration_since(at) > rest);
        self.rests_until = is_quiet.then(|| now + rest);
        if self.waits_for.as_ref() == Some(&waiting.obstacle) {
            return;
        }
        self.waits_for = Some(waiting.obstacle.clone());
        self.view.line(&told(waiting, &self.record.spec.permission, &self.record.subject));
        if self.gate.reports.is_empty() {
            return;
        }
        let end = self.end(now);
        let summary = self.record.summary(&end);
        for folder in self.gate.reports.clone() {
            match report::write(&folder, &summary, &self.record) {
                Ok(()) => self.view.line(&format!(
                    "how it stands is in `{}`",
                    folder.join("report.html").display()
                )),
                Err(error) => without_report(&error, self.record.failed_in(&folder)),
            }
        }
    }
}

/// What is waited for, and the command that ends it.
fn told(waiting: &Waiting, permission: &Permission, subject: &Subject) -> String {
    // A command is copied into a shell.
    let plain = |text: &Option<String>, otherwise: &str| {
        let plain = text.as_deref().filter(|text| is_plain_path(text));
        plain.unwrap_or(otherwise).to_owned()
    };
    let namespace = plain(&subject.namespace, "NAMESPACE");
    let annotate = |what: &str| {
        let lease = lease(&plain(&subject.service, "SERVICE"));
        format!("kubectl annotate lease {lease} -n {namespace} {what}")
    };
    let version = plain(&subject.canary.version, "VERSION");
    let decide = |how: &str| {
        annotate(&format!("--overwrite kanaria.dev/{how}='{version}@{} WHO: WHY'", permission.next))
    };
    let words = &waiting.words;
    match waiting.obstacle {
        Obstacle::Approval => format!("{words}: {}", decide("approve")),
        Obstacle::Held(_) => format!("{words}; resume: {}", annotate("kanaria.dev/hold-")),
        Obstacle::Stopped(_) => {
            format!("{words}; resume: kubectl delete configmap canary-stop -n {namespace}")
        }
        Obstacle::Closed if permission.decisions => {
            format!("{words}; at once: {}", decide("promote"))
        }
        Obstacle::Closed | Obstacle::Unknown => words.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decisions::decision::{Decision, Kind};
    use crate::spec::rollout::Version;

    fn subject(version: &str) -> Subject {
        Subject {
            service: Some("iris".to_owned()),
            namespace: Some("models".to_owned()),
            canary: Version { version: Some(version.to_owned()), ..Version::default() },
            ..Subject::default()
        }
    }

    fn of(obstacle: Obstacle, version: &str) -> String {
        let permission = Permission { next: 50, decisions: true, ..Permission::default() };
        let waiting =
            Waiting { since: Timestamp::UNIX_EPOCH, words: "it waits".to_owned(), obstacle };
        told(&waiting, &permission, &subject(version))
    }

    #[test]
    fn the_command_that_helps_is_told() {
        let ada =
            Decision { kind: Kind::Hold, by: "ada".to_owned(), why: String::new(), percent: 100 };
        for (obstacle, command) in [
            (
                Obstacle::Approval,
                "it waits: kubectl annotate lease iris-canary-decision -n models --overwrite kanaria.dev/approve='v2@50 WHO: WHY'",
            ),
            (
                Obstacle::Held(ada.clone()),
                "it waits; resume: kubectl annotate lease iris-canary-decision -n models kanaria.dev/hold-",
            ),
            (
                Obstacle::Stopped(ada),
                "it waits; resume: kubectl delete configmap canary-stop -n models",
            ),
            (
                Obstacle::Closed,
                "it waits; at once: kubectl annotate lease iris-canary-decision -n models --overwrite kanaria.dev/promote='v2@50 WHO: WHY'",
            ),
            (Obstacle::Unknown, "it waits"),
        ] {
            assert_eq!(of(obstacle, "v2"), command);
        }
    }

    #[test]
    fn a_version_that_a_shell_would_obey_is_in_no_command() {
        let told = of(Obstacle::Approval, "v2' ; rm -rf / '");
        assert!(told.ends_with("kanaria.dev/approve='VERSION@50 WHO: WHY'"), "{told}");
    }
}

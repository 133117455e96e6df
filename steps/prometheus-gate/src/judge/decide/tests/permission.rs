//! Criteria that hold, and whether the rung may be climbed.

use proptest::prelude::*;

use super::*;
use crate::decisions::decision::{Decision, Kind};

/// Somebody has to approve 50 %, within 10 minutes.
fn approval() -> Permission {
    Permission {
        next: 50,
        approval: true,
        approval_timeout: SignedDuration::from_mins(10),
        windows: None,
        decisions: true,
    }
}

fn decision(kind: Kind, percent: u8) -> Decision {
    Decision { kind, by: "ada".to_owned(), why: "p99 is fine".to_owned(), percent }
}

/// The moment in which the last of so many points has become final.
fn moment(points: usize) -> Timestamp {
    T0 + STEP * (count(points) - 1) + TIMING.settle
}

/// What the gate says when the last mark has just become final; people's decisions are in force from
/// the moment in which so many points were final.
fn waited(marks: &str, permission: &Permission, changes: &[(usize, Vec<Decision>)]) -> Judgement {
    let mut samples = samples(answers(marks), None);
    for (points, decisions) in changes {
        samples.decided.add(moment(*points), decisions.clone());
    }
    let spec = Spec { permission: permission.clone(), ..spec(zero_errors()) };
    verdict(&spec, T0, &samples, moment(marks.len()))
}

fn shown(judgement: &Judgement) -> (Verdict, Reason, &str) {
    (judgement.verdict, judgement.reason, judgement.message.as_str())
}

/// As many good points after the warm-up. Seven hold.
fn good(points: usize) -> String {
    format!("{WARM}{}", ".".repeat(points))
}

const NOBODY: [(usize, Vec<Decision>); 1] = [(1, vec![])];

#[test]
fn what_holds_waits_for_approval_also_past_the_deadline() {
    for points in [7, 57, 58, 100] {
        let judgement = waited(&good(points), &approval(), &NOBODY);
        let told = "errors: 0; waiting for approval of 50 %";
        assert_eq!(shown(&judgement), (Verdict::Pending, Reason::Pending, told), "{points} points");
        assert_eq!(judgement.waiting.unwrap().since, moment(11), "since it holds");
    }
    assert_eq!(waited(&good(6), &approval(), &NOBODY).waiting, None, "it does not hold yet");
}

#[test]
fn an_approval_is_a_pass_from_where_it_is_there_and_says_whose() {
    let approved = [(1, vec![]), (80, vec![decision(Kind::Approve, 50)])];
    assert_eq!(waited(&good(75), &approval(), &approved).verdict, Verdict::Pending);
    let judgement = waited(&good(76), &approval(), &approved);
    let told = "held for 30s: errors: 0; up to 50 % approved by ada: p99 is fine";
    assert_eq!(shown(&judgement), (Verdict::Pass, Reason::Hold, told));
    assert_eq!((judgement.decided_at, judgement.waiting), (moment(80), None));
    let less = [(1, vec![decision(Kind::Approve, 49)])];
    assert_eq!(waited(&good(76), &approval(), &less).verdict, Verdict::Pending, "up to 49 % only");
}

#[test]
fn nobody_who_approves_in_time_is_a_no() {
    // It holds from the eleventh point on; ten minutes later is the 131st.
    assert_eq!(waited(&good(126), &approval(), &NOBODY).verdict, Verdict::Pending);
    let judgement = waited(&good(200), &approval(), &NOBODY);
    let told = "nobody approved 50 % within 10m; held for 30s: errors: 0";
    assert_eq!(shown(&judgement), (Verdict::Fail, Reason::NotApproved, told));
    assert_eq!(judgement.decided_at, moment(131));
}

#[test]
fn a_hold_a_stop_and_a_closed_window_wait_without_a_limit_and_do_not_use_up_the_approvers_time() {
    // The start is a Monday, 13:46:40 UTC.
    let night = Permission { windows: Some("Mon 20:00-21:00 UTC".parse().unwrap()), ..approval() };
    let holds = |kind| [(1, vec![decision(kind, 100)])];
    for (permission, changes, words) in [
        (&approval(), &holds(Kind::Hold)[..], "held by ada: p99 is fine"),
        (
            &approval(),
            &holds(Kind::StopHold),
            "all releases of the namespace are held by ada: p99 is fine",
        ),
        (&night, &NOBODY, "waiting until Mon 20:00 UTC, when windows open"),
    ] {
        let judgement = waited(&good(400), permission, changes);
        assert_eq!(judgement.verdict, Verdict::Pending, "{words}");
        assert_eq!(judgement.waiting.unwrap().words, words);
    }
    // Held from the 71st point, five minutes after it held, to the 171st: five minutes are left from there.
    let held = [(1, vec![]), (71, vec![decision(Kind::Hold, 100)]), (171, vec![])];
    assert_eq!(waited(&good(226), &approval(), &held).verdict, Verdict::Pending);
    assert_eq!(waited(&good(400), &approval(), &held).reason, Reason::NotApproved);
}

#[test]
fn who_resumes_lets_it_climb() {
    let permission = Permission { approval: false, ..approval() };
    let held = [(1, vec![decision(Kind::Hold, 100)]), (90, vec![])];
    assert_eq!(waited(&good(85), &permission, &held).verdict, Verdict::Pending);
    let judgement = waited(&good(86), &permission, &held);
    assert_eq!((judgement.verdict, judgement.decided_at), (Verdict::Pass, moment(90)));
    assert_eq!(judgement.message, "held for 30s: errors: 0");
}

#[test]
fn a_gate_that_is_started_again_is_held_by_what_is_there_then() {
    let held = [(300, vec![decision(Kind::Hold, 100)])];
    assert_eq!(waited(&good(296), &approval(), &held).verdict, Verdict::Pending);
    assert_eq!(waited(&good(296), &approval(), &[]).verdict, Verdict::Pending, "not known");
    let approved = [(300, vec![decision(Kind::Approve, 50)])];
    assert_eq!(waited(&good(296), &approval(), &approved).verdict, Verdict::Pass);
}

#[test]
fn it_fails_as_always_while_it_waits() {
    let marks = good(100) + "xxxxx";
    let judgement = waited(&marks, &approval(), &NOBODY);
    assert_eq!((judgement.verdict, judgement.reason), (Verdict::Fail, Reason::Limit));
    assert_eq!(judgement.waiting, None);
}

#[test]
fn a_bad_point_while_it_waits_starts_the_hold_anew_and_the_deadline_too() {
    let approved = [(1, vec![]), (105, vec![decision(Kind::Approve, 50)])];
    let marks = |after: usize| format!("{}x{}", good(100), ".".repeat(after));
    assert_eq!(waited(&marks(6), &approval(), &approved).verdict, Verdict::Pending);
    assert_eq!(waited(&marks(7), &approval(), &approved).verdict, Verdict::Pass);
    // The deadline of 300 s counts from the first point that did not hold, the 105th.
    let flapping = good(100) + &"x.".repeat(60);
    let ended = |points: usize| waited(&flapping[..points], &approval(), &NOBODY).reason;
    assert_eq!((ended(156), ended(157)), (Reason::Pending, Reason::Infeasible));
}

fn marks() -> impl Strategy<Value = String> {
    let mark = prop_oneof![12 => Just('.'), 1 => Just('x'), 1 => Just('_'), 1 => Just('n')];
    proptest::collection::vec(mark, 1..160).prop_map(|marks| marks.into_iter().collect())
}

/// Who decided what at which points, from the first look on.
fn changes() -> impl Strategy<Value = Vec<(usize, Vec<Decision>)>> {
    let one = prop_oneof![
        3 => Just(vec![]),
        1 => Just(vec![decision(Kind::Hold, 100)]),
        1 => Just(vec![decision(Kind::Approve, 25)]),
        1 => Just(vec![decision(Kind::Approve, 50)]),
        1 => Just(vec![decision(Kind::Approve, 100), decision(Kind::StopHold, 100)]),
    ];
    proptest::collection::vec((1..160_usize, one), 1..6).prop_map(|mut changes| {
        changes.sort_by_key(|(points, _)| *points);
        changes[0].0 = 1;
        changes
    })
}

fn permission() -> impl Strategy<Value = Permission> {
    // The start is 13:46:40, and the last point 13 minutes later.
    let windows = prop_oneof![Just(""), Just("Mon 13:49-13:52 UTC"), Just("Mon 13:55-14:00 UTC")];
    (any::<bool>(), 20..600_i64, windows).prop_map(|(approval, timeout, windows)| Permission {
        next: 50,
        approval,
        approval_timeout: SignedDuration::from_secs(timeout),
        windows: windows.parse().ok(),
        decisions: true,
    })
}

proptest! {
    // Each case judges up to 160 times.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_gate_that_looked_at_every_step_agrees_with_one_that_looks_once(
        marks in marks(), permission in permission(), changes in changes(),
    ) {
        let seen = |points: usize| {
            let known: Vec<_> = changes.iter().filter(|(at, _)| *at <= points).cloned().collect();
            waited(&marks[..points], &permission, &known)
        };
        let first = (1..=marks.len()).map(seen).find(|judgement| judgement.verdict != Verdict::Pending);
        let all = seen(marks.len());
        let Some(first) = first else {
            prop_assert_eq!(all.verdict, Verdict::Pending);
            return Ok(());
        };
        prop_assert_eq!(shown(&first), shown(&all));
        prop_assert_eq!(first.decided_at, all.decided_at);
    }

    #[test]
    fn permission_makes_no_pass_and_takes_no_fail_away(
        marks in marks(), permission in permission(), changes in changes(),
    ) {
        let with = waited(&marks, &permission, &changes);
        let without = waited(&marks, &Permission::default(), &[]);
        if without.verdict != Verdict::Pass {
            prop_assert_eq!(shown(&with), shown(&without));
        }
    }

    #[test]
    fn one_point_after_a_long_wait_never_ends_it(
        held in 7..120_usize, mark in "[x_n?]", more in 0..4_usize, permission in permission(),
    ) {
        let hold = [(1, vec![decision(Kind::Hold, 100)])];
        let marks = good(held) + &mark + &mark.repeat(more);
        let judgement = waited(&marks, &permission, &hold);
        prop_assert_eq!(judgement.verdict, Verdict::Pending, "{}", judgement.message);
        // And from there on it can hold again, and pass.
        let again = marks.replace('?', ".") + &".".repeat(20);
        let released = [hold[0].clone(), (marks.len() + 1, vec![decision(Kind::Approve, 100)])];
        let judgement = waited(&again, &Permission { windows: None, ..permission }, &released);
        prop_assert_eq!(judgement.verdict, Verdict::Pass, "{}", judgement.message);
    }
}

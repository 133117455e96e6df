//! Gates on later rungs, and the one that bakes.

use super::*;
use crate::judge::verdict::{Judgement, Reason};

/// The same, where the gate is that of the last rung.
fn climbing(criteria: &str, rungs: &[(u8, i64)], series: &[(&str, &str)]) -> Result<Judgement> {
    let spec = format!(
        "timing: {{step: 5s, hold: 30s, warmup: 8s, settle: 10s, deadline: 5m, bake: 1m}}\n{criteria}"
    );
    let written = series
        .iter()
        .map(|(name, notation)| ((*name).to_owned(), (*notation).to_owned()))
        .collect();
    let rung = |(percent, after): &(u8, i64)| Rung {
        percent: *percent,
        after: Length(SignedDuration::from_secs(*after)),
    };
    let case = Case {
        name: "test".into(),
        interval: Length(SignedDuration::from_secs(5)),
        rungs: rungs.iter().map(rung).collect(),
        series: written,
        expect: Expected { verdict: Verdict::Pass, reason: None, within: None },
    };
    run(parse(&spec)?, &case).map(|(summary, _)| summary.judgement)
}

/// The verdict, its reason, and after how many seconds from the first rung on.
fn judged(criteria: &str, rungs: &[(u8, i64)], series: &[(&str, &str)]) -> String {
    let judgement = climbing(criteria, rungs, series).unwrap();
    format!("{} {} {}", judgement.verdict, judgement.reason, judgement.decided_at.as_second())
}

const RUNGS: [(u8, i64); 2] = [(10, 0), (50, 60)];

#[test]
fn a_later_rung_has_a_warm_up_and_a_hold_of_its_own() {
    let value = "criteria: [{name: a, query: q, when: value == 0}]";
    assert_eq!(judged(value, &RUNGS, &[("a", "0x90")]), "pass hold 110");
    assert_eq!(judged(value, &RUNGS, &[("a", "0x4 1x11 0x90")]), "fail limit 90");
    assert_eq!(judged(value, &RUNGS, &[("a", "1x3 0x90")]), "pass hold 110");
    assert_eq!(judged(value, &RUNGS, &[("a", "0x10 stale")]), "inconclusive nodata 330");
}

#[test]
fn counters_are_compared_over_the_rungs_at_their_weights() {
    let series = |bad| {
        [
            ("e/canary_total", "0+10x12 120+50x80"),
            ("e/baseline_total", "0+90x12 1080+50x80"),
            ("e/canary_errors", bad),
            ("e/baseline_errors", "0x90"),
        ]
    };
    assert_eq!(judged(COMPARED, &RUNGS, &series("0x90")), "pass hold 110");
    assert!(judged(COMPARED, &RUNGS, &series("0x12 0+50x80")).starts_with("fail evidence "));
    let message = climbing(COMPARED, &RUNGS, &series("0x90")).unwrap().message;
    assert!(message.ends_with("; 0 of 300 and 0 of 300 on this rung"), "{message}");
}

#[test]
fn rungs_that_are_no_ladder_are_refused() {
    let value = "criteria: [{name: a, query: q, when: value == 0}]";
    for rungs in
        [[(50, 0), (10, 60)], [(10, 60), (50, 0)], [(10, 30), (50, 60)], [(10, 0), (101, 9)]]
    {
        let error = format!("{:#}", climbing(value, &rungs, &[]).unwrap_err());
        assert!(error.contains("the rungs of test `test` are not a ladder"), "{error}");
    }
}

/// All traffic from the second minute on: the baseline's counters stand still.
const BAKING: [(u8, i64); 2] = [(50, 0), (100, 60)];
const OBJECTIVE: &str = "rollout: {canarySelector: c, baselineSelector: b}\ncriteria: [\
    {name: e, compare: {errors: x, total: y}}, {name: s, slo: {errors: x, total: y, fail: 0.05, pass: 0.0001}}, \
    {name: a, query: q, when: value == 0, failLimit: 0}]";

fn baking<'a>(bad: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("e/canary_total", "0+50x12 600+100x80"),
        ("e/baseline_total", "0+50x12 600x80"),
        ("e/canary_errors", bad),
        ("e/baseline_errors", "0x90"),
        ("s/canary_total", "0+50x12 600+100x80"),
        ("s/canary_errors", bad),
        ("a", value),
    ]
}

#[test]
fn at_all_traffic_a_gate_passes_when_nothing_has_failed_for_the_time_to_bake() {
    assert_eq!(judged(OBJECTIVE, &BAKING, &baking("0x90", "0x90")), "pass hold 130");
    let message = climbing(OBJECTIVE, &BAKING, &baking("0x90", "0x90")).unwrap().message;
    assert!(message.starts_with("nothing failed for 1m at 100 %: e: "), "{message}");
    let idle = [("a", "0x90")];
    assert_eq!(judged(OBJECTIVE, &BAKING, &idle), "pass hold 130", "no baseline is no reason");
}

#[test]
fn at_all_traffic_a_gate_fails_by_what_needs_no_baseline() {
    let bad = baking("0x14 0+30x80", "0x90");
    let judgement = climbing(OBJECTIVE, &BAKING, &bad).unwrap();
    assert_eq!((judgement.verdict, judgement.reason), (Verdict::Fail, Reason::Evidence));
    assert!(judgement.message.starts_with("s: "), "{}", judgement.message);
    assert_eq!(judged(OBJECTIVE, &BAKING, &baking("0x90", "0x20 1x80")), "fail limit 115");
}

#[test]
fn at_all_traffic_a_value_has_to_hold_as_always() {
    assert_eq!(
        judged(OBJECTIVE, &BAKING, &baking("0x90", "0x10 stale")),
        "inconclusive nodata 330"
    );
    let flapping = OBJECTIVE.replace("failLimit: 0", "failLimit: 9");
    assert_eq!(judged(&flapping, &BAKING, &baking("0x90", "0x22 1 0x80")), "pass hold 160");
}

#[test]
fn below_all_traffic_a_time_to_bake_has_no_effect() {
    let series = baking("0x90", "0x90");
    assert_eq!(judged(OBJECTIVE, &[(50, 0), (99, 60)], &series), "inconclusive nodata 360");
}

#[test]
fn a_time_to_bake_that_is_longer_than_the_deadline_moves_it() {
    let deadline = |bake| {
        let text = format!(
            "timing: {{deadline: 30m, bake: {bake}}}\nrollout: {{percent: 100}}\ncriteria: []"
        );
        parse(&text).unwrap().timing().deadline
    };
    assert_eq!(deadline("10m"), SignedDuration::from_mins(30));
    assert!(deadline("2h") > SignedDuration::from_mins(125), "{:?}", deadline("2h"));
}

use jiff::SignedDuration;

use super::*;
use crate::time::after;

#[test]
fn the_notation_is_that_of_promtool() {
    use crate::cli::promtool_series::Sample::{Absent, Stale, Value};
    assert_eq!(values("1 2").unwrap(), [Value(1.0), Value(2.0)]);
    assert_eq!(values("1x2").unwrap(), [Value(1.0); 3]);
    assert_eq!(values("1+2x2").unwrap(), [Value(1.0), Value(3.0), Value(5.0)]);
    assert_eq!(values("-1-2x1").unwrap(), [Value(-1.0), Value(-3.0)]);
    assert_eq!(values("1e-3 _ _x2 stale").unwrap(), [Value(0.001), Absent, Absent, Absent, Stale]);
    assert!(
        matches!(values("NaN +Inf").unwrap()[..], [Value(nan), Value(f64::INFINITY)] if nan.is_nan())
    );
    assert!(values("one").is_err());
}

#[test]
fn a_sample_lasts_until_the_next_one_or_for_five_minutes() {
    let minute = SignedDuration::from_mins(1);
    let grid = Grid { from: after(0), to: after(480_000), step: minute };
    let points = |notation: &str| at_points(&values(notation).unwrap(), minute, grid).len();
    assert_eq!(points("1"), 5, "0 to 240 s");
    assert_eq!(points("1 stale"), 1);
    assert_eq!(points("1 _ 1"), 7);
    assert_eq!(points("1x8"), 9);
}

/// Samples are 5 s apart, judged from 10 s on; the hold takes 30 s, and there are 300 s in all.
fn summary(criteria: &str, series: &[(&str, &str)]) -> Result<Summary> {
    summary_on(Vec::new(), criteria, series)
}

/// The same on the last of these rungs.
fn summary_on(rungs: Vec<Rung>, criteria: &str, series: &[(&str, &str)]) -> Result<Summary> {
    let spec = format!(
        "timing: {{step: 5s, hold: 30s, warmup: 8s, settle: 10s, deadline: 5m}}\n{criteria}"
    );
    let written = series
        .iter()
        .map(|(name, notation)| ((*name).to_owned(), (*notation).to_owned()))
        .collect();
    let expect = Expected { verdict: Verdict::Pass, reason: None, within: None };
    let case = Case {
        name: "test".into(),
        interval: Length(SignedDuration::from_secs(5)),
        rungs,
        series: written,
        expect,
    };
    run(parse(&spec)?, &case).map(|(summary, _)| summary)
}

/// The verdict, its reason, and after how many seconds.
fn judged(criteria: &str, series: &[(&str, &str)]) -> String {
    let judgement = summary(criteria, series).unwrap().judgement;
    format!("{} {} {}", judgement.verdict, judgement.reason, judgement.decided_at.as_second())
}

#[test]
fn a_value_is_judged_by_its_condition() {
    let spec = "criteria: [{name: a, query: q, when: value == 0}]";
    assert_eq!(judged(spec, &[("a", "0x60")]), "pass hold 50");
    assert_eq!(judged(spec, &[("a", "0x4 1 0x60")]), "pass hold 70");
    assert_eq!(judged(spec, &[("a", "1x60")]), "fail limit 75", "12 points in a row");
    assert_eq!(judged(spec, &[]), "inconclusive nodata 270");
}

#[test]
fn limits_count_bad_points_in_all_and_in_a_row() {
    let limit =
        "criteria: [{name: a, query: q, when: value == 0, failLimit: 2, consecutiveFail: -1}]";
    assert_eq!(judged(limit, &[("a", "0 0 1 0 1 0 0 1 0x60")]), "fail limit 45");
    let row = "criteria: [{name: a, query: q, when: value == 0, consecutiveFail: 3}]";
    assert_eq!(judged(row, &[("a", "0 0 1 1 0 1 1 stale 1 0x60")]), "fail limit 50");
}

#[test]
fn what_is_terribly_bad_fails_fast_and_only_if_it_lasts() {
    let spec =
        "criteria: [{name: a, query: q, when: value < 1, fastFail: {when: value > 5, for: 10s}}]";
    assert_eq!(judged(spec, &[("a", "0 0 0 9 9 9 0x60")]), "fail fastfail 35");
    assert_eq!(judged(spec, &[("a", "0 0 0 9 9 0 9 9 0x60")]), "pass hold 80");
}

#[test]
fn nan_and_infinities_are_what_the_spec_says() {
    let missing = "criteria: [{name: a, query: q, when: not value > 5}]";
    assert_eq!(judged(missing, &[("a", "NaN NaNx60")]), "inconclusive nodata 270");
    let bad = "criteria: [{name: a, query: q, when: not value > 5, nan: bad, failLimit: 0}]";
    assert_eq!(judged(bad, &[("a", "0 0 0 NaNx9")]), "fail limit 25");
    let value = "criteria: [{name: a, query: q, when: value > 5}]";
    assert_eq!(judged(value, &[("a", "Infx60")]), "pass hold 50");
    let bad = "criteria: [{name: a, query: q, when: value > 5, inf: bad, failLimit: 0}]";
    assert_eq!(judged(bad, &[("a", "Infx60")]), "fail limit 20");
}

#[test]
fn several_series_are_all_or_any() {
    let spec = |series| {
        format!(
            "criteria: [{{name: a, query: q, when: value == 0, series: {series}, consecutiveFail: 3}}]"
        )
    };
    let two = [("a/x{pod=\"1\"}", "0x60"), ("a/x{pod=\"2\"}", "1x60")];
    assert_eq!(judged(&spec("all"), &two), "fail limit 30");
    assert_eq!(judged(&spec("any"), &two), "pass hold 50");
    assert_eq!(judged(&spec("all"), &[]), "inconclusive nodata 270", "all of nothing is nothing");
}

#[test]
fn no_sample_may_be_bad_and_is_zero_only_beside_traffic() {
    let bad = "criteria: [{name: a, query: q, when: value == 0, missing: bad, failLimit: 0}]";
    assert_eq!(judged(bad, &[]), "fail limit 20");
    let zero = "criteria: [{name: a, query: q, when: value == 0, missing: zero, presence: p}]";
    assert_eq!(
        judged(zero, &[]),
        "inconclusive nodata 270",
        "no errors without traffic are no news"
    );
    assert_eq!(judged(zero, &[("a presence", "5x60")]), "pass hold 50");
}

#[test]
fn a_ratio_looks_at_the_other_criterion_at_the_same_time() {
    let spec = "criteria: [{name: a, query: q, when: value / b <= 1.5, failLimit: 0}, \
                {name: b, query: q, when: value >= 0, role: observe}]";
    assert_eq!(judged(spec, &[("a", "3x60"), ("b", "2x60")]), "pass hold 50");
    assert_eq!(judged(spec, &[("a", "4x60"), ("b", "2x60")]), "fail limit 20");
    assert_eq!(judged(spec, &[("a", "4x60")]), "inconclusive nodata 270");
}

#[test]
fn roles_tell_who_decides() {
    let spec = |role| {
        format!(
            "criteria: [{{name: a, query: q, when: value == 0}}, \
         {{name: b, query: q, when: value == 0, failLimit: 0, role: {role}}}]"
        )
    };
    let series = [("a", "0x60"), ("b", "0x5 1x60")];
    assert_eq!(judged(&spec("gate"), &series), "fail limit 40");
    assert_eq!(judged(&spec("observe"), &series), "pass hold 50");
    assert_eq!(judged(&spec("failfast"), &series), "fail limit 40");
    assert_eq!(judged(&spec("failfast"), &[("a", "0x60")]), "pass hold 50", "it need not hold");
}

#[test]
fn criteria_make_one_verdict_by_a_formula() {
    let spec = |combine: &str| {
        format!(
            "combine: {combine}\ncriteria: [{{name: a, query: q, when: value == 0, failLimit: 0}}, \
         {{name: b, query: q, when: value == 0}}, {{name: c, query: q, when: value == 0}}]"
        )
    };
    let series = [("a", "1x60"), ("b", "0x60")];
    assert_eq!(judged(&spec("all"), &series), "fail limit 20");
    assert_eq!(judged(&spec("any"), &series), "pass hold 50");
    assert_eq!(judged(&spec("a && b || b && c"), &series), "inconclusive nodata 270");
    assert_eq!(judged(&spec("b && (a || c)"), &[("a", "0x60"), ("b", "0x60")]), "pass hold 50");
}

#[test]
fn nothing_but_a_fail_comes_of_what_is_unclear() {
    let spec = "onInconclusive: fail\ncriteria: [{name: a, query: q, when: value == 0}]";
    assert_eq!(judged(spec, &[]), "fail nodata 270");
}

/// Counters of so many requests each 5 s, and so many of them failed.
const COMPARED: &str = "rollout: {canarySelector: c, baselineSelector: b}\ncriteria: [{name: e, compare: {errors: x, total: y}}]";

#[test]
fn a_canary_is_compared_with_its_baseline() {
    let [canary, baseline] = [("e/canary_total", "0+10x60"), ("e/baseline_total", "0+90x60")];
    let judged = |bad: &str, usual: &str| {
        judged(
            COMPARED,
            &[canary, baseline, ("e/canary_errors", bad), ("e/baseline_errors", usual)],
        )
    };
    assert_eq!(judged("0x60", "0x60"), "pass hold 50");
    assert_eq!(judged("0+10x60", "0x60"), "fail evidence 55");
    assert_eq!(
        judged("0+4x60", "0+36x60"),
        "pass hold 50",
        "it is no worse than one that fails as much"
    );
    assert_eq!(judged("0+1x60", "0+9x60"), "pass hold 50");
}

#[test]
fn an_idle_canary_is_waited_for_or_given_up() {
    let idle = [("e/canary_total", "7x60"), ("e/baseline_total", "0+90x60")];
    assert_eq!(judged(COMPARED, &idle), "inconclusive nodata 300");
    assert_eq!(
        judged(&format!("onNoTraffic: inconclusive\n{COMPARED}"), &idle),
        "inconclusive nodata 50"
    );
    let message = summary(COMPARED, &idle).unwrap().judgement.message;
    assert!(
        message.ends_with("e: no requests to the canary; 50 requests to the canary are needed"),
        "{message}"
    );
}

#[test]
fn an_objective_needs_requests_enough_to_prove_it() {
    let spec = "rollout: {canarySelector: c}\ncriteria: [{name: s, slo: {errors: x, total: y, fail: 0.05, pass: 0.05}}]";
    // 65 clean requests prove 5 %: ten each look, and the seventh look ends at 45 s.
    assert_eq!(judged(spec, &[("s/canary_total", "0+10x60")]), "pass hold 55");
    assert_eq!(judged(spec, &[("s/canary_total", "0+1x60")]), "inconclusive nodata 300");
    assert_eq!(
        judged(spec, &[("s/canary_total", "0+10x60"), ("s/canary_errors", "0+3x60")]),
        "fail evidence 30"
    );
}

#[test]
fn slower_requests_are_found_at_the_bound_that_shows_them() {
    let spec = "rollout: {canarySelector: c, baselineSelector: b}\ncriteria: [{name: l, latency: {bucket: x}, unit: s}]";
    let bucket = |side: &str, le: &str| format!("l/{side}_bucket{{le=\"{le}\"}}");
    let run = |fast: &str| {
        let names = ["0.1", "0.5", "+Inf"].map(|le| [bucket("canary", le), bucket("baseline", le)]);
        let values = [[fast, "0+80x60"], ["0+10x60", "0+90x60"], ["0+10x60", "0+90x60"]];
        let pairs = names.iter().flatten().map(String::as_str).zip(values.into_iter().flatten());
        summary(spec, &pairs.collect::<Vec<_>>()).unwrap().judgement
    };
    assert_eq!(run("0+9x60").verdict, Verdict::Pass);
    let slow = run("0+2x60");
    assert_eq!((slow.verdict, slow.reason.to_string().as_str()), (Verdict::Fail, "evidence"));
    assert!(
        slow.message.contains("requests to the canary took longer than 0.1 s (80.0 %)"),
        "{}",
        slow.message
    );
}

#[test]
fn a_mistake_in_a_spec_is_told_before_anything_is_asked() {
    for (spec, why) in [
        ("criteria: []", "no criterion has to hold"),
        ("criteria: [{name: a}]", "needs exactly one of preset, query, compare, latency and slo"),
        ("criteria: [{name: a, query: q}]", "has a query and no condition"),
        ("criteria: [{query: q, when: value == 0}]", "a criterion has no name"),
        (
            "criteria: [{name: a, query: q, when: value == 0, missing: zero}]",
            "nothing tells whether there was traffic",
        ),
        ("criteria: [{name: a, query: q, when: value / b < 2}]", "there is no criterion `b`"),
        (
            "combine: a && b\ncriteria: [{name: a, query: q, when: value == 0}]",
            "there is no criterion `b`",
        ),
        (
            "criteria: [{name: a, query: q, when: value == 0}, {name: a, query: q, when: value == 0}]",
            "two criteria are called `a`",
        ),
        (
            "criteria: [{name: a, query: q, when: value == 0, role: observe}]",
            "no criterion has to hold",
        ),
        (
            "criteria: [{name: a, query: 'rate(x[5m])', when: value == 0}]",
            "`deadline` of 5m can never be met",
        ),
        (
            "criteria: [{name: a, query: 'rate(x[5q])', when: value == 0}]",
            "`5q` is not a valid PromQL duration",
        ),
        ("criteria: [{name: a, query: q, when: value = 0}]", "`=` is not a valid operator"),
        ("criteria: [{name: a, query: q, when: value == 0, colour: red}]", "colour"),
        ("criteria: [{name: a, slo: {errors: x, total: y}}]", "an objective without a number"),
    ] {
        let error = format!(
            "{:#}",
            summary(spec, &[]).map(|summary| summary.judgement.message).unwrap_err()
        );
        assert!(error.contains(why), "{spec}: {error}");
    }
}

mod answers;
mod ladders;

use super::*;
use crate::time::{Grid, after};

fn grid(from: i64, to: i64) -> Grid {
    Grid { from: after(from), to: after(to), step: SignedDuration::from_millis(1) }
}

fn count(at: i64) -> f64 {
    f64::from(i32::try_from(at).unwrap())
}

fn series(role: &str, instance: &str, values: &[(i64, f64)]) -> Series {
    let labels = [(ROLE, role), ("instance", instance)];
    let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    Series { labels, values: values.iter().map(|(at, value)| (after(*at), *value)).collect() }
}

fn counters(last: i64, answer: &[Series]) -> Counters {
    let mut counters = Counters::new(after(0), SignedDuration::from_millis(20));
    counters.add(grid(0, last), answer);
    counters
}

fn canary_errors(answer: &[Series]) -> (Vec<f64>, usize) {
    let counters = counters(3, answer);
    let grown = counters.growths().map(|growth| growth.of(Revision::Canary, Measure::Errors));
    (grown.collect(), counters.left_out)
}

fn total(instance: &str) -> Series {
    series("canary_total", instance, &[(0, 1000.0), (1, 2000.0), (2, 3000.0), (3, 4000.0)])
}

#[test]
fn what_was_counted_before_the_first_look_is_not_ours() {
    let old = series("canary_errors", "a", &[(0, 7.0), (1, 7.0), (2, 9.0), (3, 9.0)]);
    assert_eq!(canary_errors(&[total("a"), old]), (vec![0.0, 0.0, 2.0, 0.0], 0));
}

#[test]
fn the_first_error_of_a_known_process_counts() {
    let new = series("canary_errors", "a", &[(2, 3.0), (3, 4.0)]);
    assert_eq!(canary_errors(&[total("a"), new]), (vec![0.0, 0.0, 3.0, 1.0], 0));
}

#[test]
fn a_process_known_by_its_scrapes_alone_is_known() {
    let up = series("up", "b", &[(0, 1.0), (1, 1.0), (2, 1.0), (3, 1.0)]);
    let first = [(2, 3.0), (3, 4.0)];
    let new = [series("canary_errors", "b", &first), series("canary_total", "b", &first)];
    assert_eq!(canary_errors(&[up, new[0].clone(), new[1].clone()]), (vec![0.0, 0.0, 3.0, 1.0], 0));
}

#[test]
fn a_process_nobody_knew_begins_at_its_first_value() {
    let new = series("canary_errors", "b", &[(2, 30.0), (3, 31.0)]);
    assert_eq!(canary_errors(&[total("a"), new]), (vec![0.0, 0.0, 0.0, 1.0], 1));
}

#[test]
fn a_process_that_started_after_the_canary_counts_from_zero() {
    let started = series("started", "b", &[(2, 0.001), (3, 0.001)]);
    let new = series("canary_errors", "b", &[(2, 3.0), (3, 4.0)]);
    assert_eq!(canary_errors(&[total("a"), started, new]), (vec![0.0, 0.0, 3.0, 1.0], 0));
}

#[test]
fn a_reset_loses_only_what_came_after_the_last_look() {
    let reset = series("canary_errors", "a", &[(0, 90.0), (1, 95.0), (2, 2.0), (3, 3.0)]);
    assert_eq!(canary_errors(&[total("a"), reset]), (vec![0.0, 5.0, 2.0, 1.0], 0));
}

#[test]
fn a_missed_scrape_is_bridged() {
    let gap = series("canary_errors", "a", &[(0, 5.0), (3, 9.0)]);
    assert_eq!(canary_errors(&[total("a"), gap]), (vec![0.0, 0.0, 0.0, 4.0], 0));
}

/// A counter that grows by so much per point, sampled at the points that pass.
fn scraped(role: &str, per_point: f64, last: i64, sampled: impl Fn(i64) -> bool) -> [Series; 2] {
    let newest = |point: i64| (0..=point).rev().find(|at| sampled(*at));
    let at = |value: &dyn Fn(i64) -> f64| -> Vec<(i64, f64)> {
        (0..=last).filter_map(|point| Some((point, value(newest(point)?)))).collect()
    };
    let side = role.split('_').next().unwrap();
    [
        series(role, side, &at(&|at| per_point * count(at))),
        series(&format!("{side}_sampled"), side, &at(&|at| count(at) / 1000.0)),
    ]
}

fn totals(counters: &Counters) -> Vec<(f64, f64)> {
    let of = |growth: &Growth, side| growth.of(side, Measure::Total);
    counters
        .growths()
        .map(|growth| (of(growth, Revision::Canary), of(growth, Revision::Baseline)))
        .collect()
}

#[test]
fn sides_that_are_sampled_in_turn_grow_together() {
    let canary = scraped("canary_total", 1.0, 40, |at| at % 4 == 0);
    let baseline = scraped("baseline_total", 9.0, 40, |at| at % 4 == 2);
    let counters = counters(40, &[canary, baseline].concat());
    let grown = totals(&counters).into_iter().filter(|grown| *grown != (0.0, 0.0));
    let grown: Vec<(f64, f64)> = grown.skip(1).collect(); // at the first, the baseline is met
    assert!(grown.len() > 8, "{grown:?}");
    assert!(grown.iter().all(|grown| *grown == (4.0, 36.0)), "{grown:?}");
}

#[test]
fn growth_over_a_gap_is_taken_for_neither_side() {
    // Nothing was sampled from 10 to 60; the canary is back a little earlier than its baseline.
    let canary = scraped("canary_total", 5.0, 90, |at| !(11..60).contains(&at));
    let baseline = scraped("baseline_total", 5.0, 90, |at| !(11..63).contains(&at));
    let counters = counters(90, &[canary, baseline].concat());
    let compared = counters.growths().filter(|growth| !growth.gap);
    let (mut canary, mut baseline) = (0.0, 0.0);
    for growth in compared {
        canary += growth.of(Revision::Canary, Measure::Total);
        baseline += growth.of(Revision::Baseline, Measure::Total);
    }
    assert!((canary - baseline).abs() <= 15.0, "{canary} against {baseline}");
    assert!(canary > 100.0 && canary < 250.0, "what was measured counts: {canary}");
    let fresh = |point: i64| counters.at(after(point)).unwrap().is_fresh(Revision::Canary);
    assert_eq!([9, 12, 40, 61].map(fresh), [true, true, false, true]);
}

#[test]
fn a_side_that_is_no_longer_there_is_not_fresh() {
    let canary = scraped("canary_total", 1.0, 30, |_| true);
    let mut baseline = scraped("baseline_total", 9.0, 30, |_| true);
    for series in &mut baseline {
        series.values.truncate(5);
    }
    let counters = counters(30, &[canary, baseline].concat());
    let fresh = |point| counters.at(after(point)).unwrap().is_fresh(Revision::Baseline);
    assert_eq!([4, 5, 30].map(fresh), [true, false, false]);
    assert!(counters.at(after(30)).unwrap().gap);
}

#[test]
fn servers_that_answer_in_turn_make_no_reset_and_no_request() {
    let mut all = scraped("canary_total", 10.0, 20, |_| true);
    for series in &mut all {
        let late = if series.labels[ROLE].ends_with("sampled") { 0.003 } else { 30.0 };
        for (at, value) in &mut series.values {
            *value -=
                if at.as_millisecond() % 2 == 1 && at.as_millisecond() > 4 { late } else { 0.0 };
        }
    }
    let counted: f64 = totals(&counters(20, &all)).iter().map(|(canary, _)| canary).sum();
    assert!((counted - 200.0).abs() < 1e-9, "{counted}");
}

#[test]
fn a_bucket_of_two_names_counts_once() {
    let bucket = |le: &str| {
        let mut series = series("canary_bucket", "a", &[(0, 5.0), (1, 9.0), (2, 9.0)]);
        series.labels.insert("le".to_owned(), le.to_owned());
        series
    };
    let counters = counters(2, &[bucket("1"), bucket("1.0")]);
    assert_eq!(counters.at(after(1)).unwrap().buckets(Revision::Canary), [(1.0, 4.0)]);
}

#[test]
fn a_process_that_froze_before_the_watch_holds_up_nothing() {
    let canary = scraped("canary_total", 1.0, 60, |_| true);
    let baseline = scraped("baseline_total", 9.0, 60, |_| true);
    let mut frozen = scraped("baseline_total", 9.0, 60, |at| at < 5);
    for series in &mut frozen {
        series.labels.insert("instance".to_owned(), "frozen".to_owned());
    }
    let counters = counters(60, &[canary, baseline, frozen].concat());
    let since = counters.at(after(60)).unwrap().since;
    assert!(since.is_some_and(|since| since > after(50)), "{since:?}");
}

#[test]
fn what_is_under_way_is_shown_as_it_is() {
    let active = series("canary_active", "a", &[(0, 3.0), (1, 5.0)]);
    let counters = counters(1, &[total("a"), active]);
    assert_eq!(counters.at(after(1)).unwrap().active(Revision::Canary), Some(5.0));
    assert_eq!(counters.at(after(1)).unwrap().active(Revision::Baseline), None);
}

#[test]
fn answers_in_pieces_and_in_one_piece_show_the_same() {
    let all = [
        scraped("canary_total", 1.0, 40, |at| at % 5 == 0),
        scraped("baseline_total", 9.0, 40, |at| at % 5 == 3),
    ]
    .concat();
    let whole = counters(40, &all);
    let mut pieces = Counters::new(after(0), SignedDuration::from_millis(20));
    for from in (0..=40).step_by(7) {
        pieces.add(grid(from, (from + 6).min(40)), &all);
    }
    assert_eq!(totals(&whole), totals(&pieces));
    assert_eq!(pieces.next(after(0), SignedDuration::from_millis(1)), after(41));
}

//! Gates on answers, from written series to the verdict.

use super::*;

const SPEC: &str = "criteria: [{preset: answers}]";

/// The series of one side: so many of each class at each look, and the gateway's count.
fn side(side: &str, classes: &[(&str, u32)], answered: u32) -> Vec<(String, String)> {
    let grown = |each: u32| format!("0+{each}x60");
    let taken: u32 = classes.iter().map(|(_, each)| each).sum();
    let answer = |(class, each): &(&str, u32)| {
        let name = format!("answers/{side}_answer{{field=\"/species\",answer=\"{class}\"}}");
        (name, grown(*each))
    };
    let mut series: Vec<_> = classes.iter().map(answer).collect();
    series.push((format!("answers/{side}_filled{{field=\"/species\"}}"), grown(taken)));
    series.push((format!("answers/{side}_taken"), grown(taken)));
    series.push((format!("answers/{side}_answered"), grown(answered)));
    series
}

fn of(series: &[(String, String)]) -> Summary {
    on(Vec::new(), series)
}

fn on(rungs: Vec<Rung>, series: &[(String, String)]) -> Summary {
    let series: Vec<(&str, &str)> =
        series.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    summary_on(rungs, SPEC, &series).unwrap()
}

fn verdict(series: &[(String, String)]) -> (String, String) {
    let judgement = of(series).judgement;
    (format!("{} {}", judgement.verdict, judgement.reason), judgement.message)
}

fn both(canary: &[(&str, u32)], baseline: &[(&str, u32)]) -> Vec<(String, String)> {
    let count = |classes: &[(&str, u32)]| classes.iter().map(|(_, each)| each).sum();
    let mut series = side("canary", canary, count(canary));
    series.extend(side("baseline", baseline, count(baseline)));
    series
}

const USUAL: [(&str, u32); 3] = [("setosa", 30), ("versicolor", 30), ("virginica", 30)];

#[test]
fn the_same_answers_pass_and_those_that_changed_fail() {
    let (found, message) =
        verdict(&both(&[("setosa", 4), ("versicolor", 3), ("virginica", 3)], &USUAL));
    assert_eq!(found, "pass hold", "{message}");
    let (found, message) =
        verdict(&both(&[("setosa", 7), ("versicolor", 2), ("virginica", 1)], &USUAL));
    assert_eq!(found, "fail evidence", "{message}");
    assert!(message.starts_with("answers: species: `"), "{message}");
    assert!(message.contains(" from the baseline; "), "{message}");
    let (found, message) = verdict(&both(&[("setosa", 10)], &USUAL));
    assert_eq!(found, "fail evidence", "{message}");
}

#[test]
fn an_answer_that_the_baseline_never_gives_is_named() {
    let canary = [("setosa", 2), ("versicolor", 2), ("virginica", 3), ("tulip", 3)];
    let (found, message) = verdict(&both(&canary, &USUAL));
    assert_eq!(found, "fail evidence", "{message}");
    assert!(
        message.contains("answers that are not usual, such as `tulip`, 30.0 % of "),
        "{message}"
    );
}

#[test]
fn a_field_that_is_gone_fails_and_responses_that_cannot_be_read_do() {
    let mut gone = side("canary", &[("setosa", 10)], 10);
    for (name, _) in &mut gone {
        *name = name.replace("/species", "/class");
    }
    gone.extend(side("baseline", &USUAL, 90));
    let (found, message) = verdict(&gone);
    assert_eq!(found, "fail evidence", "{message}");
    assert!(message.contains("species: missing in 100 % of "), "{message}");
    // With no past, how answers come is learnt first; then a change of a class is no sooner found.
    let seconds = |series: &[_]| of(series).judgement.decided_at.as_second();
    let changed = seconds(&both(&[("setosa", 7), ("versicolor", 2), ("virginica", 1)], &USUAL));
    assert!(seconds(&gone) <= changed, "its weight is small, and the change is large");
    let mut unreadable = side("canary", &[("setosa", 1), ("versicolor", 1), ("virginica", 1)], 10);
    unreadable.push(("answers/canary_unreadable".to_owned(), "0+7x60".to_owned()));
    unreadable.extend(side("baseline", &USUAL, 90));
    let (found, message) = verdict(&unreadable);
    assert_eq!(found, "fail evidence", "{message}");
    assert!(message.contains("cannot be read: 70.0 % of "), "{message}");
    assert!(seconds(&unreadable) <= changed, "its weight is small, and the change is large");
}

#[test]
fn names_do_not_matter_and_neither_does_the_order_of_series() {
    let canary = [("setosa", 6), ("versicolor", 2), ("virginica", 2)];
    let log_e = |series: &[(String, String)]| {
        of(series).judgement.criteria[0].evidence.as_ref().unwrap().log_e.unwrap()
    };
    let series = both(&canary, &USUAL);
    let mut turned = series.clone();
    turned.reverse();
    let renamed: Vec<_> =
        series.iter().map(|(name, text)| (name.replace("setosa", "zebra"), text.clone())).collect();
    assert_eq!(of(&series).judgement, of(&turned).judgement);
    assert!((log_e(&series) - log_e(&renamed)).abs() < 1e-9);
}

#[test]
fn answers_that_are_not_counted_leave_it_open() {
    let canary = [("setosa", 7), ("versicolor", 2), ("virginica", 1)];
    let count = |canary: &[(&str, u32)], answered: u32, baseline: u32| {
        let mut series = side("canary", canary, answered);
        series.extend(side("baseline", &USUAL, baseline));
        verdict(&series)
    };
    let (found, message) = count(&canary, 25, 90);
    assert_eq!(found, "inconclusive nodata", "{message}");
    assert!(message.contains("; 60.0 % of the canary's answers were not counted"), "{message}");
    let same = [("setosa", 3), ("versicolor", 3), ("virginica", 3)];
    let (found, message) = count(&same, 9, 150);
    assert_eq!(found, "inconclusive nodata", "{message}");
    assert!(message.contains("40.0 % of the baseline's answers were not counted"), "{message}");
    let (found, message) = count(&[], 10, 90);
    assert_eq!(found, "inconclusive nodata", "{message}");
    assert!(message.contains("100 % of the canary's answers were not counted"), "{message}");
    let (found, message) = count(&same, 9, 97);
    assert_eq!(found, "pass hold", "a few are no loss: {message}");
}

#[test]
fn a_counter_that_is_restarted_fails_nothing_and_the_gate_goes_on() {
    let restarted = |each: u32| format!("0+{each}x5 0+{each}x60");
    let series = |canary: &[(&str, u32)]| -> Vec<(String, String)> {
        let series = both(canary, &USUAL);
        let anew = |(name, text): &(String, String)| {
            let each = text.trim_start_matches("0+").split('x').next().unwrap().parse().unwrap();
            // The gateway is not restarted.
            let text = if name.ends_with("answered") { text.clone() } else { restarted(each) };
            (name.clone(), text)
        };
        series.iter().map(anew).collect()
    };
    let (found, message) = verdict(&series(&[("setosa", 4), ("versicolor", 3), ("virginica", 3)]));
    assert_eq!(found, "pass hold", "{message}");
    let (found, message) = verdict(&series(&[("setosa", 7), ("versicolor", 2), ("virginica", 1)]));
    assert_eq!(found, "fail evidence", "{message}");
}

#[test]
fn numbers_are_compared_at_their_bounds() {
    let values = |side: &str, within: [u32; 3]| {
        let bucket = |(le, each): (&str, u32)| {
            let name = format!("answers/{side}_value{{field=\"/score\",le=\"{le}\"}}");
            (name, format!("0+{each}x60"))
        };
        let [low, high, all] = within;
        let mut series: Vec<_> = [("0.5", low), ("0.9", high), ("+Inf", all)].map(bucket).into();
        for name in ["taken", "filled{field=\"/score\"}"] {
            series.push((format!("answers/{side}_{name}"), format!("0+{all}x60")));
        }
        series
    };
    let verdict_of = |canary: [u32; 3]| {
        let mut series = values("canary", canary);
        series.extend(values("baseline", [9, 45, 90]));
        verdict(&series)
    };
    let (found, message) = verdict_of([1, 5, 10]);
    assert_eq!(found, "pass hold", "{message}");
    let (found, message) = verdict_of([5, 9, 10]);
    assert_eq!(found, "fail evidence", "{message}");
    assert!(message.contains("score: at most 0.5 in 50.0 % of "), "{message}");
}

#[test]
fn few_answers_of_the_baseline_are_not_enough() {
    let series = both(&[("setosa", 10)], &[("setosa", 0)]);
    let (found, message) = verdict(&series);
    assert_eq!(found, "inconclusive nodata", "{message}");
    assert!(message.contains("too few of the baseline"), "{message}");
}

#[test]
fn a_model_whose_answers_are_not_counted_is_judged_by_whether_they_can_be_read() {
    let silent = |side: &str, taken: u32, unreadable: u32| -> Vec<(String, String)> {
        [("taken", taken), ("unreadable", unreadable), ("answered", taken + unreadable)]
            .map(|(what, each)| (format!("answers/{side}_{what}"), format!("0+{each}x60")))
            .into()
    };
    let of = |taken: u32, unreadable: u32| {
        let mut series = silent("canary", taken, unreadable);
        series.extend(silent("baseline", 90, 0));
        verdict(&series)
    };
    let (found, message) = of(10, 0);
    assert_eq!(found, "pass hold", "{message}");
    assert!(message.contains("answers: no answers that are counted in "), "{message}");
    let (found, message) = of(3, 7);
    assert_eq!(found, "fail evidence", "{message}");
    assert!(message.contains("cannot be read: 70.0 % of "), "{message}");
}

#[test]
fn a_class_that_a_restarted_counter_shows_late_is_no_answer_that_is_missing() {
    let of = |side: &str, times: u32| -> Vec<(String, String)> {
        let grown = |each: u32, late: u32| {
            format!("0+{}x5 0+{}x8 {}+{}x45", each + late, each, 9 * each + late, each + late)
        };
        let class = |name: &str, text: String| {
            (format!("answers/{side}_answer{{field=\"/species\",answer=\"{name}\"}}"), text)
        };
        let rare = times;
        let late = format!("0+{rare}x5 _x9 {rare}+{rare}x45");
        vec![
            class("setosa", grown(4 * times, 0)),
            class("versicolor", grown(5 * times, 0)),
            class("virginica", late),
            (format!("answers/{side}_filled{{field=\"/species\"}}"), grown(9 * times, rare)),
            (format!("answers/{side}_taken"), grown(9 * times, rare)),
            (format!("answers/{side}_answered"), format!("0+{}x60", 10 * times)),
        ]
    };
    let mut series = of("canary", 1);
    series.extend(of("baseline", 9));
    let (found, message) = verdict(&series);
    assert_eq!(found, "pass hold", "{message}");
}

#[test]
fn a_list_that_is_empty_more_often_fails_however_long_the_others_are() {
    let of = |side: &str, answers: u32, filled: u32, taken: u32| -> Vec<(String, String)> {
        let counted = [
            ("answer{field=\"/labels\",answer=\"cat\"}", answers),
            ("filled{field=\"/labels\"}", filled),
            ("taken", taken),
        ];
        counted
            .map(|(what, each)| (format!("answers/{side}_{what}"), format!("0+{each}x60")))
            .into()
    };
    let of_canary = |answers: u32, filled: u32| {
        let mut series = of("canary", answers, filled, 10);
        series.extend(of("baseline", 135, 81, 90));
        verdict(&series)
    };
    let (found, message) = of_canary(15, 9);
    assert_eq!(found, "pass hold", "{message}");
    let (found, message) = of_canary(15, 6);
    assert_eq!(found, "fail evidence", "{message}");
    assert!(message.contains("labels: missing in 40.0 % of "), "{message}");
    let (found, message) = of_canary(0, 0);
    assert_eq!(found, "fail evidence", "{message}");
    assert!(message.contains("labels: missing in 100 % of "), "{message}");
}

/// The verdict on the second rung, of so many of each class on the first one and on the second.
fn on_second_rung(classes: &[(&str, [u32; 2])], baseline: &[(&str, [u32; 2])]) -> (String, String) {
    let grown =
        |[first, second]: [u32; 2]| format!("0+{first}x30 {}+{second}x60", 30 * first + second);
    let side = |side: &str, classes: &[(&str, [u32; 2])], taken: [u32; 2]| -> Vec<_> {
        let answer = |(class, each): &(&str, [u32; 2])| {
            let name = format!("answers/{side}_answer{{field=\"/species\",answer=\"{class}\"}}");
            (name, grown(*each))
        };
        let filled = [0, 1].map(|rung| classes.iter().map(|(_, each)| each[rung]).sum());
        let all = [("taken", taken), ("answered", taken), ("filled{field=\"/species\"}", filled)];
        let all = all.map(|(what, each)| (format!("answers/{side}_{what}"), grown(each)));
        classes.iter().map(answer).chain(all).collect()
    };
    let mut series = side("canary", classes, [10, 30]);
    series.extend(side("baseline", baseline, [90, 70]));
    let rung = |percent: u8, seconds: i64| Rung {
        percent,
        after: Length(SignedDuration::from_secs(seconds)),
    };
    let judgement = on(vec![rung(10, 0), rung(30, 150)], &series).judgement;
    (format!("{} {}", judgement.verdict, judgement.reason), judgement.message)
}

const ON_BOTH_RUNGS: [(&str, [u32; 2]); 3] =
    [("setosa", [30, 24]), ("versicolor", [30, 23]), ("virginica", [30, 23])];

#[test]
fn a_model_that_changes_its_answers_on_the_second_rung_fails_there() {
    let same = [("setosa", [4, 10]), ("versicolor", [3, 10]), ("virginica", [3, 10])];
    let (found, message) = on_second_rung(&same, &ON_BOTH_RUNGS);
    assert_eq!(found, "pass hold", "{message}");
    let changed = [("setosa", [4, 22]), ("versicolor", [3, 4]), ("virginica", [3, 4])];
    let (found, message) = on_second_rung(&changed, &ON_BOTH_RUNGS);
    assert_eq!(found, "fail evidence", "{message}");
    assert!(message.contains(" on this rung"), "{message}");
}

#[test]
fn a_field_that_neither_side_fills_any_more_is_no_reason_for_a_pass() {
    let gone = [("setosa", [4, 0]), ("versicolor", [3, 0]), ("virginica", [3, 0])];
    let of_baseline = ON_BOTH_RUNGS.map(|(class, [first, _])| (class, [first, 0]));
    let (found, message) = on_second_rung(&gone, &of_baseline);
    assert_eq!(found, "inconclusive nodata", "{message}");
    assert!(message.contains("too few answers of the baseline to compare with"), "{message}");
}

#[test]
fn a_canary_with_many_fields_of_its_own_is_judged_by_those_of_its_baseline() {
    let canary = [("setosa", 7), ("versicolor", 2), ("virginica", 1)];
    let mut series = both(&canary, &USUAL);
    for at in 0..30 {
        let name = format!("answers/canary_answer{{field=\"/{at:02}\",answer=\"x\"}}");
        series.push((name, "0+10x60".to_owned()));
    }
    let (found, message) = verdict(&series);
    assert_eq!(found, "fail evidence", "{message}");
    assert!(message.contains("species: `"), "{message}");
}

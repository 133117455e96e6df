//! Judging from poll to poll comes to what judging once comes to, whatever comes in and in whatever order.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::decisions::decision::Kind;
use crate::judge::verdict::Verdict;
use crate::series::{Labels, ROLE};
use crate::spec::permission::Permission;
use crate::spec::resolved::{
    AnswersTest, CompareTest, Counted, Criterion, HISTORY_STEP, LatencyTest, Policy, Test, Timing,
    ValueTest,
};
use crate::spec::{expression::Combine, rungs::Rungs};

const T0: Timestamp = Timestamp::constant(1_000_000_000, 0);
const STEP: SignedDuration = SignedDuration::from_secs(5);
const POINTS: usize = 80;

/// The canary has its second percent from this point on, where it has one.
const CLIMBS: usize = 20;

fn seconds(count: usize) -> SignedDuration {
    SignedDuration::from_secs(i64::try_from(count).unwrap())
}

fn point(at: usize) -> Timestamp {
    T0 + STEP * i32::try_from(at).unwrap()
}

/// A value, a comparison with a past, one of latencies, and one of answers.
fn criteria() -> Vec<Criterion> {
    let value = ValueTest { fail_limit: Some(9), consecutive_fail: Some(5), ..ValueTest::zero() };
    let compare = CompareTest {
        max_ratio: 1.25,
        alpha: 0.05,
        min_requests: 50.0,
        counted: Counted::Failed,
        absolute: Some(0.5),
        weight: Some(0.1),
        counts_starts: false,
    };
    let thresholds = vec![0.25];
    let latency = LatencyTest { max_ratio: 1.25, alpha: 0.05, min_requests: 50.0, thresholds };
    let answers = AnswersTest {
        max_ratio: 2.0,
        least_share: 0.02,
        alpha: 0.05,
        min_requests: 50.0,
        has_requests: true,
    };
    let of = |name: &str, test| Criterion::new(name, name.to_owned(), test);
    vec![
        Criterion { max_gap: STEP * 3, ..of("value", Test::Value(value)) },
        Criterion { past: Some("past".to_owned()), ..of("errors", Test::Compare(compare)) },
        of("latency", Test::Latency(latency)),
        of("answers", Test::Answers(answers)),
    ]
}

/// A value, and counters: the canary's errors and total, the baseline's.
type Shown = (Option<f64>, [u32; 4]);

#[derive(Clone, Debug)]
struct World {
    /// At each point: the value; and by how much counters grew, or that the canary's begin anew.
    points: Vec<(Option<f64>, [u32; 4], bool)>,
    climbs: bool,
    decides: Permission,
    /// What comes in, and how long after the start it does.
    events: Vec<Event>,
}

#[derive(Clone, Debug)]
enum Event {
    Past,
    Decide(Vec<Decision>, usize),
    Choose(usize),
    /// So many points pass, all criteria but one are answered, and it is judged.
    Judge(usize, usize),
}

fn points(is_calm: bool) -> impl Strategy<Value = Vec<(Option<f64>, [u32; 4], bool)>> {
    let strange = u32::from(!is_calm);
    let value = prop_oneof![
        9 => Just(Some(0.0)),
        strange => Just(Some(1.0)),
        strange => Just(None),
        strange => Just(Some(f64::NAN))
    ];
    let growth = (0..=2 * strange, 10..20_u32, 0..2_u32, 40..90_u32).prop_map(
        |(bad, good, other_bad, other_good)| [bad, bad + good, other_bad, other_bad + other_good],
    );
    proptest::collection::vec((value, growth, proptest::bool::weighted(0.02)), POINTS)
}

fn world() -> impl Strategy<Value = World> {
    let kinds =
        prop_oneof![2 => Just(Kind::Hold), 2 => Just(Kind::Approve), 1 => Just(Kind::StopHold)];
    let decisions = proptest::collection::vec(kinds, 0..3).prop_map(|kinds| {
        let decision = |kind| Decision { kind, by: "ada".into(), why: String::new(), percent: 100 };
        kinds.into_iter().map(decision).collect()
    });
    let event = prop_oneof![
        12 => (0..8_usize, 0..9_usize).prop_map(|(points, but)| Event::Judge(points, but)),
        3 => (decisions, prop_oneof![0..4_usize, 0..60_usize]).prop_map(|(decisions, late)| Event::Decide(decisions, late)),
        1 => Just(Event::Past),
        1 => (0..30_usize).prop_map(Event::Choose),
    ];
    let permission = (any::<bool>(), any::<bool>()).prop_map(|(approval, decisions)| Permission {
        approval: approval && decisions,
        approval_timeout: STEP * 30,
        decisions,
        ..Permission::default()
    });
    let events = proptest::collection::vec(event, 1..30);
    let points = any::<bool>().prop_flat_map(points);
    (points, any::<bool>(), permission, events)
        .prop_map(|(points, climbs, decides, events)| World { points, climbs, decides, events })
}

impl World {
    fn record(&self) -> Record {
        let climbed = format!("10@{T0}").parse().unwrap();
        let (rungs, t0) = if self.climbs {
            (Rungs::new(climbed, None, None), point(CLIMBS))
        } else {
            (Rungs::default(), T0)
        };
        let timing = Timing {
            step: STEP,
            hold: STEP * 6,
            warmup: seconds(18),
            skew: seconds(2),
            settle: STEP * 2,
            deadline: STEP * 60,
            max_outage: STEP * 12,
        };
        let spec = Spec {
            timing,
            rungs,
            criteria: criteria(),
            combine: Combine::All,
            policy: Policy::default(),
            permission: self.decides.clone(),
        };
        Record::new(spec, Subject::default(), t0)
    }

    /// What the server answers a criterion about points.
    fn series(&self, criterion: usize, from: usize, to: usize) -> Vec<Series> {
        let mut sums = [0; 4];
        let mut all: Vec<Shown> = Vec::new();
        for (value, more, anew) in &self.points {
            if *anew {
                (sums[0], sums[1]) = (0, 0);
            }
            for (sum, more) in sums.iter_mut().zip(more) {
                *sum += more;
            }
            all.push((*value, sums));
        }
        let shown = |of: &dyn Fn(&Shown) -> Option<f64>| {
            let one = |at: usize| Some((point(at), of(&all[at])?));
            (from..to).filter_map(one).collect::<Vec<_>>()
        };
        let counter = |role: &str, le: Option<&str>, at: usize, less: usize| {
            let mut labels = Labels::from([(ROLE.to_owned(), role.to_owned())]);
            labels.extend(le.map(|le| ("le".to_owned(), le.to_owned())));
            let value = |sums: &[u32; 4]| sums[at] - if less == at { 0 } else { sums[less] };
            Series { labels, values: shown(&|(_, sums)| Some(f64::from(value(sums)))) }
        };
        match criterion {
            0 => vec![Series { labels: Labels::new(), values: shown(&|(value, _)| *value) }],
            1 => vec![
                counter("canary_errors", None, 0, 0),
                counter("canary_total", None, 1, 1),
                counter("baseline_errors", None, 2, 2),
                counter("baseline_total", None, 3, 3),
            ],
            2 => vec![
                counter("canary_bucket", Some("0.25"), 1, 0),
                counter("canary_bucket", Some("+Inf"), 1, 1),
                counter("baseline_bucket", Some("0.25"), 3, 2),
                counter("baseline_bucket", Some("+Inf"), 3, 3),
            ],
            _ => {
                let of_field = |label: &str, given: &str, series: Series| {
                    let mut labels = series.labels;
                    labels.insert("field".to_owned(), "/f".to_owned());
                    labels.insert(label.to_owned(), given.to_owned());
                    Series { labels, ..series }
                };
                let side = |side: &str, at: usize, less: usize| {
                    let of = |measure: &str, at, less| {
                        counter(&format!("{side}_{measure}"), None, at, less)
                    };
                    [
                        of("taken", at, at),
                        of("answered", at, at),
                        of_field("field", "/f", of("filled", at, less)),
                        of_field("answer", "a", of("answer", at, less)),
                        of_field("answer", "b", of("answer", less, less)),
                        of_field("le", "0.5", of("value", at, less)),
                        of_field("le", "+Inf", of("value", at, at)),
                    ]
                };
                [side("canary", 1, 0), side("baseline", 3, 2)].concat()
            }
        }
    }
}

/// The baseline's counters of the hour before.
fn past(record: &mut Record) {
    let hour = record.spec.timing.history(T0);
    let points: Vec<Timestamp> = hour.points().collect();
    let values = |per_point: f64| {
        let at = |(number, point): (usize, &Timestamp)| {
            (*point, (f64::from(u32::try_from(number).unwrap()) * per_point).floor())
        };
        points.iter().enumerate().map(at).collect()
    };
    let of = |role: &str, per_point: f64| Series {
        labels: Labels::from([(ROLE.to_owned(), role.to_owned())]),
        values: values(per_point),
    };
    let series = [of("baseline_errors", 0.7), of("baseline_total", 60.0)];
    assert_eq!(hour.step, HISTORY_STEP);
    record.take(1, QueryKind::History, hour, &series);
}

/// One that takes in what comes, and knows how far it has come.
struct Gate<'a> {
    world: &'a World,
    record: Record,
    answered: [usize; 4],
    has_past: bool,
    now: usize,
}

impl<'a> Gate<'a> {
    fn new(world: &'a World) -> Self {
        Self { world, record: world.record(), answered: [0; 4], has_past: false, now: 0 }
    }

    fn now(&self) -> Timestamp {
        point(self.now) + STEP * 2
    }

    fn take(&mut self, event: &Event) {
        match event {
            Event::Past => {
                self.has_past = true;
                past(&mut self.record);
            }
            Event::Decide(decisions, late) => {
                let now = self.now() + seconds(4) - seconds(*late);
                self.record.decide(now, decisions.clone());
            }
            Event::Choose(at) if *at > 3 => {}
            Event::Choose(at) => {
                let question = self.record.spec.criteria[*at].clone();
                self.record.choose(*at, "", question);
                self.answered[*at] = 0;
                self.has_past &= *at != 1;
                if self.record.forgets {
                    self.answer_again(*at);
                }
            }
            Event::Judge(points, but) => {
                self.now = (self.now + points).min(POINTS - 1);
                let to = self.now + 1;
                (0..4).filter(|at| at != but).for_each(|at| self.answer(at, to));
            }
        }
    }

    /// One that has forgotten asks all anew.
    fn answer_again(&mut self, but: usize) {
        let before = std::mem::take(&mut self.answered);
        (0..4).filter(|at| *at != but).for_each(|at| self.answer(at, before[at]));
        if self.has_past {
            past(&mut self.record);
        }
    }

    fn answer(&mut self, at: usize, to: usize) {
        let from = self.answered[at];
        if from < to {
            let grid = Grid { from: point(from), to: point(to - 1), step: STEP };
            let series = self.world.series(at, from, to);
            self.record.take(at, QueryKind::Points, grid, &series);
            self.answered[at] = to;
        }
    }
}

/// The last judgement from poll to poll, and that of judging once, at the first poll where they differ.
fn judged(world: &World, forgets: bool) -> (Option<Judgement>, Option<Judgement>) {
    let mut gate = Gate::new(world);
    gate.record.forgets = forgets;
    let mut judged = (None, None);
    for (last, event) in world.events.iter().enumerate() {
        gate.take(event);
        if matches!(event, Event::Judge(..)) {
            let mut once = Gate::new(world);
            world.events[..=last].iter().for_each(|event| once.take(event));
            let now = gate.now();
            judged = (Some(gate.record.judge(now)), Some(once.record.judge(now)));
            let is_open = judged.0.as_ref().is_some_and(|one| one.verdict == Verdict::Pending);
            if !is_open || judged.0 != judged.1 {
                break;
            }
        }
    }
    judged
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn judging_from_poll_to_poll_comes_to_what_judging_once_comes_to(world in world()) {
        let (step_by_step, once) = judged(&world, false);
        prop_assert_eq!(step_by_step, once);
    }

    #[test]
    fn what_was_judged_may_be_forgotten(mut world in world()) {
        world.events.retain(|event| !matches!(event, Event::Decide(..)));
        let (forgetful, once) = judged(&world, true);
        prop_assert_eq!(forgetful, once);
    }
}

#[test]
fn settling_the_series_of_criteria_one_by_one_leaves_the_first_look_whole() {
    let world = World {
        points: vec![(Some(0.0), [0, 15, 0, 60], false); POINTS],
        climbs: false,
        decides: Permission::default(),
        events: Vec::new(),
    };
    let mut gate = Gate::new(&world);
    gate.record.forgets = true;
    past(&mut gate.record);
    for at in 0..4 {
        let question = gate.record.spec.criteria[at].clone();
        gate.record.choose(at, "", question);
        if at == 1 {
            past(&mut gate.record);
        }
        gate.answer(at, 20);
    }
    gate.now = 19;
    let judgement = gate.record.judge(gate.now());
    assert!(judgement.criteria.iter().all(|state| state.points.unknown == 0), "{judgement:?}");
}

#[test]
fn what_people_had_decided_at_the_first_look_counts_for_points_that_were_judged() {
    let world = World {
        points: vec![(Some(0.0), [0, 15, 0, 60], false); POINTS],
        climbs: false,
        decides: Permission { decisions: true, ..Permission::default() },
        events: vec![
            Event::Past,
            Event::Judge(40, 9),
            Event::Decide(Vec::new(), 0),
            Event::Judge(0, 9),
        ],
    };
    let (step_by_step, once) = judged(&world, false);
    assert_eq!(step_by_step.as_ref().map(|one| one.verdict), Some(Verdict::Pass));
    assert_eq!(step_by_step, once);
}

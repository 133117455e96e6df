//! How often each side gave which answer, for programs and for pictures.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::judge::answer_names::{Bits, Given, Name};

/// Answers of a field that are told one by one.
const MOST: usize = 10;

/// What one field's answers were, side by side.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Distribution {
    pub(crate) field: String,
    /// Answers in all.
    pub(crate) canary: f64,
    pub(crate) baseline: f64,
    /// The most frequent first; numbers in their order.
    pub(crate) answers: Vec<Part>,
    /// All others together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) others: Option<Part>,
}

/// How often one answer was given.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Part {
    pub(crate) answer: String,
    pub(crate) canary: f64,
    pub(crate) baseline: f64,
}

impl Part {
    fn new(answer: String, [canary, baseline]: [f64; 2]) -> Self {
        Self { answer, canary, baseline }
    }
}

impl Distribution {
    /// A part of a side's answers, 0 to 1; 0 where there were none.
    pub(crate) fn shares(&self, part: &Part) -> [f64; 2] {
        let share = |some: f64, all: f64| if all > 0.0 { some / all } else { 0.0 };
        [share(part.canary, self.canary), share(part.baseline, self.baseline)]
    }
}

/// One for each field that was counted.
pub(crate) fn distributions(seen: &BTreeMap<Name, [f64; 2]>) -> Vec<Distribution> {
    let mut answers: BTreeMap<&str, Vec<(&str, [f64; 2])>> = BTreeMap::new();
    let mut values: BTreeMap<&str, Vec<(f64, [f64; 2])>> = BTreeMap::new();
    for (Name { field, given }, counted) in seen {
        match given {
            Given::Answer(answer) => answers.entry(field).or_default().push((answer, *counted)),
            Given::AtMost(Bits(bound)) => values.entry(field).or_default().push((*bound, *counted)),
            Given::Any => {}
        }
    }
    let answers = answers.into_iter().map(|(field, given)| of_answers(field, given));
    answers
        .chain(values.into_iter().filter_map(|(field, given)| of_values(field, &given)))
        .collect()
}

fn of_answers(field: &str, mut given: Vec<(&str, [f64; 2])>) -> Distribution {
    let sum = |given: &[(&str, [f64; 2])]| {
        [0, 1].map(|side| given.iter().map(|(_, counted)| counted[side]).sum::<f64>())
    };
    let totals = sum(&given);
    let share = |counted: [f64; 2]| {
        let of = |side: usize| if totals[side] > 0.0 { counted[side] / totals[side] } else { 0.0 };
        of(0).max(of(1))
    };
    given.sort_by(|a, b| share(b.1).total_cmp(&share(a.1)).then(a.0.cmp(b.0)));
    let rest = given.split_off(given.len().min(MOST));
    let others = match rest.as_slice() {
        [] => None,
        [(only, counted)] => Some(Part::new((*only).to_owned(), *counted)),
        rest => Some(Part::new(format!("{} others", rest.len()), sum(rest))),
    };
    let part = |(answer, counted): (&str, [f64; 2])| Part::new(answer.to_owned(), counted);
    let answers = given.into_iter().map(part).collect();
    let [canary, baseline] = totals;
    Distribution { field: field.to_owned(), canary, baseline, answers, others }
}

/// From counts of what is at most each bound; neighbours are one where there are many.
fn of_values(field: &str, within: &[(f64, [f64; 2])]) -> Option<Distribution> {
    let (_, totals) = within.last().filter(|(bound, _)| bound.is_infinite())?;
    let mut parts: Vec<(f64, f64, [f64; 2])> = Vec::new();
    let (mut from, mut before) = (f64::NEG_INFINITY, [0.0; 2]);
    for (bound, counted) in within {
        let between = [0, 1].map(|side| (counted[side] - before[side]).max(0.0));
        parts.push((from, *bound, between));
        (from, before) = (*bound, *counted);
    }
    while parts.len() > MOST {
        let pairs = parts.chunks(2).map(|pair| match pair {
            [a, b] => (a.0, b.1, [a.2[0] + b.2[0], a.2[1] + b.2[1]]),
            _ => pair[0],
        });
        parts = pairs.collect();
    }
    let name = |from: f64, to: f64| match (from.is_finite(), to.is_finite()) {
        (false, false) => "any number".to_owned(),
        (false, true) => format!("≤ {to}"),
        (true, false) => format!("> {from}"),
        (true, true) => format!("{from} to {to}"),
    };
    let answers = parts.into_iter().map(|(from, to, counted)| Part::new(name(from, to), counted));
    Some(Distribution {
        field: field.to_owned(),
        canary: totals[0],
        baseline: totals[1],
        answers: answers.collect(),
        others: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::counts::percent;

    #[test]
    fn ten_answers_are_told_and_the_others_are_one() {
        let name = |at: u32| Name {
            field: "/species".to_owned(),
            given: Given::Answer(format!("s{at:02}")),
        };
        let seen = (0..15).map(|at| (name(at), [f64::from(at), 1.0])).collect();
        let [all] = &distributions(&seen)[..] else { panic!("one field") };
        assert_eq!((all.canary, all.baseline, all.answers.len()), (105.0, 15.0, 10));
        assert_eq!(all.answers[0].answer, "s14");
        let others = all.others.as_ref().unwrap();
        assert_eq!(
            (others.answer.as_str(), others.canary, others.baseline),
            ("5 others", 25.0, 5.0)
        );
        assert_eq!(all.shares(&all.answers[0]).map(percent), ["13.3 %", "6.67 %"]);
    }

    #[test]
    fn numbers_are_told_between_their_bounds() {
        let at_most =
            |bound: f64| Name { field: "/score".to_owned(), given: Given::AtMost(Bits(bound)) };
        let seen: BTreeMap<Name, [f64; 2]> = [
            (at_most(0.5), [1.0, 10.0]),
            (at_most(0.9), [4.0, 10.0]),
            (at_most(f64::INFINITY), [5.0, 30.0]),
        ]
        .into();
        let [all] = &distributions(&seen)[..] else { panic!("one field") };
        let told: Vec<_> = all
            .answers
            .iter()
            .map(|part| (part.answer.as_str(), part.canary, part.baseline))
            .collect();
        assert_eq!(told, [("≤ 0.5", 1.0, 10.0), ("0.5 to 0.9", 3.0, 0.0), ("> 0.9", 1.0, 20.0)]);
        let many: BTreeMap<Name, [f64; 2]> = (0..40)
            .map(|at| {
                (at_most(if at == 39 { f64::INFINITY } else { f64::from(at) }), [f64::from(at); 2])
            })
            .collect();
        assert_eq!(distributions(&many)[0].answers.len(), 10);
    }
}

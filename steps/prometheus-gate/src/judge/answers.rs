//! The canary's answers against the baseline's: what is bet on, and what it comes to.
//!
//! The fields and their classes are chosen once, from what the baseline has answered: in the hour before the canary, or
//! where that shows too little, from its first answers; bets begin with the look after. The evidence is the weighted
//! mean of all classes of all fields, and so evidence itself, whatever ties them together. Of responses that have no answer
//! which is counted, such as floats that no config names, only whether they can be read is judged.

use std::collections::BTreeMap;

use crate::judge::answer_change::Change;
use crate::judge::answer_fields::{Category, Class, Field, Rules, Tally};
use crate::judge::answer_loss::Loss;
use crate::judge::answer_names::{Given, Name, Names};
use crate::judge::answer_weights::{UNREADABLE, of_a_field};
use crate::judge::compared::Compared;
use crate::judge::counter_increase::Growth;
use crate::judge::counters::Counters;
use crate::judge::counts::{Counts, Side};
use crate::judge::distribution::{Distribution, distributions};
use crate::judge::e_process::joined;
use crate::series::Revision;
use crate::spec::resolved::AnswersTest;

mod describe;

/// Responses of the baseline that show what is usual, or as many answers of one field.
const ENOUGH: f64 = 100.0;

/// Answers of a field that show it. One that is filled more rarely is not judged.
const ENOUGH_OF_A_FIELD: f64 = 20.0;

/// The likelihood of a change of one class alone for which a pass waits: 20 to 1. It proves nothing, as there are many
/// classes and many looks; and a share that has not changed is far from what is tolerated, and seldom comes near it.
const DOUBT: f64 = 3.0;

pub(super) struct Answers {
    rules: Rules,
    /// What the baseline answered up to the choice, and in how many responses.
    before: BTreeMap<Name, f64>,
    responses_before: f64,
    is_chosen: bool,
    /// The hour before, until all is chosen by it.
    history: Vec<Tally>,
    fields: Vec<Field>,
    unreadable: Category,
    /// All answers that were judged.
    seen: BTreeMap<Name, [f64; 2]>,
    pub(super) loss: Loss,
    /// Whether there is a count of requests to hold the answers against.
    has_requests: bool,
    has_more: bool,
}

impl Answers {
    pub(super) fn new(test: &AnswersTest, history: &Counters, gates: usize) -> Self {
        let AnswersTest { max_ratio, least_share, has_requests, .. } = *test;
        let rules = Rules { tolerated: max_ratio.sqrt(), least_share, gates };
        let growths = history.growths().skip(1);
        let past: Vec<Tally> = growths.map(|growth| Tally::of(growth, &history.names)).collect();
        let mut answers = Self {
            rules,
            before: BTreeMap::new(),
            responses_before: 0.0,
            is_chosen: false,
            fields: Vec::new(),
            unreadable: Category::new(Class::Unreadable, UNREADABLE, rules.test(&[], 1)),
            seen: BTreeMap::new(),
            loss: Loss::default(),
            has_requests,
            has_more: false,
            history: Vec::new(),
        };
        let steps: Vec<Side> = past.iter().map(|tally| unreadable(tally).baseline).collect();
        if steps.iter().any(|step| step.total > 0.0) {
            answers.unreadable.test = rules.test(&steps, 1);
        }
        for tally in &past {
            answers.remember(tally, &history.names);
        }
        answers.history = past;
        answers.choose(1);
        answers
    }

    /// Takes note of what the baseline answers.
    fn remember(&mut self, tally: &Tally, names: &Names) {
        self.responses_before += tally.taken[1];
        for (key, [_, baseline]) in &tally.counted {
            if let Some(name) = names.get(*key)
                && *baseline > 0.0
            {
                *self.before.entry(name.clone()).or_default() += baseline;
            }
        }
    }

    /// Chooses what is bet on, once the baseline has shown enough.
    fn choose(&mut self, rung: usize) {
        let mut answers: BTreeMap<&str, Vec<(&str, f64)>> = BTreeMap::new();
        let mut values: BTreeMap<&str, BTreeMap<u64, f64>> = BTreeMap::new();
        let mut totals: BTreeMap<(&str, bool), f64> = BTreeMap::new();
        for (name, counted) in &self.before {
            match &name.given {
                Given::Answer(answer) => {
                    answers.entry(&name.field).or_default().push((answer, *counted));
                    *totals.entry((&name.field, true)).or_default() += counted;
                }
                Given::AtMost(_) => {
                    values.entry(&name.field).or_default().insert(name.key(), *counted);
                    let total = totals.entry((&name.field, false)).or_default();
                    *total = total.max(*counted);
                }
                Given::Any => {}
            }
        }
        if self.responses_before < ENOUGH && totals.values().all(|total| *total < ENOUGH) {
            return;
        }
        self.is_chosen = true;
        let total = |field: &str, is_answer: bool| {
            totals.get(&(field, is_answer)).copied().unwrap_or_default()
        };
        let enough = |field: &str, is_answer| total(field, is_answer) >= ENOUGH_OF_A_FIELD;
        let (history, rules) = (&self.history, self.rules);
        let mut fields: Vec<Field> = Vec::new();
        for (field, given) in answers.into_iter().filter(|(field, _)| enough(field, true)) {
            fields.push(Field::of_answers(field, given, history, rules, rung));
        }
        for (field, given) in values.into_iter().filter(|(field, _)| enough(field, false)) {
            fields.push(Field::of_values(field, given, history, rules, rung));
        }
        if fields.is_empty() {
            return; // they may come yet
        }
        self.fields = fields;
        self.before.clear();
        if self.fields.iter().all(Field::is_settled) {
            self.history.clear();
        }
    }

    /// The next rung.
    pub(super) fn begin_rung(&mut self) {
        self.loss.begin_rung();
        self.unreadable.begin_rung();
        self.fields.iter_mut().for_each(Field::begin_rung);
    }

    /// A point without growth.
    pub(super) fn pass_over(&mut self) {
        if self.is_lossy() {
            return; // nothing is bet on, and the time does not count
        }
        let fields = self.fields.iter_mut().flat_map(|field| &mut field.categories);
        for category in fields.chain([&mut self.unreadable]) {
            category.test.each(|test| test.look(Counts::default()));
        }
    }

    /// Takes in a look, on a rung that is counted from 1.
    pub(super) fn look(&mut self, growth: &Growth, names: &Names, rung: usize) {
        self.has_more = names.has_more;
        let tally = Tally::of(growth, names);
        // What is decided by the looks before.
        let bets = !self.is_lossy();
        self.unreadable.look(unreadable(&tally), growth.gap, bets);
        for field in &mut self.fields {
            field.look(&tally, growth.gap, bets);
        }
        self.loss.look(growth);
        if growth.gap {
            return;
        }
        for (key, counted) in &tally.counted {
            if let Some(name) = names.get(*key) {
                let seen = self.seen.entry(name.clone()).or_default();
                *seen = [seen[0] + counted[0], seen[1] + counted[1]];
            }
        }
        if self.fields.is_empty() {
            self.remember(&tally, names);
            self.choose(rung);
        }
        if !self.fields.iter().all(Field::is_settled) {
            for field in &mut self.fields {
                field.choose_bounds((&tally, names), &self.history, self.rules, rung);
            }
            if self.fields.iter().all(Field::is_settled) {
                self.history = Vec::new();
            }
        }
    }

    /// Whether too many answers were not counted.
    pub(super) fn is_lossy(&self) -> bool {
        self.has_requests && self.loss.lost().is_some()
    }

    pub(super) fn describe_loss(&self) -> Option<String> {
        self.loss.describe().filter(|_| self.has_requests)
    }

    /// Each class with its field and its weight. They add up to 1 once all is chosen.
    fn categories(&self) -> impl Iterator<Item = (&str, &Category, f64)> + Clone {
        let each = of_a_field(self.fields.len());
        let fields = self.fields.iter().flat_map(move |field| {
            let categories = field.categories.iter();
            categories.map(move |category| (field.name.as_str(), category, each * category.weight))
        });
        fields.chain([("", &self.unreadable, UNREADABLE)])
    }

    /// Natural logarithm of the evidence of a change.
    pub(super) fn log_e(&self) -> f64 {
        self.joined(|category| category.test.log_e())
    }

    /// The same of a quantity of each class. What is not chosen yet has won nothing.
    pub(super) fn joined(&self, log: impl Fn(&Category) -> f64 + Clone) -> f64 {
        let chosen: f64 = self.categories().map(|(.., weight)| weight).sum();
        let open = Some((1.0 - chosen, 0.0)).filter(|(open, _)| *open > 1e-9);
        let known = self.categories().map(move |(_, category, weight)| (weight, log(category)));
        joined(known.chain(open))
    }

    /// Whether one class alone looks changed, which is enough to wait.
    pub(super) fn is_in_doubt(&self) -> bool {
        let doubt = |test: &Change| test.matters() && test.log_likelihood() >= DOUBT;
        self.categories().any(|(_, category, _)| doubt(category.test.newest()))
    }

    /// Whether there is nothing to compare by: what both sides lack alike is no reason for a pass.
    pub(super) fn is_unsettled(&self) -> bool {
        !self.is_chosen || !self.fields.is_empty() && !self.fields.iter().any(Field::is_given)
    }

    /// Whether the baseline's responses have no answer that is counted.
    pub(super) const fn is_silent(&self) -> bool {
        self.is_chosen && self.fields.is_empty()
    }

    /// Answers of all kinds since it is known what to bet on.
    pub(super) fn responses(&self) -> Option<&Compared> {
        Some(&self.fields.first()?.categories.last()?.compared)
    }

    /// What says most, and what the baseline answers most often while nothing says anything.
    pub(super) fn strongest(&self) -> Option<(&str, &Category)> {
        let has_some =
            |(_, category, _): &(&str, &Category, f64)| category.compared.all.canary.total > 0.0;
        let all = || self.categories().filter(has_some);
        let against = |category: &Category, weight: f64| weight.ln() + category.against();
        let strongest = all()
            .max_by(|a, b| against(a.1, a.2).total_cmp(&against(b.1, b.2)))
            .filter(|(_, category, _)| category.shows_something());
        let usual = |category: &Category| match category.class {
            Class::Answer(_) => category.compared.all.baseline.share(),
            _ => None,
        };
        let most = || {
            let usual = all().map(|(field, category, _)| (field, category, usual(category)));
            let first = self.fields.first().map(|field| field.name.as_str());
            usual
                .filter(|(field, _, share)| share.is_some() && Some(*field) == first)
                .max_by(|a, b| a.2.partial_cmp(&b.2).unwrap_or(std::cmp::Ordering::Equal))
        };
        strongest
            .map(|(field, category, _)| (field, category))
            .or_else(|| most().map(|(field, category, _)| (field, category)))
            .or_else(|| all().next().map(|(field, category, _)| (field, category)))
    }

    pub(super) fn distributions(&self) -> Vec<Distribution> {
        distributions(&self.seen)
    }

    /// The test of the class that says most.
    pub(super) fn test(&self) -> Option<&Change> {
        Some(self.strongest()?.1.test.newest())
    }
}

fn unreadable(tally: &Tally) -> Counts {
    let side = |revision: Revision| {
        let [taken, errors] = [tally.taken, tally.unreadable].map(|both| both[revision as usize]);
        Side { errors, total: taken + errors }
    };
    Counts { canary: side(Revision::Canary), baseline: side(Revision::Baseline) }
}

/// A JSON pointer as people read it.
pub(crate) fn shown(field: &str) -> &str {
    field.strip_prefix('/').unwrap_or(field)
}

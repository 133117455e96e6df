//! One field of the answers, and the classes of it that are bet on.

use std::collections::BTreeMap;

use crate::judge::answer_change::Change;
use crate::judge::answer_names::{Bits, Given, Name, Names};
use crate::judge::answer_weights::{self, MISSING, OTHER};
use crate::judge::compared::Compared;
use crate::judge::counter_increase::Growth;
use crate::judge::counts::{Counts, Side};
use crate::judge::restarted::Restarted;
use crate::series::{Measure, Revision};

/// Answers of a field that are told apart. All others are one class.
const MOST_CLASSES: usize = 50;

const SIDES: [Revision; 2] = [Revision::Canary, Revision::Baseline];

/// What a test of answers takes.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    /// How many times another side's share is tolerated.
    pub(super) tolerated: f64,
    /// A share below this matters to nobody, 0 to 1.
    pub(super) least_share: f64,
    /// How many gates share the stake.
    pub(super) gates: usize,
}

impl Rules {
    pub(super) fn test(&self, past: &[Side], rung: usize) -> Restarted<Change> {
        Restarted::new(Change::new(self.tolerated, self.least_share, past), rung, self.gates)
    }

    /// A share that would still matter after the change to fewer that is to be found.
    const fn common(&self) -> f64 {
        self.tolerated * self.tolerated * self.least_share
    }
}

/// What one look counted, of the canary and of the baseline.
pub(super) struct Tally {
    pub(super) taken: [f64; 2],
    pub(super) unreadable: [f64; 2],
    pub(super) counted: BTreeMap<u64, [f64; 2]>,
    /// Answers of each field in all.
    fields: BTreeMap<String, [f64; 2]>,
}

impl Tally {
    pub(super) fn of(growth: &Growth, names: &Names) -> Self {
        let both = |measure| SIDES.map(|side| growth.of(side, measure));
        let mut counted: BTreeMap<u64, [f64; 2]> = BTreeMap::new();
        let mut fields: BTreeMap<String, [f64; 2]> = BTreeMap::new();
        for side in SIDES {
            for measure in [Measure::Answer, Measure::Value, Measure::Filled] {
                for (key, grown) in growth.counted(side, measure) {
                    let Some(name) = names.get(key) else { continue };
                    counted.entry(key).or_default()[side as usize] += grown;
                    if measure == Measure::Answer {
                        let known = fields.get_mut(&name.field);
                        let total = match known {
                            Some(total) => total,
                            None => fields.entry(name.field.clone()).or_default(),
                        };
                        total[side as usize] += grown;
                    }
                }
            }
        }
        Self { taken: both(Measure::Taken), unreadable: both(Measure::Unreadable), counted, fields }
    }

    fn of_key(&self, key: u64) -> [f64; 2] {
        self.counted.get(&key).copied().unwrap_or_default()
    }

    fn of_field(&self, field: &str) -> [f64; 2] {
        self.fields.get(field).copied().unwrap_or_default()
    }
}

/// A class of the answers of a field.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Class {
    Answer(String),
    /// All that the baseline did not usually give.
    Other,
    /// Answers without the field.
    Missing,
    AtMost(f64),
    Above(f64),
    /// Responses that are none of what was expected.
    Unreadable,
}

/// A class that is bet on.
pub(super) struct Category {
    pub(super) class: Class,
    /// Of its field's part.
    pub(super) weight: f64,
    pub(super) test: Restarted<Change>,
    pub(super) compared: Compared,
}

impl Category {
    pub(super) fn new(class: Class, weight: f64, test: Restarted<Change>) -> Self {
        Self { class, weight, test, compared: Compared::default() }
    }

    /// A pass rests on no answers but those that were bet on.
    pub(super) fn look(&mut self, counts: Counts, gap: bool, bets: bool) {
        if let Some(look) = self.compared.add(counts, gap || !bets) {
            self.test.each(|test| test.look(look));
        }
    }

    pub(super) fn begin_rung(&mut self) {
        self.test.begin();
        self.compared.begin_rung();
    }

    /// Whether anything speaks for a change, beyond how sums of parts are rounded.
    pub(super) fn shows_something(&self) -> bool {
        self.against() > 1e-9
    }

    /// How much speaks for a change, be it a proof or not.
    pub(super) fn against(&self) -> f64 {
        let doubt = self.test.mean(Change::log_doubt).max(self.test.newest().log_doubt());
        self.test.log_e().max(doubt)
    }
}

pub(super) struct Field {
    pub(super) name: String,
    kind: Kind,
    /// The number of the responses that have it.
    any: u64,
    /// The last is [`Class::Missing`].
    pub(super) categories: Vec<Category>,
    /// Whether the baseline has filled it on this rung.
    given: bool,
}

enum Kind {
    /// The number of each class but the last two.
    Answers(BTreeMap<u64, usize>),
    /// The numbers of the bounds, and of all values; and how many of the baseline's were at most each.
    Values { bounds: Vec<u64>, all: u64, before: BTreeMap<u64, f64> },
}

impl Field {
    /// A field as the baseline filled it, whose classes stay, so that the bet stays fair.
    pub(super) fn of_answers(
        name: &str,
        mut given: Vec<(&str, f64)>,
        history: &[Tally],
        rules: Rules,
        rung: usize,
    ) -> Self {
        given.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
        let total: f64 = given.iter().map(|(_, counted)| counted).sum();
        given.truncate(MOST_CLASSES);
        let key = |answer: &str| {
            let given = Given::Answer(answer.to_owned());
            Name { field: name.to_owned(), given }.key()
        };
        let index = given.iter().enumerate().map(|(at, (answer, _))| (key(answer), at)).collect();
        let shares: Vec<f64> = given.iter().map(|(_, counted)| counted / total).collect();
        let weights = answer_weights::of_answers(&shares, rules.common());
        let usual = given.into_iter().map(|(answer, _)| Class::Answer(answer.to_owned()));
        let classes = usual.zip(weights).chain([(Class::Other, OTHER), (Class::Missing, MISSING)]);
        Self::new(name, Kind::Answers(index), classes, history, rules, rung)
    }

    /// A field of numbers. Its bounds are those that both sides turn out to have.
    pub(super) fn of_values(
        name: &str,
        before: BTreeMap<u64, f64>,
        history: &[Tally],
        rules: Rules,
        rung: usize,
    ) -> Self {
        let all = Given::AtMost(Bits(f64::INFINITY));
        let all = Name { field: name.to_owned(), given: all }.key();
        let kind = Kind::Values { bounds: Vec::new(), all, before };
        let missing = [(Class::Missing, MISSING)].into_iter();
        Self::new(name, kind, missing, history, rules, rung)
    }

    fn new(
        name: &str,
        kind: Kind,
        classes: impl Iterator<Item = (Class, f64)>,
        history: &[Tally],
        rules: Rules,
        rung: usize,
    ) -> Self {
        let mut field = Self {
            name: name.to_owned(),
            any: Name { field: name.to_owned(), given: Given::Any }.key(),
            kind,
            categories: Vec::new(),
            given: false,
        };
        let plain = |(class, weight)| Category::new(class, weight, rules.test(&[], rung));
        field.categories = classes.map(plain).collect();
        field.learn_from(history, rules, rung);
        field
    }

    /// Gives the classes tests that know how the answers of each came in the past, where there is one.
    fn learn_from(&mut self, history: &[Tally], rules: Rules, rung: usize) {
        let pasts: Vec<Vec<Counts>> = history.iter().map(|tally| self.counts(tally)).collect();
        for (at, category) in self.categories.iter_mut().enumerate() {
            let past: Vec<Side> = pasts.iter().map(|counts| counts[at].baseline).collect();
            if !past.is_empty() {
                category.test = rules.test(&past, rung);
            }
        }
    }

    /// Chooses the bounds of numbers once both sides have shown theirs. Of what is above a bound and what is at most
    /// that, the rarer tells more.
    pub(super) fn choose_bounds(
        &mut self,
        (tally, names): (&Tally, &Names),
        history: &[Tally],
        rules: Rules,
        rung: usize,
    ) {
        let Kind::Values { bounds, all, before } = &mut self.kind else { return };
        // A histogram shows all of its bounds at once.
        if !bounds.is_empty() || tally.of_key(*all).iter().any(|total| *total <= 0.0) {
            return;
        }
        let common = names.common_bounds(&self.name);
        let total = before.get(all).copied().unwrap_or_default();
        let finite = common.into_iter().filter(|(bound, _)| bound.is_finite());
        let mut shares: Vec<f64> = Vec::new();
        let chosen: Vec<(Class, u64)> = finite
            .map(|(bound, key)| {
                let within = before.get(&key).copied().unwrap_or_default();
                let mostly = within > total / 2.0;
                let rarer = if mostly { total - within } else { within };
                shares.push(rarer / total.max(1.0));
                (if mostly { Class::Above(bound) } else { Class::AtMost(bound) }, key)
            })
            .collect();
        if chosen.is_empty() {
            return;
        }
        *bounds = chosen.iter().map(|(_, key)| *key).collect();
        let weights = answer_weights::of_bounds(&shares, rules.common());
        let missing = self.categories.pop();
        let plain = |((class, _), weight)| Category::new(class, weight, rules.test(&[], rung));
        self.categories = chosen.into_iter().zip(weights).map(plain).collect();
        self.learn_from(history, rules, rung);
        self.categories.extend(missing);
    }

    /// Whether it is known what is bet on.
    pub(super) fn is_settled(&self) -> bool {
        match &self.kind {
            Kind::Answers(_) => true,
            Kind::Values { bounds, .. } => !bounds.is_empty(),
        }
    }

    /// Whether the baseline has filled it on this rung.
    pub(super) fn is_given(&self) -> bool {
        self.is_settled() && self.given
    }

    fn totals(&self, tally: &Tally) -> [f64; 2] {
        match &self.kind {
            Kind::Answers(_) => tally.of_field(&self.name),
            Kind::Values { all, .. } => tally.of_key(*all),
        }
    }

    /// What a look counted of each class.
    pub(super) fn counts(&self, tally: &Tally) -> Vec<Counts> {
        let totals = self.totals(tally);
        let mut classes = match &self.kind {
            Kind::Answers(index) => {
                let mut classes = vec![[0.0; 2]; index.len()];
                let mut other = totals;
                for (key, at) in index {
                    let counted = tally.of_key(*key);
                    classes[*at] = counted;
                    other = [0, 1].map(|side| (other[side] - counted[side]).max(0.0));
                }
                classes.push(other);
                classes
            }
            Kind::Values { bounds, .. } => {
                let counted = bounds.iter().zip(&self.categories).map(|(key, category)| {
                    let within = tally.of_key(*key);
                    let above = [0, 1].map(|side| (totals[side] - within[side]).max(0.0));
                    if matches!(category.class, Class::Above(_)) { above } else { within }
                });
                counted.collect()
            }
        };
        let of = |counted: [f64; 2], totals: [f64; 2]| {
            let side =
                |side: usize| Side { errors: counted[side].min(totals[side]), total: totals[side] };
            Counts { canary: side(0), baseline: side(1) }
        };
        let filled = tally.of_key(self.any);
        let missing = [0, 1].map(|side| (tally.taken[side] - filled[side]).max(0.0));
        let mut counts: Vec<Counts> =
            classes.drain(..).map(|counted| of(counted, totals)).collect();
        counts.push(of(missing, tally.taken));
        counts
    }

    /// The next rung.
    pub(super) fn begin_rung(&mut self) {
        self.given = false;
        self.categories.iter_mut().for_each(Category::begin_rung);
    }

    pub(super) fn look(&mut self, tally: &Tally, gap: bool, bets: bool) {
        self.given |= !gap && self.totals(tally)[1] > 0.0;
        let counts = self.counts(tally);
        for (category, counts) in self.categories.iter_mut().zip(counts) {
            category.look(counts, gap, bets);
        }
    }
}

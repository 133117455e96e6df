//! What answers show, in words.

use crate::judge::answer_change::Change;
use crate::judge::answer_fields::Class;
use crate::judge::answer_names::Given;
use crate::judge::answers::{Answers, shown};
use crate::judge::counts::{Counts, Side, grouped, percent};

impl Answers {
    /// What the class that says most shows, in words.
    pub(crate) fn describe(&self) -> Option<String> {
        let (field, category) = self.strongest()?;
        if self.fields.is_empty() && !category.shows_something() {
            return None;
        }
        let Counts { canary, baseline } = category.compared.all;
        let share = |side: Side| side.share().map_or_else(|| "none".to_owned(), percent);
        Some(format!(
            "{} {} of {} answers, {} of {} from the baseline",
            self.what(field, &category.class),
            share(canary),
            grouped(canary.total),
            share(baseline),
            grouped(baseline.total)
        ))
    }

    /// The field and the class that say most, for a picture.
    pub(crate) fn told(&self) -> Option<(String, String)> {
        let (field, category) = self.strongest()?;
        let answer = match &category.class {
            Class::Answer(answer) => answer.clone(),
            Class::Other => "others".to_owned(),
            Class::Missing => "missing".to_owned(),
            Class::AtMost(bound) => format!("≤ {bound}"),
            Class::Above(bound) => format!("> {bound}"),
            Class::Unreadable => "unreadable".to_owned(),
        };
        Some((field.to_owned(), answer))
    }

    fn what(&self, field: &str, class: &Class) -> String {
        let name = shown(field);
        match class {
            Class::Answer(answer) => format!("{name}: `{answer}`"),
            Class::Other => match self.newcomer(field) {
                Some(answer) => format!("{name}: answers that are not usual, such as `{answer}`,"),
                None => format!("{name}: answers that are not usual"),
            },
            Class::Missing => format!("{name}: missing in"),
            Class::AtMost(bound) => format!("{name}: at most {bound} in"),
            Class::Above(bound) => format!("{name}: above {bound} in"),
            Class::Unreadable => "cannot be read:".to_owned(),
        }
    }

    /// The answer of the canary that is most frequent among those that are no class.
    fn newcomer(&self, field: &str) -> Option<&str> {
        let known = self.fields.iter().find(|known| known.name == field)?;
        let is_class = |answer: &str| {
            known
                .categories
                .iter()
                .any(|category| matches!(&category.class, Class::Answer(known) if known == answer))
        };
        let given = self.seen.iter().filter_map(|(name, [canary, _])| match &name.given {
            Given::Answer(answer) if name.field == field && !is_class(answer) => {
                Some((answer.as_str(), *canary))
            }
            _ => None,
        });
        given.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(answer, _)| answer)
    }

    /// What it says of the class that says most, as the beginning of a sentence's end.
    pub(crate) fn beyond(&self) -> String {
        let tolerated = format!("{:.2}", self.rules.tolerated);
        let is_more = self.test().is_none_or(Change::is_more);
        if is_more {
            format!("more than {tolerated} times the baseline's share")
        } else {
            format!("less than the baseline's share divided by {tolerated}")
        }
    }

    /// What is not judged, as notes.
    pub(crate) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.is_silent() {
            notes.push("responses of the baseline have no answer that is counted: a config of answer-counter can name fields".to_owned());
        }
        if self.has_more {
            notes
                .push("there are more fields, or answers of a field, than are compared".to_owned());
        }
        if !self.fields.is_empty() {
            let is_judged = |field: &str| self.fields.iter().any(|judged| judged.name == field);
            let mut left: Vec<&str> = self.seen.keys().map(|name| name.field.as_str()).collect();
            left.dedup();
            left.retain(|field| !is_judged(field));
            if !left.is_empty() {
                let left: Vec<String> =
                    left.iter().map(|field| format!("`{}`", shown(field))).collect();
                notes.push(format!(
                    "the baseline has hardly filled {}, which is not judged",
                    left.join(", ")
                ));
            }
        }
        notes
    }
}

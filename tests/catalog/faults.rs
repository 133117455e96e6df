//! Every fault that a test finds, told at once.

use std::{collections::BTreeSet, fmt::Display};

/// What is wrong, each with where it is and what to change.
#[derive(Default)]
pub(crate) struct Faults(Vec<String>);

impl Faults {
    pub(crate) fn add(&mut self, place: impl Display, change: impl Display) {
        self.0.push(format!("{place}: {change}"));
    }

    pub(crate) fn unless(&mut self, sound: bool, place: impl Display, change: impl Display) {
        if !sound {
            self.add(place, change);
        }
    }

    pub(crate) fn equal(
        &mut self,
        place: impl Display,
        what: &str,
        found: impl Display,
        wanted: impl Display,
    ) {
        let (found, wanted) = (found.to_string(), wanted.to_string());
        self.unless(found == wanted, place, format!("{what} is `{found}`, not `{wanted}`"));
    }

    pub(crate) fn same(
        &mut self,
        place: &str,
        what: &str,
        found: &BTreeSet<String>,
        other: &str,
        wanted: &BTreeSet<String>,
    ) {
        for name in found.difference(wanted) {
            self.add(place, format!("`{name}` is among the {what}, not among the {other}"));
        }
        for name in wanted.difference(found) {
            self.add(place, format!("`{name}` is among the {other}, not among the {what}"));
        }
    }

    pub(crate) fn none(self) {
        assert!(self.0.is_empty(), "\n{}\n", self.0.join("\n"));
    }
}

//! The counts for Prometheus, piece by piece, so that a scrape is never in memory as a whole and no piece
//! keeps others waiting for long.

use step::metrics::{Family, Text};

use crate::counts::{Counts, Names, Service};

/// A piece is at least that long, but for the last one.
const PIECE: usize = 16 * 1024;

type Write = fn(&mut Family<'_>, &Names, &Service);

const FAMILIES: [(&str, &str, &str, Write); 4] = [
    (
        "kanaria_answer_events_total",
        "counter",
        "Events of answers: taken, dropped as too many, too large or too slow, or unreadable",
        events,
    ),
    (
        "kanaria_answer_fields_total",
        "counter",
        "Events that have a field, be it once or several times",
        fields,
    ),
    (
        "kanaria_answers_total",
        "counter",
        "Answers of models by field; other: all beyond the first 50 of a field of a service",
        answers,
    ),
    (
        "kanaria_answer_value",
        "histogram",
        "Numbers that models answered, of the fields that the config names",
        values,
    ),
];

/// A scrape that is under way
#[derive(Debug, Default)]
pub struct Scrape {
    family: usize,
    /// The last one whose samples are written
    after: Option<Names>,
}

impl Scrape {
    /// The next piece; nothing at the end.
    pub fn next(&mut self, counts: &Counts) -> Option<String> {
        let mut text = Text::default();
        while let Some((name, kind, help, write)) = FAMILIES.get(self.family) {
            let mut family = match self.after {
                None => text.family(name, kind, help),
                Some(_) => text.more_of(name),
            };
            let Some((names, service)) = counts.next(self.after.as_ref()) else {
                (self.family, self.after) = (self.family + 1, None);
                continue;
            };
            write(&mut family, names, service);
            self.after = Some(names.clone());
            if text.len() >= PIECE {
                break;
            }
        }
        (!text.is_empty()).then(|| text.into_string())
    }
}

/// What the service says of itself
pub fn of_itself(counts: &Counts, started: f64, without_room: u64) -> String {
    let mut text = Text::default();
    let help = "Events of services and versions for which there was no room";
    text.family("kanaria_answer_events_without_room_total", "counter", help)
        .count(&[], without_room);
    let help = "Series there are, of at most 12000";
    let series = u32::try_from(counts.series()).unwrap_or(u32::MAX);
    text.family("kanaria_answer_series", "gauge", help).sample(&[], series);
    let help = "Start of the process since the epoch, in seconds";
    text.family("process_start_time_seconds", "gauge", help).sample(&[], started);
    text.into_string()
}

fn labels<'a>((namespace, service): &'a Names, version: &'a str) -> [(&'static str, &'a str); 3] {
    [("namespace", namespace), ("service", service), ("version", version)]
}

fn events(family: &mut Family<'_>, names: &Names, service: &Service) {
    for (version, found) in service.versions() {
        let [namespace, service, version] = labels(names, version);
        for (outcome, many) in found.events() {
            family.count(&[namespace, service, version, ("outcome", outcome)], many);
        }
    }
}

fn fields(family: &mut Family<'_>, names: &Names, service: &Service) {
    for (version, found) in service.versions() {
        let [namespace, service_label, version] = labels(names, version);
        for (field, tally) in service.tallies(found) {
            let labels = [namespace, service_label, version, ("field", field.name())];
            family.count(&labels, tally.events());
        }
    }
}

fn answers(family: &mut Family<'_>, names: &Names, service: &Service) {
    for (version, found) in service.versions() {
        let [namespace, service_label, version] = labels(names, version);
        for (field, tally) in service.tallies(found) {
            for (answer, many) in field.answers(tally) {
                let of = [("field", field.name()), ("answer", answer)];
                family.count(&[namespace, service_label, version, of[0], of[1]], many);
            }
        }
    }
}

fn values(family: &mut Family<'_>, names: &Names, service: &Service) {
    for (version, found) in service.versions() {
        let [namespace, service_label, version] = labels(names, version);
        for (field, tally) in service.tallies(found) {
            if let Some((bounds, buckets, sum)) = field.numbers(tally) {
                let labels = [namespace, service_label, version, ("field", field.name())];
                family.histogram(&labels, bounds, buckets, sum);
            }
        }
    }
}

#[cfg(test)]
mod tests;

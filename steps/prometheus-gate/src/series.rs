//! A series of Prometheus, and what it stands for in an answer.

use std::collections::BTreeMap;

use jiff::Timestamp;

pub(crate) type Labels = BTreeMap<String, String>;

/// One series of an answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    pub(crate) labels: Labels,
    /// Moment and value, in any order.
    pub(crate) values: Vec<(Timestamp, f64)>,
}

/// The label by which one query tells apart what its series stand for.
pub(crate) const ROLE: &str = "gate_part";

/// One side of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Revision {
    Canary,
    Baseline,
}

/// What is measured of a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Measure {
    /// Requests that have ended.
    Total,
    /// Those of them that count against the revision.
    Errors,
    /// The same, counted one step further inside, where the outer count takes some for answered.
    Inner,
    /// A histogram's buckets.
    Bucket,
    /// Requests that have begun.
    Starts,
    /// Requests that are under way: a gauge.
    Active,
    /// When the counters were sampled, in seconds since 1970.
    Sampled,
    /// Answers of a field, by what they are.
    Answer,
    /// Numbers of a field, by bounds that they are at most.
    Value,
    /// Answers that were read and have a field, once or several times.
    Filled,
    /// Answers that were read, of all fields.
    Taken,
    /// Answers that could not be read.
    Unreadable,
    /// Requests that were answered, by another's count.
    Answered,
}

impl Measure {
    /// Whether it is of the counter of answers.
    pub(crate) const fn is_of_answers(self) -> bool {
        matches!(self, Self::Answer | Self::Value | Self::Filled | Self::Taken | Self::Unreadable)
    }
}

/// What a series stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SeriesRole {
    Of(Revision, Measure),
    /// `up`: that a process was scraped.
    Up,
    /// `process_start_time_seconds`.
    Started,
    /// The newest scrape of anything, in seconds since 1970.
    Scraped,
    /// What a query of one's own returns.
    Value,
}

impl SeriesRole {
    /// `canary_total`, `up`.
    pub(crate) fn label(self) -> String {
        match self {
            Self::Of(revision, measure) => format!("{revision:?}_{measure:?}"),
            role => format!("{role:?}"),
        }
        .to_ascii_lowercase()
    }

    pub(crate) fn of(labels: &Labels) -> Self {
        use Measure::{
            Active, Answer, Answered, Bucket, Errors, Filled, Inner, Sampled, Starts, Taken, Total,
            Unreadable, Value,
        };
        let Some(label) = labels.get(ROLE) else { return Self::Value };
        let of_a_side = [Revision::Canary, Revision::Baseline].into_iter().flat_map(|revision| {
            let measures = [
                Total, Errors, Inner, Bucket, Starts, Active, Sampled, Answer, Value, Filled,
                Taken, Unreadable, Answered,
            ];
            measures.map(|measure| Self::Of(revision, measure))
        });
        let mut roles = of_a_side.chain([Self::Up, Self::Started, Self::Scraped]);
        roles.find(|role| role.label() == *label).unwrap_or(Self::Value)
    }
}

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
    const NAMED: [Self; 17] = {
        use Measure::{Active, Bucket, Errors, Inner, Sampled, Starts, Total};
        use Revision::{Baseline, Canary};
        [
            Self::Of(Canary, Total),
            Self::Of(Canary, Errors),
            Self::Of(Canary, Inner),
            Self::Of(Canary, Bucket),
            Self::Of(Canary, Starts),
            Self::Of(Canary, Active),
            Self::Of(Canary, Sampled),
            Self::Of(Baseline, Total),
            Self::Of(Baseline, Errors),
            Self::Of(Baseline, Inner),
            Self::Of(Baseline, Bucket),
            Self::Of(Baseline, Starts),
            Self::Of(Baseline, Active),
            Self::Of(Baseline, Sampled),
            Self::Up,
            Self::Started,
            Self::Scraped,
        ]
    };

    pub(crate) fn label(self) -> String {
        let Self::Of(revision, measure) = self else {
            return match self {
                Self::Up => "up",
                Self::Started => "started",
                Self::Scraped => "scraped",
                _ => "",
            }
            .to_owned();
        };
        let revision = match revision {
            Revision::Canary => "canary",
            Revision::Baseline => "baseline",
        };
        let measure = match measure {
            Measure::Total => "total",
            Measure::Errors => "errors",
            Measure::Inner => "inner",
            Measure::Bucket => "bucket",
            Measure::Starts => "starts",
            Measure::Active => "active",
            Measure::Sampled => "sampled",
        };
        format!("{revision}_{measure}")
    }

    pub(crate) fn of(labels: &Labels) -> Self {
        let Some(label) = labels.get(ROLE) else { return Self::Value };
        Self::NAMED.into_iter().find(|role| role.label() == *label).unwrap_or(Self::Value)
    }
}

//! What the server answered, read straight from its text, and which answers are not evidence.

use std::{collections::BTreeSet, fmt};

use jiff::Timestamp;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::prometheus::error::PrometheusError;
use crate::prometheus::text::{clean, excerpt};
use crate::series::{Labels, Series};
use crate::time::from_seconds;

/// An answer that is whole.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) series: Vec<Series>,
    /// What the server sent, for a record: JSON on one line.
    pub(crate) bodies: Vec<Box<RawValue>>,
}

/// The series of an answer to `query_range`.
pub(crate) fn parse(body: &[u8]) -> Result<Vec<Series>, PrometheusError> {
    match whole(body)? {
        Data { result_type: ResultType::Matrix, result } => matrix(result),
        Data { result_type, .. } => {
            let kind = format!("{result_type:?}").to_lowercase();
            Err(PrometheusError::Garbled(format!("a range query gave a {kind}")))
        }
    }
}

/// The series of an answer to `query`.
pub(super) fn parse_instant(body: &[u8]) -> Result<Vec<Series>, PrometheusError> {
    let Data { result_type, result } = whole(body)?;
    match result_type {
        ResultType::Matrix => matrix(result),
        ResultType::Vector => {
            let samples: Vec<Sample> = read(result.get().as_bytes())?;
            distinct(samples.into_iter().map(Sample::into_series).collect::<Result<_, _>>()?)
        }
        ResultType::Scalar => {
            let Point(at, value) = read(result.get().as_bytes())?;
            Ok(vec![Series { labels: Labels::new(), values: vec![(at, value)] }])
        }
        ResultType::String => {
            Err(PrometheusError::Query("it gives a string, not numbers".to_owned()))
        }
    }
}

/// The number that `time()` gave: the server's clock.
pub(super) fn parse_clock(body: &[u8]) -> Result<Timestamp, PrometheusError> {
    let wrong = || PrometheusError::Garbled("`time()` gave no time".to_owned());
    let Data { result_type: ResultType::Scalar, result } = whole(body)? else {
        return Err(wrong());
    };
    let Point(_, seconds) = read(result.get().as_bytes())?;
    from_seconds(seconds).ok_or_else(wrong)
}

/// The text of an answer for a record, where each line is one JSON value.
pub(super) fn raw(mut body: Vec<u8>) -> Result<Box<RawValue>, PrometheusError> {
    // A string in JSON holds no line break, so that one is only ever layout.
    body.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
    let garbled = |why: String| PrometheusError::Garbled(why);
    let text = String::from_utf8(body).map_err(|error| garbled(error.to_string()))?;
    RawValue::from_string(text).map_err(|error| garbled(error.to_string()))
}

/// The data of an answer that says of itself that it is complete.
fn whole(body: &[u8]) -> Result<Data<'_>, PrometheusError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(PrometheusError::Garbled("it is empty".to_owned()));
    }
    let Envelope { status, data, error, warnings, is_partial } = read(body)?;
    if status != "success" {
        let error = error.map_or_else(|| "no reason given".to_owned(), |error| clean(&error));
        return Err(PrometheusError::Garbled(format!(
            "its status is `{}`: {error}",
            clean(&status)
        )));
    }
    if let Some(warning) = warnings.unwrap_or_default().first() {
        return Err(PrometheusError::Warned(clean(warning)));
    }
    if is_partial == Some(true) {
        return Err(PrometheusError::Warned("the answer is partial (`isPartial`)".to_owned()));
    }
    data.ok_or_else(|| PrometheusError::Garbled("it has no data".to_owned()))
}

fn matrix(result: &RawValue) -> Result<Vec<Series>, PrometheusError> {
    let ranges: Vec<Range> = read(result.get().as_bytes())?;
    distinct(ranges.into_iter().map(Range::into_series).collect::<Result<_, _>>()?)
}

/// Two series with the same labels would count twice.
fn distinct(series: Vec<Series>) -> Result<Vec<Series>, PrometheusError> {
    let mut seen = BTreeSet::new();
    if series.iter().all(|series| seen.insert(&series.labels)) {
        return Ok(series);
    }
    Err(PrometheusError::Garbled("two series have the same labels".to_owned()))
}

pub(super) fn read<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, PrometheusError> {
    serde_json::from_slice(text).map_err(|error| {
        PrometheusError::Garbled(format!("{}{}", clean(&error.to_string()), excerpt(text)))
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    status: String,
    #[serde(borrow)]
    data: Option<Data<'a>>,
    error: Option<String>,
    /// A server that warns may have left something out. `infos` say nothing of the kind.
    warnings: Option<Vec<String>>,
    /// `VictoriaMetrics` says so when one of its storage nodes is away.
    is_partial: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    result_type: ResultType,
    /// Read only when its type is known: no copy is made on the way.
    #[serde(borrow)]
    result: &'a RawValue,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ResultType {
    Matrix,
    Vector,
    Scalar,
    String,
}

/// An element of a vector. A native histogram is not a number: it gives no value.
#[derive(Deserialize)]
pub(crate) struct Sample {
    #[serde(deserialize_with = "labels")]
    metric: Labels,
    value: Option<Point>,
    histogram: Option<IgnoredAny>,
}

/// An element of a matrix.
#[derive(Deserialize)]
struct Range {
    #[serde(deserialize_with = "labels")]
    metric: Labels,
    #[serde(default, deserialize_with = "values")]
    values: Option<Vec<(Timestamp, f64)>>,
    histograms: Option<IgnoredAny>,
}

impl Sample {
    fn into_series(self) -> Result<Series, PrometheusError> {
        let Self { metric: labels, value, histogram } = self;
        if value.is_none() && histogram.is_none() {
            return Err(PrometheusError::Garbled("a series has no value".to_owned()));
        }
        Ok(Series {
            labels,
            values: value.map(|Point(at, value)| (at, value)).into_iter().collect(),
        })
    }
}

impl Range {
    fn into_series(self) -> Result<Series, PrometheusError> {
        let Self { metric: labels, values, histograms } = self;
        if values.is_none() && histograms.is_none() {
            return Err(PrometheusError::Garbled("a series has no values".to_owned()));
        }
        Ok(Series { labels, values: values.unwrap_or_default() })
    }
}

/// A time in seconds and a value. The value comes as text: `NaN` and `+Inf` are not numbers in JSON.
#[derive(Deserialize)]
#[serde(try_from = "(f64, Number)")]
struct Point(Timestamp, f64);

impl TryFrom<(f64, Number)> for Point {
    type Error = &'static str;

    fn try_from((seconds, Number(value)): (f64, Number)) -> Result<Self, Self::Error> {
        from_seconds(seconds).map(|at| Self(at, value)).ok_or("a time is out of range")
    }
}

pub(crate) struct Number(f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number as text")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Number, E> {
                text.parse().map(Number).map_err(|_| E::custom("a value is not a number"))
            }
        }
        from.deserialize_str(Text)
    }
}

/// The values of a series, straight into their place.
fn values<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<(Timestamp, f64)>>, D::Error> {
    struct Points;
    impl<'de> Visitor<'de> for Points {
        type Value = Vec<(Timestamp, f64)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("points in time order")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut points: A) -> Result<Self::Value, A::Error> {
            let mut values: Self::Value = Vec::new();
            while let Some(Point(at, value)) = points.next_element()? {
                if values.last().is_some_and(|(before, _)| *before >= at) {
                    return Err(A::Error::custom("a series has its points out of order"));
                }
                values.push((at, value));
            }
            values.shrink_to_fit();
            Ok(values)
        }
    }
    from.deserialize_seq(Points).map(Some)
}

/// Labels, each once.
fn labels<'de, D: Deserializer<'de>>(from: D) -> Result<Labels, D::Error> {
    struct Once;
    impl<'de> Visitor<'de> for Once {
        type Value = Labels;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("labels")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Labels, A::Error> {
            let mut labels = Labels::new();
            while let Some((name, value)) = pairs.next_entry()? {
                if labels.insert(name, value).is_some() {
                    return Err(A::Error::custom("a series has a label twice"));
                }
            }
            Ok(labels)
        }
    }
    from.deserialize_map(Once)
}

#[cfg(test)]
mod tests;

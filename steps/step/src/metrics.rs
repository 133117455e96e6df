//! A service's metrics in Prometheus' text format 0.0.4, every value of a label escaped.

use std::fmt::Write as _;

/// Of a scrape's answer
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

#[derive(Default)]
pub struct Text(String);

/// The samples of one metric
pub struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl Text {
    /// Begins a metric. `help` is one line without backslashes.
    pub fn family(
        &mut self,
        name: &'static str,
        kind: &'static str,
        help: &'static str,
    ) -> Family<'_> {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Family { text: &mut self.0, name }
    }

    /// More samples of a metric that has begun in a text before this one.
    pub fn more_of(&mut self, name: &'static str) -> Family<'_> {
        Family { text: &mut self.0, name }
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn into_string(self) -> String {
        self.0
    }
}

impl Family<'_> {
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Into<f64>) {
        self.write("", labels, value.into());
    }

    /// The same of a whole number, which has no room in a float
    pub fn count(&mut self, labels: &[(&str, &str)], value: u64) {
        self.write("", labels, value);
    }

    /// A summary's quantiles, sum and count
    pub fn summary(&mut self, labels: &[(&str, &str)], mut seconds: Vec<f64>) {
        seconds.sort_by(f64::total_cmp);
        for (name, numerator) in [("0.5", 5), ("0.9", 9)] {
            let rank = (seconds.len() * numerator).div_ceil(10).max(1);
            let quantile = seconds.get(rank - 1).copied().unwrap_or(f64::NAN);
            let labels: Vec<_> = labels.iter().copied().chain([("quantile", name)]).collect();
            self.write("", &labels, quantile);
        }
        self.write("_sum", labels, seconds.iter().sum::<f64>());
        self.write("_count", labels, seconds.len());
    }

    /// A histogram: how many values are in each bucket by itself, the one without an upper bound last, and their sum
    pub fn histogram(
        &mut self,
        labels: &[(&str, &str)],
        bounds: &[f64],
        buckets: &[u64],
        sum: f64,
    ) {
        let bounds = bounds.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
        let mut count = 0;
        for (bound, many) in bounds.zip(buckets) {
            count += many;
            let labels: Vec<_> = labels.iter().copied().chain([("le", bound.as_str())]).collect();
            self.write("_bucket", &labels, count);
        }
        self.write("_sum", labels, sum);
        self.write("_count", labels, count);
    }

    fn write(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.text.push_str(self.name);
        self.text.push_str(suffix);
        for (at, (name, value)) in labels.iter().enumerate() {
            self.text.push(if at == 0 { '{' } else { ',' });
            let _ = write!(self.text, "{name}=\"");
            for c in value.chars() {
                match c {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    c => self.text.push(c),
                }
            }
            self.text.push('"');
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{end} {value}");
    }
}

//! What a gate is asked.
//!
//! - `file`: a spec as it is written, in YAML or by flags
//! - `status_codes`: which answers count as failed, and which as rejected
//! - `expression`: the language of conditions and formulas
//! - `criteria`: from a spec to questions
//! - `presets`: criteria that know their series
//! - `sources`: who counts requests, and how a revision is told apart there
//! - `queries`: the PromQL that asks for counters
//! - `promql`: what can be read off a query
//! - `question`: a criterion, or the candidates for it
//! - `model`: timing and criteria, all that a verdict depends on besides the samples
//! - `subject`: whose verdict it is, for people

pub(crate) mod criteria;
pub(crate) mod expression;
pub(crate) mod file;
pub(crate) mod model;
pub(crate) mod presets;
pub(crate) mod promql;
pub(crate) mod queries;
pub(crate) mod question;
pub(crate) mod sources;
pub(crate) mod status_codes;
pub(crate) mod subject;

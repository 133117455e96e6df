//! What a gate is asked.

pub(crate) mod answered;
pub(crate) mod answers;
pub(crate) mod answers_query;
pub(crate) mod candidates;
pub(crate) mod criteria;
pub(crate) mod expression;
pub(crate) mod file;
pub(crate) mod permission;
pub(crate) mod presets;
pub(crate) mod promql;
pub(crate) mod queries;
pub(crate) mod request_metrics;
pub(crate) mod resolved;
pub(crate) mod rollout;
pub(crate) mod rungs;
pub(crate) mod status_codes;
pub(crate) mod windows;

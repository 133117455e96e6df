//! What a gate is asked.

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

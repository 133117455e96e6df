//! The verdict: a pure function of the spec, the start, the samples and the time.

pub(crate) mod cadence;
mod compared;
pub(crate) mod comparison;
pub(crate) mod counter_increase;
pub(crate) mod counters;
pub(crate) mod counts;
pub(crate) mod criterion;
pub(crate) mod decide;
pub(crate) mod decided;
mod dispersion;
pub(crate) mod e_process;
mod error_rates;
pub(crate) mod evidence;
mod hanging_requests;
mod latency_bounds;
pub(crate) mod permission;
pub(crate) mod restarted;
pub(crate) mod rung_times;
pub(crate) mod samples;
mod shortfall;
pub(crate) mod summary;
pub(crate) mod trail;
mod under_way;
pub(crate) mod verdict;
pub(crate) mod waiting;

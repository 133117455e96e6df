//! The verdict: a pure function of the spec, the start, the samples and the time.

pub(crate) mod cadence;
pub(crate) mod comparison;
pub(crate) mod counter_increase;
pub(crate) mod counters;
pub(crate) mod counts;
pub(crate) mod criterion;
pub(crate) mod decide;
mod dispersion;
pub(crate) mod e_process;
mod error_rates;
pub(crate) mod evidence;
mod hanging_requests;
mod latency_bounds;
pub(crate) mod samples;
pub(crate) mod summary;
pub(crate) mod verdict;

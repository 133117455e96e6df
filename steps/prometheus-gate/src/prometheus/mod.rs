//! Prometheus, as far as a gate asks it.
//!
//! - `access`: who asks: headers, tokens, certificates
//! - `signature`: AWS Signature Version 4
//! - `client`: queries on the server's clock
//! - `answer`: what came back, and which answers are not evidence
//! - `error`: why there is no answer, and what to do about it; `signature_error`: the same of AWS
//! - `text`: words of servers, made short
//! - `discovery`: which series there are to ask for

pub(crate) mod access;
pub(crate) mod answer;
pub(crate) mod client;
pub(crate) mod discovery;
pub(crate) mod error;
mod signature;
mod signature_error;
pub(crate) mod text;

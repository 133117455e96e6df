//! What every step owes Tekton: arguments, results, log lines, errors, exit codes and SIGTERM; and
//! the proxies of the site that it runs in.
//!
//! A step's `main` is one line, `step::run(story)`, and its story one async function from typed
//! arguments to an [`Outcome`].

#[cfg(feature = "api-server")]
pub mod api_server;
#[cfg(feature = "aws")]
pub mod aws;
mod failure;
mod log;
mod own_run;
mod proxies;
mod result_file;
mod run;
pub mod secret;
pub mod text;
mod usage;

pub use failure::{Failure, Usage, innermost};
pub use own_run::OwnRun;
pub use proxies::{Proxies, Proxy, ProxyFailure};
pub use result_file::ResultFile;
pub use run::{Outcome, Terminated, run, run_to_safe_point, serve};

//! What every step owes Tekton: arguments, results, log lines, errors, exit codes and SIGTERM; and
//! the proxies of the site that it runs in.
//!
//! A step's `main` is one line, `step::run(story)`, and its story one async function from typed
//! arguments to an [`Outcome`].

mod clients;
mod error;
mod log;
mod own_run;
mod result_file;
mod run;
pub mod secret;
pub mod text;
mod usage;

#[cfg(feature = "api-server")]
pub use clients::api_server;
#[cfg(feature = "aws")]
pub use clients::aws;
pub use clients::proxies::{Proxies, Proxy, ProxyFailure};
pub use error::{Failure, Usage, innermost};
pub use own_run::OwnRun;
pub use result_file::ResultFile;
pub use run::{Outcome, Terminated, run, run_to_safe_point, serve};

//! What every step owes Tekton: arguments, results, log lines, errors, exit codes and SIGTERM; and
//! the clients with which it asks others past or through the proxies of its site.
//!
//! A step's `main` is one line, `step::run(story)`, and its story one async function from typed
//! arguments to an [`Outcome`].
//!
//! - `run`: from command line to exit code
//! - `connections`: those of a service, until it is stopped
//! - `metrics`: what a service tells Prometheus
//! - `arguments`: what is done to every command line, whatever its flags
//! - `usage`: what is wrong with a command line, without what was typed
//! - `own_run`: what the pod's labels say of the run
//! - `secret_folder`: a mounted Secret, key by key
//! - `clients`: the proxy on the way, and clients for the API server, AWS and HTTP
//! - `secret`: what must be in no text, whoever repeats it
//! - `text`: what strangers wrote, made fit for a log, a terminal, a result and a page
//! - `log`: stderr, a line each
//! - `error`: a sentence, its causes, and the next move
//! - `exit_code`: how the step before this one ended
//! - `columns`: tables for people
//! - `output`: what was asked for, on stdout
//! - `result_file`: what Tekton reads when the step has ended

mod arguments;
mod clients;
mod columns;
#[cfg(feature = "server")]
pub mod connections;
mod error;
mod exit_code;
mod log;
#[cfg(feature = "server")]
pub mod metrics;
mod output;
mod own_run;
mod result_file;
mod run;
pub mod secret;
mod secret_folder;
pub mod text;
mod usage;

pub use arguments::parse;
#[cfg(feature = "api-server")]
pub use clients::api_server;
#[cfg(feature = "aws")]
pub use clients::aws;
#[cfg(feature = "http")]
pub use clients::http;
pub use clients::proxies::{Proxies, Proxy, ProxyError};
pub use columns::columns;
pub use error::{Failure, Usage, chain, innermost};
pub use exit_code::like_the_step_before;
pub use output::{print, print_line};
pub use own_run::OwnRun;
pub use result_file::ResultFile;
pub use run::{Outcome, Terminated, run, run_to_safe_point, serve};
pub use secret_folder::{SecretError, SecretFolder};

//! From command line to exit code.

use std::{env, future::Future, io, num::NonZeroU8, process::ExitCode};

use anyhow::{Context, Result};
use clap::Parser;
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
};

use crate::{
    arguments::parse,
    error::{Usage, report},
    log, secret, usage,
};

/// How a step that did its work ended. A step that could not do it returns an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done, or yes. Exit code 0
    Done,
    /// Done, and the answer is no. Exit code 3
    No,
    /// Stopped at a safe point because SIGTERM asked for it. Exit code 143
    Terminated,
    /// Done, and ended as another step of the Task did, which only this one can make the Task's end
    Like(NonZeroU8),
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Done => 0,
            Outcome::No => 3,
            Outcome::Terminated => 143,
            Outcome::Like(code) => code.get(),
        })
    }
}

/// Resolves when SIGTERM or SIGINT has come.
pub struct Terminated {
    term: Signal,
    int: Signal,
}

impl Terminated {
    fn listen() -> Result<Self> {
        Ok(Self { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? })
    }

    /// Waits for the signal. May be dropped and called again without losing it.
    pub async fn wait(&mut self) {
        self.signal().await;
    }

    /// The same, and says which it was.
    pub async fn signal(&mut self) -> SignalKind {
        tokio::select! {
            _ = self.term.recv() => SignalKind::terminate(),
            _ = self.int.recv() => SignalKind::interrupt(),
        }
    }
}

/// Runs a step whose every `.await` is a safe point: SIGTERM drops its story there.
pub fn run<Args: Parser, Story>(story: impl FnOnce(Args) -> Story) -> ExitCode
where
    Story: Future<Output = Result<Outcome>>,
{
    run_to_safe_point(async |args, mut terminated| {
        tokio::select! {
            ended = story(args) => ended,
            () = terminated.wait() => {
                tracing::warn!("stopped by a signal; run it again to go on");
                Ok(Outcome::Terminated)
            }
        }
    })
}

/// Runs a step that has to put something right when SIGTERM comes: its story watches
/// [`Terminated`] itself and returns [`Outcome::Terminated`] as soon as it can.
pub fn run_to_safe_point<Args: Parser>(
    story: impl AsyncFnOnce(Args, Terminated) -> Result<Outcome>,
) -> ExitCode {
    run_on(Runtime::new, story)
}

/// Runs a service: the same for what waits for requests all its life, on one thread, so that its
/// memory is the same on a machine of two cores and of two hundred.
pub fn serve<Args: Parser>(
    story: impl AsyncFnOnce(Args, Terminated) -> Result<Outcome>,
) -> ExitCode {
    run_on(|| Builder::new_current_thread().enable_all().build(), story)
}

fn run_on<Args: Parser>(
    runtime: impl FnOnce() -> io::Result<Runtime>,
    story: impl AsyncFnOnce(Args, Terminated) -> Result<Outcome>,
) -> ExitCode {
    let args = match parse(env::args_os()) {
        Ok(args) => args,
        Err(error) => return usage::print(error),
    };
    log::start(Args::command().get_name());
    secret::keep_variables();
    let ended = runtime().context("failed to start the runtime").and_then(|runtime| {
        let ended = runtime.block_on(async { story(args, Terminated::listen()?).await });
        runtime.shutdown_background(); // a blocking read must not hold up the end
        ended
    });
    match ended {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            eprintln!("{}", report(&error));
            ExitCode::from(if error.is::<Usage>() { 2 } else { 1 })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_has_its_own_exit_code() {
        let code = |outcome: Outcome| format!("{:?}", ExitCode::from(outcome));
        assert_eq!(code(Outcome::Done), format!("{:?}", ExitCode::from(0)));
        assert_eq!(code(Outcome::No), format!("{:?}", ExitCode::from(3)));
        assert_eq!(code(Outcome::Terminated), format!("{:?}", ExitCode::from(143)));
        let other = NonZeroU8::new(7).unwrap();
        assert_eq!(code(Outcome::Like(other)), format!("{:?}", ExitCode::from(7)));
    }
}

//! From command line to exit code.

use std::{
    env,
    ffi::{OsStr, OsString},
    future::Future,
    io,
    num::NonZeroU8,
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::{Command, CommandFactory, FromArgMatches, Parser};
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
};

use crate::{
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
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
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
        Err(error) => return usage::tell(error),
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

/// Parses with three rules. An empty value means "not given": Tekton passes an unset optional param as
/// `--flag=`, and a Secret's absent key as an empty variable. Of two values of one flag the later
/// wins: a Task's `args` come last, so that they can replace what a param says. And the help names
/// variables without their values, which may be secret.
fn parse<Args: CommandFactory + FromArgMatches>(
    line: impl Iterator<Item = OsString>,
) -> Result<Args, clap::Error> {
    let mut command = with_rules(Args::command().args_override_self(true));
    let given = line.filter(|word| !is_empty_flag(word));
    let mut matches = command.try_get_matches_from_mut(given)?;
    Args::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

fn with_rules(command: Command) -> Command {
    let unset = |name: &OsStr| env::var_os(name).is_some_and(|value| value.is_empty());
    command
        .mut_args(|arg| {
            let arg = arg.hide_env_values(true);
            if arg.get_env().is_some_and(unset) { arg.env(None::<&'static str>) } else { arg }
        })
        .mut_subcommands(with_rules)
}

fn is_empty_flag(word: &OsStr) -> bool {
    word.as_encoded_bytes()
        .strip_suffix(b"=")
        .is_some_and(|flag| flag.starts_with(b"--") && !flag.contains(&b'='))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[derive(Parser)]
    struct Args {
        #[arg(long, default_value_t = 10)]
        percent: u8,
        #[arg(long)]
        report: Option<PathBuf>,
        #[arg(long)]
        extension: Vec<String>,
        #[arg(long, env = "STEP_TEST_UNSET_VARIABLE")]
        endpoint: Option<String>,
    }

    fn parsed(line: &[&str]) -> Result<Args, clap::Error> {
        parse(["step"].iter().chain(line).map(OsString::from))
    }

    #[test]
    fn an_empty_value_means_not_given() {
        let args = parsed(&["--percent=", "--report=", "--endpoint="]).unwrap();
        assert_eq!((args.percent, args.report, args.endpoint), (10, None, None));
    }

    #[test]
    fn a_value_that_ends_in_an_equals_sign_is_kept() {
        let args = parsed(&["--extension=key=", "--percent=20"]).unwrap();
        assert_eq!((args.extension, args.percent), (vec!["key=".to_owned()], 20));
    }

    #[test]
    fn of_two_values_the_later_wins_unless_it_is_empty() {
        let percent = |line| parsed(line).map(|args| args.percent).unwrap();
        assert_eq!(percent(&["--percent=20", "--percent=30"]), 30);
        assert_eq!(percent(&["--percent=20", "--percent="]), 20);
    }

    #[test]
    fn a_list_keeps_all_its_values() {
        let args = parsed(&["--extension=a=1", "--extension=b=2"]).unwrap();
        assert_eq!(args.extension, ["a=1", "b=2"]);
    }

    #[test]
    fn a_bad_value_is_a_usage_error() {
        assert_eq!(parsed(&["--percent=lots"]).err().map(|error| error.exit_code()), Some(2));
    }

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

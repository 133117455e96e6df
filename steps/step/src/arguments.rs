//! What is done to every command line, whatever its flags.

use std::{
    any::TypeId,
    env,
    ffi::{OsStr, OsString},
};

use clap::{Arg, ArgAction, Command, CommandFactory, FromArgMatches};

use crate::{result_file::ResultFile, secret_folder::SecretFolder};

/// Parses with three rules. An empty value means "not given": Tekton passes an unset optional param as
/// `--flag=`, and a Secret's absent key as an empty variable. Of two values of one flag the later
/// wins: a Task's `args` come last, so that they can replace what a param says. And the help names
/// variables without their values, which may be secret.
///
/// By their types, a [`ResultFile`] need not be given, and a `bool` is `--flag`, `--flag=true` or
/// `--flag=false`: a Task has a value for each of its params.
pub fn parse<Args: CommandFactory + FromArgMatches>(
    line: impl IntoIterator<Item: Into<OsString>>,
) -> Result<Args, clap::Error> {
    let mut command = with_rules(Args::command().args_override_self(true));
    let given = line.into_iter().map(Into::into).filter(|word| !is_empty_flag(word));
    let mut matches = command.try_get_matches_from_mut(given)?;
    Args::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

fn with_rules(command: Command) -> Command {
    let unset = |name: &OsStr| env::var_os(name).is_some_and(|value| value.is_empty());
    command
        .mut_args(|arg| {
            let arg = by_type(arg).hide_env_values(true);
            if arg.get_env().is_some_and(unset) { arg.env(None::<&'static str>) } else { arg }
        })
        .mut_subcommands(with_rules)
}

fn by_type(arg: Arg) -> Arg {
    let kind = arg.get_value_parser().type_id();
    if kind == TypeId::of::<ResultFile>() {
        arg.value_name("FILE")
            .help_heading("Results")
            .required(false)
            .default_value("")
            .hide_default_value(true)
    } else if kind == TypeId::of::<SecretFolder>() {
        arg.value_name("DIR")
    } else if kind == TypeId::of::<bool>() {
        let is_optional = !matches!(arg.get_action(), ArgAction::SetTrue);
        let has_default = is_optional || !arg.get_default_values().is_empty();
        let arg = arg
            .value_name("BOOL")
            .action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true");
        if has_default { arg } else { arg.default_value("false") }
    } else {
        arg
    }
}

fn is_empty_flag(word: &OsStr) -> bool {
    word.as_encoded_bytes()
        .strip_suffix(b"=")
        .is_some_and(|flag| flag.starts_with(b"--") && !flag.contains(&b'='))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use clap::Parser;

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
        #[arg(long)]
        dry_run: bool,
        #[arg(long, default_value_t = true)]
        checksum: bool,
        #[arg(long)]
        path_style: Option<bool>,
        #[arg(long)]
        credentials: Option<SecretFolder>,
        #[arg(long)]
        result_verdict: ResultFile,
    }

    fn parsed(line: &[&str]) -> Result<Args, clap::Error> {
        parse(["step"].iter().chain(line))
    }

    #[test]
    fn a_bool_takes_a_value_or_none() {
        let of = |line| {
            let Args { dry_run, checksum, path_style, .. } = parsed(line).unwrap();
            (dry_run, checksum, path_style)
        };
        assert_eq!(of(&[]), (false, true, None));
        assert_eq!(of(&["--dry-run=", "--checksum=", "--path-style="]), (false, true, None));
        assert_eq!(of(&["--dry-run", "--path-style"]), (true, true, Some(true)));
        let set = ["--dry-run=true", "--checksum=false", "--path-style=false"];
        assert_eq!(of(&set), (true, false, Some(false)));
        assert!(parsed(&["--dry-run=1"]).is_err() && parsed(&["--dry-run", "true"]).is_err());
    }

    #[test]
    fn a_result_goes_nowhere_unless_a_file_is_given() {
        assert_eq!(parsed(&[]).unwrap().result_verdict, ResultFile::default());
        assert_eq!(parsed(&["--result-verdict="]).unwrap().result_verdict, ResultFile::default());
        let file = OsString::from("/tekton/results/verdict");
        let args = parsed(&["--result-verdict=/tekton/results/verdict"]).unwrap();
        assert_eq!(args.result_verdict, ResultFile::from(file));
    }

    #[test]
    fn the_help_names_what_a_type_takes() {
        let help = with_rules(Args::command()).render_help().to_string();
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        for words in [
            "--dry-run[=<BOOL>] [default: false]",
            "--path-style[=<BOOL>] [possible",
            "--credentials <DIR>",
            "Results: --result-verdict <FILE>",
        ] {
            assert!(help.contains(words), "{words}: {help}");
        }
    }

    #[test]
    fn an_empty_value_means_not_given() {
        let args = parsed(&["--percent=", "--report=", "--endpoint=", "--credentials="]).unwrap();
        assert_eq!((args.percent, args.report, args.endpoint), (10, None, None));
        assert!(args.credentials.is_none());
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
}

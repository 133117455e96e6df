//! What is wrong with a command line, without a value that was typed: any may be a secret, or stand
//! beside one in the wrong place.

use std::{error::Error as _, process::ExitCode};

use clap::error::{ContextKind, ContextValue, Error, ErrorKind};

use crate::{
    secret::SHORTEST,
    text::{clean, clean_lines},
};

const TIP: &str = "a value goes behind its flag and an equals sign, as in `--flag=VALUE`";

/// Prints help to stdout, or an error to stderr.
pub(crate) fn print(error: Error) -> ExitCode {
    let code = ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
    if error.use_stderr() {
        eprint!("{}", report(error));
    } else {
        // Nothing is left to tell when the reader of the help is gone.
        let _ = error.print();
    }
    code
}

/// Clap's sentence, with flags by their names and values by none. What a value has to be is in the
/// words of its parser, which may quote it: those quotes are emptied.
fn report(mut error: Error) -> String {
    let typed = words(&error, ContextKind::InvalidValue);
    if let Some(cause) = error.source() {
        let argument = words(&error, ContextKind::InvalidArg);
        let cause = clean(&unquoted(&cause.to_string(), &typed));
        return format!(
            "error: invalid value for '{argument}': {cause}\n\nFor more information, try '--help'.\n"
        );
    }
    if !typed.is_empty() {
        error.insert(ContextKind::InvalidValue, ContextValue::String("…".into()));
    }
    if let ErrorKind::ArgumentConflict | ErrorKind::InvalidSubcommand = error.kind()
        && error.get(ContextKind::InvalidSubcommand).is_some()
    {
        error.insert(ContextKind::InvalidSubcommand, ContextValue::String("…".into()));
    }
    if let ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand = error.kind() {
        let argument = flag(&words(&error, ContextKind::InvalidArg));
        error.insert(ContextKind::InvalidArg, ContextValue::String(argument));
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![TIP.into()]));
    }
    clean_lines(&error.render().to_string().replace("value '…' for", "value for")) + "\n"
}

fn words(error: &Error, kind: ContextKind) -> String {
    match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        _ => String::new(),
    }
}

/// The name of a flag that there is not; of anything else, that it was there.
fn flag(argument: &str) -> String {
    let name = argument.split('=').next().unwrap_or_default();
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
    };
    match name.strip_prefix("--") {
        Some(rest) if is_name(rest) => name.into(),
        Some(_) => "--…".into(),
        None if name.starts_with('-') => name.chars().take(2).collect(),
        None => "…".into(),
    }
}

/// A text in which no quotation is a part of what was typed.
fn unquoted(text: &str, typed: &str) -> String {
    const QUOTES: [char; 3] = ['`', '"', '\''];
    let typed = typed.to_lowercase(); // a scheme or a header's name comes back in lower case
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, quote)) = rest.find(QUOTES).map(|at| rest.split_at(at)) {
        out += before;
        let mark = &quote[..1];
        rest = &quote[1..];
        out += mark;
        if let Some((quoted, after)) = rest.split_once(mark) {
            let repeats = quoted.len() >= SHORTEST && typed.contains(&quoted.to_lowercase());
            out += if repeats { "…" } else { quoted };
            out += mark;
            rest = after;
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, path::PathBuf};

    use clap::{Parser, Subcommand, ValueEnum};

    use super::*;

    #[derive(Debug, Parser)]
    #[command(
        name = "step",
        subcommand_negates_reqs = true,
        args_conflicts_with_subcommands = true
    )]
    struct Args {
        #[command(subcommand)]
        _look: Option<Look>,
        #[arg(long, value_parser = http)]
        sink: Option<String>,
        #[arg(long, value_enum)]
        mode: Option<Mode>,
        #[arg(long)]
        listen: Option<SocketAddr>,
        #[arg(long, value_parser = clap::value_parser!(u8).range(1..=99))]
        percent: Option<u8>,
        #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
        dry_run: Option<bool>,
        #[arg(long, conflicts_with = "sink")]
        file: Option<PathBuf>,
        #[arg(long, num_args = 2)]
        pair: Vec<String>,
    }

    #[derive(Clone, Debug, ValueEnum)]
    enum Mode {
        Binary,
    }

    #[derive(Debug, Subcommand)]
    enum Look {
        /// Prints one
        Show { name: u8 },
    }

    fn http(text: &str) -> Result<String, String> {
        let (scheme, _) = text.split_once(':').unwrap_or((text, ""));
        Err(format!("`{}` is not `http`: write `http://HOST`", scheme.to_lowercase()))
    }

    fn error(line: &[&str]) -> String {
        let line = ["step"].iter().chain(line);
        report(Args::try_parse_from(line).unwrap_err())
    }

    #[test]
    fn no_value_is_repeated_whatever_is_wrong_with_it() {
        for line in [
            &["--sink=https://ada:s3cr3tpw@host"][..],
            &["--sink=S3cr3tpw:x"],
            &["--sinc=s3cr3tpw"],
            &["--sinc", "s3cr3tpw"],
            &["--S3cr3tpw"],
            &["--sink", "x", "Authorization: s3cr3tpw"],
            &["-s3cr3tpw"],
            &["s3cr3tpw"],
            &["--percent=7", "s3cr3tpw"],
            &["show", "s3cr3tpw"],
            &["show", "7", "s3cr3tpw"],
            &["--mode=s3cr3tpw"],
            &["--mode=binary-s3cr3tpw"],
            &["--listen=s3cr3tpw"],
            &["--percent=s3cr3tpw"],
            &["--dry-run=s3cr3tpw"],
            &["--dry-run", "s3cr3tpw"],
            &["--pair", "s3cr3tpw"],
            &["--", "s3cr3tpw"],
        ] {
            let error = error(line);
            assert!(error.starts_with("error: "), "{error}");
            assert!(!error.to_lowercase().contains("3cr3tpw"), "{line:?}\n{error}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_and_what_to_write() {
        let first = |line: &[&str]| error(line).lines().next().unwrap_or_default().to_owned();
        assert_eq!(
            first(&["--sink=s3cr3tpw://host"]),
            "error: invalid value for '--sink <SINK>': `…` is not `http`: write `http://HOST`"
        );
        assert_eq!(
            first(&["--percent=100"]),
            "error: invalid value for '--percent <PERCENT>': 100 is not in 1..=99"
        );
        assert_eq!(first(&["--sinc=s3cr3tpw"]), "error: unexpected argument '--sinc' found");
        assert_eq!(
            first(&["--sink"]),
            "error: a value is required for '--sink <SINK>' but none was supplied"
        );
        assert!(error(&["--mode=binari"]).contains("[possible values: binary]"));
        let misspelt = error(&["--sinc=s3cr3tpw"]);
        assert!(misspelt.contains("a similar argument exists: '--sink'"), "{misspelt}");
        assert!(misspelt.contains(TIP) && misspelt.contains("Usage: step"), "{misspelt}");
    }
}

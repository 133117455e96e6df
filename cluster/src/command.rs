//! Other programs, run to their end.

use std::{
    ffi::OsStr,
    io::Write as _,
    process::{Command, Output, Stdio},
};

use anyhow::{Context, Result, bail, ensure};

/// Runs a program and returns what it printed, without the last newline.
pub(crate) fn run<S: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    args: impl IntoIterator<Item = S>,
) -> Result<String> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null());
    read(&mut command)
}

/// Runs a program whose failure is an answer, not an error.
pub(crate) fn succeeds<S: AsRef<OsStr>>(program: &str, args: impl IntoIterator<Item = S>) -> bool {
    Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Runs a prepared command and returns what it printed, without the last newline.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("failed to run {}", shown(command)))?;
    printed(command, &output)
}

/// Runs a prepared command with `input` on its standard input.
pub(crate) fn feed(command: &mut Command, input: &str) -> Result<String> {
    let text = format!("failed to run {}", shown(command));
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| text.clone())?;
    let Some(mut stdin) = child.stdin.take() else { bail!("{text}: it has no standard input") };
    // A program that ends before it has read all says why itself.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().context(text)?;
    printed(command, &output)
}

fn printed(command: &Command, output: &Output) -> Result<String> {
    let why = match String::from_utf8_lossy(&output.stderr).trim() {
        "" => output.status.to_string(),
        text => text.to_owned(),
    };
    ensure!(output.status.success(), "failed to run {}: {why}", shown(command));
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

/// `program first second`: enough to recognise a command by.
fn shown(command: &Command) -> String {
    let words: Vec<_> =
        [command.get_program()].into_iter().chain(command.get_args()).take(4).collect();
    format!("`{}`", words.join(OsStr::new(" ")).display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_program_is_explained_by_its_own_last_words() {
        let error = run("sh", ["-c", "echo no room >&2; exit 1"]).unwrap_err();
        assert_eq!(error.to_string(), "failed to run `sh -c echo no room >&2; exit 1`: no room");
    }

    #[test]
    fn what_is_fed_to_a_program_arrives() {
        assert_eq!(feed(&mut Command::new("cat"), "a\nb\n").unwrap(), "a\nb");
    }
}

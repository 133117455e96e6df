//! What a builder does not support of a bento, and what its maker can do about it.

use clap::ValueEnum;
use step::text::clean;
use thiserror::Error;

/// Characters of a line that are shown.
pub(crate) const SHOWN: usize = 100;

/// What an image is built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Builder {
    /// kaniko's executor
    Kaniko,
    /// `docker build`, buildah and others that know all of the language
    Buildkit,
}

/// Something that a builder would fail at late, or leave out and say nothing.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("`{file}`, line {line}, `{text}`: {problem}")]
pub struct Unsupported {
    /// Relative to the bento
    pub file: String,
    /// From 1
    pub line: usize,
    /// What stands there, fit to be shown
    pub text: String,
    pub problem: Problem,
}

/// Reads as a sentence after what it is about.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Problem {
    #[error("kaniko leaves out the text of a heredoc")]
    Heredoc,
    #[error("kaniko mounts no {0}, and runs the command without it")]
    Mount(String),
    #[error("kaniko leaves out `--{0}`")]
    Flag(String),
    #[error("kaniko takes a mode as a number only, such as 755")]
    Mode,
    #[error("kaniko clones no repository")]
    Repository,
    #[error("kaniko builds for the node that it runs on, which is linux/{}", arch())]
    Platform,
    #[error("kaniko gives it no value")]
    PlatformArgument,
    #[error("kaniko reads the language itself and asks no such frontend")]
    Frontend,
    #[error("a path on Linux has `/`, not `\\`")]
    Backslash,
    #[error("it ends in CR LF, as lines on Windows do, and Linux does not run that")]
    CarriageReturn,
}

impl Unsupported {
    /// Whether it stops this builder.
    pub fn stops(&self, builder: Builder) -> bool {
        builder == Builder::Kaniko
            || matches!(self.problem, Problem::Backslash | Problem::CarriageReturn)
    }

    /// What its maker can do about it.
    pub fn cure(&self) -> &'static str {
        match &self.problem {
            Problem::Heredoc => {
                "build the bento again with BentoML 1.0.11 or later, which writes none; in a template of your own, join \
                 the commands by `&&`, or COPY a script and run it"
            }
            Problem::Mount(kind) if kind == "secret" => {
                "leave out the `envs` of stage `build` and give them to the serving environment, or pass what is not \
                 secret by `kaniko-args`: --build-arg"
            }
            Problem::Backslash | Problem::CarriageReturn => {
                "build the bento again on Linux, in WSL or in a CI run; files from git keep their ends of line with \
                 `* text=auto eol=lf` in .gitattributes"
            }
            Problem::PlatformArgument => "give it a default, such as `ARG TARGETARCH=amd64`",
            Problem::Platform => {
                "build the bento for the cluster's platform, or run the build on such a node"
            }
            Problem::Mode => "write the mode in octal digits, or RUN chmod",
            _ => {
                "change the Dockerfile's template, or retrieve the bento with `bento-retrieve --into` and build it with \
                 `docker build`"
            }
        }
    }
}

/// Of this node, as images name it.
pub(crate) fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// A line as it stands there, or its beginning. Nothing is hidden: its maker knows no secret of ours.
pub(crate) fn shown(line: &str) -> String {
    let line = clean(line.trim());
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

//! Whether a Dockerfile's environment can be built without the bento.

use bento_retrieve::bento::dockerfile::parser::{Dockerfile, Instruction};

use crate::recipe::{
    late::{self, Late},
    layered::{Chmod, Copy, From, Recipe},
    listing::DIRECTORIES,
    source::{Source, words},
    whole::Whole,
};

/// The one place where `chown` of the virtual environment finds nothing of the bento.
const VIRTUAL_ENV: &str = "/app/.venv";

const HEREDOC: &str = "has a heredoc, whose text kaniko leaves out";

/// Reads a Dockerfile of a bento, by its path in the bento and its text. In doubt the bento is built whole.
pub fn judge(dockerfile_path: &str, text: &str) -> Result<Recipe, Whole> {
    let whole = |line, reason: &str| Whole::in_line(dockerfile_path, text, line, reason);
    let read = Dockerfile::parse(text);
    let first = read.instructions.first().map_or(usize::MAX, |first| first.line);
    if let Some(line) = escape(text, first) {
        return Err(whole(line, "changes how lines are continued"));
    }
    if let Some(syntax) = read.syntax.filter(|syntax| !is_docker_s(&syntax.frontend)) {
        return Err(whole(syntax.line, "asks a frontend that may read anything"));
    }
    let mut draft = Draft::default();
    for instruction in &read.instructions {
        draft.take(instruction).map_err(|reason| whole(instruction.line, reason))?;
    }
    if let Some(Fault { line, reason, .. }) = draft.late_fault {
        return Err(whole(line, reason));
    }
    let in_file = |reason: &str| Whole::in_file(dockerfile_path, reason);
    let from = draft.from.ok_or_else(|| in_file("has no FROM"))?;
    if !draft.is_copied {
        return Err(in_file("copies the whole bento nowhere"));
    }
    let Draft { copies, chmods, names, late_command, .. } = draft;
    let file = dockerfile_path.to_owned();
    Ok(Recipe { file, text: text.to_owned(), from, copies, chmods, names, late_command })
}

/// What is known after some of the instructions.
#[derive(Default)]
struct Draft {
    from: Option<From>,
    copies: Vec<Copy>,
    is_copied: bool,
    chmods: Vec<Chmod>,
    names: Vec<(usize, &'static str)>,
    late_command: Option<usize>,
    /// Of a line after the whole COPY: the first command, or else the first line
    late_fault: Option<Fault>,
    virtual_env: VirtualEnv,
}

struct Fault {
    line: usize,
    reason: &'static str,
    is_command: bool,
}

/// What the Dockerfile says that it is.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum VirtualEnv {
    #[default]
    Unknown,
    /// That of `uv`
    Uvs,
    Another,
}

impl Draft {
    fn take(&mut self, instruction: &Instruction) -> Result<(), &'static str> {
        if !instruction.heredocs.is_empty() {
            return Err(HEREDOC);
        }
        let Instruction { line, name, arguments, .. } = instruction;
        match name.as_str() {
            "FROM" if self.from.is_some() => return Err("begins a second stage"),
            "FROM" => self.from = Some(from(instruction)?),
            "ARG" => self.note_virtual_env(arguments),
            _ if self.from.is_none() => return Err("stands before FROM"),
            "ENV" => self.note_virtual_env(arguments),
            "COPY" | "ADD" => self.copy(instruction)?,
            "RUN" => {
                self.names.extend(names(*line, arguments));
                self.run(instruction)?;
            }
            "WORKDIR" => self.names.extend(names(*line, arguments)),
            "LABEL" | "EXPOSE" | "CMD" | "ENTRYPOINT" | "USER" | "STOPSIGNAL" | "HEALTHCHECK"
            | "MAINTAINER" => {}
            "ONBUILD" => return Err("is for images that are built on this one"),
            "SHELL" => return Err("changes how commands are run"),
            "VOLUME" => return Err("makes a volume, of which builders differ"),
            _ => return Err("is no instruction that is known"),
        }
        Ok(())
    }

    fn note_virtual_env(&mut self, arguments: &str) {
        if arguments.contains("VIRTUAL_ENV") {
            let is_uvs = arguments.trim() == format!("VIRTUAL_ENV={VIRTUAL_ENV}");
            self.virtual_env = match self.virtual_env {
                VirtualEnv::Unknown | VirtualEnv::Uvs if is_uvs => VirtualEnv::Uvs,
                _ => VirtualEnv::Another,
            };
        }
    }

    fn copy(&mut self, instruction: &Instruction) -> Result<(), &'static str> {
        let Instruction { line, name, flags, arguments, .. } = instruction;
        let adds = name == "ADD";
        if self.is_copied {
            let reason = "copies something onto the bento that was copied";
            self.late_fault.get_or_insert(Fault { line: *line, reason, is_command: false });
            return Ok(());
        }
        if flags.iter().any(|flag| !flag.starts_with("chown=")) {
            return Err("has a flag other than `--chown`");
        }
        let mut words = words(arguments)?;
        // Builders find them in the JSON form too.
        if words.iter().any(|word| word.contains("<<")) {
            return Err(HEREDOC);
        }
        let destination = words.pop().ok_or("copies nothing")?;
        if words.is_empty() {
            return Err("copies nothing");
        }
        let sources =
            words.iter().map(|word| Source::parse(word)).collect::<Result<Vec<_>, _>>()?;
        if sources.contains(&Source::All) {
            if adds {
                return Err("adds the whole bento, and would unpack archives");
            }
            if sources.len() > 1 {
                return Err("copies the whole bento and more");
            }
            self.is_copied = true;
        } else {
            self.names.extend(names(*line, &destination));
            self.copies.push(Copy { line: *line, adds, sources });
        }
        Ok(())
    }

    fn run(&mut self, instruction: &Instruction) -> Result<(), &'static str> {
        let Instruction { line, flags, arguments, .. } = instruction;
        if !self.is_copied {
            return flags.iter().try_for_each(|flag| mount(flag));
        }
        self.late_command.get_or_insert(*line);
        let is_known = flags.is_empty();
        match late::command(*line, arguments).filter(|_| is_known) {
            Some(Late::Chmod(chmod)) => self.chmods.push(chmod),
            Some(Late::Clean) => {}
            Some(Late::Chown) if self.virtual_env == VirtualEnv::Uvs => {}
            // A copy before it is there for its sake.
            _ if self.late_fault.as_ref().is_none_or(|fault| !fault.is_command) => {
                let reason = "runs after the bento was copied and may read it";
                self.late_fault = Some(Fault { line: *line, reason, is_command: true });
            }
            _ => {}
        }
        Ok(())
    }
}

/// The base image, where it is one by name.
fn from(instruction: &Instruction) -> Result<From, &'static str> {
    let Instruction { line, after, flags, arguments, .. } = instruction;
    if arguments.contains('$') || flags.iter().any(|flag| flag.contains('$')) {
        return Err("has a variable");
    }
    if !flags.is_empty() {
        return Err("has a flag");
    }
    if *after != line + 1 && *after != usize::MAX {
        return Err("is more than one line");
    }
    let is_plain = |c: char| c.is_ascii_graphic() || matches!(c, ' ' | '\t');
    if arguments.contains(['\\', '"', '\'']) || !arguments.chars().all(is_plain) {
        return Err("does not name its image plainly");
    }
    let words: Vec<_> = arguments.split_ascii_whitespace().collect();
    match words[..] {
        [base] => Ok(From { line: *line, base: base.to_owned() }),
        [base, of, _] if of.eq_ignore_ascii_case("as") => {
            Ok(From { line: *line, base: base.to_owned() })
        }
        _ => Err("does not name its image plainly"),
    }
}

/// A cache changes nothing of what is built, and kaniko has none. What else is mounted is not in the key: a secret,
/// or the bento itself.
fn mount(flag: &str) -> Result<(), &'static str> {
    let Some(("mount", fields)) = flag.split_once('=') else {
        return Err("has a flag other than `--mount`");
    };
    let fields: Vec<_> =
        fields.split(',').map(|field| field.split_once('=').unwrap_or((field, ""))).collect();
    let mut kinds = fields.iter().filter(|(key, _)| key.trim().eq_ignore_ascii_case("type"));
    let is_cache = matches!((kinds.next(), kinds.next()), (Some((_, "cache")), None));
    let other = ["from", "source", "src"];
    if !is_cache
        || fields
            .iter()
            .any(|(key, _)| other.iter().any(|other| key.trim().eq_ignore_ascii_case(other)))
    {
        return Err("mounts what is not in the key: only caches are known to change nothing");
    }
    Ok(())
}

/// Where an `escape` directive may be meant, before the first instruction.
fn escape(text: &str, first: usize) -> Option<usize> {
    let mut comments = (1..first).zip(text.lines());
    let is_escape = |text: &str| {
        let key = text.trim_start_matches('\u{feff}').trim().strip_prefix('#')?.split_once('=')?.0;
        key.trim().eq_ignore_ascii_case("escape").then_some(())
    };
    comments.find_map(|(line, text)| is_escape(text).map(|()| line))
}

/// Whatever its version: kaniko reads the language itself.
fn is_docker_s(frontend: &str) -> bool {
    let name = frontend.strip_prefix("docker.io/").unwrap_or(frontend);
    let end = name.strip_prefix("docker/dockerfile").unwrap_or("?");
    end.is_empty() || end.starts_with(':') || end.starts_with("-upstream") || end.starts_with('@')
}

/// The directories of a bento that a text names, be it for something else.
fn names(line: usize, text: &str) -> impl Iterator<Item = (usize, &'static str)> {
    let is_apart = |c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c));
    let names = move |directory: &&str| text.split(is_apart).any(|name| name == *directory);
    DIRECTORIES.into_iter().filter(names).map(move |directory| (line, directory))
}

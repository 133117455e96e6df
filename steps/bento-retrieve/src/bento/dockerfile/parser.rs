//! A Dockerfile, read as `BuildKit`'s parser reads it, which is kaniko's too: what that takes for a heredoc or a flag is
//! one here, and nothing else.
//!
//! The crates for this know neither the lines that an instruction came from nor the `escape` directive.

/// The whole of it, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dockerfile {
    /// The frontend that `# syntax=` asks for
    pub syntax: Option<Syntax>,
    pub instructions: Vec<Instruction>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Syntax {
    /// From 1
    pub line: usize,
    pub frontend: String,
}

/// One instruction, its continued lines joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Where it begins, from 1
    pub line: usize,
    /// The line after its last one
    pub after: usize,
    /// In upper case
    pub name: String,
    /// Between the name and the first argument, without `--`: `mount=type=cache,target=/c`
    pub flags: Vec<String>,
    /// What follows, on one line
    pub arguments: String,
    /// The word that opens each heredoc, such as `<<EOF`
    pub heredocs: Vec<String>,
}

impl Dockerfile {
    /// Reads a text. What is no Dockerfile gives instructions that the builder will refuse by itself.
    pub fn parse(text: &str) -> Self {
        let mut dockerfile = Self::default();
        let mut escape = '\\';
        let mut in_directives = true;
        let mut lines = (1..).zip(text.trim_start_matches('\u{feff}').split('\n'));
        while let Some((line, text)) = lines.next() {
            let text = text.trim();
            match directive(text).filter(|_| in_directives) {
                Some((key, "`")) if key == "escape" => escape = '`',
                Some((key, frontend)) if key == "syntax" => {
                    dockerfile.syntax = Some(Syntax { line, frontend: frontend.to_owned() });
                }
                Some(_) => {}
                None => in_directives = false,
            }
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let mut whole = String::new();
            let mut part = text;
            while let Some(begun) = continued(part, escape) {
                whole.push_str(begun);
                let more = lines
                    .by_ref()
                    .map(|(_, more)| more.trim_end_matches('\r'))
                    .find(|more| !more.trim().is_empty() && !more.trim_start().starts_with('#'));
                part = more.unwrap_or_default();
            }
            whole.push_str(part);
            let mut instruction = Instruction::parse(line, whole.trim(), escape);
            for heredoc in &instruction.heredocs {
                let (ignores_tabs, end) = terminator(heredoc);
                lines.by_ref().map(|(_, text)| text.trim_end_matches('\r')).find(|text| {
                    end == if ignores_tabs { text.trim_start_matches('\t') } else { text }
                });
            }
            instruction.after = lines.clone().next().map_or(usize::MAX, |(line, _)| line);
            dockerfile.instructions.push(instruction);
        }
        dockerfile
    }
}

impl Instruction {
    fn parse(line: usize, text: &str, escape: char) -> Self {
        let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let (flags, arguments) = flags(rest, escape);
        let name = name.to_ascii_uppercase();
        let takes_heredocs = match name.as_str() {
            "RUN" | "COPY" | "ADD" => !is_json(arguments),
            "ONBUILD" => {
                let (inner, rest) =
                    arguments.split_once(char::is_whitespace).unwrap_or((arguments, ""));
                ["RUN", "COPY", "ADD"].iter().any(|name| inner.eq_ignore_ascii_case(name))
                    && !is_json(rest)
            }
            _ => false,
        };
        let heredocs = if takes_heredocs && text.contains("<<") { heredocs(text) } else { vec![] };
        let arguments = arguments.to_owned();
        Self { line, after: line + 1, name, flags, arguments, heredocs }
    }
}

/// `# key=value`, its key in lower case. Directives end at the first line that is none.
fn directive(line: &str) -> Option<(String, &str)> {
    let (key, value) = line.strip_prefix('#')?.split_once('=')?;
    let key = key.trim().to_ascii_lowercase();
    let value = value.trim();
    (matches!(key.as_str(), "syntax" | "escape" | "check") && !value.is_empty())
        .then_some((key, value))
}

/// A line without the escape at its end, when it has one that is not escaped itself.
fn continued(line: &str, escape: char) -> Option<&str> {
    let begun = line.trim_end_matches([' ', '\t']).strip_suffix(escape)?;
    (!begun.ends_with(escape)).then_some(begun)
}

/// The words that begin with `--`, and what comes after them.
fn flags(text: &str, escape: char) -> (Vec<String>, &str) {
    let mut flags = Vec::new();
    let mut rest = text.trim();
    while rest.starts_with("--") {
        let mut flag = String::new();
        let mut quote = None;
        let mut chars = rest.char_indices();
        let end = loop {
            let Some((at, c)) = chars.next() else { break rest.len() };
            match quote {
                None if c.is_whitespace() => break at,
                None if c == '\'' || c == '"' => quote = Some(c),
                Some(open) if c == open => quote = None,
                _ if c == escape => flag.extend(chars.next().map(|(_, c)| c)),
                _ => flag.push(c),
            }
        };
        rest = rest[end..].trim_start();
        match &flag[2..] {
            "" => break,
            flag => flags.push(flag.to_owned()),
        }
    }
    (flags, rest)
}

fn is_json(arguments: &str) -> bool {
    arguments.starts_with('[') && serde_json::from_str::<Vec<String>>(arguments).is_ok()
}

/// The words of a line that open a heredoc: `<<`, after a number or nothing, and one word.
fn heredocs(line: &str) -> Vec<String> {
    let opens = |word: &String| {
        let marked = word.trim_start_matches(|c: char| c.is_ascii_digit());
        marked.strip_prefix("<<").is_some_and(|rest| {
            !rest.contains('<') && !rest.trim_start_matches('-').trim().is_empty()
        })
    };
    words(line).unwrap_or_default().into_iter().filter(opens).collect()
}

/// Whether tabs before the end do not count, and the end.
fn terminator(heredoc: &str) -> (bool, String) {
    let (_, word) = heredoc.split_once("<<").unwrap_or_default();
    let (ignores_tabs, word) = match word.strip_prefix('-') {
        Some(word) => (true, word),
        None => (false, word),
    };
    (ignores_tabs, word.trim().replace(['"', '\'', '\\'], ""))
}

/// The words of a line as a shell sees them, quotes and escapes left in. None where a quote is not closed.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' | '"' => {
                word.push(c);
                loop {
                    let inner = chars.next()?;
                    word.push(inner);
                    match inner {
                        '\\' if c == '"' => word.extend(chars.next()),
                        _ if inner == c => break,
                        _ => {}
                    }
                }
            }
            '\\' => {
                word.push(c);
                word.extend(chars.next());
            }
            '<' if chars.next_if_eq(&'<').is_some() => {
                word.push_str("<<");
                // The word may stand apart.
                while let Some(space) = chars.next_if(|c| matches!(c, ' ' | '\t')) {
                    word.push(space);
                }
            }
            _ if c.is_whitespace() => words.push(std::mem::take(&mut word)),
            _ => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    Some(words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(text: &str) -> Instruction {
        let mut read = Dockerfile::parse(text).instructions;
        assert_eq!(read.len(), 1, "{read:?}");
        read.remove(0)
    }

    #[test]
    fn an_instruction_is_its_joined_lines_and_knows_where_it_began() {
        let text = "# syntax = docker/dockerfile:1.7\r\n# a comment\r\nFROM x AS y\r\n\r\nRUN a && \\\r\n  # in between\r\n\r\n  b \\ \r\n  c\r\nUSER u\r\n";
        let read = Dockerfile::parse(text);
        assert_eq!(read.syntax, Some(Syntax { line: 1, frontend: "docker/dockerfile:1.7".into() }));
        let found: Vec<_> = read
            .instructions
            .iter()
            .map(|one| (one.line, one.name.as_str(), one.arguments.as_str()))
            .collect();
        assert_eq!(found, [(3, "FROM", "x AS y"), (5, "RUN", "a &&   b   c"), (10, "USER", "u")]);
    }

    #[test]
    fn directives_count_at_the_top_only_and_change_the_escape() {
        let read = Dockerfile::parse("# escape=`\nRUN a `\n  b\\\nUSER u\n");
        assert_eq!(read.instructions.len(), 2);
        assert_eq!(read.instructions[0].arguments, "a   b\\");
        for late in
            ["# why\n# syntax=x\nFROM y\n", "FROM y\n# syntax=x\n", "\n# syntax=x\nFROM y\n"]
        {
            assert_eq!(Dockerfile::parse(late).syntax, None, "{late}");
        }
    }

    #[test]
    fn flags_end_at_the_first_argument() {
        let run = one("run --mount=type=cache,target=/c --network=\"none\" pip --mount=x");
        assert_eq!(run.flags, ["mount=type=cache,target=/c", "network=none"]);
        assert_eq!((run.name.as_str(), run.arguments.as_str()), ("RUN", "pip --mount=x"));
        assert_eq!(
            one("RUN --mount=type=cache,\\\ntarget=/c \\\n --mount=type=ssh x").flags.len(),
            2
        );
    }

    #[test]
    fn a_heredoc_is_seen_with_its_end_and_its_text_is_no_instruction() {
        for text in [
            "RUN <<EOF\nUSER a\nEOF\nUSER u",
            "RUN bash <<EOF\nUSER a\n EOF\nEOF\nUSER u",
            "RUN <<-EOF cat\n\tUSER a\n\tEOF\nUSER u",
            "RUN <<'EOF'\r\nUSER a\r\nEOF\r\nUSER u\r\n",
            "RUN cat << EOF > /x\nUSER a\nEOF\nUSER u",
            "RUN 3<<EOF cat\nUSER a\nEOF\nUSER u",
            "COPY <<a <<b /x/\nUSER a\na\nUSER b\nb\nUSER u",
            "ONBUILD RUN <<EOF\nUSER a\nEOF\nUSER u",
            "RUN --mount=type=cache,target=/c bash \\\n <<EOF\nUSER a\nEOF\nUSER u",
            "\\\n  RUN <<EOF\nUSER a\nEOF\nUSER u",
        ] {
            let read = Dockerfile::parse(text).instructions;
            assert_eq!(read.len(), 2, "{text}: {read:?}");
            assert!(!read[0].heredocs.is_empty(), "{text}");
            assert_eq!(read[1].arguments, "u", "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_a_heredoc_is_none() {
        for text in [
            "RUN bash <<<\"text\"",
            "RUN bash <<< text",
            "RUN echo \"cat <<EOF\"",
            "RUN echo 'a <<EOF b'",
            "RUN bash -c 'cat <<EOF\\nx\\nEOF'",
            "RUN echo $((1<<4))",
            "RUN python -c \"print(1 << 4)\"",
            "RUN [\"bash\", \"<<EOF\"]",
            "RUN echo \\<\\<EOF",
            "RUN cat < /etc/passwd",
            "ENV X=<<EOF",
            "LABEL a=\"<<EOF\"",
            "CMD cat <<EOF",
        ] {
            assert_eq!(one(text).heredocs, Vec::<String>::new(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_to_its_end(text in "[ -~\n\t\r]{0,200}") {
            let _ = Dockerfile::parse(&text);
        }

        /// However an instruction is broken into lines, it is the same.
        #[test]
        fn breaks_change_nothing(
            words in proptest::collection::vec("[a-z=/.:-]{1,8}", 1..12),
            breaks in proptest::collection::vec(any::<bool>(), 12),
            ending in prop_oneof![Just("\n"), Just("\r\n")],
        ) {
            let words: Vec<_> = words.iter().map(|word| word.trim_start_matches('-')).filter(|word| !word.is_empty()).collect();
            let mut text = "RUN ".to_owned();
            for (word, is_broken) in words.iter().zip(breaks) {
                text.push_str(word);
                let parts: &[&str] = if is_broken { &[" \\", ending, "# why", ending] } else { &[" "] };
                text.extend(parts.iter().copied());
            }
            let read = Dockerfile::parse(&format!("{text}{ending}"));
            let read: Vec<_> = read.instructions.iter().flat_map(|one| one.arguments.split_whitespace()).collect();
            prop_assert_eq!(read, words);
        }
    }
}

//! Finds what a builder does not support, before one is asked.
//!
//! kaniko takes the whole language of `BuildKit` and leaves out, most of it without a word, what it cannot do: each
//! such thing was tried on kaniko 1.25.

use step::text;

use crate::bento::dockerfile::{
    parser::{Dockerfile, Instruction},
    unsupported::{Problem, Unsupported, arch, shown},
};

/// All that is not supported, in the order of the lines.
pub(crate) fn in_dockerfile(file: &str, text: &str) -> Vec<Unsupported> {
    let read = Dockerfile::parse(text);
    let lines: Vec<_> = text.lines().collect();
    let unsupported = |line: usize, problem| Unsupported {
        file: file.to_owned(),
        line,
        text: shown(lines.get(line - 1).copied().unwrap_or_default()),
        problem,
    };
    let of_syntax = read.syntax.iter().filter(|syntax| !is_docker_s(&syntax.frontend));
    of_syntax
        .map(|syntax| (syntax.line, Problem::Frontend))
        .chain(
            read.instructions
                .iter()
                .flat_map(|one| problems(one).map(|problem| (one.line, problem))),
        )
        .map(|(line, problem)| unsupported(line, problem))
        .collect()
}

/// Whatever its version: what it adds is judged by what the Dockerfile uses of it.
fn is_docker_s(frontend: &str) -> bool {
    let name = frontend.trim_start_matches("docker.io/");
    name.starts_with("docker/dockerfile")
}

fn problems(instruction: &Instruction) -> impl Iterator<Item = Problem> {
    let flags = instruction.flags.iter().filter_map(|flag| {
        let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
        of_flag(&instruction.name, name, value)
    });
    // Of ONBUILD the image keeps the text, heredoc and all.
    let heredoc = !instruction.heredocs.is_empty() && instruction.name != "ONBUILD";
    let of_arguments = match instruction.name.as_str() {
        "ADD" if words(&instruction.arguments).iter().any(|word| is_repository(word)) => {
            Some(Problem::Repository)
        }
        "ARG" if instruction.arguments.split_whitespace().any(is_platform_argument) => {
            Some(Problem::PlatformArgument)
        }
        _ => None,
    };
    let backslash = has_backslash(instruction).then_some(Problem::Backslash);
    flags.chain(heredoc.then_some(Problem::Heredoc)).chain(of_arguments).chain(backslash)
}

/// What a flag asks for that kaniko does not do. `--link`, `--chown` and a cache change nothing of what is built.
fn of_flag(instruction: &str, name: &str, value: &str) -> Option<Problem> {
    match (instruction, name) {
        ("RUN", "mount") => {
            let kind = value.split(',').find_map(|field| field.trim().strip_prefix("type="));
            let kind = kind.unwrap_or("bind");
            (kind != "cache").then(|| Problem::Mount(text::clean(kind)))
        }
        ("RUN", "network") if value == "default" => None,
        ("RUN", "security") if value == "sandbox" => None,
        ("RUN", _)
        | ("ADD", "checksum" | "keep-git-dir" | "unpack" | "exclude")
        | ("COPY", "exclude" | "parents") => Some(Problem::Flag(text::clean(name))),
        ("ADD" | "COPY", "chmod")
            if !value.contains('$') && u32::from_str_radix(value, 8).is_err() =>
        {
            Some(Problem::Mode)
        }
        ("FROM", "platform") if !value.contains('$') && !is_here(value) => Some(Problem::Platform),
        _ => None,
    }
}

/// This node's platform, which is the builder's, as the two share a pod.
fn is_here(platform: &str) -> bool {
    let mut parts = platform.split('/');
    parts.next() == Some("linux") && parts.next().is_none_or(|found| found == arch())
}

/// Whether `BuildKit` gives it a value, and kaniko none.
fn is_platform_argument(name: &str) -> bool {
    let what = name.strip_prefix("TARGET").or_else(|| name.strip_prefix("BUILD"));
    what.is_some_and(|what| ["PLATFORM", "OS", "ARCH", "VARIANT"].contains(&what))
}

fn is_repository(word: &str) -> bool {
    let over_http = word.starts_with("http://") || word.starts_with("https://");
    let path = word.split(['#', '?']).next().unwrap_or_default();
    ["git@", "git://", "ssh://"].iter().any(|start| word.starts_with(start))
        || (over_http
            && path.trim_end_matches('/').rsplit_once('.').is_some_and(|(_, end)| end == "git"))
}

/// A `\` between the parts of a path. In front of a space, a quote or a bracket it is an escape.
fn has_backslash(instruction: &Instruction) -> bool {
    let separates = |word: &str| {
        let after = word.split('\\').skip(1);
        after
            .into_iter()
            .any(|rest| rest.starts_with(|c: char| c.is_alphanumeric() || "._".contains(c)))
    };
    let words = words(&instruction.arguments);
    match instruction.name.as_str() {
        "COPY" | "ADD" => words.iter().any(|word| separates(word)),
        // A command has many uses for `\`: only BentoML's own folders count.
        "RUN" | "ENTRYPOINT" | "CMD" => ["docker", "python", "conda"].iter().any(|folder| {
            instruction.arguments.replace("\\\\", "\\").contains(&format!("env\\{folder}\\"))
        }),
        _ => false,
    }
}

/// Of both forms, with quotes and without.
fn words(arguments: &str) -> Vec<String> {
    serde_json::from_str(arguments)
        .unwrap_or_else(|_| arguments.split_whitespace().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bento::dockerfile::unsupported::SHOWN;

    fn found(text: &str) -> Vec<Problem> {
        in_dockerfile("Dockerfile", text).into_iter().map(|one| one.problem).collect()
    }

    /// What the real kaniko 1.25.5 did with each is said at its end. It reported success unless it says otherwise.
    #[test]
    fn what_kaniko_leaves_out_is_found() {
        let mount = |kind: &str| Problem::Mount(kind.into());
        let flag = |name: &str| Problem::Flag(name.into());
        for (text, problem) in [
            ("RUN <<EOF\necho a > /a\nEOF", Problem::Heredoc), // no /a
            ("RUN bash <<EOF\necho a > /a\nEOF", Problem::Heredoc), // no /a
            ("COPY <<EOF /a\na\nEOF", Problem::Heredoc),       // `resolved envs is empty`
            ("COPY b <<a /x/\na\na", Problem::Heredoc),        // no /x/a
            ("RUN --mount=type=bind,target=/b ls /b || true", mount("bind")), // no /b
            ("RUN --mount=target=/b,source=. ls /b || true", mount("bind")),
            ("RUN --mount=type=secret,id=X true", mount("secret")), // no secret
            ("RUN --mount=type=secret,id=X,required=true true", mount("secret")), // no secret
            ("RUN --mount=type=ssh true", mount("ssh")),
            ("RUN --mount=type=tmpfs,target=/t touch /t/a", mount("tmpfs")), // /t/a is in the image
            ("RUN --mount=type=cache,target=/c --mount=type=ssh true", mount("ssh")),
            ("RUN --network=none true", flag("network")), // with the network
            ("RUN --security=insecure true", flag("security")),
            ("RUN --device=nvidia.com/gpu=all true", flag("device")),
            ("ADD --checksum=sha256:00 https://x/a /a", flag("checksum")), // whatever it is
            ("ADD --keep-git-dir=true a /a", flag("keep-git-dir")),
            ("ADD --unpack=true a /a", flag("unpack")), // not unpacked
            ("COPY --exclude=*.md . /a/", flag("exclude")), // with *.md
            ("COPY --parents a/b /x/", flag("parents")), // /x/b
            ("COPY --chmod=u+x a /a", Problem::Mode),   // `invalid syntax`
            ("ADD https://github.com/x/y.git /y", Problem::Repository), // GET of that page
            ("ADD https://github.com/x/y.git#main:z /y", Problem::Repository),
            ("ADD git@github.com:x/y.git /y", Problem::Repository), // `no such file or directory`
            ("FROM --platform=linux/s390x x", Problem::Platform),   // the node's own
            ("FROM --platform=windows/amd64 x", Problem::Platform),
            ("ARG TARGETARCH", Problem::PlatformArgument), // empty
            ("# syntax=acme/dockerfile-x:2\nFROM x", Problem::Frontend), // not asked
        ] {
            assert_eq!(found(text), [problem], "{text}");
        }
    }

    #[test]
    fn what_kaniko_builds_as_it_is_meant_passes() {
        for text in [
            "RUN --mount=type=cache,target=/c pip install x",
            "RUN --network=default --security=sandbox true",
            "COPY --link --chown=a:b --chmod=755 a /a",
            "COPY --from=build /a /a",
            "COPY --chmod=$MODE a /a",
            "ADD https://x/a.tar.gz /a",
            "ARG TARGETARCH=amd64\nARG PYTHON",
            "FROM --platform=$BUILDPLATFORM x",
            "# syntax=docker/dockerfile:1.7-labs\nFROM x",
            "# syntax=docker.io/docker/dockerfile-upstream:master\nFROM x",
            "ONBUILD RUN <<EOF\ntrue\nEOF",
            "HEALTHCHECK --start-interval=5s CMD true",
            "RUN a\r\nCOPY b /b\r\n",
            "RUN bash <<< x",
        ] {
            assert_eq!(found(text), [], "{text}");
        }
        assert_eq!(found(&format!("FROM --platform=linux/{} x", arch())), []);
    }

    #[test]
    fn paths_of_windows_are_found_and_escapes_are_none() {
        for text in [
            "COPY .\\env\\docker ./env/docker",
            "COPY --chown=a:b .\\env\\python\\ ./env/",
            "ADD [\".\\\\env\\\\conda\", \"/e\"]",
            "COPY C:\\a /a",
            "RUN bash -euxo pipefail /home/bentoml/bento\\env\\python\\install.sh",
            "ENTRYPOINT [ \"/home/bentoml/bento\\\\env\\\\docker\\\\entrypoint.sh\" ]",
        ] {
            assert_eq!(found(text), [Problem::Backslash], "{text}");
        }
        for text in [
            "COPY my\\ file /a",
            "COPY a\\[0] /a",
            "RUN sed -i 's/a\\.b/\\n/' x && find . -exec rm {} \\;",
            "RUN grep -E '\\bpython\\b' env",
            "RUN a \\\n && b",
        ] {
            assert_eq!(found(text), [], "{text}");
        }
    }

    #[test]
    fn what_is_not_supported_names_the_line_as_it_stands() {
        let long = format!("FROM x\n\n# why\nRUN --mount=type=ssh \\\n  {}", "a".repeat(200));
        let found = in_dockerfile("env/docker/Dockerfile", &long);
        assert_eq!(
            found[0].to_string(),
            "`env/docker/Dockerfile`, line 4, `RUN --mount=type=ssh \\`: kaniko mounts no ssh, and runs the command without it"
        );
        let found = in_dockerfile("Dockerfile", &format!("RUN <<EOF {}\x1b\nEOF", "a".repeat(200)));
        assert_eq!(found[0].text.chars().count(), SHOWN + 1);
    }

    proptest! {
        /// Commands of an ordinary Dockerfile, whatever their words.
        #[test]
        fn an_ordinary_command_is_supported(
            command in "[a-z0-9 ./=:;&|>$\"'(){}*@+-]{0,80}",
            ending in prop_oneof![Just("\n"), Just("\r\n")],
        ) {
            let command = command.trim_start_matches(['-', ' ']);
            let text = format!("FROM python:3.11-slim{ending}RUN {command}{ending}COPY . ./{ending}");
            prop_assert_eq!(found(&text), []);
        }
    }
}

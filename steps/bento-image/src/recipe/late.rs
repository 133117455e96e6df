//! The commands after the whole COPY that read nothing of the bento.

use crate::recipe::layered::Chmod;

/// One of those that `BentoML` writes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Late {
    /// What is made executable belongs into the skeleton
    Chmod(Chmod),
    /// Removes what package managers left
    Clean,
    /// Gives the virtual environment of `uv` to the image's user
    Chown,
}

/// Reads the command in a line, word for word. None for all others.
pub(crate) fn command(line: usize, arguments: &str) -> Option<Late> {
    let words: Vec<_> = arguments.split_ascii_whitespace().collect();
    match words[..] {
        ["chmod", "+x", path] => Some(Late::Chmod(Chmod { line, path: components(path)? })),
        ["rm", "-rf", "/var/lib/{apt,cache,log}" | "/var/cache/yum" | "/var/cache/apk/*"] => {
            Some(Late::Clean)
        }
        ["chown", "bentoml:bentoml", "-R", "$VIRTUAL_ENV"] => Some(Late::Chown),
        _ => None,
    }
}

/// A path of which a shell makes nothing else.
fn components(path: &str) -> Option<Vec<String>> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-/+@%:,".contains(c);
    let names: Vec<_> = path.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
    let is_clear = path.chars().all(is_plain)
        && !path.starts_with('-')
        && !path.ends_with('/')
        && !names.contains(&"..");
    (is_clear && !names.is_empty()).then(|| names.into_iter().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_taken_word_for_word() {
        let path = |path: &[&str]| {
            let path = path.iter().map(|name| (*name).to_owned()).collect();
            Some(Late::Chmod(Chmod { line: 7, path }))
        };
        for (text, wanted) in [
            ("chmod +x ./docker-entrypoint.sh", path(&["docker-entrypoint.sh"])),
            (
                "chmod  +x /home/b/env//docker/./e.sh ",
                path(&["home", "b", "env", "docker", "e.sh"]),
            ),
            ("rm -rf /var/lib/{apt,cache,log}", Some(Late::Clean)),
            ("rm -rf /var/cache/yum", Some(Late::Clean)),
            ("rm -rf /var/cache/apk/*", Some(Late::Clean)),
            ("chown bentoml:bentoml -R $VIRTUAL_ENV", Some(Late::Chown)),
        ] {
            assert_eq!(command(7, text), wanted, "{text}");
        }
        for text in [
            "",
            "true",
            "chmod +x",
            "chmod 755 e.sh",
            "chmod +x a b",
            "chmod +x *.sh",
            "chmod +x $BENTO_PATH/e.sh",
            "chmod +x \"e.sh\"",
            "chmod +x ../e.sh",
            "chmod +x e.sh/",
            "chmod +x -R",
            "chmod +x a;ls",
            "chmod +x `ls`",
            "chmod +x a&&ls",
            "chmod +x a && ls",
            "chmod +x ~/e.sh",
            "[\"chmod\", \"+x\", \"e.sh\"]",
            "rm -rf /var/lib/{apt,cache,log} models",
            "rm -rf /var/lib/{apt,cache}",
            "rm -fr /var/cache/yum",
            "chown bentoml:bentoml -R ${VIRTUAL_ENV}",
            "chown bentoml:bentoml -R .",
            "RM -rf /var/cache/yum",
        ] {
            assert_eq!(command(7, text), None, "{text}");
        }
    }
}

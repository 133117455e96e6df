//! Go's `filepath.Match`, as Docker and kaniko take it, but for its `\`.
//!
//! The crates for this know `**`, `{}` or `[!a]`, which would make another set of files.

/// A pattern with `*`, `?` or a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Glob(Vec<Chunk>);

/// What begins where it must, or after whatever a star takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Chunk {
    after_star: bool,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Any,
    Class { is_negated: bool, ranges: Vec<(char, char)> },
    Char(char),
}

/// Whether a builder takes it for a pattern.
pub(crate) fn is_glob(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

impl Glob {
    /// None where Go finds the pattern malformed. It has no `\`.
    pub(crate) fn parse(pattern: &str) -> Option<Self> {
        let mut chunks = vec![Chunk::default()];
        let mut chars = pattern.chars().peekable();
        while let Some(c) = chars.next() {
            let part = match c {
                '*' => {
                    if chunks.last().is_some_and(|last| !last.after_star || !last.parts.is_empty())
                    {
                        chunks.push(Chunk { after_star: true, parts: Vec::new() });
                    }
                    continue;
                }
                '?' => Part::Any,
                '[' => class(&mut chars)?,
                c => Part::Char(c),
            };
            chunks.last_mut()?.parts.push(part);
        }
        Some(Self(chunks))
    }

    /// Whether it is all of the name. A star and a question mark take no `/`.
    pub(crate) fn matches(&self, name: &str) -> bool {
        let mut rest = name;
        for (at, chunk) in self.0.iter().enumerate() {
            let is_last = at + 1 == self.0.len();
            if chunk.after_star && chunk.parts.is_empty() {
                return !rest.contains('/');
            }
            // The last one has to end the name.
            let taken = |from| chunk.take(from).filter(|rest| !is_last || rest.is_empty());
            let skips = rest.char_indices().take_while(|(_, c)| *c != '/');
            let skips = skips.map(|(at, c)| at + c.len_utf8()).take(if chunk.after_star {
                usize::MAX
            } else {
                0
            });
            let found = std::iter::once(0).chain(skips).find_map(|skipped| taken(&rest[skipped..]));
            match found {
                Some(after) => rest = after,
                None => return false,
            }
        }
        rest.is_empty()
    }
}

impl Chunk {
    /// What follows it in a text that begins with it.
    fn take<'t>(&self, text: &'t str) -> Option<&'t str> {
        let mut chars = text.chars();
        for part in &self.parts {
            let c = chars.next()?;
            let fits = match part {
                Part::Any => c != '/',
                Part::Char(wanted) => c == *wanted,
                Part::Class { is_negated, ranges } => {
                    ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *is_negated
                }
            };
            if !fits {
                return None;
            }
        }
        Some(chars.as_str())
    }
}

/// What follows a `[`, to its end.
fn class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<Part> {
    let is_negated = chars.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    let bound = |c: char| (c != '-' && c != ']').then_some(c);
    loop {
        match chars.next()? {
            ']' if !ranges.is_empty() => return Some(Part::Class { is_negated, ranges }),
            low => {
                let low = bound(low)?;
                let high = match chars.next_if_eq(&'-') {
                    Some(_) => bound(chars.next()?)?,
                    None => low,
                };
                ranges.push((low, high));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The table of Go's own test, but for its `\`.
    #[test]
    fn it_matches_what_go_matches() {
        for (pattern, name, matches) in [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*c", "abc", true),
            ("a*", "a", true),
            ("a*", "abc", true),
            ("a*", "ab/c", false),
            ("a*/b", "abc/b", true),
            ("a*/b", "a/c/b", false),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", false),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[e-g]", "abc", false),
            ("ab[^c]", "abc", false),
            ("ab[^b-d]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true),
            ("a???b", "a☺b", false),
            ("a[^a][^a][^a]b", "a☺b", false),
            ("[a-ζ]*", "α", true),
            ("*[a-ζ]", "A", false),
            ("a?b", "a/b", false),
            ("a*b", "a/b", false),
            ("*x", "xxx", true),
            // and what its source says
            ("a**b", "axxb", true),
            ("a[*]b", "a*b", true),
            ("a[*]b", "axb", false),
            ("[!a]", "!", true),
            ("[!a]", "b", false),
            ("env[^x]python", "env/python", true),
            ("{a,b}", "a", false),
        ] {
            assert_eq!(Glob::parse(pattern).unwrap().matches(name), matches, "{pattern} {name}");
        }
        for malformed in
            ["[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "[", "[^", "[^bc", "a[", "a/b[", "*["]
        {
            assert_eq!(Glob::parse(malformed), None, "{malformed}");
        }
    }

    proptest! {
        #[test]
        fn a_star_in_place_of_a_part_matches(before in "[a-c]{0,4}", part in "[a-c]{0,4}", after in "[a-c]{0,4}") {
            let glob = Glob::parse(&format!("{before}*{after}")).unwrap();
            let [one, two] = [format!("{before}{part}{after}"), format!("{before}/{part}{after}")];
            prop_assert!(glob.matches(&one));
            prop_assert!(!glob.matches(&two));
        }

        #[test]
        fn any_pattern_is_read(pattern in "[a-c*?^\\[\\]/-]{0,12}", name in "[a-c/]{0,12}") {
            if let Some(glob) = Glob::parse(&pattern) {
                let _ = glob.matches(&name);
            }
        }
    }
}

//! Which page an address means, and the address of a page.

use std::iter;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::form_urlencoded;

/// RFC 3986's unreserved characters stay as they are.
const SEGMENT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

/// A page, below the base path
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    Services { query: String, number: usize },
    Models { query: String, number: usize },
    Model { name: String, version: String },
    Service { namespace: String, name: String, number: usize },
    Release { namespace: String, service: String, run: String },
}

/// Of a query, as long as its field lets it be; nothing that is found has longer words.
const LONGEST_QUERY: usize = 200;
/// Bytes of a name in a path: an object's has at most 253.
const LONGEST_NAME: usize = 256;

impl Address {
    /// From path and query as a browser sends them; nothing where there is no such page.
    pub fn parse(path: &str, query: Option<&str>) -> Option<Self> {
        let segments = segments(path)?;
        if segments.iter().any(|segment| segment.len() > LONGEST_NAME) {
            return None;
        }
        let fields: Vec<(String, String)> =
            form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect();
        let field = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, text)| text);
        let query = field("q").map_or("", |text| text.trim());
        let query: String = query.chars().take(LONGEST_QUERY).collect();
        let number = field("page").and_then(|text| text.parse().ok()).unwrap_or(1).max(1);
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        match *segments.as_slice() {
            [] => Some(Self::Services { query, number }),
            ["models"] => Some(Self::Models { query, number }),
            ["models", name, version] => {
                Some(Self::Model { name: name.to_owned(), version: version.to_owned() })
            }
            ["services", namespace, name] => Some(Self::Service {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                number,
            }),
            ["services", namespace, service, "releases", run] => Some(Self::Release {
                namespace: namespace.to_owned(),
                service: service.to_owned(),
                run: run.to_owned(),
            }),
            _ => None,
        }
    }

    /// Path and query below this base path, which is empty or begins with a slash and does not end with one.
    pub fn below(&self, base: &str) -> String {
        match self {
            Self::Services { query, number } => format!("{base}/{}", list_query(query, *number)),
            Self::Models { query, number } => {
                format!("{base}/models{}", list_query(query, *number))
            }
            Self::Model { name, version } => format!("{base}{}", path(&["models", name, version])),
            Self::Service { namespace, name, number } => {
                format!("{base}{}{}", path(&["services", namespace, name]), list_query("", *number))
            }
            Self::Release { namespace, service, run } => {
                format!("{base}{}", path(&["services", namespace, service, "releases", run]))
            }
        }
    }

    /// The same list, or page with a list, from another place on.
    pub fn at(&self, number: usize) -> Self {
        let mut other = self.clone();
        if let Self::Services { number: at, .. }
        | Self::Models { number: at, .. }
        | Self::Service { number: at, .. } = &mut other
        {
            *at = number;
        }
        other
    }

    /// The service whose gate somebody looks at with this page.
    pub fn service(&self) -> Option<(&str, &str)> {
        match self {
            Self::Service { namespace, name, .. }
            | Self::Release { namespace, service: name, .. } => Some((namespace, name)),
            _ => None,
        }
    }
}

/// The page of a service.
pub fn service(namespace: &str, name: &str) -> Address {
    Address::Service { namespace: namespace.to_owned(), name: name.to_owned(), number: 1 }
}

/// A path of these segments, whatever they have in them.
pub fn path(segments: &[&str]) -> String {
    segments
        .iter()
        .flat_map(|segment| iter::once("/").chain(utf8_percent_encode(segment, SEGMENT)))
        .collect()
}

/// A text as the value of a query's field.
pub fn in_query(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// The segments of a path, decoded; nothing where they are no UTF-8.
pub fn segments(path: &str) -> Option<Vec<String>> {
    let decode = |segment: &str| percent_decode_str(segment).decode_utf8().ok().map(Into::into);
    path.split('/').filter(|segment| !segment.is_empty()).map(decode).collect()
}

fn list_query(query: &str, number: usize) -> String {
    match (query, number) {
        ("", 0 | 1) => String::new(),
        ("", number) => format!("?page={number}"),
        (query, 0 | 1) => format!("?q={}", in_query(query)),
        (query, number) => format!("?q={}&page={number}", in_query(query)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(target: &str) -> Option<Address> {
        let (path, query) = target.split_once('?').map_or((target, None), |(a, b)| (a, Some(b)));
        Address::parse(path, query)
    }

    #[test]
    fn an_address_that_is_no_page_is_none() {
        for target in
            ["/model", "/models/a", "/models/a/b/c", "/services", "/services/a", "/models/%ff/a"]
        {
            assert_eq!(parsed(target), None, "{target}");
        }
    }

    #[test]
    fn a_page_number_that_is_none_is_the_first() {
        for target in ["/models", "/models/", "/models?page=0", "/models?page=-7", "/models?page=x"]
        {
            assert_eq!(
                parsed(target),
                Some(Address::Models { query: String::new(), number: 1 }),
                "{target}"
            );
        }
    }

    #[test]
    fn words_and_names_that_nothing_has_are_cut_or_lead_nowhere() {
        let long = "a+".repeat(20_000);
        let Some(Address::Models { query, .. }) = parsed(&format!("/models?q={long}")) else {
            panic!("it is the list")
        };
        assert_eq!(query.len(), LONGEST_QUERY);
        assert_eq!(parsed(&format!("/models/iris/{}", "v".repeat(LONGEST_NAME + 1))), None);
    }

    proptest! {
        #[test]
        fn every_address_is_read_as_it_was_written(
            texts in proptest::array::uniform3("\\PC{1,20}|[/%?#&+. ]{3}"),
            number in 1_usize..999,
        ) {
            let [a, b, c] = texts.map(|text| text.trim().to_owned() + "x");
            let all = [
                Address::Services { query: a.clone(), number },
                Address::Models { query: b.clone(), number },
                Address::Model { name: a.clone(), version: b.clone() },
                Address::Service { namespace: a.clone(), name: b.clone(), number },
                Address::Release { namespace: a, service: b, run: c },
            ];
            for address in all {
                let written = address.below("");
                prop_assert!(written.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"'".contains(&byte)));
                prop_assert_eq!(parsed(&written), Some(address));
            }
        }
    }
}

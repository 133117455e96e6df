//! Who may see it, and where it is published.

use std::{fmt, str::FromStr};

use axum::http::HeaderName;
use ipnet::IpNet;

use crate::{page::view::Site, server::token::TokenFile};

/// Who may see it, and where it is published. The default lets everybody in who reaches it.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// What the commands on the pages name
    pub site: Site,
    pub base_path: BasePath,
    pub token: Option<TokenFile>,
    /// In which a trusted proxy names the user
    pub user_header: Option<HeaderName>,
    pub trusted_proxies: Vec<IpNet>,
    /// It is asked as `localhost` only: a page elsewhere whose name was made to mean this machine is refused
    pub is_local: bool,
}

impl Settings {
    /// Whether somebody is asked who they are.
    pub fn asks(&self) -> bool {
        self.token.is_some() || self.user_header.is_some()
    }
}

/// Where a proxy has it: empty, or `/PATH` without a slash at the end
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BasePath(String);

impl BasePath {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BasePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for BasePath {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let path = text.trim_end_matches('/');
        let is_plain = |segment: &str| {
            let known = |c: u8| c.is_ascii_alphanumeric() || b"-._~".contains(&c);
            !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(known)
        };
        let is_path = path.strip_prefix('/').is_some_and(|path| path.split('/').all(is_plain));
        if path.len() <= 256 && (path.is_empty() || is_path) {
            Ok(Self(path.to_owned()))
        } else {
            Err(
                "write a path such as `/releases`: letters, digits, `-`, `.`, `_` and `~` between slashes",
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_path_has_plain_segments_only() {
        let read = |text: &str| text.parse::<BasePath>().map(|path| path.0);
        assert_eq!(read("/a/b-1/"), Ok("/a/b-1".into()));
        assert_eq!(read("/"), Ok(String::new()));
        for text in [
            "a",
            "//evil.example",
            "/a/../b",
            "/a b",
            "/<script>",
            "/a//b",
            "/%2e",
            &"/a".repeat(200),
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}

//! The names that a repository has.

use reqwest::{Method, Url, header::LINK};
use serde::Deserialize;

use crate::{
    error::{RegistryError, Right},
    http::parse,
    manifests::LARGEST_DOCUMENT,
    reference::is_version,
    repository::{Repository, Whole},
};

/// As many as most registries give at once
const PAGE: usize = 1000;

impl Repository {
    /// At most `limit` tags, sorted; of more, those that the registry names first. A repository that is not there has
    /// none.
    pub async fn tags(&self, limit: usize) -> Result<Vec<String>, RegistryError> {
        let first = format!("tags/list?n={}", limit.clamp(1, PAGE));
        let mut request = self.request(Method::GET, Right::Pull, &first).await?;
        let mut found = Vec::new();
        while found.len() < limit {
            let answer = self.read(&request, LARGEST_DOCUMENT, "list of tags").await?;
            let Some(Whole { url, headers, bytes }) = answer else { break };
            let next = headers.get(LINK).and_then(|link| next_page(link.to_str().ok()?));
            let next = next.and_then(|next| url.join(&next).ok());
            let tags = parse::<Tags>(&bytes, "list of tags")?.tags.unwrap_or_default();
            let is_last = tags.is_empty();
            found.extend(tags.into_iter().filter(|tag| is_version(tag)));
            match next {
                Some(next) if !is_last && is_beside(&next, &request.url) => request.url = next,
                _ => break,
            }
        }
        found.truncate(limit);
        found.sort_unstable();
        Ok(found)
    }
}

/// Another page, and of the same registry.
fn is_beside(next: &Url, page: &Url) -> bool {
    next.origin() == page.origin() && next != page
}

/// `</v2/models/iris/tags/list?n=2&last=v2>; rel="next"`.
fn next_page(link: &str) -> Option<String> {
    let (address, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
    let is_next = rest.split([';', ',']).any(|field| {
        let (key, value) = field.split_once('=').unwrap_or_default();
        key.trim().eq_ignore_ascii_case("rel") && value.trim().trim_matches('"') == "next"
    });
    is_next.then(|| address.to_owned())
}

#[derive(Deserialize)]
struct Tags {
    tags: Option<Vec<String>>,
}

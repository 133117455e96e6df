//! Lists of many objects, read page by page.

use std::fmt::Debug;

use kube::{Api, api::ListParams};
use serde::de::DeserializeOwned;

/// Keeps a list of many objects from taking much memory.
const PAGE: u32 = 50;

/// What `keep` makes of each object that has these labels.
pub async fn list_all<K, T>(
    api: &Api<K>,
    labels: &str,
    keep: impl Fn(K) -> Option<T>,
) -> Result<Vec<T>, kube::Error>
where
    K: Clone + DeserializeOwned + Debug,
{
    let mut page = ListParams::default().labels(labels).limit(PAGE);
    let mut kept = Vec::new();
    loop {
        let listed = api.list(&page).await?;
        kept.extend(listed.items.into_iter().filter_map(&keep));
        match listed.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(kept),
        }
    }
}

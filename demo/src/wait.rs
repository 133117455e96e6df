//! Waiting for what no object shows by itself.

use std::time::Duration;

use anyhow::{Context, Result};

/// How often a wait looks again.
const LOOK: Duration = Duration::from_secs(1);

/// Looks again and again until there is something, or the time is over.
pub async fn within<T>(
    limit: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let seen = tokio::time::timeout(limit, async {
        loop {
            if let Some(seen) = look().await? {
                return Ok(seen);
            }
            tokio::time::sleep(LOOK).await;
        }
    });
    seen.await.with_context(|| format!("failed to see {what} within {} s", limit.as_secs()))?
}

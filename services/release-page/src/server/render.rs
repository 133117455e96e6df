//! The page of an address.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use bento_retrieve::bento::Details;
use jiff::Timestamp;
use step::chain;
use tokio::time::{Instant, timeout};

use crate::{
    known::{Bento, Known},
    page::{
        Manifest,
        address::Address,
        assets::hash,
        model, models, overview, release, service,
        view::{Page, View},
    },
    server::{settings::Settings, shown::Shown},
};

/// A person waits so long for a store, and no longer.
const STORE_ANSWERS: Duration = Duration::from_secs(5);
/// What could not be read is asked for again.
const AGAIN: Duration = Duration::from_secs(30);

/// Renders one address again and again, and asks the store only where the answer may be another one.
pub(super) struct Renderer {
    pub(super) address: Address,
    asked: Option<Asked>,
}

struct Asked {
    answer: Result<Option<Arc<Details>>, String>,
    /// As the list had it then
    listed: Option<Arc<Bento>>,
    at: Instant,
}

impl Renderer {
    pub(super) const fn new(address: Address) -> Self {
        Self { address, asked: None }
    }

    /// Looks at what the address is about, and asks for what is not known by itself.
    pub(super) async fn look(&mut self, shown: &Shown, known: &Known) {
        if let Some((namespace, name)) = self.address.service() {
            // Of what is there only, so that nobody fills the list of those who look.
            if known.service(namespace, name).is_some() {
                shown.interest.look(namespace, name);
            }
        }
        let Address::Model { name, version } = &self.address else { return };
        let listed = known.bento(name, version).cloned();
        let stands = |asked: &Asked| {
            asked.listed == listed
                && (matches!(asked.answer, Ok(Some(_))) || asked.at.elapsed() < AGAIN)
        };
        if !self.asked.as_ref().is_some_and(stands) {
            let answer = details(shown, name, version).await;
            self.asked = Some(Asked { answer, listed, at: Instant::now() });
        }
    }

    pub(super) fn page(&self, view: &View<'_>) -> Page {
        match &self.address {
            Address::Services { query, number } => overview(view, query, *number),
            Address::Models { query, number } => models(view, query, *number),
            Address::Service { namespace, name, number } => service(view, namespace, name, *number),
            Address::Release { namespace, service, run } => release(view, namespace, service, run),
            Address::Model { name, version } => {
                let manifest = match self.asked.as_ref().map(|asked| &asked.answer) {
                    Some(Ok(Some(details))) => Manifest::There(details),
                    Some(Ok(None)) => Manifest::Gone,
                    Some(Err(error)) => Manifest::Unread(error.clone()),
                    None => Manifest::Unread("it was not asked for yet".into()),
                };
                model(view, name, version, &manifest)
            }
        }
    }

    /// Tells states of a page apart, whatever time it is.
    pub(super) fn state(&self, known: &Known, base: &str, settings: &Settings) -> String {
        let view = View { known, now: Timestamp::UNIX_EPOCH, base, site: &settings.site };
        hash(&self.page(&view).main.0)
    }
}

async fn details(shown: &Shown, name: &str, version: &str) -> Result<Option<Arc<Details>>, String> {
    let Some(store) = &shown.store else { return Err("no store was given".into()) };
    match timeout(STORE_ANSWERS, store.details(name, version)).await {
        Ok(answer) => answer.map_err(|error| chain(error.as_ref())),
        Err(_late) => Err(format!("the store did not answer within {} s", STORE_ANSWERS.as_secs())),
    }
}

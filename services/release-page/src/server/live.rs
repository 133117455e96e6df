//! A page again at each change, as server-sent events.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    http::{HeaderValue, StatusCode, header::RETRY_AFTER},
    response::{
        IntoResponse as _, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep_until},
};
use url::form_urlencoded;

use crate::{
    page::{
        address::{Address, in_query},
        layout::{Frame, main},
        view::View,
    },
    server::{
        answer::plain,
        render::Renderer,
        visit::{Front, Visit},
    },
};

/// A page is sent not more often, however often what it shows changes.
const PACE: Duration = Duration::from_secs(1);
/// A bar that grows with time is drawn anew.
const GROWS: Duration = Duration::from_secs(10);
/// So long does it stay silent; then a comment keeps proxies from closing it.
const SILENCE: Duration = Duration::from_secs(15);
/// Then it ends, and the script asks again: a reader who has gone without a word holds no place for ever.
const LASTS: Duration = Duration::from_mins(30);

/// Where the script hears of changes of this page, from this state on.
pub(super) fn path(address: &Address, base: &str, state: &str) -> String {
    format!("{base}/live?of={}&have={state}", in_query(&address.below("")))
}

/// Answers `/live?of=PATH&have=STATE`.
pub(super) fn live(front: &Arc<Front>, visit: Visit, query: Option<&str>) -> Response {
    let fields: Vec<_> =
        form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect();
    let field =
        |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, text)| text.clone());
    let of = field("of").unwrap_or_default();
    let (path, query) =
        of.split_once('?').map_or((of.as_str(), None), |(path, query)| (path, Some(query)));
    let Some(address) = Address::parse(path, query) else {
        return plain(StatusCode::NOT_FOUND, "`of` is no page");
    };
    let Ok(place) = Arc::clone(&front.streams).try_acquire_owned() else {
        let mut response = plain(StatusCode::SERVICE_UNAVAILABLE, "too many streams are open");
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("30"));
        return response;
    };
    let stream = Stream {
        front: Arc::clone(front),
        visit,
        renderer: Renderer::new(address),
        have: field("have").unwrap_or_default(),
        sent: None,
        ends: Instant::now() + LASTS,
        _place: place,
    };
    let events = stream::unfold(stream, |mut stream| async move {
        let html = stream.next().await?;
        let event = Event::default().event("changed").data(html.replace('\r', ""));
        Some((Ok::<_, Infallible>(event), stream))
    });
    let mut response =
        Sse::new(events.fuse()).keep_alive(KeepAlive::new().interval(SILENCE)).into_response();
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

struct Stream {
    front: Arc<Front>,
    visit: Visit,
    renderer: Renderer,
    /// The state of the page that the reader has
    have: String,
    sent: Option<Instant>,
    ends: Instant,
    _place: OwnedSemaphorePermit,
}

impl Stream {
    /// The next `<main>`; nothing at the end.
    async fn next(&mut self) -> Option<String> {
        let front = Arc::clone(&self.front);
        let mut known = front.shown.known.clone();
        let mut stopping = front.stopping.clone();
        while Instant::now() < self.ends {
            if let Some(sent) = self.sent {
                tokio::select! {
                    () = sleep_until(sent + PACE) => {}
                    _ = stopping.wait_for(|stops| *stops) => return None,
                }
            }
            let now = known.borrow_and_update().clone();
            self.renderer.look(&front.shown, &now).await;
            let state = self.renderer.state(&now, &self.visit.base, &front.settings);
            let view = View {
                known: &now,
                now: Timestamp::now(),
                base: &self.visit.base,
                site: &front.settings.site,
            };
            let page = self.renderer.page(&view);
            let grew = page.is_moving && self.sent.is_some_and(|sent| sent.elapsed() >= GROWS);
            let is_other = state != self.have;
            if is_other || grew {
                let live = path(&self.renderer.address, &self.visit.base, &state);
                self.have = state;
                self.sent = Some(Instant::now());
                let frame = Frame { live: Some(&live), is_signed_in: self.visit.is_signed_in };
                return Some(main(&page, frame).into_string());
            }
            self.sent.get_or_insert_with(Instant::now);
            tokio::select! {
                changed = known.changed() => changed.ok()?,
                () = sleep_until((Instant::now() + GROWS).min(self.ends)) => {}
                _ = stopping.wait_for(|stops| *stops) => return None,
            }
        }
        None
    }
}

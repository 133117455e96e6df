//! From a request to whoever answers it.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::to_bytes,
    extract::{Request, State},
    http::{
        HeaderMap, HeaderValue, Method, StatusCode, Uri,
        header::{
            ALLOW, CACHE_CONTROL, ETAG, IF_NONE_MATCH, LOCATION, SET_COOKIE, WWW_AUTHENTICATE,
        },
    },
    response::Response,
    routing::get,
};
use jiff::Timestamp;
use maud::{Markup, html};
use tokio::{
    sync::{Semaphore, watch},
    time::sleep,
};
use tower_http::compression::CompressionLayer;
use url::form_urlencoded;

use crate::{
    known::Known,
    metrics::metrics,
    page::{
        address::{Address, segments},
        assets::{ICON, SCRIPT, STYLE},
    },
    server::{
        answer::{Around, of_type, plain},
        evidence::{evidence, file},
        headers::guard,
        live,
        proxies::{Peer, is_https, is_of_this_machine, without_base},
        render::Renderer,
        settings::Settings,
        shown::Shown,
        token::{cookies, no_cookie},
        visit::{Front, Visit},
    },
};

/// Of pages that are looked at; each holds what it has sent last, and no more.
const MOST_STREAMS: usize = 64;
/// Of files of the store that are on their way to somebody, each of up to 16 MiB.
const MOST_FILES: usize = 2;
/// Of the form with the token.
const LONGEST_BODY: usize = 4096;
/// So that guessing takes long.
const GUESS: Duration = Duration::from_secs(1);

/// All that is served; `stopping` ends the streams that are open.
pub fn router(shown: Shown, settings: Settings, stopping: watch::Receiver<bool>) -> Router {
    let streams = Arc::new(Semaphore::new(MOST_STREAMS));
    let files = Arc::new(Semaphore::new(MOST_FILES));
    let front = Front { shown, settings, streams, files, stopping };
    Router::new().fallback(answer).with_state(Arc::new(front)).layer(CompressionLayer::new())
}

/// Metrics and health alone, for whom the rest is not meant.
pub fn metrics_router(shown: Shown) -> Router {
    let metrics = async |State(shown): State<Shown>| told(&shown);
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(async || plain(StatusCode::OK, "ok")))
        .with_state(shown)
        .layer(CompressionLayer::new())
}

fn told(shown: &Shown) -> Response {
    let known = Arc::clone(&shown.known.borrow());
    of_type(step::metrics::CONTENT_TYPE, metrics(&known, &shown.counts, Timestamp::now()))
}

async fn answer(State(front): State<Arc<Front>>, request: Request) -> Response {
    let headers = request.headers();
    let peer = request.extensions().get::<Peer>().copied();
    let is_trustworthy =
        is_of_this_machine(headers) || is_https(headers, front.settings.trusts(peer));
    guard(front.answer(request).await, is_trustworthy)
}

impl Front {
    async fn answer(self: Arc<Self>, request: Request) -> Response {
        let headers = request.headers();
        if !self.settings.is_asked_rightly(headers) {
            return plain(
                StatusCode::MISDIRECTED_REQUEST,
                "ask for it as `localhost`, or publish it with --listen and a token",
            );
        }
        let peer = request.extensions().get::<Peer>().copied();
        let is_trusted = self.settings.trusts(peer);
        let base = self.settings.base(headers, is_trusted);
        let uri = without_base(request.uri(), [&base, self.settings.base_path.as_str()]);
        let is_signed_in = self.settings.token.is_some() && cookies(headers).next().is_some();
        let visit = Visit { base, is_signed_in, is_https: is_https(headers, is_trusted) };
        let Some(segments) = segments(uri.path()) else {
            return self.not_found(&visit);
        };
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let is_get = matches!(*request.method(), Method::GET | Method::HEAD);
        match (is_get, segments.as_slice()) {
            (true, ["healthz"]) => plain(StatusCode::OK, "ok"),
            (true, ["assets", name]) => {
                asset(name, &request).unwrap_or_else(|| self.not_found(&visit))
            }
            (false, ["login"]) if *request.method() == Method::POST => {
                self.sign_in(request, &visit).await
            }
            (false, ["logout"]) if *request.method() == Method::POST && !is_cross_site(headers) => {
                redirect(&format!("{}/", visit.base), Some(&no_cookie(&visit.base)))
            }
            _ if !self.lets_in(&request, is_trusted) => self.refuse(&uri, &visit, ""),
            (true, segments) => self.show(&uri, segments, visit).await,
            (false, _) => {
                let mut response = self.around(&visit, |around| {
                    around.fault(
                        StatusCode::METHOD_NOT_ALLOWED,
                        "Nothing to change here",
                        "This page only shows.",
                    )
                });
                response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
                response
            }
        }
    }

    fn around(&self, visit: &Visit, answer: impl FnOnce(&Around<'_>) -> Response) -> Response {
        let known = Arc::clone(&self.shown.known.borrow());
        answer(&Around {
            known: &known,
            site: &self.settings.site,
            base: &visit.base,
            is_signed_in: visit.is_signed_in,
        })
    }

    fn not_found(&self, visit: &Visit) -> Response {
        let text = "There is nothing at this address.";
        self.around(visit, |around| around.fault(StatusCode::NOT_FOUND, "No such page", text))
    }

    async fn show(self: &Arc<Self>, uri: &Uri, segments: &[&str], visit: Visit) -> Response {
        let known = Arc::clone(&self.shown.known.borrow());
        match *segments {
            ["metrics"] => return told(&self.shown),
            ["live"] => return live::live(self, visit, uri.query()),
            ["services", namespace, service, "runs", run, name] => {
                if let Some(file) = file(name) {
                    let from = (&self.shown, &self.files);
                    return evidence(from, &known, namespace, service, run, file).await;
                }
            }
            _ => {}
        }
        let Some(address) = Address::parse(uri.path(), uri.query()) else {
            return self.not_found(&visit);
        };
        let mut renderer = Renderer::new(address);
        renderer.look(&self.shown, &known).await;
        let state = renderer.state(&known, &visit.base, &self.settings);
        let live = live::path(&renderer.address, &visit.base, &state);
        self.around(&visit, |around| {
            let around = Around { known: &known, ..*around };
            let page = renderer.page(&around.view(Timestamp::now()));
            around.page(&page, Some(&renderer.address), Some(&live))
        })
    }

    fn lets_in(&self, request: &Request, is_trusted: bool) -> bool {
        if !self.settings.asks() {
            return true;
        }
        let has_token =
            self.settings.token.as_ref().is_some_and(|token| token.is_shown_by(request.headers()));
        let has_user = self.settings.user_header.as_ref().is_some_and(|name| {
            is_trusted && request.headers().get(name).is_some_and(|user| !user.is_empty())
        });
        has_token || has_user
    }

    /// Asks for the token, or says that only the proxy lets people in.
    fn refuse(&self, uri: &Uri, visit: &Visit, why: &str) -> Response {
        let nothing = Known::default(); // who is not let in sees nothing of what is known
        let around = Around {
            known: &nothing,
            site: &self.settings.site,
            base: &visit.base,
            is_signed_in: false,
        };
        if self.settings.token.is_none() {
            let text = "Whoever comes through the site's proxy is let in, and this request did not say who you are.";
            return around.fault_with(
                StatusCode::FORBIDDEN,
                "Sign in at the site's proxy",
                text,
                &html! {},
            );
        }
        let next = uri.path_and_query().map_or("/", |target| target.as_str());
        let form = form(&visit.base, next, why);
        let text = "Whoever runs this page has the token.";
        let mut response = around.fault_with(StatusCode::UNAUTHORIZED, "Sign in", text, &form);
        response
            .headers_mut()
            .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"release-page\""));
        response
    }

    async fn sign_in(&self, request: Request, visit: &Visit) -> Response {
        let uri = request.uri().clone();
        let Some(token) = &self.settings.token else {
            return self.not_found(visit);
        };
        let Ok(body) = to_bytes(request.into_body(), LONGEST_BODY).await else {
            return plain(StatusCode::PAYLOAD_TOO_LARGE, "a token is shorter");
        };
        let fields: Vec<_> = form_urlencoded::parse(&body).into_owned().collect();
        let field =
            |name: &str| fields.iter().find(|(key, _)| key == name).map_or("", |(_, text)| text);
        let next: Uri = field("next").parse().unwrap_or_default();
        // Within this page only: `//host` and `https://host` lead elsewhere.
        let next = next.path_and_query().map_or("/", |target| target.as_str());
        let next = if next.starts_with("//") || next.contains('\\') { "/" } else { next };
        if let Some(cookie) = token.cookie_for(field("token"), &visit.base, visit.is_https) {
            return redirect(&format!("{}{next}", visit.base), Some(&cookie));
        }
        tracing::warn!("refused a sign-in with a wrong token");
        sleep(GUESS).await;
        self.refuse(&next.parse().unwrap_or(uri), visit, "This is not the token.")
    }
}

/// A page elsewhere signs nobody out.
fn is_cross_site(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site")
}

fn form(base: &str, next: &str, why: &str) -> Markup {
    html! {
        form.sign-in method="post" action=(format!("{base}/login")) {
            @if !why.is_empty() { p.notice.away role="alert" { span aria-hidden="true" { "! " } (why) } }
            label for="token" { "Token" }
            input #token type="password" name="token" autocomplete="current-password" required autofocus;
            input type="hidden" name="next" value=(next);
            button type="submit" { "Sign in" }
        }
    }
}

fn redirect(to: &str, cookie: Option<&str>) -> Response {
    let mut response = plain(StatusCode::SEE_OTHER, "");
    let headers = response.headers_mut();
    headers.insert(
        LOCATION,
        HeaderValue::try_from(to).unwrap_or_else(|_| HeaderValue::from_static("/")),
    );
    if let Some(cookie) = cookie.and_then(|cookie| HeaderValue::try_from(cookie).ok()) {
        headers.insert(SET_COOKIE, cookie);
    }
    response
}

fn asset(name: &str, request: &Request) -> Option<Response> {
    let asset = [&*STYLE, &*SCRIPT, &*ICON].into_iter().find(|asset| asset.name == name)?;
    let tag = format!("\"{}\"", asset.hash);
    let is_same = request
        .headers()
        .get(IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = of_type(asset.media_type, if is_same { "" } else { asset.text.as_str() });
    if is_same {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    // The address names the contents.
    let named = request.uri().query().is_some_and(|query| query.contains(&asset.hash));
    let lasts = if named { "public, max-age=31536000, immutable" } else { "public, no-cache" };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(lasts));
    response.headers_mut().insert(ETAG, HeaderValue::try_from(tag).ok()?);
    Some(response)
}

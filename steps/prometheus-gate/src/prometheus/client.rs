//! The client of Prometheus: range queries on the server's clock, and which answers are not evidence.

use std::{
    collections::BTreeSet,
    error::Error as _,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use jiff::{SignedDuration, Timestamp};
use reqwest::{Client, Method, Response, StatusCode, Url};
use step::{Proxies, Proxy, innermost};

use crate::prometheus::access::{Access, Certificates};
use crate::prometheus::answer::{Answer, parse, parse_clock, parse_instant, raw};
use crate::prometheus::error::{PrometheusError, refusal};
use crate::prometheus::{signature::Signer, text::clean};
use crate::time::{Grid, local_clock, to_seconds};

/// A server refuses more than 11,000 points in one answer; old ones count one fewer or more.
const POINTS_AT_ONCE: i32 = 10_000;

/// Of the 32 MiB that a gate may take, its text and the series read from it take about half.
const LARGEST_ANSWER: usize = 8 << 20;

/// Of an answer that is an error, only the first words are of use.
const LARGEST_REFUSAL: usize = 64 << 10;

pub(crate) struct Prometheus {
    base: Url,
    /// What leads there, if something does.
    proxy: Option<Proxy>,
    /// The client, and the certificates that it was made with.
    client: Mutex<(Certificates, Client)>,
    access: Access,
    signer: Option<Signer>,
    /// Some read-only proxies let only GET through.
    refuses_post: AtomicBool,
    /// The queries that have been answered: what was right once is not wrong later.
    answered: Mutex<BTreeSet<String>>,
}

impl Prometheus {
    pub(crate) fn new(base: Url, access: Access) -> Result<Self, PrometheusError> {
        let none = Certificates::default();
        let proxy = Proxies::from_env().to(base.as_str());
        let client = none.client(access.timeout, proxy.as_ref())?;
        Ok(Self {
            base,
            proxy,
            client: Mutex::new((none, client)),
            signer: access.sigv4_region.clone().map(Signer::new),
            access,
            refuses_post: AtomicBool::new(false),
            answered: Mutex::default(),
        })
    }

    /// The server's clock minus ours, in milliseconds.
    pub(crate) async fn clock_offset(&self) -> Result<SignedDuration, PrometheusError> {
        let before = local_clock();
        let form = [("query", "time()".to_owned())];
        let (server, _) = self.ask("query", &form, LARGEST_ANSWER, parse_clock).await?;
        let took = local_clock().duration_since(before);
        Ok(server.duration_since(before) - took / 2)
    }

    /// The values of a query at a moment.
    pub(crate) async fn instant(
        &self,
        query: &str,
        at: Timestamp,
    ) -> Result<Answer, PrometheusError> {
        let form = [("query", query.to_owned()), ("time", time(at))];
        let (series, _) = self.ask("query", &form, LARGEST_ANSWER, parse_instant).await?;
        Ok(Answer { series, bodies: Vec::new() })
    }

    /// The values of a query at the points of a grid.
    pub(crate) async fn range(&self, query: &str, grid: Grid) -> Result<Answer, PrometheusError> {
        let mut all = Answer::default();
        let mut left = LARGEST_ANSWER;
        let step = grid.step * POINTS_AT_ONCE;
        for start in (Grid { step, ..grid }).points() {
            let end = grid.to.min(start + (step - grid.step));
            let form = [
                ("query", query.to_owned()),
                ("start", time(start)),
                ("end", time(end)),
                ("step", format!("{:.3}", grid.step.as_secs_f64())),
            ];
            let (part, body) = self.ask("query_range", &form, left, parse).await?;
            left -= body.len();
            if self.access.keeps_bodies {
                all.bodies.push(raw(body)?);
            }
            all.series.extend(part);
        }
        Ok(all)
    }

    /// What a query is answered with, and the text of the answer. The query is the form's first field.
    async fn ask<T>(
        &self,
        endpoint: &str,
        form: &[(&str, String)],
        limit: usize,
        read: impl FnOnce(&[u8]) -> Result<T, PrometheusError>,
    ) -> Result<(T, Vec<u8>), PrometheusError> {
        let sent = self.send_by_any_method(endpoint, form, limit).await;
        let answer = sent.and_then(|body| Ok((read(&body)?, body)));
        let query = form.first().map(|(_, query)| query.as_str()).unwrap_or_default();
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            // What was left out does not matter here: the address and the query are right.
            Ok(_) | Err(PrometheusError::Warned(_)) => {
                if !answered.contains(query) {
                    answered.insert(query.to_owned());
                }
                answer
            }
            // An ingress that restarts answers as if there had never been a server behind it.
            Err(error @ PrometheusError::NoApi { .. }) if !answered.is_empty() => {
                Err(PrometheusError::Outage(error.to_string()))
            }
            Err(error @ PrometheusError::Query(_)) if answered.contains(query) => {
                Err(PrometheusError::Outage(error.to_string()))
            }
            Err(error) => Err(error),
        }
    }

    /// POST, because a query may be long; GET where that is not allowed.
    async fn send_by_any_method(
        &self,
        endpoint: &str,
        form: &[(&str, String)],
        limit: usize,
    ) -> Result<Vec<u8>, PrometheusError> {
        let mut methods = [Method::POST, Method::GET];
        if self.refuses_post.load(Ordering::Relaxed) {
            methods.reverse();
        }
        let [first, second] = methods;
        match self.send(first, endpoint, form, limit).await {
            Err(PrometheusError::NoApi {
                status:
                    StatusCode::METHOD_NOT_ALLOWED
                    | StatusCode::NOT_IMPLEMENTED
                    | StatusCode::URI_TOO_LONG,
                ..
            }) => {}
            sent => return sent,
        }
        let refuses_post = second == Method::GET;
        let sent = self.send(second, endpoint, form, limit).await;
        if sent.is_ok() {
            self.refuses_post.store(refuses_post, Ordering::Relaxed);
        }
        sent
    }

    async fn send(
        &self,
        method: Method,
        endpoint: &str,
        form: &[(&str, String)],
        limit: usize,
    ) -> Result<Vec<u8>, PrometheusError> {
        let client = self.client()?;
        let request = if method == Method::POST {
            client.post(self.url(endpoint)).form(form)
        } else {
            client.get(self.url(endpoint)).query(form)
        };
        let request = match &self.signer {
            Some(signer) => {
                signer.sign(request.headers(self.access.headers.clone()), &self.access).await?
            }
            None => {
                self.access.authorise(request)?.build().map_err(|error| self.unreachable(&error))?
            }
        };
        let response = client.execute(request).await.map_err(|error| self.unreachable(&error))?;
        if response.status() == StatusCode::OK {
            let body = body(response, limit).await.map_err(|error| self.unreachable(&error))?;
            return body.ok_or(PrometheusError::TooLarge { limit: LARGEST_ANSWER });
        }
        let (status, headers) = (response.status(), response.headers().clone());
        if let (StatusCode::PROXY_AUTHENTICATION_REQUIRED, Some(proxy)) = (status, &self.proxy) {
            return Err(PrometheusError::Proxy(proxy.failed(&status.to_string()).to_string()));
        }
        let body =
            body(response, LARGEST_REFUSAL).await.map_err(|error| self.unreachable(&error))?;
        Err(refusal(status, &headers, &body.unwrap_or_default()))
    }

    /// A proxy that does not know the way looks like a server that is down.
    fn unreachable(&self, error: &reqwest::Error) -> PrometheusError {
        let cause = clean(&cause(error));
        PrometheusError::Unreachable(match &self.proxy {
            Some(proxy) => proxy.failed(&cause).to_string(),
            None => cause,
        })
    }

    fn url(&self, endpoint: &str) -> Url {
        let mut url = self.base.clone();
        let path = format!("{}/api/v1/{endpoint}", self.base.path().trim_end_matches('/'));
        url.set_path(&path);
        url
    }

    /// The client for the certificates that lie in the folder now.
    fn client(&self) -> Result<Client, PrometheusError> {
        let mut known = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if self.access.credentials.is_some() {
            let certificates = self.access.certificates()?;
            if certificates != known.0 {
                let client = certificates.client(self.access.timeout, self.proxy.as_ref())?;
                *known = (certificates, client);
            }
        }
        Ok(known.1.clone())
    }
}

/// The body of a response, or nothing when it is longer than `limit`: no more than that is read.
async fn body(mut response: Response, limit: usize) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok());
    if announced.is_some_and(|length| length > limit) {
        return Ok(None);
    }
    let mut body = Vec::with_capacity(announced.unwrap_or_default());
    while let Some(part) = response.chunk().await? {
        if body.len() + part.len() > limit {
            return Ok(None);
        }
        body.extend_from_slice(&part);
    }
    Ok(Some(body))
}

/// The innermost cause of an error, without the address, which the caller tells.
fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    // The outer sentences only say that there was an error; the last one says which.
    error.source().map_or_else(|| "the connection broke".to_owned(), innermost)
}

/// Seconds as Prometheus reads them, to the millisecond.
fn time(moment: Timestamp) -> String {
    format!("{:.3}", to_seconds(moment))
}

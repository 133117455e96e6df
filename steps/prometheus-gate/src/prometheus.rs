//! The edge to Prometheus: range queries on the server's clock, and which answers not to believe.

use std::{
    collections::BTreeMap,
    fs, io,
    path::PathBuf,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use reqwest::{
    Certificate, Client, Identity, RequestBuilder, Response, StatusCode, Url,
    header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
    redirect::Policy,
};
use serde::Deserialize;

use crate::{
    samples::{Labels, Series, seconds},
    spec::{Ms, millis},
};

/// A server refuses more than 11,000 points in one answer; old ones count one fewer or more.
const POINTS_AT_ONCE: Ms = 10_000;

/// No honest answer to a gate's question comes near; a proxy gone wrong must not fill the memory.
const LARGEST_ANSWER: usize = 64 << 20;

/// Who asks, and how.
#[derive(Clone, Debug, Default)]
pub(crate) struct Access {
    /// A folder like a mounted Secret: `token`, or `username` and `password`; `ca.crt`; `tls.crt`
    /// and `tls.key`. What is there is used, and read again for each request, because it is rotated.
    pub(crate) credentials: Option<PathBuf>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether answers keep the text that they came as.
    pub(crate) keeps_bodies: bool,
    pub(crate) timeout: Duration,
}

pub(crate) struct Prometheus {
    base: Url,
    /// The client, and the certificates that it was made with.
    client: Mutex<(Certificates, Client)>,
    access: Access,
    /// Some read-only proxies let only GET through.
    refuses_post: AtomicBool,
}

/// An answer, and what the server said about it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Answer {
    pub(crate) series: Vec<Series>,
    /// A server that warns may have left something out: such an answer is no evidence.
    pub(crate) warnings: Vec<String>,
    /// What the server sent, for a record.
    pub(crate) bodies: Vec<serde_json::Value>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error("{0}")]
    Unreachable(String),
    #[error("the server is not ready to answer ({status}{detail})")]
    Busy { status: StatusCode, detail: String, retry_after: Option<Duration> },
    #[error("the server refuses us ({status}{detail})")]
    Refused { status: StatusCode, detail: String },
    #[error("the server does not understand the query: {0}")]
    Query(String),
    #[error("the server cannot carry out the query: {0}")]
    Execution(String),
    #[error("there is no Prometheus API ({status}{detail})")]
    NoApi { status: StatusCode, detail: String },
    #[error("the answer is not that of a Prometheus: {0}")]
    Garbled(String),
    #[error("the server warns: {0}")]
    Warned(String),
    #[error("{0}")]
    Credentials(String),
}

impl Prometheus {
    pub(crate) fn new(base: Url, access: Access) -> Result<Self, Trouble> {
        let none = Certificates::default();
        let client = none.client(access.timeout)?;
        Ok(Self {
            base,
            client: Mutex::new((none, client)),
            access,
            refuses_post: AtomicBool::new(false),
        })
    }

    /// The server's clock, and by how much ours is behind it, in milliseconds.
    pub(crate) async fn clock_offset(&self) -> Result<Ms, Trouble> {
        let before = local_clock();
        let body = self.ask("query", &[("query", "time()".to_owned())]).await?;
        let after = local_clock();
        let Data::Scalar { result: (_, Text(server)) } = read(&body)?.data else {
            return Err(Trouble::Garbled("`time()` gave no number".to_owned()));
        };
        let server = millis(server * 1000.0)
            .ok_or_else(|| Trouble::Garbled("`time()` gave no time".to_owned()))?;
        Ok(server - before.midpoint(after))
    }

    /// The values of a query now.
    pub(crate) async fn instant(&self, query: &str, at: Ms) -> Result<Answer, Trouble> {
        let body = self.ask("query", &[("query", query.to_owned()), ("time", time(at))]).await?;
        parse(&body)
    }

    /// The values of a query at `from`, `from + step`, … `to`.
    pub(crate) async fn range(
        &self,
        query: &str,
        (from, to, step): (Ms, Ms, Ms),
    ) -> Result<Answer, Trouble> {
        let mut whole = Answer::default();
        let mut start = from;
        while start <= to {
            let end = to.min(start + (POINTS_AT_ONCE - 1) * step);
            let form = [
                ("query", query.to_owned()),
                ("start", time(start)),
                ("end", time(end)),
                ("step", time(step)),
            ];
            let body = self.ask("query_range", &form).await?;
            let part = parse(&body)?;
            if self.access.keeps_bodies {
                whole.bodies.push(serde_json::from_slice(&body).unwrap_or_default());
            }
            whole.series.extend(part.series);
            whole.warnings.extend(part.warnings);
            start = end + step;
        }
        Ok(whole)
    }

    async fn ask(&self, endpoint: &str, form: &[(&str, String)]) -> Result<Vec<u8>, Trouble> {
        if !self.refuses_post.load(Ordering::Relaxed) {
            match self.send(self.client()?.post(self.url(endpoint)).form(form)).await {
                Err(Trouble::NoApi {
                    status: StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED,
                    ..
                }) => {
                    self.refuses_post.store(true, Ordering::Relaxed);
                }
                done => return done,
            }
        }
        self.send(self.client()?.get(self.url(endpoint)).query(form)).await
    }

    fn url(&self, endpoint: &str) -> Url {
        let mut url = self.base.clone();
        let path = format!("{}/api/v1/{endpoint}", self.base.path().trim_end_matches('/'));
        url.set_path(&path);
        url
    }

    async fn send(&self, request: RequestBuilder) -> Result<Vec<u8>, Trouble> {
        let request = self.authorise(request)?;
        let response =
            request.send().await.map_err(|error| Trouble::Unreachable(causes(&error)))?;
        let status = response.status();
        let retry_after = retry_after(response.headers());
        let body = whole(response).await?;
        if status.is_success() {
            return Ok(body);
        }
        Err(refusal(status, retry_after, &body))
    }

    fn authorise(&self, request: RequestBuilder) -> Result<RequestBuilder, Trouble> {
        let mut request =
            request.headers(self.access.headers.iter().cloned().collect::<HeaderMap>());
        if let Some(token) = self.secret("token")? {
            request = request.bearer_auth(token.trim());
        } else if let Some(name) = self.secret("username")? {
            let password = self.secret("password")?;
            request = request.basic_auth(name.trim(), password.as_deref().map(str::trim));
        }
        Ok(request)
    }

    /// The client for the certificates that lie in the folder now.
    fn client(&self) -> Result<Client, Trouble> {
        let mut known = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if self.access.credentials.is_some() {
            let certificates = Certificates {
                authorities: self.secret("ca.crt")?,
                chain: self.secret("tls.crt")?,
                key: self.secret("tls.key")?,
            };
            if certificates != known.0 {
                let client = certificates.client(self.access.timeout)?;
                *known = (certificates, client);
            }
        }
        Ok(known.1.clone())
    }

    /// What a file of the folder says; nothing when it is not there.
    fn secret(&self, name: &str) -> Result<Option<String>, Trouble> {
        let Some(folder) = &self.access.credentials else { return Ok(None) };
        let path = folder.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => {
                Err(Trouble::Credentials(format!("failed to read `{}`: {cause}", path.display())))
            }
        }
    }
}

/// This machine's clock.
pub(crate) fn local_clock() -> Ms {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ms::try_from(since.as_millis()).unwrap_or(Ms::MAX)
}

/// Whom to trust, and who we are, as PEM.
#[derive(Default, PartialEq)]
struct Certificates {
    /// Authorities that are trusted beside the system's.
    authorities: Option<String>,
    chain: Option<String>,
    key: Option<String>,
}

impl Certificates {
    fn client(&self, timeout: Duration) -> Result<Client, Trouble> {
        let wrong = |error: reqwest::Error| {
            Trouble::Credentials(format!("the certificates are of no use: {error}"))
        };
        // A redirect would turn a POST into a GET without a query; a login page would answer 200.
        let mut builder = Client::builder().redirect(Policy::none()).timeout(timeout);
        if let Some(pem) = &self.authorities {
            builder = builder
                .tls_certs_merge(Certificate::from_pem_bundle(pem.as_bytes()).map_err(wrong)?);
        }
        if let (Some(chain), Some(key)) = (&self.chain, &self.key) {
            builder = builder
                .identity(Identity::from_pem(format!("{chain}\n{key}").as_bytes()).map_err(wrong)?);
        }
        builder.build().map_err(wrong)
    }
}

async fn whole(mut response: Response) -> Result<Vec<u8>, Trouble> {
    let mut body = Vec::new();
    while let Some(part) =
        response.chunk().await.map_err(|error| Trouble::Unreachable(causes(&error)))?
    {
        body.extend_from_slice(&part);
        if body.len() > LARGEST_ANSWER {
            return Err(Trouble::Garbled(format!(
                "it is larger than {} MiB",
                LARGEST_ANSWER >> 20
            )));
        }
    }
    Ok(body)
}

/// What an answer other than 2xx means. Proxies send HTML, so the body is only a hint.
fn refusal(status: StatusCode, retry_after: Option<Duration>, body: &[u8]) -> Trouble {
    let told = serde_json::from_slice::<Refusal>(body).ok().map(|refusal| refusal.error);
    let detail = told.clone().map_or_else(|| excerpt(body), |told| format!(": {told}"));
    match status {
        StatusCode::BAD_REQUEST if told.is_some() => Trouble::Query(told.unwrap_or_default()),
        StatusCode::UNPROCESSABLE_ENTITY if told.is_some() => {
            Trouble::Execution(told.unwrap_or_default())
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Trouble::Refused { status, detail },
        status if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED => {
            Trouble::Busy { status, detail, retry_after }
        }
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
            Trouble::Busy { status, detail, retry_after }
        }
        _ if status.as_u16() == 499 => Trouble::Busy { status, detail, retry_after },
        _ => Trouble::NoApi { status, detail },
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok().map(Duration::from_secs)
}

/// The first words of a body that is not ours, on one line.
fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(400)]);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = text.chars().take(80).collect();
    if short.is_empty() { short } else { format!(": {short}") }
}

/// An error and its causes on one line, without the address, which the caller tells.
fn causes(error: &reqwest::Error) -> String {
    let mut text = Vec::new();
    let mut cause = std::error::Error::source(error);
    if error.is_timeout() {
        text.push("no answer in time".to_owned());
        cause = None;
    }
    while let Some(error) = cause {
        text.push(error.to_string());
        cause = error.source();
    }
    // The outer sentences only say that there was an error; the last one says which.
    text.pop().unwrap_or_else(|| "the connection broke".to_owned())
}

/// Seconds as Prometheus reads them, to the millisecond.
fn time(moment: Ms) -> String {
    format!("{:.3}", seconds(moment))
}

/// The series of an answer.
pub(crate) fn parse(body: &[u8]) -> Result<Answer, Trouble> {
    read(body)?.into_answer()
}

fn read(body: &[u8]) -> Result<Success, Trouble> {
    serde_json::from_slice(body)
        .map_err(|error| Trouble::Garbled(format!("{error}{}", excerpt(body))))
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

#[derive(Deserialize)]
struct Success {
    data: Data,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", rename_all = "lowercase")]
enum Data {
    Scalar { result: Point },
    Vector { result: Vec<Sampled> },
    Matrix { result: Vec<Sampled> },
    String {},
}

#[derive(Deserialize)]
struct Sampled {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    value: Option<Point>,
    #[serde(default)]
    values: Vec<Point>,
}

type Point = (f64, Text);

/// Prometheus writes numbers as text: `NaN` and `+Inf` are no JSON numbers.
#[derive(Deserialize)]
#[serde(try_from = "std::borrow::Cow<str>")]
struct Text(f64);

impl TryFrom<std::borrow::Cow<'_, str>> for Text {
    type Error = std::num::ParseFloatError;

    fn try_from(text: std::borrow::Cow<'_, str>) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

impl Success {
    fn into_answer(self) -> Result<Answer, Trouble> {
        let series = match self.data {
            Data::Matrix { result } | Data::Vector { result } => result,
            Data::Scalar { result } => {
                vec![Sampled { metric: Labels::new(), value: Some(result), values: Vec::new() }]
            }
            Data::String {} => {
                return Err(Trouble::Query("it gives a string, not numbers".to_owned()));
            }
        };
        let moment = |at: f64| {
            millis(at * 1000.0).ok_or_else(|| Trouble::Garbled("a time is out of range".to_owned()))
        };
        let series = series
            .into_iter()
            .map(|Sampled { metric, value, values }| {
                let points = value.into_iter().chain(values);
                let values = points
                    .map(|(at, Text(value))| Ok((moment(at)?, value)))
                    .collect::<Result<_, _>>()?;
                Ok(Series { labels: metric, values })
            })
            .collect::<Result<_, _>>()?;
        Ok(Answer { series, warnings: self.warnings, bodies: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &str) -> Result<Answer, Trouble> {
        read(body.as_bytes())?.into_answer()
    }

    #[test]
    fn numbers_come_as_text_and_may_be_no_numbers() {
        let body = r#"{"status":"success","data":{"resultType":"matrix","result":[
            {"metric":{"a":"b"},"values":[[1.5,"5e+21"],[2,"+Inf"],[3,"-Inf"],[4,"NaN"],[5.0004,"0.0000001"]]}]},
            "warnings":["partial"],"infos":["x"]}"#;
        let answer = answer(body).unwrap();
        let values = &answer.series[0].values;
        assert_eq!(values[..3], [(1500, 5e21), (2000, f64::INFINITY), (3000, f64::NEG_INFINITY)]);
        assert!(values[3].1.is_nan());
        assert_eq!(values[4], (5000, 1e-7));
        assert_eq!(answer.warnings, ["partial"]);
    }

    #[test]
    fn an_empty_answer_has_no_series() {
        let body = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
        assert_eq!(answer(body).unwrap(), Answer::default());
    }

    #[test]
    fn a_string_is_a_mistake_in_the_query() {
        let body = r#"{"status":"success","data":{"resultType":"string","result":[1,"x"]}}"#;
        assert!(matches!(answer(body), Err(Trouble::Query(_))));
    }

    #[test]
    fn html_is_told_as_what_it_is() {
        let error = answer("<html>\n<body>Please log in</body></html>").unwrap_err();
        assert!(
            error.to_string().ends_with(": <html> <body>Please log in</body></html>"),
            "{error}"
        );
    }
}

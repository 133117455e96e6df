//! The answer-counter: where it is, whether it takes a service's answers, and which services may send to it.

use std::{fs, future::Future, net::IpAddr, time::Duration};

use anyhow::{Result, anyhow};
use clap::ValueEnum;
use reqwest::{Client, StatusCode, Url, redirect::Policy};
use step::{Proxies, innermost};

const TRIES: u32 = 3;
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, Default)]
pub(crate) struct Answers {
    /// None: off
    pub(crate) counter: Option<AnswerCounter>,
    pub(crate) of: AnswersOf,
    /// A shift of the answers is meant
    pub(crate) shift_is_expected: bool,
    pub(crate) reply: Reply,
}

/// What the counter says when it is asked about a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Reply {
    /// That it takes the answers; also before it was asked
    #[default]
    Takes,
    /// That its config does not count the service
    Refuses,
    /// Nothing
    Silent,
}

impl Answers {
    /// Asks the counter whether it takes what is sent to this url.
    pub(crate) async fn ask(&mut self, url: &str) {
        if let Some(counter) = &self.counter {
            self.reply = counter.ask(url).await;
        }
    }
}

/// Which services get a logger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum AnswersOf {
    /// First releases, and services that have such a logger already or lack it only because the counter
    /// did not take their answers
    #[default]
    New,
    /// Also services that exist without one: their pods get another container
    All,
}

/// The address of an answer-counter, such as `http://answer-counter.canary:8080`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AnswerCounter {
    /// What the path of a logger is put to
    pub(crate) base: String,
    /// With its port, for people
    pub(crate) host: String,
}

impl AnswerCounter {
    /// The path of a logger says whose answers it sends, so that the address has none. No TLS: for it `KServe`'s
    /// agent opens a connection for each answer, and keeps it.
    pub(crate) fn read(text: &str) -> Result<Url, &'static str> {
        let url: Url = text.parse().map_err(|_| ADDRESS)?;
        let is_plain = url.scheme() == "http"
            && url.has_host()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if is_plain { Ok(url) } else { Err(ADDRESS) }
    }

    /// As the pod of this run sees it.
    pub(crate) fn here(url: &Url, namespace: &str) -> Self {
        let resolver = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        Self::of(url, namespace, cluster_domain(&resolver))
    }

    /// As pods of every namespace find it: a name of one word is a Service beside the run. Its whole name, with the
    /// dot that ends it, is one question to the resolver; with a shorter one, each answer that cannot be sent is eight.
    pub(crate) fn of(url: &Url, namespace: &str, domain: Option<&str>) -> Self {
        let name = url.host_str().unwrap_or_default();
        let is_address = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
        if name.contains('.') || is_address {
            let host = format!("{name}{port}");
            return Self { base: format!("http://{host}"), host };
        }
        let whole = domain.map_or_else(String::new, |domain| format!(".svc.{domain}."));
        Self {
            base: format!("http://{name}.{namespace}{whole}{port}"),
            host: format!("{name}.{namespace}{port}"),
        }
    }

    /// Whether it is there and takes what is sent to this url. Answers that nobody takes would heap up in the model's
    /// own pod, and a gate would wait for what is refused.
    async fn ask(&self, url: &str) -> Reply {
        let host = &self.host;
        let reply = replied(|| self.ask_once(url), host).await;
        if reply == Reply::Refuses {
            let hint = "name it in `services` of the ConfigMap `answer-counter`, or let its `others` be `count`";
            tracing::warn!(hint, "the answer-counter at {host} does not count this service");
        }
        reply
    }

    async fn ask_once(&self, url: &str) -> Result<Reply> {
        let health = self.get("/healthz").await?;
        if !health.is_success() {
            return Err(anyhow!("it answered {health}"));
        }
        // It takes no GET there; but where nothing is counted, there is nothing. Another counter may say what it likes.
        let path = url.strip_prefix(&self.base).unwrap_or_default();
        let is_refused = self.get(path).await? == StatusCode::NOT_FOUND;
        Ok(if is_refused { Reply::Refuses } else { Reply::Takes })
    }

    async fn get(&self, path: &str) -> Result<StatusCode> {
        // One provider for the process; a second call finds it there already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // NO_PROXY has the cluster's domain without the dot that ends it.
        let url = format!("{}{path}", self.base.replace(".:", ":").trim_end_matches('.'));
        let builder = Client::builder().redirect(Policy::none()).timeout(ANSWERS_WITHIN);
        let builder = match Proxies::from_env().to(&url) {
            Some(proxy) => builder.proxy(reqwest::Proxy::all(proxy.secret_url())?),
            None => builder.no_proxy(),
        };
        let answer = builder.build()?.get(&url).send().await;
        Ok(answer.map_err(|error| anyhow!(innermost(&error)))?.status())
    }
}

async fn replied<T: Future<Output = Result<Reply>>>(ask: impl Fn() -> T, host: &str) -> Reply {
    for again in 1..=TRIES {
        match ask().await {
            Ok(reply) => return reply,
            Err(error) => tracing::warn!("the answer-counter at {host} did not answer: {error}"),
        }
        if again < TRIES {
            tokio::time::sleep(PAUSE).await;
        }
    }
    Reply::Silent
}

/// The domain of the cluster that a pod is in, by the names among which its resolver looks.
fn cluster_domain(resolver: &str) -> Option<&str> {
    let lists = resolver.lines().filter_map(|line| line.strip_prefix("search"));
    let domains =
        lists.flat_map(str::split_whitespace).filter_map(|name| name.strip_prefix("svc."));
    domains.map(|domain| domain.trim_end_matches('.')).find(|domain| !domain.is_empty())
}

const ADDRESS: &str = "write it as http://HOST:PORT, without TLS and without a path, such as http://answer-counter:8080";

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    fn of(text: &str) -> Option<String> {
        Some(AnswerCounter::of(&AnswerCounter::read(text).ok()?, "canary", None).base)
    }

    #[test]
    fn in_a_pod_a_service_has_its_whole_name() {
        let resolver = "nameserver 10.43.0.10\nsearch models.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n";
        assert_eq!(cluster_domain(resolver), Some("cluster.local"));
        for other in ["", "search", "search example.org", "nameserver svc.x", "search svc."] {
            assert_eq!(cluster_domain(other), None, "{other}");
        }
        let of = |text: &str| {
            let url = AnswerCounter::read(text).unwrap();
            AnswerCounter::of(&url, "canary", cluster_domain(resolver))
        };
        let counter = of("http://answer-counter:8080");
        assert_eq!(counter.base, "http://answer-counter.canary.svc.cluster.local.:8080");
        assert_eq!(counter.host, "answer-counter.canary:8080");
        assert_eq!(of("http://counter.site:8080").base, "http://counter.site:8080");
    }

    #[test]
    fn a_name_without_a_dot_is_a_service_of_the_run_s_namespace() {
        for (text, base) in [
            ("http://answer-counter:8080", "http://answer-counter.canary:8080"),
            ("http://answer-counter:8080/", "http://answer-counter.canary:8080"),
            ("http://answer-counter", "http://answer-counter.canary"),
            ("http://answer-counter.site:8080", "http://answer-counter.site:8080"),
            ("http://10.0.0.7:8080", "http://10.0.0.7:8080"),
            ("http://[fd00::7]:8080", "http://[fd00::7]:8080"),
        ] {
            assert_eq!(of(text).as_deref(), Some(base), "{text}");
        }
    }

    #[test]
    fn an_address_that_is_more_than_one_is_refused() {
        for text in [
            "https://answer-counter:8080", // the agent would open a connection for each answer
            "http://answer-counter:8080/answers",
            "http://answer-counter:8080/?x=1",
            "http://answer-counter:8080/#x",
            "http://ada:secret@answer-counter:8080",
            "answer-counter:8080",
            "ftp://answer-counter",
            "http://",
            "compared",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_asked_three_times_before_it_counts_as_away() {
        for (answers_at, reply, asked) in
            [(1, Reply::Refuses, 1), (3, Reply::Takes, 3), (4, Reply::Silent, 3)]
        {
            let tries = Cell::new(0);
            let ask = || {
                tries.set(tries.get() + 1);
                let is_answered = tries.get() >= answers_at;
                async move { if is_answered { Ok(reply) } else { Err(anyhow!("connection refused")) } }
            };
            assert_eq!(replied(ask, "answer-counter.canary:8080").await, reply);
            assert_eq!(tries.get(), asked);
        }
    }

    /// A counter that is there, and answers so at the path of a service.
    async fn counter_that_answers(head: &'static str) -> AnswerCounter {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 1024];
                let length = stream.read(&mut request).await.unwrap();
                let head = match request[..length].strip_prefix(b"GET ").unwrap() {
                    path if path.starts_with(b"/healthz ") => "200 OK",
                    path if path.starts_with(b"/models/iris/v%2F2 ") => head,
                    path => panic!("{}", String::from_utf8_lossy(path)),
                };
                let answer = format!("HTTP/1.1 {head}\r\nconnection: close\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        AnswerCounter::of(&AnswerCounter::read(&url).unwrap(), "canary", None)
    }

    #[tokio::test]
    async fn only_a_clear_404_at_the_path_of_the_service_is_a_no() {
        for (head, reply) in [
            ("404 Not Found", Reply::Refuses),
            ("405 Method Not Allowed\r\nallow: POST", Reply::Takes),
            ("302 Found\r\nlocation: http://127.0.0.1:9/404", Reply::Takes),
            ("200 OK", Reply::Takes),
            ("400 Bad Request", Reply::Takes),
            ("401 Unauthorized", Reply::Takes),
            ("502 Bad Gateway", Reply::Takes),
        ] {
            let counter = counter_that_answers(head).await;
            let url = format!("{}/models/iris/v%2F2", counter.base);
            assert_eq!(counter.ask(&url).await, reply, "{head}");
        }
    }
}

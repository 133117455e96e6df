//! A gate that is looked at from outside, by the arguments of its `TaskRun`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    collections::HashMap,
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

use prometheus_gate::{Observer, ObserverOptions, STYLE, Seen};
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

/// What the server's clock says at first, in seconds since 1970.
const NOW: f64 = 1_600_000_000.0;

/// A Prometheus whose clock can be set, and whose one series has this value at every moment.
struct Server {
    mock: MockServer,
    clock: Arc<Mutex<f64>>,
}

impl Server {
    async fn with(value: &'static str) -> Self {
        Self::answering(move |fields, _| answer(fields, value)).await
    }

    /// One that answers the fields of a question with this, at a time.
    async fn answering(
        answer: impl Fn(&HashMap<String, String>, f64) -> Value + Send + Sync + 'static,
    ) -> Self {
        let clock = Arc::new(Mutex::new(NOW));
        let now = Arc::clone(&clock);
        let mock = MockServer::start().await;
        let answer = move |request: &Request| {
            let (fields, now) = (fields(request), *now.lock().unwrap());
            let data = if fields["query"] == "time()" {
                json!({"resultType": "scalar", "result": [now, now.to_string()]})
            } else {
                answer(&fields, now)
            };
            ResponseTemplate::new(200).set_body_json(json!({"status": "success", "data": data}))
        };
        Mock::given(any()).respond_with(answer).mount(&mock).await;
        Self { mock, clock }
    }

    /// The first and the last point of each question so far.
    async fn asked(&self) -> Vec<(String, String)> {
        let requests = self.mock.received_requests().await.unwrap();
        let range = |request: &Request| {
            let mut fields = fields(request);
            Some((fields.remove("start")?, fields.remove("end")?))
        };
        requests.iter().filter_map(range).collect()
    }
}

fn fields(request: &Request) -> HashMap<String, String> {
    let form = String::from_utf8(request.body.clone()).unwrap();
    let url = reqwest::Url::parse(&format!("http://x/?{form}")).unwrap();
    url.query_pairs().into_owned().collect()
}

fn answer(fields: &HashMap<String, String>, value: &str) -> Value {
    let values: Vec<Value> = points(fields).map(|at| json!([at, value])).collect();
    json!({"resultType": "matrix", "result": [{"metric": {}, "values": values}]})
}

/// The moments that a question is about.
fn points(fields: &HashMap<String, String>) -> impl Iterator<Item = f64> {
    let number = |name: &str| fields[name].parse::<f64>().unwrap();
    let (start, end, step) = (number("start"), number("end"), number("step"));
    std::iter::successors(Some(start), move |at| Some(at + step)).take_while(move |at| *at <= end)
}

/// What answer-counter has counted: a class of the canary and another one a second, and ten of the baseline.
fn counted(fields: &HashMap<String, String>, now: f64, of_canary: [f64; 2]) -> Value {
    let query = &fields["query"];
    if !fields.contains_key("start") {
        // Which of the ways to ask finds something, and what it finds.
        let labels = if query.contains("count(") {
            json!({"gate_part": "0"})
        } else {
            json!({"__name__": "kanaria_answer_events_total", "pod": "counter", "outcome": "taken"})
        };
        return json!({"resultType": "vector", "result": [{"metric": labels, "value": [now, "1"]}]});
    }
    let mut series = Vec::new();
    for (side, classes) in [("canary", of_canary), ("baseline", [10.0, 10.0])] {
        if !query.contains(&format!("{side}_taken")) {
            continue;
        }
        let mut grown = |labels: Value, each: f64| {
            let since = |at: f64| ((at - NOW + 7200.0) * each).floor().to_string();
            let values: Vec<Value> = points(fields).map(|at| json!([at, since(at)])).collect();
            series.push(json!({"metric": labels, "values": values}));
        };
        let part = |what: &str| format!("{side}_{what}");
        grown(json!({"gate_part": part("taken"), "pod": "counter"}), classes.iter().sum());
        for (class, each) in ["setosa", "virginica"].iter().zip(classes) {
            let part = part("answer");
            let labels =
                json!({"gate_part": part, "pod": "counter", "field": "/species", "answer": class});
            grown(labels, each);
        }
    }
    json!({"resultType": "matrix", "result": series})
}

/// As the Task writes them, with flags that are about the place where the gate runs.
fn args(server: &Server, home: &Path, more: &[&str]) -> Vec<String> {
    let place = |flag: &str, name: &str| format!("--{flag}={}", home.join(name).display());
    let mut args = vec![
        format!("--prometheus-url={}", server.mock.uri()),
        "--query=errors".to_owned(),
        "--when=value == 0".to_owned(),
        "--criteria=".to_owned(),
        "--spec=".to_owned(),
        "--service=iris".to_owned(),
        "--canary-version=v2".to_owned(),
        "--percent=10".to_owned(),
        "--ladder=10,50,100".to_owned(),
        "--hold=60s".to_owned(),
        "--deadline=5m".to_owned(),
        format!("--start=@{}", NOW - 240.0),
        place("credentials", "credentials"),
        place("report", "evidence"),
        place("record", "record.ndjson"),
        place("result-verdict", "verdict"),
        place("result-reason", "reason"),
    ];
    args.extend(more.iter().map(|arg| (*arg).to_owned()));
    args
}

fn options() -> ObserverOptions {
    let _ = rustls::crypto::ring::default_provider().install_default();
    ObserverOptions { namespace: "models".to_owned(), ..ObserverOptions::default() }
}

async fn seen(value: &'static str, more: &[&str]) -> Seen {
    let home = tempfile::tempdir().unwrap();
    let server = Server::with(value).await;
    let mut observer = Observer::new(&args(&server, home.path(), more), options()).unwrap();
    // As a server does that looks at several.
    tokio::spawn(async move { observer.look().await }).await.unwrap().unwrap()
}

#[tokio::test]
async fn it_sees_what_the_gate_sees_and_leaves_nothing_behind() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("credentials")).unwrap();
    fs::write(home.path().join("credentials/token"), "of-the-gate").unwrap();
    let server = Server::with("0").await;
    let mut observer = Observer::new(&args(&server, home.path(), &[]), options()).unwrap();
    let seen = observer.look().await.unwrap();
    assert_eq!((seen.verdict.as_str(), seen.reason.as_str(), seen.holds), ("pass", "hold", true));
    assert_eq!((seen.message.as_str(), seen.error), ("held for 1m: query: 0", None));
    let criterion = &seen.summary["criteria"][0];
    assert_eq!(criterion["state"], "held");
    assert_eq!(
        (&criterion["heldSeconds"], &seen.summary["holdSeconds"]),
        (&60.0.into(), &60.0.into())
    );
    assert_eq!(seen.summary["deadline"], "2020-09-13T12:27:40Z");
    assert_eq!(seen.summary["subject"]["namespace"], "models", "that of the TaskRun");
    assert!(seen.cards.starts_with("<div class=\"gate cards\">") && seen.cards.contains("<svg "));
    let left: Vec<_> = fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap()).collect();
    assert_eq!(left.len(), 1, "{left:?}");
    let requests = server.mock.received_requests().await.unwrap();
    assert!(requests.iter().all(|request| !request.headers.contains_key("authorization")));
}

#[tokio::test]
async fn a_gate_on_answers_is_seen_with_what_both_sides_answered() {
    let home = tempfile::tempdir().unwrap();
    for (of_canary, verdict, reason) in
        [([1.0, 1.0], "pass", "hold"), ([1.6, 0.4], "fail", "evidence")]
    {
        let server = Server::answering(move |fields, now| counted(fields, now, of_canary)).await;
        let mut args = args(&server, home.path(), &[]);
        args.retain(|arg| !arg.starts_with("--query=") && !arg.starts_with("--when="));
        let criteria = args.iter().position(|arg| arg == "--criteria=").unwrap();
        args[criteria] = "--criteria=answers".to_owned();
        let seen = Observer::new(&args, options()).unwrap().look().await.unwrap();
        assert_eq!((seen.verdict.as_str(), seen.reason.as_str()), (verdict, reason), "{seen:?}");
        assert!(seen.message.contains("answers: species: `"), "{}", seen.message);
        let field = &seen.summary["criteria"][0]["evidence"]["fields"][0];
        assert_eq!(field["field"], "/species");
        assert!(seen.cards.contains("setosa") && seen.cards.contains("virginica"));
    }
}

#[tokio::test]
async fn a_look_asks_for_what_has_become_final_since_the_last_one() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::with("0").await;
    let hour = ["--hold=1h", "--deadline=2h"];
    let mut observer = Observer::new(&args(&server, home.path(), &hour), options()).unwrap();
    let first = observer.look().await.unwrap();
    assert_eq!((first.verdict.as_str(), first.holds), ("pending", false));
    let asked = server.asked().await;
    assert_eq!(asked, [(format!("{:.3}", NOW - 240.0), format!("{:.3}", NOW - 10.0))]);
    observer.look().await.unwrap();
    let since = server.asked().await.split_off(1);
    assert!(since.iter().all(|(start, _)| *start >= format!("{:.3}", NOW - 5.0)), "{since:?}");
}

#[tokio::test]
async fn a_canary_that_people_may_hold_is_not_said_to_pass() {
    let seen = seen("0", &["--decisions=true"]).await;
    assert_eq!((seen.verdict.as_str(), seen.holds, seen.waiting), ("pending", true, None));
    assert_eq!(seen.message, "query: 0");
    assert_eq!(seen.summary["waiting"], serde_json::Value::Null);
}

#[tokio::test]
async fn what_is_waited_for_besides_is_told() {
    let more = ["--decisions=true", "--approval=every"];
    let approval = seen("0", &more).await;
    assert_eq!(approval.waiting.as_deref(), Some("waiting for approval of 50 %"));
    assert_eq!(approval.summary["waiting"]["for"], "waiting for approval of 50 %");
    assert!(approval.holds && approval.message.ends_with("; waiting for approval of 50 %"));
    // The server's clock says Sunday.
    let window = seen("0", &["--decisions=true", "--windows=Mon 09:00-10:00 UTC"]).await;
    let until = "waiting until Mon 09:00 UTC, when windows open";
    assert_eq!(window.waiting.as_deref(), Some(until));
    let bad = seen("1", &more).await;
    assert_eq!((bad.verdict.as_str(), bad.holds, bad.waiting), ("fail", false, None));
}

#[tokio::test]
async fn a_server_that_is_away_is_told_and_what_it_said_before_is_shown() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::with("0").await;
    let mut observer =
        Observer::new(&args(&server, home.path(), &["--hold=1h", "--deadline=2h"]), options())
            .unwrap();
    let before = observer.look().await.unwrap();
    *server.clock.lock().unwrap() += 60.0;
    server.mock.reset().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(503)).mount(&server.mock).await;
    for _ in 0..4 {
        let after = observer.look().await.unwrap();
        assert_eq!(after.verdict, "pending", "an outage of the page's is not the gate's");
        let good = |seen: &Seen| seen.summary["criteria"][0]["points"]["good"].clone();
        assert_eq!(good(&after), good(&before));
    }
}

#[tokio::test]
async fn what_is_not_here_is_not_looked_for() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::with("0").await;
    let refused = |more: &[&str], options: ObserverOptions| {
        let error = Observer::new(&args(&server, home.path(), more), options).err().unwrap();
        format!("{error:#}").replace(&server.mock.uri(), "URL")
    };
    let mut of_a_file = args(&server, home.path(), &["--spec=/etc/passwd"]);
    of_a_file.retain(|arg| !arg.starts_with("--query") && !arg.starts_with("--when"));
    let error = Observer::new(&of_a_file, options()).err().unwrap();
    assert_eq!(error.to_string(), "the gate's spec is a file, which is not here");
    let strange = refused(&["--brand-new=s3cr3t"], options());
    assert_eq!(strange, "the gate's arguments are not understood: unexpected argument found");
    assert!(Observer::new(&["replay".to_owned(), "/etc/passwd".to_owned()], options()).is_err());
    let signed = refused(&["--sigv4-region=eu-west-1"], options());
    assert_eq!(signed, "the gate signs its requests");
    let other = Some("http://prometheus:9090".to_owned());
    let other = refused(&[], ObserverOptions { prometheus_url: other, ..options() });
    assert_eq!(other, "the gate asks another Prometheus, `URL`");
    assert!(server.mock.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_prometheus_that_has_another_address_here_is_asked_there() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::with("0").await;
    let mut asked = args(&server, home.path(), &[]);
    let name = "http://prometheus.invalid:9090/";
    for argument in &mut asked {
        *argument = argument.replace(&server.mock.uri(), name);
    }
    let at = |prometheus_url: &str| ObserverOptions {
        prometheus_url: Some(prometheus_url.to_owned()),
        prometheus_at: Some(server.mock.uri()),
        ..options()
    };
    let seen = Observer::new(&asked, at(name)).unwrap().look().await.unwrap();
    assert_eq!(seen.error, None);
    assert!(!server.mock.received_requests().await.unwrap().is_empty());
    let other = Observer::new(&asked, at("http://other.invalid:9090")).err().unwrap();
    assert!(other.to_string().starts_with("the gate asks another Prometheus"), "{other}");
}

#[tokio::test]
async fn credentials_go_to_the_prometheus_that_they_are_for() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("token"), "of-the-page").unwrap();
    let server = Server::with("0").await;
    for (allowed, expected) in [(None, None), (Some(server.mock.uri()), Some("Bearer of-the-page"))]
    {
        let credentials = Some(home.path().to_owned());
        let options = ObserverOptions { prometheus_url: allowed, credentials, ..options() };
        let mut observer = Observer::new(&args(&server, home.path(), &[]), options).unwrap();
        observer.look().await.unwrap();
        let requests = server.mock.received_requests().await.unwrap();
        let sent = requests.last().and_then(|request| request.headers.get("authorization"));
        assert_eq!(sent.map(|value| value.to_str().unwrap()), expected);
    }
}

#[tokio::test]
async fn no_rule_of_its_style_is_about_anything_else_on_a_page() {
    let rules = STYLE.lines().filter(|line| line.contains('{') && !line.starts_with('@'));
    let selectors = rules.flat_map(|line| line.split('{').next().unwrap().split(','));
    let strange: Vec<&str> = selectors
        .map(str::trim)
        .filter(|selector| !selector.starts_with(".gate") && *selector != ".cards")
        .collect();
    assert_eq!(strange, Vec::<&str>::new());
}

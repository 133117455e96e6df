//! Servers that refuse or do not answer, and questions that make no sense.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::method};

use crate::server::{
    NOW, QUERY, constant, fields, gate, last_error, matrix, result, run, scalar, server, stderr,
};

#[tokio::test]
async fn a_page_for_people_a_busy_server_and_a_warning_are_waited_out() {
    let asked = Arc::new(AtomicUsize::new(0));
    let server = server(move |request| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => ResponseTemplate::new(200).set_body_string("<html>log in</html>"),
        1 => ResponseTemplate::new(503).set_body_string("<html>maintenance</html>"),
        2 => ResponseTemplate::new(429).insert_header("Retry-After", "1"),
        4 => ResponseTemplate::new(200).set_body_string(r#"{"status":"success","warnings":["a store is away"],"data":{"resultType":"matrix","result":[]}}"#),
        _ => constant(request, Some("0")),
    })
    .await;
    let (output, folder) = run(&server, &QUERY).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(result(&folder, "verdict"), "pass");
    let log = stderr(&output);
    for trouble in ["<html>log in</html>", "503", "429", "a store is away"] {
        assert!(log.contains(trouble), "{trouble} is not in {log}");
    }
}

#[tokio::test]
async fn an_outage_is_inconclusive() {
    let server = server(|_| ResponseTemplate::new(503)).await;
    let (output, folder) =
        run(&server, &["--query=errors", "--when=value == 0", "--max-outage=3s"]).await;
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert_eq!(result(&folder, "verdict"), "inconclusive");
    assert!(
        result(&folder, "reason").starts_with("outage: Prometheus gave no usable answer for 3s")
    );
}

#[tokio::test]
async fn a_query_that_is_wrong_ends_at_once() {
    let server = server(|request| {
        if fields(request)["query"] == "time()" {
            return scalar(&NOW.to_string());
        }
        let body = r#"{"status":"error","errorType":"bad_data","error":"parse error: unexpected end of input"}"#;
        ResponseTemplate::new(400).set_body_string(body)
    })
    .await;
    let (output, folder) = run(&server, &["--query=sum(", "--when=value == 0"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(result(&folder, "verdict"), "inconclusive");
    assert_eq!(
        last_error(&output, &server),
        "error: failed to query Prometheus `URL` for `query`: the server does not understand the query: \
         parse error: unexpected end of input\n\n\
         hint: try the query in Prometheus's own page, then put it into the param `query`\n"
    );
}

#[tokio::test]
async fn an_address_without_prometheus_ends_at_once() {
    let server =
        server(|_| ResponseTemplate::new(404).set_body_string("404 page not found\n")).await;
    let (output, _) = run(&server, &QUERY).await;
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        last_error(&output, &server),
        "error: failed to query Prometheus `URL` for `query`: there is no Prometheus API (404 Not Found: 404 page not found)\n\n\
         hint: set the param `prometheus-url` to the address below which `/api/v1/query` answers\n"
    );
}

#[tokio::test]
async fn several_series_are_refused_and_two_are_named() {
    let server = server(|request| {
        if fields(request)["query"] == "time()" {
            return scalar(&NOW.to_string());
        }
        let start: f64 = fields(request)["start"].parse().unwrap();
        let series = |pod| serde_json::json!({"metric": {"pod": pod}, "values": [[start, "0"]]});
        matrix(&serde_json::json!([series("a"), series("b"), series("c")]))
    })
    .await;
    let (output, _) = run(&server, &QUERY).await;
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        last_error(&output, &server),
        "error: the query of `query` gives 3 series where one is wanted: `{pod=\"a\"}` and `{pod=\"b\"}`\n\n\
         hint: wrap it in `sum(…)` or `max(…)`, or select one series\n"
    );
}

#[tokio::test]
async fn a_token_that_is_refused_ends_after_three_tries() {
    let server = server(|_| ResponseTemplate::new(403)).await;
    let (output, folder) = run(&server, &QUERY).await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(result(&folder, "verdict"), "inconclusive");
    assert_eq!(server.received_requests().await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_token_is_read_again_for_each_request() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    fs::write(&token, "old\n").unwrap();
    let path = token.clone();
    let server = server(move |request| {
        if request.headers["authorization"] == "Bearer old" {
            fs::write(&path, "new\n").unwrap(); // it is rotated while the first request is under way
            return ResponseTemplate::new(401);
        }
        constant(request, Some("0"))
    })
    .await;
    let flag = format!("--credentials={}", folder.path().display());
    let (output, _) = run(&server, &["--query=errors", "--when=value == 0", &flag]).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let requests = server.received_requests().await.unwrap();
    let tokens: Vec<_> = requests.iter().map(|request| &request.headers["authorization"]).collect();
    assert_eq!(tokens[0], "Bearer old");
    assert!(tokens[1..].iter().all(|token| *token == "Bearer new"), "{tokens:?}");
}

#[test]
fn a_question_that_makes_no_sense_is_refused_before_any_query() {
    let url = "--prometheus-url=http://prometheus:9090";
    assert!(
        stderr(&gate().args(["--query=x", "--when=value == 0"]).output().unwrap())
            .contains("the address of Prometheus")
    );
    for (args, text) in [
        (
            vec!["--query=x", "--when=value < five"],
            "`five` is not valid here; expected `value` or a number",
        ),
        (vec!["--query=x", "--when=value == 0", "--hold=90"], "write `90s`, `5m` or `1h30m`"),
        (
            vec!["--query=x", "--when=value == 0", "--hold=10m", "--deadline=10m"],
            "`deadline` of 10m can never be met",
        ),
        (vec!["--query=x", "--when=value == 0", "--hold=1s"], "`hold` is 1s, shorter than `step`"),
        (vec!["--query=rate(x[5q])", "--when=value == 0"], "`5q` is not a valid PromQL duration"),
        (vec!["--criteria=errors", "--canary-revision=c", "--namespace=n"], "there is none"),
        (
            vec!["--criteria=speed", "--canary-revision=c"],
            "no-restarts, errors, rejections, latency, slo",
        ),
        (vec!["--spec={}"], "missing field"),
        (vec!["--query=", "--when=", "--criteria="], "there is nothing to ask"),
    ] {
        let output = gate().arg(url).args(&args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(text), "{args:?}: {}", stderr(&output));
    }
}

#[tokio::test]
async fn a_server_that_lets_only_get_through_is_asked_by_get() {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(405)).mount(&server).await;
    Mock::given(method("GET"))
        .respond_with(|request: &Request| constant(request, Some("0")))
        .mount(&server)
        .await;
    let (output, _) = run(&server, &QUERY).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

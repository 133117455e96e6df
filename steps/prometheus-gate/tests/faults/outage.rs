//! An outage, or a wrong address: what was answered before is not wrong now.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use crate::wire::{
    Answer, NOW, after_a_while, answer, form, gate, gate_with_results, knowing_only_the_time, log,
    result, serve, sound, status, url,
};

const BAD_DATA: &str = r#"{"status":"error","errorType":"bad_data","error":"parse error: what?"}"#;

/// What an ingress answers while there is no server behind it, and what is told of it.
fn away() -> [(Vec<u8>, &'static str); 6] {
    [
        (status("404 Not Found", ""), "there is no Prometheus API (404 Not Found)"),
        (status("302 Found", "Location: /login\r\n"), "there is no Prometheus API (302 Found)"),
        (status("301 Moved Permanently", ""), "(301 Moved Permanently)"),
        (status("405 Method Not Allowed", ""), "(405 Method Not Allowed)"),
        (status("501 Not Implemented", ""), "(501 Not Implemented)"),
        (
            answer("400 Bad Request", "", "<h1>plain HTTP</h1>"),
            "(400 Bad Request: <h1>plain HTTP</h1>)",
        ),
    ]
}

#[test]
fn an_ingress_that_restarts_takes_no_canary_back() {
    for (fault, told) in away() {
        let port = serve(after_a_while(4, fault), None);
        let (output, results) = gate_with_results(&url(port), &["--poll=10ms"]);
        let log = log(&output);
        assert_eq!(output.status.code(), Some(0), "{log}");
        assert_eq!(result(results.path(), "verdict"), "pass");
        assert_eq!(log.matches(told).count(), 1, "told once: {log}");
        assert!(log.contains("; it was answered before"), "{log}");
    }
}

#[test]
fn an_outage_after_an_answer_lasts_until_max_outage() {
    let port = serve(knowing_only_the_time(status("404 Not Found", "")), None);
    let (output, results) = gate_with_results(&url(port), &["--max-outage=1s"]);
    assert_eq!(output.status.code(), Some(3), "{}", log(&output));
    assert_eq!(result(results.path(), "verdict"), "inconclusive");
    assert!(result(results.path(), "reason").starts_with("outage: "));
}

#[test]
fn an_address_that_never_answered_is_a_usage_error() {
    let query = answer("400 Bad Request", "", BAD_DATA);
    for (fault, told) in away().into_iter().chain([(query, "parse error: what?")]) {
        let port = serve(Box::new(move |_: &str| fault.clone()), None);
        let (output, results) = gate_with_results(&url(port), &[]);
        assert_eq!(output.status.code(), Some(2), "{}", log(&output));
        assert!(log(&output).contains(told), "{}", log(&output));
        assert_eq!(result(results.path(), "verdict"), "inconclusive");
        assert!(result(results.path(), "reason").contains(told));
    }
}

#[test]
fn a_question_that_was_answered_before_is_not_wrong_now() {
    // 18,000 points come in two parts; the second one fails once, after the first was answered.
    let asked = AtomicUsize::new(0);
    let second_fails = move |request: &str| {
        let is_clock = form(request).starts_with("query=time");
        if !is_clock && asked.fetch_add(1, Ordering::Relaxed) == 1 {
            return answer("400 Bad Request", "", BAD_DATA);
        }
        sound(request)
    };
    let port = serve(Box::new(second_fails), None);
    let start = format!("--start=@{:.0}", *NOW - 18_300.0);
    let flags = [&start, "--step=1s", "--hold=5h", "--deadline=6h"];
    let output = gate(&url(port), &flags);
    assert_eq!(output.status.code(), Some(0), "{}", log(&output));
    assert!(log(&output).contains("parse error: what?; it was answered before"));
}

#[test]
fn a_second_question_that_is_wrong_is_a_usage_error() {
    let second_is_wrong = |request: &str| {
        if form(request).contains("wrong") {
            answer("400 Bad Request", "", BAD_DATA)
        } else {
            sound(request)
        }
    };
    let port = serve(Box::new(second_is_wrong), None);
    let spec = "--spec=criteria:\n- {name: fine, query: right, when: value == 0}\n- {name: typo, query: wrong, when: value == 0}\n";
    let output = assert_cmd::Command::cargo_bin("prometheus-gate")
        .unwrap()
        .env_clear()
        .args([
            &format!("--prometheus-url={}", url(port)),
            spec,
            "--poll=100ms",
            "--max-outage=20s",
        ])
        .arg(format!("--start=@{:.0}", *NOW - 240.0))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", log(&output));
    let told = "for `typo`: the server does not understand the query: parse error: what?";
    assert!(log(&output).contains(told), "{}", log(&output));
}

#[test]
fn a_proxy_that_lets_only_get_through_is_remembered_once_get_works() {
    let methods = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&methods);
    let only_get: Box<Answer> = Box::new(move |request| {
        let method = request.split(' ').next().unwrap().to_owned();
        seen.lock().unwrap().push(method.clone());
        if method == "GET" { sound(request) } else { status("405 Method Not Allowed", "") }
    });
    let output = gate(&url(serve(only_get, None)), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", log(&output));
    assert_eq!(*methods.lock().unwrap(), ["POST", "GET", "GET"]);
}

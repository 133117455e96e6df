//! What is taken, ignored and refused.

use std::io::{Read as _, Write as _};

use crate::server::{RESPONSE, Server, ask, event, status};

#[test]
fn an_answer_is_taken_with_202_and_counted_by_version() {
    let server = Server::start();
    for (version, species) in [("v1", "setosa"), ("v1", "virginica"), ("v%2F2", "setosa")] {
        let body = format!(r#"{{"species": "{species}", "version": "{version}"}}"#);
        assert_eq!(server.send(&format!("/models/iris/{version}"), body.as_bytes()), 202);
    }
    insta::assert_snapshot!(server.samples_after(3, "kanaria_answers_total").join("\n"));
    insta::assert_snapshot!(server.samples_after(3, "kanaria_answer_events_total").join("\n"));
}

#[test]
fn a_request_and_other_events_are_taken_and_ignored() {
    let server = Server::start();
    for ty in ["org.kubeflow.serving.inference.request", "x"] {
        let head = event("/models/iris/v1", ty);
        assert_eq!(server.ask(&head, br#"{"sepal": "no"}"#), (202, String::new()));
    }
    assert_eq!(server.send("/models/iris/v1", br#"{"species": "setosa"}"#), 202);
    let answers = server.samples_after(1, "kanaria_answers_total");
    assert_eq!(answers.len(), 1);
    assert!(answers[0].contains("setosa") && answers[0].ends_with(" 1"), "{answers:?}");
}

#[test]
fn structured_mode_is_read_too() {
    let server = Server::start();
    let head = "POST /models/iris/v1 HTTP/1.1\r\ncontent-type: application/cloudevents+json; charset=utf-8";
    let of = |ty: &str| {
        format!(r#"{{"specversion":"1.0","id":"1","source":"/s","type":"{ty}","data":{{"a":1}}}}"#)
    };
    assert_eq!(server.ask(head, of("org.kubeflow.serving.inference.request").as_bytes()).0, 202);
    assert_eq!(server.ask(head, of(RESPONSE).as_bytes()).0, 202);
    let answers = server.samples_after(1, "kanaria_answers_total");
    assert!(answers.len() == 1 && answers[0].ends_with(" 1"), "{answers:?}");
}

#[test]
fn a_wrong_path_method_or_request_is_told_so() {
    let server = Server::start();
    assert_eq!(server.ask("GET /healthz", b""), (200, "ok\n".into()));
    assert_eq!(server.ask("POST /healthz", b"").0, 405);
    for (path, method, allowed) in
        [("/models/iris/v1", "GET", "POST"), ("/healthz", "POST", "GET, HEAD")]
    {
        let mut stream = server.connect();
        write!(stream, "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        let mut head = String::new();
        stream.read_to_string(&mut head).unwrap();
        assert!(head.starts_with("HTTP/1.1 405 "), "{head}");
        assert!(head.contains(&format!("\r\nallow: {allowed}\r\n")), "{head}");
    }
    assert_eq!(server.ask("POST /models/iris/v1", b"{}").0, 400, "no event");
    for path in ["/", "/models/iris", "/models/iris/v1/", "/models/IRIS/v1", "/metrics"] {
        assert_eq!(server.send(path, b"{}"), 404, "{path}");
    }
    assert_eq!(ask(&server.metrics, "GET /healthz", b""), (200, "ok\n".into()));
    assert_eq!(ask(&server.metrics, "POST /metrics", b"").0, 405);
    assert_eq!(ask(&server.metrics, "GET /", b"").0, 404);
    let long = format!("GET /healthz HTTP/1.1\r\nx: {}", "x".repeat(9000));
    assert_eq!(server.ask(&long, b"").0, 431);
}

#[test]
fn what_is_no_json_is_unreadable() {
    let server = Server::start();
    for body in ["", "setosa", "{\"a\":", "\u{0}"] {
        assert_eq!(server.send("/models/iris/v1", body.as_bytes()), 202);
    }
    let events = server.samples_after(4, "kanaria_answer_events_total");
    assert!(
        events.iter().any(|line| line.contains("unreadable") && line.ends_with(" 4")),
        "{events:?}"
    );
}

#[test]
fn answers_in_chunks_are_read() {
    let server = Server::start();
    let mut stream = server.connect();
    let head = event("/models/iris/v1", RESPONSE);
    write!(stream, "{head}\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n").unwrap();
    for part in [r#"{"species""#, r#": "set"#, r#"osa"}"#] {
        write!(stream, "{:x}\r\n{part}\r\n", part.len()).unwrap();
    }
    write!(stream, "0\r\n\r\n").unwrap();
    assert_eq!(status(&mut stream).unwrap(), 202);
    assert!(server.samples_after(1, "kanaria_answers_total")[0].contains("setosa"));
}

#[test]
fn sigterm_ends_it_after_all_that_it_has_taken_is_counted() {
    let server = Server::start();
    let mut stream = server.connect();
    let head = event("/models/iris/v1", RESPONSE);
    let body = format!(r#"{{"predictions": [{}7]}}"#, "1,".repeat(20_000));
    for _ in 0..20 {
        let length = body.len();
        write!(stream, "{head}\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}").unwrap();
        assert_eq!(status(&mut stream).unwrap(), 202);
    }
    server.terminate();
    assert_eq!(server.send("/models/iris/v1", b"{}"), 202, "others do not know of the end yet");
    let (code, log) = server.end();
    assert_eq!(code, Some(143));
    assert!(log.ends_with("stopped: 21 events were counted\n"), "{log}");
}

#[test]
fn nothing_of_an_answer_is_in_the_log() {
    let server = Server::start();
    for body in [r#"{"species": "MARK"}"#, "MARK", r#"{"MARK": "#] {
        server.send("/models/iris/v1", body.as_bytes());
    }
    server.send("/models/iris/MARK/x", b"MARK");
    server.samples_after(3, "kanaria_answers_total");
    let (_, log) = server.end();
    assert!(log.contains("stopped") && !log.contains("MARK"), "{log}");
}

//! Answers that are not answers, or not whole.

use std::{
    io::Write as _,
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use serde_json::{Value, json};

use crate::wire::{
    Answer, answer, form, gate, gate_with_results, is_an_outage, knowing_only_the_time, log, ok,
    read_request, result, serve, sound, status, url,
};

#[test]
fn a_body_that_is_cut_is_no_answer() {
    is_an_outage(
        Box::new(|_| {
            b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"status\":\"success\",\"data\""
                .to_vec()
        }),
        "failed to query Prometheus",
    );
}

#[test]
fn a_body_that_ends_in_the_middle_of_its_json_is_no_answer() {
    is_an_outage(
        Box::new(|_| {
            ok(r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"val"#)
        }),
        "the answer is not that of a Prometheus",
    );
}

#[test]
fn a_connection_that_is_closed_at_once_is_no_answer() {
    is_an_outage(Box::new(|_| Vec::new()), "failed to query Prometheus");
}

#[test]
fn a_server_that_takes_too_long_is_no_answer() {
    let slow = |_: &str| {
        thread::sleep(std::time::Duration::from_secs(1));
        Vec::new()
    };
    is_an_outage(Box::new(slow), "no answer in time");
}

#[test]
fn a_redirect_to_a_login_page_is_not_followed() {
    let port =
        serve(Box::new(|_| status("302 Found", "Location: http://127.0.0.1:1/login\r\n")), None);
    let output = gate(&format!("http://127.0.0.1:{port}"), &[]);
    assert_eq!(output.status.code(), Some(2), "{}", log(&output));
    assert!(log(&output).contains("there is no Prometheus API (302 Found"), "{}", log(&output));
}

#[test]
fn a_query_that_cannot_be_carried_out_ends_after_three_tries() {
    let body =
        r#"{"status":"error","errorType":"execution","error":"many-to-many matching not allowed"}"#;
    let refused = format!(
        "HTTP/1.1 422 X\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let port = serve(knowing_only_the_time(refused.into_bytes()), None);
    let output = gate(&format!("http://127.0.0.1:{port}"), &[]);
    assert_eq!(output.status.code(), Some(1), "{}", log(&output));
    assert!(
        log(&output)
            .contains("the server cannot carry out the query: many-to-many matching not allowed")
    );
}

#[test]
fn a_query_that_the_server_doubts_ends_after_three_tries() {
    let port = serve(
        knowing_only_the_time(ok(
            r#"{"status":"success","warnings":["PromQL warning: bucket label \"le\" is missing"],"data":{"resultType":"matrix","result":[]}}"#,
        )),
        None,
    );
    let output = gate(&format!("http://127.0.0.1:{port}"), &[]);
    assert_eq!(output.status.code(), Some(1), "{}", log(&output));
    assert!(log(&output).contains("hint: the server doubts the query"), "{}", log(&output));
}

#[test]
fn native_histograms_are_no_numbers() {
    let port = serve(
        knowing_only_the_time(ok(
            r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"histograms":[[1,{"count":"1","sum":"2","buckets":[]}]]}]}}"#,
        )),
        None,
    );
    let output = gate(&format!("http://127.0.0.1:{port}"), &["--deadline=4m"]);
    assert_eq!(output.status.code(), Some(3), "{}", log(&output));
    assert!(log(&output).contains("inconclusive: nodata: query: no data"), "{}", log(&output));
}

#[test]
fn more_points_than_a_server_gives_at_once_are_asked_for_in_parts() {
    let port = serve(Box::new(sound), None);
    let flags = ["--start=@1000000000", "--step=1s", "--hold=5h", "--deadline=6h"];
    let output = gate(&format!("http://127.0.0.1:{port}"), &flags);
    assert_eq!(output.status.code(), Some(0), "{}", log(&output));
}

/// A sound answer, of which something is replaced.
fn with(from: &'static str, to: &'static str) -> Box<Answer> {
    Box::new(move |request| {
        if form(request).starts_with("query=time") {
            return sound(request);
        }
        let text = String::from_utf8(sound(request)).unwrap();
        let body = text.split_once("\r\n\r\n").unwrap().1.replacen(from, to, 1);
        ok(&body)
    })
}

#[test]
fn an_answer_that_says_it_is_not_whole_is_not_evidence() {
    let cases: [(Box<Answer>, &str); 6] = [
        (with("success", "error"), "its status is `error`"),
        (with(r#""data""#, r#""isPartial":true,"data""#), "the answer is partial"),
        (with(r#""data""#, r#""warnings":["a store is away"],"data""#), "a store is away"),
        (with(r#""matrix""#, r#""vector""#), "a range query gave a vector"),
        (partial_content(), "its HTTP status is 206 Partial Content"),
        (knowing_only_the_time(status("204 No Content", "")), "its HTTP status is 204 No Content"),
    ];
    // Each of them waits for its outage to be over.
    thread::scope(|scope| {
        for (answer, told) in cases {
            scope.spawn(move || is_an_outage(answer, told));
        }
    });
}

fn partial_content() -> Box<Answer> {
    Box::new(|request| {
        let sound = sound(request);
        if form(request).starts_with("query=time") {
            return sound;
        }
        String::from_utf8(sound).unwrap().replacen("200 OK", "206 Partial Content", 1).into_bytes()
    })
}

#[test]
fn an_answer_that_is_whole_is_evidence() {
    for to in [
        r#""isPartial":false,"data""#,
        r#""infos":["PromQL info: metric might not be a counter"],"data""#,
        r#""warnings":[],"data""#,
    ] {
        let output = gate(&url(serve(with(r#""data""#, to), None)), &[]);
        assert_eq!(output.status.code(), Some(0), "{to}: {}", log(&output));
    }
}

#[test]
fn a_servers_words_do_not_act_on_a_terminal() {
    let body =
        r#"{"status":"error","errorType":"bad_data","error":"\u001b]0;owned\u0007 \u202etxt"}"#;
    let port = serve(knowing_only_the_time(answer("400 Bad Request", "", body)), None);
    let (output, results) = gate_with_results(&url(port), &[]);
    let told = r"the server does not understand the query: \u{1b}]0;owned\u{7} \u{202e}txt";
    assert!(log(&output).contains(told), "{}", log(&output));
    assert!(result(results.path(), "reason").contains(told));
}

#[test]
fn labels_of_series_do_not_act_on_a_terminal() {
    let hostile = |request: &str| {
        let text = String::from_utf8(sound(request)).unwrap();
        if form(request).starts_with("query=time") {
            return text.into_bytes();
        }
        let mut body: Value = serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap();
        let series = body["data"]["result"][0].clone();
        let mut other = series.clone();
        other["metric"] = json!({"a": "\u{1b}[2J\u{202e}b\n\nhint: x", "b": "x".repeat(70_000)});
        body["data"]["result"] = json!([series, other]);
        ok(&body.to_string())
    };
    let (output, results) = gate_with_results(&url(serve(Box::new(hostile), None)), &[]);
    let told = r#"{a="\u{1b}[2J\u{202e}b | hint: x",b="xxx"#;
    for text in [log(&output), result(results.path(), "reason")] {
        assert!(text.contains(told), "{text}");
        assert!(
            !text.contains(|c: char| c != '\n' && c.is_control()) && text.len() < 2000,
            "{text}"
        );
    }
}

#[test]
fn an_answer_that_is_announced_too_large_is_an_error_at_once() {
    let huge = b"HTTP/1.1 200 OK\r\nContent-Length: 8388609\r\n\r\n".to_vec();
    let port = serve(knowing_only_the_time(huge), None);
    let (output, results) = gate_with_results(&url(port), &[]);
    assert_eq!(output.status.code(), Some(1), "{}", log(&output));
    assert_eq!(result(results.path(), "verdict"), "inconclusive");
    let told = "for `query`: the answer is larger than 8 MiB";
    assert!(result(results.path(), "reason").ends_with(told));
    assert!(!log(&output).contains("warning: "), "it is not tried again: {}", log(&output));
    let hint = format!("{told}\n\nhint: sum what need not be apart, or record the sum by a rule");
    assert!(log(&output).contains(&hint), "{}", log(&output));
}

/// Serves the time, and to all else a body that never ends; counts what it could get rid of.
fn endless(head: &'static [u8]) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            let Some(request) = read_request(&mut socket) else { continue };
            if form(&request).starts_with("query=time") {
                let _ = socket.write_all(&sound(&request));
                continue;
            }
            let _ = socket.write_all(head);
            let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
            while socket.write_all(chunk.as_bytes()).is_ok() {
                count.fetch_add(chunk.len(), Ordering::Relaxed);
            }
        }
    });
    (port, sent)
}

#[test]
fn an_answer_that_does_not_end_is_an_error_and_not_read_on() {
    let (port, sent) = endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    let output = gate(&url(port), &[]);
    assert_eq!(output.status.code(), Some(1), "{}", log(&output));
    assert!(log(&output).contains("the answer is larger than 8 MiB"), "{}", log(&output));
    // What lies in the buffers of both sockets comes on top.
    assert!(sent.load(Ordering::Relaxed) < 24 << 20, "{sent:?}");
}

#[test]
fn an_error_page_that_does_not_end_is_not_read_on() {
    let (port, sent) = endless(b"HTTP/1.1 503 Away\r\nTransfer-Encoding: chunked\r\n\r\n");
    let output = gate(&url(port), &["--max-outage=1s"]);
    assert_eq!(output.status.code(), Some(3), "{}", log(&output));
    assert!(log(&output).contains("503"), "{}", log(&output));
    assert!(sent.load(Ordering::Relaxed) < 48 << 20, "{sent:?}");
}

#[test]
fn a_compressed_answer_is_neither_wanted_nor_unpacked() {
    // Ten bytes of header: whoever unpacks would wait for the rest.
    let body = "\x1f\x08\0\0\0\0\0\0\0\x03";
    let compressed = answer("200 OK", "Content-Encoding: gzip\r\n", body);
    let wanted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&wanted);
    let answer: Box<Answer> = Box::new(move |request| {
        let wants = request.to_ascii_lowercase().contains("accept-encoding");
        count.fetch_add(usize::from(wants), Ordering::Relaxed);
        if form(request).starts_with("query=time") { sound(request) } else { compressed.clone() }
    });
    is_an_outage(answer, "the answer is not that of a Prometheus");
    assert_eq!(wanted.load(Ordering::Relaxed), 0, "no request asks for it");
}

#[test]
fn a_date_to_come_back_at_is_heeded() {
    // An hour is cut to the longest pause of a minute, so that the outage decides after one try.
    let busy =
        "Retry-After: Tue, 24 Nov 2026 13:00:00 GMT\r\nDate: Tue, 24 Nov 2026 12:00:00 GMT\r\n";
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let answer: Box<Answer> = Box::new(move |request| {
        if form(request).starts_with("query=time") {
            return sound(request);
        }
        count.fetch_add(1, Ordering::Relaxed);
        status("503 Service Unavailable", busy)
    });
    let output = gate(&url(serve(answer, None)), &["--poll=10ms", "--max-outage=1s"]);
    assert_eq!(output.status.code(), Some(3), "{}", log(&output));
    // Without the date, it would have asked after 20, 40, 80, … ms.
    assert_eq!(asked.load(Ordering::Relaxed), 2, "the first time, and when the outage was over");
}

//! What others send that is too much, too slow or made up.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpStream},
};

use crate::server::{RESPONSE, Server, answer, ask, event, status};

/// The value of the sample of events with this outcome
fn events(server: &Server, all: u64, service: &str, outcome: &str) -> u64 {
    let lines = server.samples_after(all, "kanaria_answer_events_total");
    let service = format!("service=\"{service}\"");
    let line = lines.iter().find(|line| line.contains(&service) && line.contains(outcome));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_default()
}

#[test]
fn an_answer_of_five_megabytes_is_dropped_and_counted_as_that() {
    let server = Server::start();
    let large = format!(r#"{{"text": "{}"}}"#, "x".repeat(5_000_000));
    assert_eq!(server.send("/models/iris/v1", large.as_bytes()), 202);

    let mut stream = server.connect();
    let head = event("/models/iris/v1", RESPONSE);
    write!(stream, "{head}\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n")
        .unwrap();
    for _ in 0..5 {
        stream.write_all(b"100000\r\n").unwrap();
        stream.write_all(&vec![b' '; 1 << 20]).unwrap();
        stream.write_all(b"\r\n").unwrap();
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    assert_eq!(answer(stream).0, 202);
    assert_eq!(events(&server, 2, "iris", "dropped"), 2);
    assert_eq!(server.send("/models/iris/v1", br#"{"a": 1}"#), 202);
    assert_eq!(events(&server, 3, "iris", "taken"), 1);
}

#[test]
fn a_hundred_thousand_answers_in_one_event_are_fifty_and_the_others() {
    let server = Server::start();
    let many = (0..100_000).map(|at| format!("\"{at:x}\"")).collect::<Vec<_>>().join(",");
    assert_eq!(server.send("/models/odd/v1", format!("[{many}]").as_bytes()), 202);
    assert_eq!(server.send("/models/iris/v1", br#"{"species": "setosa"}"#), 202);
    let answers = server.samples_after(2, "kanaria_answers_total");
    assert_eq!(answers.len(), 50 + 1 + 1);
    assert!(
        answers.iter().any(|line| line.contains("answer=\"other\"") && line.ends_with(" 99950"))
    );
    assert!(answers.iter().any(|line| line.contains("setosa")));
}

#[test]
fn a_flood_is_answered_and_counted_event_by_event() {
    let server = Server::start();
    let flood = |at: usize| {
        let mut stream = server.connect();
        let head = event(&format!("/models/iris/v{at}"), RESPONSE);
        let body = r#"{"species": "setosa"}"#;
        let request = format!("{head}\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        for _ in 0..500 {
            stream.write_all(request.as_bytes()).unwrap();
            assert_eq!(status(&mut stream).unwrap(), 202);
        }
    };
    std::thread::scope(|scope| {
        for at in 0..8 {
            scope.spawn(move || flood(at));
        }
    });
    let lines = server.samples_after(4000, "kanaria_answer_events_total");
    let values = lines.iter().map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap());
    assert_eq!(values.sum::<u64>(), 4000);
}

#[test]
fn requests_that_do_not_come_to_their_end_hold_up_no_other_and_are_dropped() {
    let server = Server::start();
    let head = event("/models/slow/v1", RESPONSE);
    let mut slow: Vec<TcpStream> = (0..20).map(|_| server.connect()).collect();
    for stream in &mut slow {
        write!(stream, "{head}\r\nhost: x\r\ncontent-length: 100\r\n\r\n{{").unwrap();
    }
    slow[0].shutdown(Shutdown::Both).unwrap();
    assert_eq!(server.send("/models/iris/v1", br#"{"a": 1}"#), 202);
    assert_eq!(events(&server, 1, "iris", "taken"), 1);
    for mut stream in slow.drain(1..) {
        assert_eq!(status(&mut stream).unwrap(), 408);
    }
    assert_eq!(events(&server, 20, "slow", "dropped"), 19);
}

#[test]
fn whoever_opens_connections_without_end_has_a_third_of_them_and_no_metrics_wait() {
    let server = Server::start();
    let mut open = Vec::new();
    for _ in 0..170 {
        let mut stream = server.connect();
        stream.write_all(b"HEAD /healthz HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        assert_eq!(status(&mut stream).unwrap(), 200);
        open.push(stream);
    }
    let mut one_more = server.connect();
    assert_eq!(one_more.read(&mut [0]).unwrap_or_default(), 0, "it is closed at once");
    assert_eq!(ask(&server.metrics, "GET /healthz", b"").0, 200);
    drop(open);
}

#[test]
fn made_up_services_leave_room_and_are_told_of() {
    let server = Server::start();
    let mut stream = server.connect();
    for at in 0..1500 {
        let head = event(&format!("/models/s{at}/v1"), RESPONSE);
        write!(stream, "{head}\r\nhost: x\r\ncontent-length: 2\r\n\r\n{{}}").unwrap();
        assert_eq!(status(&mut stream).unwrap(), 202);
    }
    let known = 12_000 / 3 / 3;
    let lines = server.samples_after(known, "kanaria_answer_events_total");
    assert_eq!(lines.len() as u64, 3 * known);
    while !server.scrape().contains(&format!("without_room_total {}\n", 1500 - known)) {}
}

//! An HTTP server that repeats what it was asked.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// A server that answers everything with this status, and repeats what it was asked. Beside its
/// address what it was asked so far.
pub(crate) fn echo(status: &'static str, elsewhere: &str) -> (String, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let heard = Arc::new(Mutex::new(String::new()));
    let (asked, elsewhere) = (Arc::clone(&heard), elsewhere.to_owned());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = answer(stream, status, &elsewhere, &asked); // a client that breaks off
        }
    });
    (address, heard)
}

fn answer(
    mut stream: TcpStream,
    status: &str,
    elsewhere: &str,
    asked: &Mutex<String>,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer)?;
        read.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&read);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let head = head.to_lowercase();
        let length = head
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.lines().next()?.parse().ok());
        if count == 0 || body.len() >= length.unwrap_or(0) {
            break;
        }
    }
    let text = String::from_utf8_lossy(&read).into_owned();
    asked.lock().expect("no panic").push_str(&text);
    // As Prometheus, as S3 and as everybody else would have it.
    let json = serde_json::json!({"status": "error", "errorType": "bad_data", "error": text, "message": text});
    let body = if text.contains("aws4_request") {
        format!(
            "<Error><Code>Refused</Code><Message>{}</Message></Error>",
            text.replace(['<', '&'], "")
        )
    } else {
        json.to_string()
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nlocation: http://{elsewhere}/p\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

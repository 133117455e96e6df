//! HTTP/1.1 as it comes over a socket.

use std::collections::BTreeMap;

use tokio::{io::AsyncReadExt as _, net::TcpStream};

#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: BTreeMap<String, String>,
}

/// None: the other side has gone, or speaks TLS.
pub(crate) async fn read_head(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Head> {
    let end = loop {
        if buffer.first() == Some(&0x16) {
            return None;
        }
        if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        more(stream, buffer).await?;
    };
    let text = String::from_utf8(buffer.drain(..end).collect()).ok()?;
    let mut lines = text.lines();
    let mut first = lines.next()?.split(' ').map(str::to_owned);
    let headers = lines.filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    });
    Some(Head { method: first.next()?, target: first.next()?, headers: headers.collect() })
}

pub(crate) async fn read_body(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    head: &Head,
) -> Option<Vec<u8>> {
    if !head.headers.contains_key("transfer-encoding") {
        let length = head.headers.get("content-length").map_or(0, |text| text.parse().unwrap());
        return exactly(stream, buffer, length).await;
    }
    let mut body = Vec::new();
    loop {
        let end = loop {
            match buffer.windows(2).position(|two| two == b"\r\n") {
                Some(at) => break at,
                None => more(stream, buffer).await?,
            }
        };
        let size = String::from_utf8(buffer.drain(..end + 2).collect()).ok()?;
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        let chunk = exactly(stream, buffer, size + 2).await?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(&chunk[..size]);
    }
}

async fn exactly(stream: &mut TcpStream, buffer: &mut Vec<u8>, length: usize) -> Option<Vec<u8>> {
    while buffer.len() < length {
        more(stream, buffer).await?;
    }
    Some(buffer.drain(..length).collect())
}

async fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    let read = stream.read_buf(buffer).await.ok()?;
    (read > 0).then_some(())
}

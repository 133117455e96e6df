//! HTTP/1.1 by hand, one request a connection, so that it can be cut anywhere.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpStream},
    sync::Arc,
    time::Duration,
};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// The first byte of whoever speaks TLS.
const HANDSHAKE: u8 = 0x16;

pub(crate) trait Stream: Read + Write + Send {
    fn tcp(&self) -> &TcpStream;
    /// No more is sent; what still comes may come.
    fn end(&mut self);
}

impl Stream for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }

    fn end(&mut self) {
        let _ = self.shutdown(Shutdown::Write);
    }
}

impl Stream for StreamOwned<ServerConnection, TcpStream> {
    fn tcp(&self) -> &TcpStream {
        &self.sock
    }

    fn end(&mut self) {
        self.conn.send_close_notify();
        let _ = self.flush();
        let _ = self.sock.shutdown(Shutdown::Write);
    }
}

pub(crate) struct Request {
    pub(crate) method: String,
    /// Without its query
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: BTreeMap<String, String>,
}

impl Request {
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

pub(crate) struct Connection {
    reader: BufReader<Box<dyn Stream>>,
    /// Of the body: how much is to come, where that was said
    left: Option<usize>,
    is_chunked: bool,
}

impl Connection {
    /// None: it speaks another language than this registry.
    pub(crate) fn accept(stream: TcpStream, tls: Option<&Arc<ServerConfig>>) -> Option<Self> {
        let _ = stream.set_read_timeout(Some(Duration::from_secs(30)));
        let mut first = [0];
        let speaks_tls = stream.peek(&mut first).ok()? == 1 && first[0] == HANDSHAKE;
        let stream: Box<dyn Stream> = match tls {
            Some(config) if speaks_tls => {
                let connection = ServerConnection::new(Arc::clone(config)).ok()?;
                Box::new(StreamOwned::new(connection, stream))
            }
            None if !speaks_tls => Box::new(stream),
            _ => return None,
        };
        Some(Self { reader: BufReader::new(stream), left: None, is_chunked: false })
    }

    pub(crate) fn request(&mut self) -> Option<Request> {
        let line = self.line().ok()?;
        let mut words = line.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?);
        // Through a proxy it is all of the address.
        let target = match target.split_once("://") {
            Some((_, rest)) => &rest[rest.find('/')?..],
            None => target,
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let decoded = |text: &str| text.replace("%3A", ":").replace("%2F", "/").replace("%2C", ",");
        let query = pairs.map(|(key, value)| (key.to_owned(), decoded(value))).collect();
        let mut headers = BTreeMap::new();
        loop {
            let line = self.line().ok()?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.insert(name.to_lowercase(), value.trim().to_owned());
        }
        self.is_chunked = headers.get("transfer-encoding").is_some_and(|it| it == "chunked");
        self.left = headers.get("content-length").and_then(|length| length.parse().ok());
        Some(Request { method, path: path.to_owned(), query, headers })
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }

    /// The body, or so many bytes of it. Fails where it was cut.
    pub(crate) fn body(&mut self, most: usize) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if self.is_chunked {
            while body.len() < most {
                let size = self.line()?;
                let size = usize::from_str_radix(&size, 16).map_err(io::Error::other)?;
                if size == 0 {
                    self.line()?;
                    break;
                }
                let start = body.len();
                body.resize(start + size, 0);
                self.reader.read_exact(&mut body[start..])?;
                self.line()?;
            }
        } else {
            body.resize(self.left.unwrap_or(0).min(most), 0);
            self.reader.read_exact(&mut body)?;
        }
        Ok(body)
    }

    /// Answers, and takes what still comes, so that the answer is not lost with it.
    pub(crate) fn answer(&mut self, answer: &Answer, is_head: bool) {
        let Answer { status, headers, body } = answer;
        let mut lines = vec![format!("HTTP/1.1 {status} X"), "Connection: close".into()];
        lines.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
        lines.push(format!("Content-Length: {}\r\n\r\n", body.len()));
        let head = lines.join("\r\n");
        let stream = self.reader.get_mut();
        let body = if is_head { &[] } else { body.as_slice() };
        let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        if sent.and_then(|()| stream.flush()).is_err() {
            return;
        }
        stream.end();
        let _ = stream.tcp().set_read_timeout(Some(Duration::from_secs(2)));
        let _ = io::copy(&mut self.reader, &mut io::sink());
    }
}

#[derive(Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn new(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// In the words of OCI's specification.
    pub(crate) fn error(status: u16, code: &str, message: &str) -> Self {
        let error = serde_json::json!({"errors": [{"code": code, "message": message}]});
        Self::new(status).body(error.to_string())
    }
}

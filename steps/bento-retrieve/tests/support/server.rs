//! An S3 server that answers as it is told to: whole, cut, stalled, busy, wrong.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{BufRead, BufReader, Write},
    net::{Shutdown, TcpListener, TcpStream},
    ops::Range,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// How one request for an object is answered. Requests without a script get the whole object.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Whole,
    /// Claims the whole length, sends so many bytes, closes
    CutAfter(usize),
    /// Sends so many bytes and then nothing, without closing
    StallAfter(usize),
    /// An S3 error: status, code and message
    Error(u16, &'static str),
    /// This status and this body
    Says(u16, String),
    /// The whole object, as one that was uploaded in two parts: with such a tag, and these headers
    InParts(Vec<(&'static str, String)>),
    /// An error whose body is no S3 error
    NotS3(u16),
    /// The object is another from now on
    Replaced(Vec<u8>),
    /// The whole object, whatever range is asked for
    WithoutRanges,
    /// The whole object, without an `ETag`
    WithoutTag,
    /// The whole object in chunks, without a length, a tag or ranges, as from a server that unpacks while it sends. So
    /// many bytes, and the last chunk only after all
    Chunked(usize),
    /// So many bytes of the object, without a length, up to the end of the connection
    Unmeasured(usize),
    /// A part, but another one than was asked for
    OtherRange,
    /// With headers more
    Headers(Vec<(&'static str, String)>),
    /// The whole object, or as much of it, under a `Content-Length` of so many bytes
    Claims(usize),
    /// Elsewhere: status and address
    Redirect(u16, String),
    /// The whole object, but a pause after each 64 KiB
    Slow,
    /// Closes without a word
    Hangup,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Vec<u8>>,
    script: VecDeque<Answer>,
    /// Each request in a line: method, path, range and condition
    seen: Vec<String>,
    may_not_list: bool,
    held: Vec<TcpStream>,
}

pub(crate) struct Server {
    address: String,
    state: Arc<Mutex<State>>,
}

impl Server {
    /// Serves these objects, by `BUCKET/KEY`.
    pub(crate) fn start<'a>(objects: impl IntoIterator<Item = (&'a str, Vec<u8>)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let objects = objects.into_iter().map(|(key, bytes)| (format!("/{key}"), bytes)).collect();
        let state = Arc::new(Mutex::new(State { objects, ..State::default() }));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                thread::spawn(move || serve(&state, stream));
            }
        });
        Self { address, state }
    }

    pub(crate) fn script(self, answers: impl IntoIterator<Item = Answer>) -> Self {
        self.state.lock().unwrap().script.extend(answers);
        self
    }

    pub(crate) fn without_listing(self) -> Self {
        self.state.lock().unwrap().may_not_list = true;
        self
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was asked of it, without what differs from run to run.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.state.lock().unwrap().seen.clone()
    }
}

struct Request {
    path: String,
    query: String,
    headers: BTreeMap<String, String>,
}

impl Request {
    /// Method and path, or the query of a list, and what was asked of it.
    fn line(&self) -> String {
        let list = self.query.contains("list-type");
        let mut words = if list {
            vec!["list".to_owned(), self.query.clone()]
        } else {
            vec![self.path.clone()]
        };
        words.extend(
            ["range", "if-match"].iter().filter_map(|name| self.headers.get(*name).cloned()),
        );
        words.join(" ")
    }

    fn range(&self, length: usize) -> Option<Range<usize>> {
        let (first, last) = self.headers.get("range")?.strip_prefix("bytes=")?.split_once('-')?;
        let end = last.parse().map_or(length, |last: usize| (last + 1).min(length));
        Some(first.parse().unwrap_or(0).min(end)..end)
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let line = lines.next()?;
    let (path, query) = line.split(' ').nth(1)?.split_once('?').map_or_else(
        || (line.split(' ').nth(1).unwrap_or_default().to_owned(), String::new()),
        |(path, query)| (path.to_owned(), query.to_owned()),
    );
    let headers = lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| {
            line.split_once(':').map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        })
        .collect();
    Some(Request { path, query, headers })
}

fn serve(state: &Mutex<State>, stream: TcpStream) {
    let Some(request) = read(&stream) else { return };
    let mut state = state.lock().unwrap();
    state.seen.push(request.line());
    if request.query.contains("list-type") {
        return list(&state, &request, stream);
    }
    let answer = state.script.pop_front().unwrap_or(Answer::Whole);
    if let Answer::Replaced(bytes) = &answer {
        state.objects.insert(request.path.clone(), bytes.clone());
    }
    let Some(object) = state.objects.get(&request.path).cloned() else {
        let bucket = format!("/{}/", request.path.split('/').nth(1).unwrap_or_default());
        let known = state.objects.keys().any(|key| key.starts_with(&bucket));
        return error(stream, 404, if known { "NoSuchKey" } else { "NoSuchBucket" });
    };
    let tag = tag(&object);
    if request.headers.get("if-match").is_some_and(|wanted| *wanted != tag) {
        return error(stream, 412, "PreconditionFailed");
    }
    let range = match answer {
        Answer::WithoutRanges | Answer::Chunked(_) | Answer::Unmeasured(_) => None,
        Answer::OtherRange => Some(7..object.len()),
        _ => request.range(object.len()),
    };
    let body = range.clone().map_or(&object[..], |range| &object[range]);
    let length = if let Answer::Claims(length) = answer { length } else { body.len() };
    let head = head(&answer, &tag, range.as_ref(), object.len(), length);
    let send = |mut stream: &TcpStream, count: usize| {
        let _ = stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.write_all(&body[..count.min(body.len())]));
    };
    match answer {
        Answer::Error(status, code) => error(stream, status, code),
        Answer::Says(status, body) => respond(stream, status, &body),
        Answer::NotS3(status) => not_s3(stream, status),
        Answer::Hangup => drop(stream),
        Answer::Redirect(status, to) => redirect(stream, status, &to),
        Answer::CutAfter(count) | Answer::Claims(count) | Answer::Unmeasured(count) => {
            send(&stream, count);
        }
        Answer::Chunked(count) => {
            let _ = (&stream).write_all(&chunked(head, body, count));
        }
        Answer::StallAfter(count) => {
            send(&stream, count);
            state.held.push(stream);
        }
        Answer::Slow => {
            drop(state);
            slowly(stream, &head, body);
        }
        _ => {
            drop(state);
            send(&stream, usize::MAX);
            let _ = stream.shutdown(Shutdown::Write);
        }
    }
}

/// So many bytes of a body in chunks, with the last one only after all.
fn chunked(head: String, body: &[u8], count: usize) -> Vec<u8> {
    let mut bytes = head.into_bytes();
    for chunk in body[..count.min(body.len())].chunks(10_000) {
        bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
        bytes.extend(chunk);
        bytes.extend(b"\r\n");
    }
    if count >= body.len() {
        bytes.extend(b"0\r\nx-amz-checksum-crc32: AAAAAA==\r\n\r\n");
    }
    bytes
}

fn slowly(mut stream: TcpStream, head: &str, body: &[u8]) {
    let _ = stream.write_all(head.as_bytes());
    for piece in body.chunks(64 << 10) {
        thread::sleep(Duration::from_millis(10));
        if stream.write_all(piece).is_err() {
            return;
        }
    }
}

fn tag(object: &[u8]) -> String {
    // Not all of a large one: it is done for each request, in a build that is slow.
    let some = object.iter().step_by(1 + object.len() / 100_000);
    let sum = some.fold(object.len() as u64, |sum, byte| sum.wrapping_mul(31) + u64::from(*byte));
    format!("\"{sum:x}\"")
}

fn head(
    answer: &Answer,
    tag: &str,
    range: Option<&Range<usize>>,
    whole: usize,
    length: usize,
) -> String {
    let mut lines = match range {
        Some(range) => vec![
            "HTTP/1.1 206 Partial Content".to_owned(),
            format!("Content-Range: bytes {}-{}/{whole}", range.start, range.end - 1),
        ],
        None => vec!["HTTP/1.1 200 OK".to_owned()],
    };
    if matches!(answer, Answer::InParts(_)) {
        lines.push(format!("ETag: {}-2\"", tag.trim_end_matches('"')));
    } else if !matches!(answer, Answer::WithoutTag | Answer::Chunked(_) | Answer::Unmeasured(_)) {
        lines.push(format!("ETag: {tag}"));
    }
    if let Answer::Headers(headers) | Answer::InParts(headers) = answer {
        lines.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
    }
    match answer {
        Answer::Chunked(_) => {
            lines.push("Transfer-Encoding: chunked\r\nTrailer: x-amz-checksum-crc32".into());
        }
        Answer::Unmeasured(_) => {}
        _ => lines.push(format!("Content-Length: {length}")),
    }
    lines.push("Connection: close\r\n\r\n".into());
    lines.join("\r\n")
}

fn error(mut stream: TcpStream, status: u16, code: &str) {
    let body = format!(
        "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>as the test wants it</Message></Error>"
    );
    let _ = write!(
        stream,
        "HTTP/1.1 {status} X\r\nContent-Type: application/xml\r\nx-amz-bucket-region: eu-west-1\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
}

fn respond(mut stream: TcpStream, status: u16, body: &str) {
    let _ = write!(
        stream,
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
}

fn redirect(mut stream: TcpStream, status: u16, to: &str) {
    let _ = write!(
        stream,
        "HTTP/1.1 {status} X\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
}

fn not_s3(mut stream: TcpStream, status: u16) {
    let _ = write!(
        stream,
        "HTTP/1.1 {status} X\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
    );
}

fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let hex =
            |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let mut digit = || rest.next().and_then(hex).unwrap_or_default();
        bytes.push(if byte == b'%' { 16 * digit() + digit() } else { byte });
    }
    String::from_utf8(bytes).unwrap()
}

fn list(state: &State, request: &Request, mut stream: TcpStream) {
    if state.may_not_list {
        return error(stream, 403, "AccessDenied");
    }
    let asked = |name: &str| {
        let found = request.query.split('&').find_map(|part| part.strip_prefix(name));
        found.map(|value| percent_decode(value.strip_prefix('=').unwrap_or(value)))
    };
    let bucket = format!("{}/", request.path.trim_end_matches('/'));
    let prefix = format!("{bucket}{}", asked("prefix").unwrap_or_default());
    let after = asked("continuation-token").or_else(|| asked("start-after")).unwrap_or_default();
    let most = asked("max-keys").and_then(|most| most.parse().ok()).unwrap_or(1_000);
    let mut found: Vec<_> = state
        .objects
        .iter()
        .filter(|(key, _)| key.starts_with(&prefix))
        .map(|(key, bytes)| (key.strip_prefix(&bucket).unwrap_or(key), bytes.len()))
        .filter(|(key, _)| *key > after.as_str())
        .collect();
    let more = found.len() > most;
    found.truncate(most);
    let token = found.last().filter(|_| more);
    let token =
        token.map(|(key, _)| format!("<NextContinuationToken>{key}</NextContinuationToken>"));
    let keys = found.iter().map(|(key, size)| {
        format!("<Contents><Key>{key}</Key><Size>{size}</Size><LastModified>2026-11-24T06:00:00.000Z</LastModified></Contents>")
    });
    let keys: Vec<_> = keys.chain(token).collect();
    let keys = keys.concat();
    let body = format!(
        "<?xml version=\"1.0\"?><ListBucketResult><IsTruncated>false</IsTruncated>{keys}</ListBucketResult>"
    );
    let _ = write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
}

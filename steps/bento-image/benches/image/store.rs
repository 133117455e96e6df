//! Serves archives as a store does, from the page cache.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    thread,
};

pub(crate) struct Store {
    pub(crate) address: String,
}

impl Store {
    /// Key `NAME/FILE` of any bucket is this folder's `NAME/FILE`.
    pub(crate) fn start(place: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let place = place.to_owned();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let place = place.clone();
                thread::spawn(move || serve(&stream, &place));
            }
        });
        Self { address }
    }
}

/// One connection, as many requests as it has.
fn serve(stream: &TcpStream, place: &Path) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(stream);
    let mut out = stream;
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            (reader.read_line(&mut head).ok()? > 0).then_some(())?;
        }
        let mut words = head.split(' ');
        let (method, path) = (words.next()?, words.next()?.split('?').next()?);
        let key = path.trim_start_matches('/').split_once('/').map_or("", |(_, key)| key);
        let Some(mut file) = File::open(place.join(key)).ok().filter(|_| !key.is_empty()) else {
            // An empty listing, or nothing of this name
            let (status, body) = match key {
                "" => ("200 OK", "<ListBucketResult></ListBucketResult>"),
                _ => ("404 Not Found", "<Error><Code>NoSuchKey</Code></Error>"),
            };
            let body = if method == "HEAD" { "" } else { body };
            write!(out, "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
                .ok()?;
            continue;
        };
        let total = file.metadata().ok()?.len();
        let range = head.lines().find_map(|line| {
            let range = line.to_ascii_lowercase();
            range.strip_prefix("range: bytes=").map(|range| range.trim().to_owned())
        });
        let (from, end, status) = match range.as_deref().and_then(|range| range.split_once('-')) {
            Some((from, last)) => {
                let from = from.parse().ok()?;
                let end = last.parse::<u64>().map_or(total, |last| (last + 1).min(total));
                let range = format!("Content-Range: bytes {from}-{}/{total}", end - 1);
                (from, end, format!("206 Partial Content\r\n{range}"))
            }
            None => (0, total, "200 OK".to_owned()),
        };
        let length = end - from;
        write!(out, "HTTP/1.1 {status}\r\nETag: \"bench\"\r\nContent-Length: {length}\r\n\r\n")
            .ok()?;
        if method != "HEAD" {
            file.seek(SeekFrom::Start(from)).ok()?;
            io::copy(&mut file.take(length), &mut out).ok()?;
        }
    }
}

//! Serves the archives as a store does, from the page cache, over a network as slow as is wanted.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use crate::PREFIX;

pub(crate) struct Server {
    pub(crate) address: String,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    first_asked: Option<Instant>,
    limit: Option<Limit>,
    /// When all that was sent over the link has gone
    link: Option<Instant>,
}

/// A network that is slower than this machine.
#[derive(Clone, Copy)]
pub(crate) struct Limit {
    /// Bytes in a second
    pub(crate) rate: u64,
    /// Before the first byte of each answer
    pub(crate) delay: Duration,
    pub(crate) of: Of,
}

#[derive(Clone, Copy)]
pub(crate) enum Of {
    Connection,
    Link,
}

impl Server {
    pub(crate) fn start(place: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Mutex::new(Shared::default()));
        let (place, seen) = (place.to_owned(), Arc::clone(&shared));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (place, seen) = (place.clone(), Arc::clone(&seen));
                thread::spawn(move || serve(&stream, &place, &seen));
            }
        });
        Self { address, shared }
    }

    pub(crate) fn url(&self, version: &str) -> String {
        format!("http://{}/{PREFIX}/{version}.tar.gz", self.address)
    }

    pub(crate) fn limit(&self, limit: Option<Limit>) {
        self.shared.lock().unwrap().limit = limit;
    }

    pub(crate) fn forget_first_asked(&self) {
        self.shared.lock().unwrap().first_asked = None;
    }

    pub(crate) fn first_asked(&self) -> Instant {
        self.shared.lock().unwrap().first_asked.unwrap()
    }
}

/// One connection, as many requests as it has.
fn serve(stream: &TcpStream, place: &Path, shared: &Mutex<Shared>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            (reader.read_until(b'\n', &mut head).ok()? > 0).then_some(())?;
        }
        let limit = {
            let mut shared = shared.lock().unwrap();
            shared.first_asked.get_or_insert_with(Instant::now);
            shared.limit
        };
        thread::sleep(limit.map_or(Duration::ZERO, |limit| limit.delay));
        let head = String::from_utf8_lossy(&head).into_owned();
        let path = head.split(' ').nth(1)?.split('?').next()?;
        let name = path.rsplit('/').next()?;
        let mut out = stream;
        let Ok(mut file) = File::open(place.join(name)) else {
            let body = "<Error><Code>NoSuchKey</Code></Error>";
            write!(out, "HTTP/1.1 404 Not Found\r\nContent-Length: {}\r\n\r\n{body}", body.len())
                .ok()?;
            continue;
        };
        let total = file.metadata().ok()?.len();
        let range = head
            .lines()
            .find_map(|line| line.to_lowercase().strip_prefix("range: bytes=").map(str::to_owned));
        let (from, end, status) =
            match range.as_deref().and_then(|range| range.trim().split_once('-')) {
                Some((from, last)) => {
                    let end = last.parse::<u64>().map_or(total, |last| (last + 1).min(total));
                    (
                        from.parse().ok()?,
                        end,
                        format!(
                            "206 Partial Content\r\nContent-Range: bytes {from}-{}/{total}",
                            end - 1
                        ),
                    )
                }
                None => (0, total, "200 OK".to_owned()),
            };
        write!(
            out,
            "HTTP/1.1 {status}\r\nETag: \"{total:x}\"\r\nLast-Modified: Tue, 24 Nov 2026 06:00:00 GMT\r\nAccept-Ranges: bytes\r\n\
             Content-Type: application/x-tar\r\nContent-Length: {}\r\n\r\n",
            end - from
        )
        .ok()?;
        if !head.starts_with("HEAD") {
            file.seek(SeekFrom::Start(from)).ok()?;
            send(&mut file, end - from, out, limit, shared)?;
        }
    }
}

fn send(
    file: &mut File,
    count: u64,
    mut out: &TcpStream,
    limit: Option<Limit>,
    shared: &Mutex<Shared>,
) -> Option<()> {
    let Some(Limit { rate, of, .. }) = limit else {
        return io::copy(&mut file.take(count), &mut out).ok().map(|_| ());
    };
    let (mut own, mut left) = (None, count);
    while left > 0 {
        let sent = io::copy(&mut (&*file).take(left.min(64 << 10)), &mut out).ok()?;
        left -= sent;
        let now = Instant::now();
        let later = |free: Option<Instant>| {
            free.map_or(now, |free| free.max(now))
                + Duration::from_secs_f64(sent as f64 / rate as f64)
        };
        let due = match of {
            Of::Connection => *own.insert(later(own)),
            Of::Link => {
                let mut shared = shared.lock().unwrap();
                let due = later(shared.link);
                *shared.link.insert(due)
            }
        };
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    Some(())
}

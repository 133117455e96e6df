//! How long a bento takes to be there, beside what people would type instead, and how much memory.
//!
//! `cargo bench -p bento-retrieve` prints the table of the README; with `-- huge` also the one for 4 GB. Each round
//! runs every way once, so that a busy moment of the machine meets all of them; read the ratios. Leave five minutes
//! between two runs: where small files were just removed, ext4 is slow to make others.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot be set up has failed")]
#![allow(clippy::print_stdout, reason = "a benchmark's output is its table")]
#![allow(clippy::cast_precision_loss, reason = "seconds and mebibytes, to be read")]

use std::{
    env,
    fs::{self, File},
    io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use flate2::{Compression, write::GzEncoder};

const PREFIX: &str = "bentos/bench";
const WEIGHTS: &str = "models/m/v/weights.bin";

fn main() {
    let huge = env::args().any(|word| word == "huge");
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("retrieve");
    fs::create_dir_all(&place).unwrap();
    let runs = tempfile::tempdir_in(&place).unwrap();
    let server = Server::start(&place);
    let mut cases = vec![
        (
            "450 MB of weights and 2,000 small files",
            archive(&place, "weights", 480_000_000, 2_000, Compression::default()),
            5,
        ),
        ("20,000 tiny files", archive(&place, "tiny", 0, 20_000, Compression::default()), 5),
    ];
    if huge {
        cases.push((
            "4 GB of weights",
            archive(&place, "huge", 4_000_000_000, 0, Compression::none()),
            2,
        ));
    }
    for (what, archive, rounds) in cases {
        compare(what, &archive, rounds, runs.path(), &server);
    }
    retrieve_slowly("weights", runs.path(), &server);
    first_request(&server);
}

/// A bento with one large file of floats and many small ones, made once.
fn archive(
    place: &Path,
    version: &str,
    weights: usize,
    files: usize,
    compression: Compression,
) -> PathBuf {
    let path = place.join(format!("{version}.tar.gz"));
    if path.exists() {
        return path;
    }
    let encoder =
        GzEncoder::new(BufWriter::new(File::create(place.join("new")).unwrap()), compression);
    let mut tar = tar::Builder::new(encoder);
    let mut add = |name: &str, size: usize, contents: &mut dyn Read| {
        let mut header = tar::Header::new_ustar();
        header.set_size(size as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, contents).unwrap();
    };
    let manifest = format!("name: bench\nversion: {version}\n");
    add("bento.yaml", manifest.len(), &mut manifest.as_bytes());
    add("env/docker/Dockerfile", 13, &mut &b"FROM scratch\n"[..]);
    add(WEIGHTS, weights, &mut Floats::new().take(weights as u64));
    let text = "from __future__ import annotations\n".repeat(40);
    for number in 0..files {
        add(&format!("src/{}/{number}.py", number % 100), text.len(), &mut text.as_bytes());
    }
    tar.into_inner().unwrap().finish().unwrap().into_inner().unwrap();
    fs::rename(place.join("new"), &path).unwrap();
    path
}

/// Weights of a model: 32-bit floats around zero, which gzip makes 8 % smaller.
struct Floats {
    state: u64,
    left: Vec<u8>,
}

impl Floats {
    fn new() -> Self {
        Self { state: 0x9e37_79b9_7f4a_7c15, left: Vec::new() }
    }

    #[expect(clippy::cast_possible_truncation, reason = "an f32 is what a weight is")]
    fn next(&mut self) -> f32 {
        let mut unit = || {
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            (self.state >> 11) as f64 / (1_u64 << 53) as f64
        };
        (((0..6).map(|_| unit()).sum::<f64>() - 3.0) * 0.05) as f32 // a sum of six is nearly normal
    }
}

impl Read for Floats {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left.is_empty() {
            self.left = (0..16_384).flat_map(|_| self.next().to_le_bytes()).collect();
        }
        let count = buffer.len().min(self.left.len());
        buffer[..count].copy_from_slice(&self.left[..count]);
        self.left.drain(..count);
        Ok(count)
    }
}

fn compare(what: &str, archive: &Path, rounds: usize, place: &Path, server: &Server) {
    let version =
        archive.file_name().unwrap().to_str().unwrap().trim_end_matches(".tar.gz").to_owned();
    let url = server.url(&version);
    let local = archive.display().to_string();
    let s3 = format!("s3://{PREFIX}/{version}.tar.gz");
    let ways: Vec<(&str, Command)> = vec![
        ("bento-retrieve", retrieve(server, &version, &[])),
        ("bento-retrieve --connections 1", retrieve(server, &version, &["--connections=1"])),
        ("tar xzf FILE", shell(&format!("tar xzf '{local}' -C into"), server)),
        ("curl | tar xz", shell(&format!("curl -sf '{url}' | tar xz -C into"), server)),
        (
            "aws s3 cp | tar xz",
            shell(&format!("aws s3 cp --only-show-errors {s3} - | tar xz -C into"), server),
        ),
    ];
    let mut taken: Vec<(&str, Vec<Taken>)> =
        ways.iter().map(|(name, _)| (*name, Vec::new())).collect();
    let mut ways = ways;
    for _ in 0..rounds {
        for ((_, command), (_, taken)) in ways.iter_mut().zip(&mut taken) {
            taken.extend(run(command, place));
        }
    }
    let size = fs::metadata(archive).unwrap().len() as f64 / 1e6;
    println!("\n### {what}: {size:.1} MB as tar.gz\n");
    println!(
        "| way | least s | median s | ratio to `tar xzf` | memory, MiB |\n|---|---|---|---|---|"
    );
    let yardstick = taken.iter().find(|(name, _)| *name == "tar xzf FILE");
    let yardstick = yardstick.map_or(1.0, |(_, taken)| least(taken));
    for (name, taken) in &taken {
        if taken.is_empty() {
            println!("| `{name}` | not installed | | | |");
            continue;
        }
        let memory = taken.iter().map(|taken| taken.memory).max().unwrap() as f64 / 1024.0;
        let memory =
            if name.starts_with("bento-retrieve") { format!("{memory:.1}") } else { String::new() };
        let (least, median) = (least(taken), median(taken));
        println!("| `{name}` | {least:.2} | {median:.2} | {:.2} | {memory} |", least / yardstick);
    }
}

/// Where one connection is the limit, as it is with most stores: 60 MB/s for each.
fn retrieve_slowly(version: &str, place: &Path, server: &Server) {
    println!(
        "\n### {version}, 60 MB/s for each connection\n\n| connections | least s | memory, MiB |\n|---|---|---|"
    );
    server.limit(Some(60_000_000));
    for connections in ["1", "4"] {
        let connections_flag = format!("--connections={connections}");
        let mut command = retrieve(server, version, &[&connections_flag]);
        let taken: Vec<_> = (0..2).filter_map(|_| run(&mut command, place)).collect();
        let memory = taken.iter().map(|taken| taken.memory).max().unwrap() as f64 / 1024.0;
        println!("| {connections} | {:.2} | {memory:.1} |", least(&taken));
    }
    server.limit(None);
}

/// From the start of the process to its first request.
fn first_request(server: &Server) {
    let mut times: Vec<Duration> = (0..50)
        .map(|_| {
            let mut command = retrieve(server, "none", &["--retries=0"]);
            server.forget_first_asked();
            let start = Instant::now();
            command.stderr(Stdio::null()).status().unwrap();
            server.first_asked().duration_since(start)
        })
        .collect();
    times.sort();
    println!(
        "\nStart to first byte asked: median {:.1} ms, least {:.1} ms",
        times[25].as_secs_f64() * 1e3,
        times[0].as_secs_f64() * 1e3
    );
}

fn retrieve(server: &Server, version: &str, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bento-retrieve"));
    command.args([
        "--into=into/bento",
        "--store",
        &format!("s3://{}", PREFIX.split('/').next().unwrap()),
    ]);
    command.arg(format!("--bento=bench:{version}")).args(more);
    environment(&mut command, server);
    command
}

fn shell(line: &str, server: &Server) -> Command {
    let mut command = Command::new("bash");
    command.args(["-o", "pipefail", "-c", line]);
    environment(&mut command, server);
    command
}

fn environment(command: &mut Command, server: &Server) {
    command.envs([
        ("AWS_ACCESS_KEY_ID", "user"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_REGION", "us-east-1"),
        ("NO_PROXY", "*"),
    ]);
    command
        .env("AWS_ENDPOINT_URL", format!("http://{}", server.address))
        .env_remove("AWS_CA_BUNDLE");
}

struct Taken {
    wall: Duration,
    /// The most that it ever had, in KiB
    memory: u64,
}

/// What it takes where nothing else disturbs the machine.
fn least(taken: &[Taken]) -> f64 {
    taken.iter().map(|taken| taken.wall).min().unwrap_or_default().as_secs_f64()
}

fn median(taken: &[Taken]) -> f64 {
    let mut walls: Vec<_> = taken.iter().map(|taken| taken.wall).collect();
    walls.sort();
    walls.get(walls.len() / 2).copied().unwrap_or_default().as_secs_f64()
}

/// Runs it into an empty folder. Nothing where the program is not there.
fn run(command: &mut Command, place: &Path) -> Option<Taken> {
    let home = tempfile::Builder::new().prefix("run-").tempdir_in(place).unwrap().keep();
    fs::create_dir(home.join("into")).unwrap();
    Command::new("sync").status().unwrap(); // what the last one wrote is not this one's burden
    let start = Instant::now();
    let mut child = command.current_dir(&home).stderr(Stdio::null()).spawn().unwrap();
    let mut memory = 0;
    let status = loop {
        memory = high_water(child.id()).unwrap_or(memory);
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        thread::sleep(Duration::from_millis(2));
    };
    // Small files stay until the end: for minutes ext4 passes over the inodes of removed ones, one by one.
    for weights in ["into", "into/bento"].map(|root| home.join(root).join(WEIGHTS)) {
        let _ = fs::remove_file(weights);
    }
    status.success().then(|| Taken { wall: start.elapsed(), memory })
}

fn high_water(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().trim_end_matches(" kB").parse().ok())
}

/// Serves the archives as a store does, from the page cache.
struct Server {
    address: String,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    first_asked: Option<Instant>,
    /// Bytes in a second for each connection
    limit: Option<u64>,
}

impl Server {
    fn start(place: &Path) -> Self {
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

    fn url(&self, version: &str) -> String {
        format!("http://{}/{PREFIX}/{version}.tar.gz", self.address)
    }

    fn limit(&self, limit: Option<u64>) {
        self.shared.lock().unwrap().limit = limit;
    }

    fn forget_first_asked(&self) {
        self.shared.lock().unwrap().first_asked = None;
    }

    fn first_asked(&self) -> Instant {
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
            send(&mut file, end - from, out, limit)?;
        }
    }
}

fn send(file: &mut File, count: u64, mut out: &TcpStream, limit: Option<u64>) -> Option<()> {
    let Some(limit) = limit else {
        return io::copy(&mut file.take(count), &mut out).ok().map(|_| ());
    };
    let start = Instant::now();
    let mut sent = 0;
    while sent < count {
        sent += io::copy(&mut (&*file).take((count - sent).min(256 << 10)), &mut out).ok()?;
        let due = Duration::from_secs_f64(sent as f64 / limit as f64);
        thread::sleep(due.saturating_sub(start.elapsed()));
    }
    Some(())
}

//! How long a bento takes to be there, beside what people would type instead, and how much memory.
//!
//! `cargo bench -p bento-retrieve` prints the tables of the README; with `-- huge` also the one for 4 GB, and with
//! `-- without` only those that show what the writer threads and the connections bring. Each round runs every way
//! once, so that a busy moment of the machine meets all of them; read the ratios. Leave five minutes between two runs:
//! where small files were just removed, ext4 is slow to make others.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot be set up has failed")]
#![allow(clippy::print_stdout, reason = "a benchmark's output is its table")]
#![allow(clippy::cast_precision_loss, reason = "seconds and mebibytes, to be read")]

mod floats;
mod server;

use std::{
    env,
    fs::{self, File},
    io::{BufReader, BufWriter, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use bento_retrieve::archive::{Folder, Limits, unpack};
use flate2::{Compression, write::GzEncoder};

use crate::{
    floats::Floats,
    server::{Limit, Of, Server},
};

const PREFIX: &str = "bentos/bench";
const WEIGHTS: &str = "models/m/v/weights.bin";

fn main() {
    let has = |flag: &str| env::args().any(|word| word == flag);
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("retrieve");
    fs::create_dir_all(&place).unwrap();
    let runs = tempfile::tempdir_in(&place).unwrap();
    let server = Server::start(&place);
    let weights = archive(&place, "weights", 480_000_000, 2_000, Compression::default());
    let tiny = archive(&place, "tiny", 0, 20_000, Compression::default());
    let mut cases = vec![
        ("450 MB of weights and 2,000 small files", weights, 5),
        ("20,000 tiny files", tiny, 5),
    ];
    if has("huge") {
        let huge = archive(&place, "huge", 4_000_000_000, 0, Compression::none());
        cases.push(("4 GB of weights", huge, 2));
    }
    for (what, archive, rounds) in &cases {
        if !has("without") {
            compare(what, archive, *rounds, runs.path(), &server);
        }
        without_writers(what, archive, *rounds, runs.path());
    }
    without_connections("weights", runs.path(), &server);
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
    add(WEIGHTS, weights, &mut Floats::new(0).take(weights as u64));
    let text = "from __future__ import annotations\n".repeat(40);
    for number in 0..files {
        add(&format!("src/{}/{number}.py", number % 100), text.len(), &mut text.as_bytes());
    }
    tar.into_inner().unwrap().finish().unwrap().into_inner().unwrap();
    fs::rename(place.join("new"), &path).unwrap();
    path
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

/// What each thread that writes brings: unpacked in this process, from a local file.
fn without_writers(what: &str, archive: &Path, rounds: usize, place: &Path) {
    let limits = Limits { bytes: 50 << 30, entries: 100_000, ratio: 200 };
    let mut taken = [const { Vec::new() }; 3];
    for _ in 0..rounds {
        for (writers, taken) in taken.iter_mut().enumerate() {
            let root = tempfile::Builder::new().prefix("run-").tempdir_in(place).unwrap().keep();
            let folder = Folder::new(&root).with_writers(writers);
            let input = BufReader::with_capacity(64 << 10, File::open(archive).unwrap());
            Command::new("sync").status().unwrap();
            let start = Instant::now();
            unpack(input, &folder, &limits, &Arc::default()).unwrap();
            taken.push(Taken { wall: start.elapsed(), memory: 0 });
            let _ = fs::remove_file(root.join(WEIGHTS));
        }
    }
    println!(
        "\n### {what}: threads that write\n\n| threads | least s | median s | ratio |\n|---|---|---|---|"
    );
    for (writers, of) in taken.iter().enumerate() {
        let ratio = least(of) / least(&taken[0]);
        println!("| {writers} | {:.2} | {:.2} | {ratio:.2} |", least(of), median(of));
    }
}

/// What more connections bring: locally, where each is limited, as it is with most stores, and where all share a link.
/// The first byte of each answer takes 20 ms, but locally.
fn without_connections(version: &str, place: &Path, server: &Server) {
    let limited = |of| Some(Limit { rate: 50_000_000, delay: Duration::from_millis(20), of });
    for (what, limit, rounds) in [
        ("local", None, 5),
        ("50 MB/s for each connection, 20 ms", limited(Of::Connection), 2),
        ("one link of 50 MB/s, 20 ms", limited(Of::Link), 2),
    ] {
        server.limit(limit);
        let mut ways = ["1", "4"].map(|count| {
            (retrieve(server, version, &[&format!("--connections={count}")]), Vec::new())
        });
        for _ in 0..rounds {
            for (command, taken) in &mut ways {
                taken.extend(run(command, place));
            }
        }
        println!(
            "\n### {version}, {what}\n\n| connections | least s | ratio | memory, MiB |\n|---|---|---|---|"
        );
        for (count, (_, taken)) in [1, 4].iter().zip(&ways) {
            let memory = taken.iter().map(|taken| taken.memory).max().unwrap() as f64 / 1024.0;
            let least_s = least(taken);
            let ratio = least_s / least(&ways[0].1);
            println!("| {count} | {least_s:.2} | {ratio:.2} | {memory:.1} |");
        }
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

//! What it takes to make an image of a bento whose environment is there: seconds, bytes, memory.
//!
//! `cargo bench -p bento-image` prints the tables of the README; with `-- huge` also the one for 4 GB, which needs as
//! much disk. The registry is Debian's, on this machine, the store a server of files. Each round runs every way once,
//! so that a busy moment of the machine meets all of them; read the ratios.
//!
//! - `bento`: archives of bentos, small and large
//! - `store`: serves them as an S3 store does
//! - `registry`: Debian's registry, and what it has
//! - `environment`: an environment as kaniko would have built it
//! - `run`: a process, and what it took
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot be set up has failed")]
#![allow(clippy::print_stdout, reason = "a benchmark's output is its table")]
#![allow(clippy::cast_precision_loss, reason = "seconds and mebibytes, to be read")]

mod bento;
mod environment;
#[path = "../../../bento-retrieve/benches/retrieve/floats.rs"]
mod floats;
mod registry;
mod run;
mod store;

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    bento::Bento,
    registry::{Blob, Registry},
    run::{Taken, least, median, run},
    store::Store,
};

const ROUNDS: usize = 20;
const LARGE_ROUNDS: usize = 5;
const LARGE: u64 = 512 << 20;
const HUGE: u64 = 4_000_000_000;

fn main() {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("image");
    fs::create_dir_all(&place).unwrap();
    let runs = tempfile::tempdir_in(&place).unwrap();
    let bench = Bench {
        registry: Registry::start(runs.path()),
        store: Store::start(&place),
        runs: runs.path().to_owned(),
        place,
    };
    small(&bench);
    large(&bench);
    if env::args().any(|word| word == "huge") {
        huge(&bench);
    }
}

/// What all measurements share.
struct Bench {
    registry: Registry,
    store: Store,
    runs: PathBuf,
    /// Archives stay here from one run to the next
    place: PathBuf,
}

impl Bench {
    /// `bento-image SUBCOMMAND` of this bento, to the repository of this name.
    fn step(&self, subcommand: &str, bento: &Bento, repository: &str) -> Command {
        let host = &self.registry.host;
        let mut command = Command::new(env!("CARGO_BIN_EXE_bento-image"));
        command.args([subcommand, "--store=s3://bentos", "--registry-insecure"]);
        command.arg(format!("--bento={}:{}", bento.name, bento.version));
        command.arg(format!("--image={host}/models/{repository}"));
        command.arg(format!("--environments={host}/environments"));
        command.arg(format!("--registry-mirror={host}"));
        command.envs([
            ("AWS_ACCESS_KEY_ID", "user"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_REGION", "us-east-1"),
            ("NO_PROXY", "*"),
            // Its image has this file, and no folder with another two for each of them.
            ("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"),
        ]);
        command.arg(format!("--s3-endpoint=http://{}", self.store.address));
        command
    }

    fn assemble(&self, bento: &Bento, repository: &str) -> Taken {
        let uploaded = self.runs.join("uploaded");
        let mut command = self.step("assemble", bento, repository);
        command.arg(format!("--result-uploaded={}", uploaded.display()));
        let before = self.registry.blob_bytes();
        let taken = run(&mut command);
        let uploaded = fs::read_to_string(uploaded).unwrap().trim().parse().unwrap();
        Taken { uploaded, stored: self.registry.blob_bytes() - before, ..taken }
    }
}

/// Releases of a small model, one after the other, beside `crane append` of the very layers.
fn small(bench: &Bench) {
    let bentos: Vec<_> = (0..=ROUNDS).map(|round| Bento::small(round).archive(bench)).collect();
    let environment = environment::push(bench, &bentos[0]);
    let mut ways = ["`bento-image assemble`", "the same again", "`crane append` of its layers"]
        .map(|name| (name, Vec::new()));
    let mut pulled = Vec::new();
    let mut known = BTreeSet::new();
    for (round, bento) in bentos.iter().enumerate() {
        let first = bench.assemble(bento, "iris");
        let again = bench.assemble(bento, "iris");
        let image = bench.registry.manifest("models/iris", &bento.version);
        let layers: Vec<_> =
            image.blobs.iter().filter(|blob| !known.contains(&blob.digest)).cloned().collect();
        known.extend(image.blobs.iter().map(|blob| blob.digest.clone()));
        // The first release brings the environment to the node.
        if round == 0 {
            continue;
        }
        pulled.push(image.bytes + layers.iter().map(|blob| blob.size).sum::<u64>());
        let crane = crane(bench, &environment, &bento.version, &layers);
        for ((_, taken), one) in ways.iter_mut().zip([Some(first), Some(again), crane]) {
            taken.extend(one);
        }
    }
    let size = fs::metadata(&bentos[1].path).unwrap().len() as f64 / 1e3;
    println!("\n### A bento of the size of iris: {size:.1} kB as tar.gz\n");
    println!("| way | least ms | median ms | ratio to `crane append` | pushed, kB | memory, MiB |");
    println!("|---|---|---|---|---|---|");
    let yardstick = least(&ways[2].1);
    for (name, taken) in &ways {
        if taken.is_empty() {
            println!("| {name} | not installed: `make cluster-up` builds it | | | | |");
            continue;
        }
        let (least, median) = (least(taken), median(taken));
        let ratio = least / yardstick;
        let pushed = taken.iter().map(|taken| taken.stored).max().unwrap() as f64 / 1e3;
        println!(
            "| {name} | {:.0} | {:.0} | {ratio:.2} | {pushed:.1} | {:.1} |",
            least * 1e3,
            median * 1e3,
            memory(taken)
        );
    }
    let most = pulled.iter().max().unwrap();
    println!("\nA node that has the release before pulls {:.1} kB.", *most as f64 / 1e3);
}

/// Adds layers that are on this disk to the environment, and pushes what is new. Nothing where there is no crane.
fn crane(bench: &Bench, base: &str, version: &str, layers: &[Blob]) -> Option<Taken> {
    let built = Path::new("/var/lib/kanaria/bin/crane");
    let program = if built.exists() { built } else { Path::new("crane") };
    Command::new(program).arg("version").output().ok()?;
    let mut command = Command::new(program);
    command.args(["append", "--insecure", "--base", base]);
    for blob in layers.iter().filter(|blob| !blob.is_config) {
        command.arg("--new_layer").arg(bench.registry.file(&blob.digest));
    }
    command.arg(format!("--new_tag={}/models/crane:{version}", bench.registry.host));
    command.env("HOME", &bench.runs);
    let before = bench.registry.blob_bytes();
    let taken = run(&mut command);
    Some(Taken { stored: bench.registry.blob_bytes() - before, ..taken })
}

/// A large model, beside its bytes in one request.
fn large(bench: &Bench) {
    let weights = bento::weights(&bench.place, LARGE);
    let gzipped = Bento::large("v1", true, &weights).archive(bench);
    let plain = Bento::large("v2", false, &weights).archive(bench);
    environment::push(bench, &gzipped);
    let digest = registry::digest_of(&weights);
    let mut ways =
        ["one PATCH of the weights", "`bento-image`, plain tar", "`bento-image`, tar.gz"]
            .map(|name| (name, Vec::new()));
    let mut unchanged = Vec::new();
    for round in 0..LARGE_ROUNDS {
        let repository = |what: &str| format!("{what}-{round}");
        let raw = bench.registry.patch(&repository("raw"), &weights, &digest);
        let of_plain = bench.assemble(&plain, &repository("plain"));
        let of_gzip = bench.assemble(&gzipped, &repository("gzip"));
        unchanged.push(bench.assemble(&plain, &repository("gzip")));
        for ((_, taken), one) in ways.iter_mut().zip([raw, of_plain, of_gzip]) {
            taken.push(one);
        }
    }
    println!("\n### A model of {} MiB\n", LARGE >> 20);
    println!("| way | least s | median s | MB/s | throughput, to one PATCH | memory, MiB |");
    println!("|---|---|---|---|---|---|");
    let yardstick = least(&ways[0].1);
    for (name, taken) in &ways {
        let (least, median) = (least(taken), median(taken));
        let rate = LARGE as f64 / 1e6 / least;
        let memory =
            if taken[0].memory > 0 { format!("{:.1}", memory(taken)) } else { String::new() };
        println!(
            "| {name} | {least:.2} | {median:.2} | {rate:.0} | {:.2} | {memory} |",
            yardstick / least
        );
    }
    let uploaded = unchanged.iter().map(|taken| taken.uploaded).max().unwrap();
    println!(
        "\nThe next release with the same model: {uploaded} bytes uploaded, in {:.2} s.",
        least(&unchanged)
    );
}

/// A model of 4 GB, for the memory.
fn huge(bench: &Bench) {
    let bento = Bento::huge(HUGE).archive(bench);
    environment::push(bench, &bento);
    let taken = [bench.assemble(&bento, "huge")];
    println!("\n### A model of 4 GB\n\n| s | MB/s | memory, MiB |\n|---|---|---|");
    let seconds = least(&taken);
    println!("| {seconds:.1} | {:.0} | {:.1} |", HUGE as f64 / 1e6 / seconds, memory(&taken));
}

/// The most that any of them ever had, in MiB.
fn memory(taken: &[Taken]) -> f64 {
    taken.iter().map(|taken| taken.memory).max().unwrap_or_default() as f64 / 1024.0
}

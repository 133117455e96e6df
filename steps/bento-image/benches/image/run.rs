//! A process, and what it took.

use std::{
    fs,
    io::Read as _,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

#[derive(Clone, Copy, Default)]
pub(crate) struct Taken {
    pub(crate) wall: Duration,
    /// The most that it ever had, in KiB
    pub(crate) memory: u64,
    /// Bytes, as it says
    pub(crate) uploaded: u64,
    /// Bytes, as the registry's disk says
    pub(crate) stored: u64,
}

/// Runs it to its end, which is a good one.
pub(crate) fn run(command: &mut Command) -> Taken {
    Command::new("sync").status().unwrap(); // what the last one wrote is not this one's burden
    let start = Instant::now();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = child.stderr.take().unwrap();
    let reader = thread::spawn(move || {
        let mut text = String::new();
        let _ = log.read_to_string(&mut text);
        text
    });
    let mut memory = 0;
    let status = loop {
        memory = high_water(child.id()).unwrap_or(memory);
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        thread::sleep(Duration::from_millis(1));
    };
    let wall = start.elapsed();
    let log = reader.join().unwrap();
    assert!(status.success(), "{command:?}: {log}");
    Taken { wall, memory, ..Taken::default() }
}

fn high_water(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().trim_end_matches(" kB").parse().ok())
}

/// What it takes where nothing else disturbs the machine, in seconds.
pub(crate) fn least(taken: &[Taken]) -> f64 {
    taken.iter().map(|taken| taken.wall).min().unwrap_or_default().as_secs_f64()
}

pub(crate) fn median(taken: &[Taken]) -> f64 {
    let mut walls: Vec<_> = taken.iter().map(|taken| taken.wall).collect();
    walls.sort();
    walls.get(walls.len() / 2).copied().unwrap_or_default().as_secs_f64()
}

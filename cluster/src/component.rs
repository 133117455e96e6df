//! A component of the cluster, which runs as a process of the host: how it is started, watched and stopped.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use step::{Failure, text::hex};

use crate::{certificates, command, mounts, paths::run, process, wait::retry_until};

/// Long enough for a component on a busy machine with two cores; the slowest, the API server, needs 5 s on an idle one.
pub(crate) const STARTS: Duration = Duration::from_mins(2);
/// etcd and the registry put their last writes in order within a second.
const STOPS: Duration = Duration::from_secs(5);
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// For all of them, and ignored by what is not written in Go: the API server spent half of its time on collecting
/// garbage. Beyond this memory it does so as often as need be.
const GO: [(&str, &str); 2] = [("GOGC", "400"), ("GOMEMLIMIT", "1500MiB")];

/// What to run, and how to tell that it works.
pub(crate) struct Component {
    /// One word, as in `cluster logs WORD`
    pub(crate) name: &'static str,
    /// What it does, in a few words for the status table
    pub(crate) does: &'static str,
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(&'static str, String)>,
    /// Files that it reads once, at its start: another content means a restart.
    pub(crate) reads: Vec<PathBuf>,
    /// Runs in the private mount namespace.
    pub(crate) private: bool,
    /// Where it listens, for people and for the check that nobody else does.
    pub(crate) listens: Vec<&'static str>,
    pub(crate) ready: Ready,
    /// Removes what a predecessor left that would mislead it.
    pub(crate) clear: fn(),
}

/// The question whose yes means that a component works.
pub(crate) enum Ready {
    /// Accepts connections
    Tcp(&'static str),
    /// Accepts connections on a Unix socket
    Unix(PathBuf),
    /// Answers 200 to a plain GET of the path
    Http(&'static str, &'static str),
    /// kubectl gets `ok`
    Api { kubectl: PathBuf, kubeconfig: PathBuf },
}

/// What a look at a component shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Ready(i32),
    /// Runs, but does not answer (yet)
    Silent(i32),
    /// Runs with another configuration than it would be started with now
    Outdated(i32),
    Dead,
}

impl Component {
    /// Starts the component unless it already runs as it should. Says whether it had to.
    pub(crate) fn ensure_started(&self) -> Result<bool> {
        match self.state() {
            State::Ready(_) | State::Silent(_) => return Ok(false),
            State::Outdated(pid) => process::stop(pid, STOPS)?,
            State::Dead => {}
        }
        self.start().with_context(|| format!("failed to start {}", self.name))?;
        Ok(true)
    }

    pub(crate) fn state(&self) -> State {
        let Some(found) = process::labelled()
            .into_iter()
            .find(|found| found.is_main && found.component == self.name)
        else {
            return State::Dead;
        };
        if found.started_with != self.fingerprint() {
            State::Outdated(found.pid)
        } else if self.ready.holds() {
            State::Ready(found.pid)
        } else {
            State::Silent(found.pid)
        }
    }

    fn start(&self) -> Result<()> {
        self.refuse_taken_addresses()?;
        (self.clear)();
        let path = self.log();
        let log = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("failed to open `{}`", path.display()))?;
        let mut line = Command::new("setsid"); // outlives us and the terminal
        if self.private {
            line.arg("nsenter").arg(mounts::entrance()?);
        }
        line.arg(&self.program)
            .args(&self.args)
            // Nothing of the caller's may leak in, such as a KUBECONFIG or AWS keys.
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", "/")
            .envs(GO)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .env(process::COMPONENT, self.name)
            .env(process::STARTED_WITH, self.fingerprint())
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("failed to run `{}`", self.program.display()))?;
        Ok(())
    }

    /// Waits until the component answers.
    pub(crate) fn wait_until_ready(&self) -> Result<()> {
        let started = Instant::now();
        let is_ready = retry_until(STARTS, LOOK_AGAIN, || match self.state() {
            State::Ready(_) => Some(true),
            State::Dead if started.elapsed() > Duration::from_secs(1) => Some(false),
            _ => None,
        });
        let why = match is_ready {
            Some(true) => return Ok(()),
            Some(false) => "it ended",
            None => "it runs but does not answer",
        };
        Err(Failure {
            what: format!("failed to start {}: {why}: {}", self.name, last_words(&self.log())),
            hint: format!("`cluster logs {}` shows its whole log", self.name),
        }
        .into())
    }

    pub(crate) fn log(&self) -> PathBuf {
        run("logs").join(format!("{}.log", self.name))
    }

    /// A component started with anything else than this has to be started again.
    fn fingerprint(&self) -> String {
        let mut digest = Sha256::new();
        let program = fs::canonicalize(&self.program).unwrap_or_default();
        digest.update(format!("{} {:?} {:?} {GO:?}", program.display(), self.args, self.env));
        // Whoever trusts an earlier authority, or is known to it, has to start again.
        for file in self.reads.iter().chain([&certificates::path("ca.crt")]) {
            digest.update(fs::read(file).unwrap_or_default());
        }
        if self.private {
            digest.update(mounts::identity());
        }
        hex(&digest.finalize()[..8])
    }

    fn refuse_taken_addresses(&self) -> Result<()> {
        for address in &self.listens {
            if let Some(owner) = listener(address) {
                return Err(Failure {
                    what: format!("failed to listen on {address}: {owner} already does"),
                    hint: "one cluster runs per machine: stop that program, or the other cluster that it is part of".into(),
                }
                .into());
            }
        }
        Ok(())
    }
}

impl Ready {
    fn holds(&self) -> bool {
        match self {
            Self::Tcp(address) => connect(address).is_some(),
            Self::Unix(path) => UnixStream::connect(path).is_ok(),
            Self::Http(address, path) => answers(address, path).unwrap_or(false),
            Self::Api { kubectl, kubeconfig } => {
                let mut line = Command::new(kubectl);
                line.arg("--kubeconfig").arg(kubeconfig).args([
                    "get",
                    "--raw",
                    "/readyz",
                    "--request-timeout=5s",
                ]);
                command::read(&mut line).is_ok_and(|answer| answer == "ok")
            }
        }
    }
}

fn connect(address: &str) -> Option<TcpStream> {
    let address: SocketAddr = address.parse().ok()?;
    TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()
}

/// Whether a plain GET is answered with 200. None when it is not answered at all.
pub(crate) fn answers(address: &str, path: &str) -> Option<bool> {
    let mut stream = connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes()).ok()?;
    let mut status = [0; 12];
    stream.read_exact(&mut status).ok()?;
    Some(status.ends_with(b" 200"))
}

/// The program that listens on an address or on its port of all addresses.
fn listener(address: &str) -> Option<String> {
    let (host, port) = address.rsplit_once(':')?;
    let table = command::run("ss", ["-Hltnp", &format!("sport = :{port}")]).ok()?;
    table.lines().find_map(|line| {
        let mut fields = line.split_whitespace().skip(3);
        let (at, _) = fields.next()?.rsplit_once(':')?;
        let taken = at == host || matches!(at, "0.0.0.0" | "*" | "[::]");
        let owner = fields.find_map(owner).unwrap_or_else(|| "another program".into());
        taken.then_some(owner)
    })
}

/// `users:(("etcd",pid=12,fd=3))`, as `ss` puts it.
fn owner(users: &str) -> Option<String> {
    let (name, rest) = users.strip_prefix("users:((\"")?.split_once("\",pid=")?;
    Some(format!("`{name}` (pid {})", rest.split(',').next()?))
}

/// The last line of a log that says something.
fn last_words(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let last = text.lines().rfind(|line| !line.trim().is_empty());
    last.unwrap_or("its log is empty").to_owned()
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader},
        net::TcpListener,
        thread,
    };

    use super::*;

    fn server(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                // A request left half read would make the end of the connection an error.
                let request = BufReader::new(stream.try_clone().unwrap());
                request.lines().map_while(Result::ok).find(String::is_empty).unwrap();
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        address
    }

    #[test]
    fn only_status_200_is_ready() {
        assert_eq!(answers(&server("HTTP/1.1 200 OK\r\n\r\n"), "/"), Some(true));
        assert_eq!(answers(&server("HTTP/1.1 503 Service Unavailable\r\n\r\n"), "/"), Some(false));
        assert_eq!(answers(&server("?"), "/"), None);
    }

    #[test]
    fn the_program_that_holds_an_address_is_named() {
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = held.local_addr().unwrap().to_string();
        let owner = listener(&address).unwrap();
        assert!(owner.ends_with(&format!("(pid {})", std::process::id())), "{owner}");
        let port = address.rsplit_once(':').unwrap().1;
        assert_eq!(
            listener(&format!("127.0.0.2:{port}")),
            None,
            "another address of the same port is free"
        );
    }

    #[test]
    fn the_last_words_of_a_log_are_its_last_line_with_text() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("etcd.log");
        fs::write(&log, "one\npanic: no room\n\n").unwrap();
        assert_eq!(last_words(&log), "panic: no room");
        assert_eq!(last_words(&dir.path().join("none.log")), "its log is empty");
    }
}

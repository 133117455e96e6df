//! The API server through a proxy, as from a terminal that has no other way to it.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, BufRead as _, BufReader, Write as _, copy},
    net::{Shutdown, TcpListener, TcpStream},
    process::{Command, Output},
    sync::{Arc, Mutex},
    thread,
};

use crate::namespace::cluster;

/// A proxy that opens every tunnel it is asked for.
struct Tunnels {
    url: String,
    /// `HOST:PORT`
    opened: Arc<Mutex<Vec<String>>>,
}

impl Tunnels {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let opened = Arc::<Mutex<Vec<String>>>::default();
        let seen = opened.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let seen = seen.clone();
                thread::spawn(move || open(client.unwrap(), &seen).unwrap());
            }
        });
        Self { url, opened }
    }

    /// What was opened since the last time.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.opened.lock().unwrap())
    }
}

fn open(mut client: TcpStream, opened: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut head = BufReader::new(client.try_clone()?).lines();
    let first = head.next().transpose()?.unwrap_or_default();
    head.map_while(Result::ok).find(String::is_empty);
    let server = first.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
    let server = server.unwrap_or_default().to_owned();
    let upstream = TcpStream::connect(&server)?;
    opened.lock().unwrap().push(server);
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    let (from, to) = (client.try_clone()?, upstream.try_clone()?);
    let back = thread::spawn(move || pass(upstream, client));
    pass(from, to);
    back.join().unwrap();
    Ok(())
}

/// Either side may end it at any moment.
fn pass(mut from: TcpStream, mut to: TcpStream) {
    let _ = copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

#[test]
#[ignore = "needs the cluster"]
fn the_api_server_is_reached_through_the_proxy_of_the_environment_or_of_the_kubeconfig() {
    let config = fs::read_to_string(&cluster().kubeconfig).unwrap();
    let (before, after) = config.split_once("server: https://").unwrap();
    let server = after.lines().next().unwrap().trim();
    let host = server.split(':').next().unwrap();
    let proxy = Tunnels::start();
    let url = proxy.url.as_str();

    let direct = look(&config, &[]);
    assert_eq!(proxy.take(), Vec::<String>::new());
    assert_eq!(look(&config, &[("HTTPS_PROXY", url)]), direct);
    assert!(proxy.take().contains(&server.to_owned()), "{server}");
    assert_eq!(look(&config, &[("HTTPS_PROXY", url), ("NO_PROXY", host)]), direct);
    assert_eq!(proxy.take(), Vec::<String>::new());

    let indent = before.rsplit('\n').next().unwrap();
    let with_proxy = format!("{before}proxy-url: {url}\n{indent}server: https://{after}");
    assert_eq!(look(&with_proxy, &[]), direct);
    assert!(proxy.take().contains(&server.to_owned()), "{server}");
}

/// What a step says of a service that is not there, and how it ends.
fn look(kubeconfig: &str, variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("kubeconfig");
    fs::write(&file, kubeconfig).unwrap();
    let variables: BTreeMap<_, _> = variables.iter().copied().collect();
    let Output { status, stderr, .. } = Command::new(demo::built("canary-rollback").unwrap())
        .args(["--namespace=default", "--service=none", "--canary-revision=none-2", "--timeout=9s"])
        .env_clear()
        .envs(variables)
        .env("KUBECONFIG", file)
        .output()
        .unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

//! A registry that works, until its script says otherwise. On bare sockets, as it may go in the middle of a request.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use registry::{Access, Credential, Repository};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::{
    registry_state::{Answer, State, said},
    wire::{Head, read_body, read_head},
};

/// What happens to one request.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// This status, these headers, this body, once the request was read. Nothing else happens
    Says(u16, Vec<(&'static str, String)>, String),
    /// The same before the body of the request was read
    Early(u16, String),
    /// The connection ends after so many bytes of the body
    CutAfter(usize),
    /// All is done as wanted, and the connection ends without an answer
    AnswerLost,
    /// All is read, nothing is answered
    Silent,
    /// Nothing of the body is read, nothing is answered
    Deaf,
    /// All tokens so far are no longer good
    Expires,
    /// All goes well
    None,
}

/// With the code that tells what a registry means.
pub(crate) fn error(status: u16, code: &str, message: &str) -> Fault {
    Fault::Says(status, vec![], said(code, message))
}

/// One that may be asked again at once.
pub(crate) fn busy(status: u16) -> Fault {
    Fault::Says(status, vec![("retry-after", "0".into())], String::new())
}

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// Path and query
    pub(crate) target: String,
    pub(crate) headers: BTreeMap<String, String>,
    /// Bytes of the body
    pub(crate) body: usize,
}

#[derive(Default)]
struct Script {
    faults: VecDeque<(&'static str, Fault)>,
    seen: Vec<Seen>,
    state: State,
}

pub(crate) struct Scripted {
    pub(crate) host: String,
    script: Arc<Mutex<Script>>,
}

impl Scripted {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let script = Arc::<Mutex<Script>>::default();
        let (shared, own) = (Arc::clone(&script), host.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (shared, own) = (Arc::clone(&shared), own.clone());
                tokio::spawn(async move { serve(stream, &shared, &own).await });
            }
        });
        Self { host, script }
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    /// The next request of this method, or the one after those that are in the script already.
    pub(crate) fn on(&self, method: &'static str, fault: Fault) -> &Self {
        self.script().faults.push_back((method, fault));
        self
    }

    pub(crate) fn state<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.script().state)
    }

    pub(crate) fn seen(&self, method: &str) -> Vec<Seen> {
        self.script().seen.iter().filter(|seen| seen.method == method).cloned().collect()
    }

    /// Waits for a request that nobody here waits for.
    pub(crate) async fn sees(&self, method: &str) -> Seen {
        loop {
            if let Some(seen) = self.seen(method).pop() {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) fn repository(&self, path: &str) -> Repository {
        self.with(path, Access::default())
    }

    /// One that is not waited for.
    pub(crate) fn impatient(&self, path: &str) -> Repository {
        let timeout = Duration::from_secs(1);
        self.with(path, Access { idle_timeout: timeout, timeout, ..Access::default() })
    }

    /// Of somebody with a password.
    pub(crate) fn known(&self, path: &str) -> Repository {
        let credential = Credential::Password { user: "lea".into(), password: "s3cr3t".into() };
        self.with(path, Access { credential: Some(credential), ..Access::default() })
    }

    fn with(&self, path: &str, access: Access) -> Repository {
        Repository::new(format!("{}/{path}", self.host).parse().unwrap(), access).unwrap()
    }
}

async fn serve(mut stream: TcpStream, script: &Mutex<Script>, host: &str) -> Option<()> {
    let mut buffer = Vec::new();
    while let Some(head) = read_head(&mut stream, &mut buffer).await {
        let fault = {
            let mut script = script.lock().unwrap();
            let at = script.faults.iter().position(|(method, _)| *method == head.method);
            at.and_then(|at| script.faults.remove(at)).map_or(Fault::None, |(_, fault)| fault)
        };
        let record = |body: usize| {
            let Head { method, target, headers } = head.clone();
            script.lock().unwrap().seen.push(Seen { method, target, headers, body });
        };
        if let Fault::CutAfter(_) | Fault::Deaf | Fault::Early(..) = &fault {
            record(if let Fault::CutAfter(bytes) = fault { bytes } else { 0 });
            return break_off(stream, buffer.len(), &head, &fault).await;
        }
        let body = read_body(&mut stream, &mut buffer, &head).await?;
        record(body.len());
        let answer = match fault {
            Fault::Silent => std::future::pending().await,
            Fault::Says(status, headers, body) => {
                let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value));
                Answer { status, headers: headers.collect(), body: body.into_bytes() }
            }
            fault => {
                let mut script = script.lock().unwrap();
                if matches!(fault, Fault::Expires) {
                    script.state.expire();
                }
                let answer = script.state.answer(host, &head, &body);
                drop(script);
                if matches!(fault, Fault::AnswerLost) {
                    return None;
                }
                answer
            }
        };
        stream.write_all(&answer.bytes(&head.method)).await.ok()?;
    }
    None
}

/// Before the body was read, or in its middle.
async fn break_off(mut stream: TcpStream, read: usize, head: &Head, fault: &Fault) -> Option<()> {
    let mut chunk = [0; 4096];
    match fault {
        Fault::CutAfter(bytes) => {
            let mut left = bytes.saturating_sub(read);
            while left > 0 {
                left = left.saturating_sub(stream.read(&mut chunk).await.ok()?);
            }
        }
        Fault::Early(status, body) => {
            let headers = vec![("connection".to_owned(), "close".to_owned())];
            let answer = Answer { status: *status, headers, body: body.clone().into_bytes() };
            stream.write_all(&answer.bytes(&head.method)).await.ok()?;
            // As Go's server does, so that the answer is not lost by a reset.
            while stream.read(&mut chunk).await.is_ok_and(|read| read > 0) {}
        }
        _ => std::future::pending().await,
    }
    None
}

//! What a registry holds, and what it is about to do wrong.

use std::collections::{BTreeMap, BTreeSet};

use super::http::{Answer, Request};

#[derive(Default)]
pub(crate) struct State {
    pub(crate) repositories: BTreeMap<String, Contents>,
    /// Uploads by their number: the repository, and what came
    pub(crate) sessions: BTreeMap<usize, (String, Vec<u8>)>,
    pub(crate) sessions_so_far: usize,
    pub(crate) seen: Vec<Seen>,
    pub(crate) faults: Vec<Fault>,
    /// Connections that are closed without a word
    pub(crate) dead_for: usize,
    pub(crate) guard: Guard,
    /// Scopes of the tokens that are good
    pub(crate) tokens: BTreeMap<String, BTreeSet<String>>,
    pub(crate) tokens_so_far: usize,
    pub(crate) mounts: Mounts,
    pub(crate) keeps_tags: bool,
}

/// One repository.
#[derive(Clone, Default)]
pub(crate) struct Contents {
    pub(crate) blobs: BTreeMap<String, Vec<u8>>,
    /// With their media types
    pub(crate) manifests: BTreeMap<String, (String, Vec<u8>)>,
    pub(crate) tags: BTreeMap<String, String>,
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Method and path
    pub(crate) line: String,
    /// 0 where it was not answered
    pub(crate) status: u16,
    /// Of its body
    pub(crate) bytes: usize,
}

/// Who may come in.
#[derive(Clone, Default)]
pub(crate) enum Guard {
    #[default]
    Nobody,
    /// Whose password opens the repositories below a path: user, password, path
    Passwords(Vec<(&'static str, &'static str, &'static str)>),
    /// Tokens, which this user and password get
    Tokens(&'static str, &'static str),
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Mounts {
    #[default]
    Work,
    /// Refused by opening an upload: 202
    AskForBytes,
    /// Refused by 401, as Harbor does for projects that it does not know
    Deny,
}

/// Something that goes wrong once, at the first request that it fits.
#[derive(Clone)]
pub(crate) struct Fault {
    method: &'static str,
    /// Is in the path
    path: &'static str,
    /// Requests that it fits and that go well before
    after: usize,
    pub(crate) what: What,
}

#[derive(Clone)]
pub(crate) enum What {
    /// Answered so, whatever it is, after so many bytes of its body
    Answers(usize, u16, Vec<(&'static str, String)>),
    /// Closed after so many bytes of its body
    Cut(usize),
    /// Done, and not answered
    AnswerLost,
    /// All tokens expire once so many bytes of its body came
    TokensExpire(usize),
    /// Closed after so many bytes of the body, and so is all that is asked, so many times
    Dies(usize, usize),
    /// What is not named by a manifest is collected before this is done
    Collects,
    /// All blobs of these digests are gone before this is done
    Loses(Vec<String>),
}

impl Fault {
    pub(crate) fn new(method: &'static str, path: &'static str, what: What) -> Self {
        Self { method, path, after: 0, what }
    }

    pub(crate) fn after(self, after: usize) -> Self {
        Self { after, ..self }
    }
}

impl State {
    /// Remembers a request, but for those that are always made.
    pub(crate) fn note(&mut self, request: &Request, status: u16, bytes: usize) {
        if request.path != "/v2/" && request.path != "/token" {
            let line = format!("{} {}", request.method, request.path);
            self.seen.push(Seen { line, status, bytes });
        }
    }

    /// What goes wrong with this request.
    pub(crate) fn fault(&mut self, request: &Request) -> Option<What> {
        let at = self.faults.iter().position(|fault| {
            fault.method == request.method && request.path.contains(fault.path)
        })?;
        if self.faults[at].after > 0 {
            self.faults[at].after -= 1;
            return None;
        }
        Some(self.faults.remove(at).what)
    }

    /// Takes out what no manifest of a repository names.
    pub(crate) fn collect(&mut self) {
        for contents in self.repositories.values_mut() {
            let manifests = contents.manifests.values();
            let all: String =
                manifests.map(|(_, text)| String::from_utf8_lossy(text).into_owned()).collect();
            contents.blobs.retain(|digest, _| all.contains(digest));
        }
    }

    pub(crate) fn lose(&mut self, digests: &[String]) {
        for contents in self.repositories.values_mut() {
            contents.blobs.retain(|digest, _| !digests.contains(digest));
        }
    }

    /// Whether a request may be answered; else what is said.
    pub(crate) fn admit(&self, request: &Request, host: &str) -> Result<(), Answer> {
        if request.path == "/token" {
            return Ok(());
        }
        let shown = request.headers.get("authorization").map(String::as_str).unwrap_or_default();
        let path = request.path.trim_start_matches("/v2/");
        match &self.guard {
            Guard::Nobody => Ok(()),
            Guard::Passwords(known) => {
                let opens = |(user, password, below): &(&str, &str, &str)| {
                    shown == basic(user, password) && path.starts_with(below)
                };
                let challenge = "Basic realm=\"models\"";
                if known.iter().any(opens) { Ok(()) } else { Err(unauthorized(challenge)) }
            }
            Guard::Tokens(..) => {
                let scopes = shown.strip_prefix("Bearer ").and_then(|it| self.tokens.get(it));
                let needed = needed(request);
                let has = |scopes: &BTreeSet<String>| needed.iter().all(|it| scopes.contains(it));
                let challenge = format!(
                    "Bearer realm=\"http://{host}/token\",service=\"models\",scope=\"placeholder\""
                );
                if scopes.is_some_and(has) { Ok(()) } else { Err(unauthorized(&challenge)) }
            }
        }
    }

    /// A token for what is asked for.
    pub(crate) fn token(&mut self, request: &Request) -> Answer {
        let Guard::Tokens(user, password) = self.guard else { return Answer::new(404) };
        if request.headers.get("authorization") != Some(&basic(user, password)) {
            return Answer::error(401, "UNAUTHORIZED", "authentication required");
        }
        self.tokens_so_far += 1;
        let token = format!("t0k3n{}", self.tokens_so_far);
        let scopes = request.query.iter().filter(|(key, _)| key == "scope");
        let rights = scopes.flat_map(|(_, scope)| {
            let (of, actions) = scope.rsplit_once(':').unwrap();
            actions.split(',').map(move |action| format!("{of}:{action}"))
        });
        self.tokens.insert(token.clone(), rights.collect());
        Answer::new(200).body(serde_json::json!({ "token": token }).to_string())
    }
}

/// The rights that a request takes.
fn needed(request: &Request) -> Vec<String> {
    let path = request.path.trim_start_matches("/v2/");
    let kinds = ["/manifests/", "/blobs/", "/tags/"];
    let Some(end) = kinds.iter().find_map(|kind| path.find(kind)) else { return Vec::new() };
    let right = if ["GET", "HEAD"].contains(&request.method.as_str()) { "pull" } else { "push" };
    let mut needed = vec![format!("repository:{}:{right}", &path[..end])];
    needed.extend(request.query("from").map(|from| format!("repository:{from}:pull")));
    needed
}

pub(crate) fn basic(user: &str, password: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn unauthorized(challenge: &str) -> Answer {
    Answer::error(401, "UNAUTHORIZED", "authentication required")
        .header("WWW-Authenticate", challenge)
}

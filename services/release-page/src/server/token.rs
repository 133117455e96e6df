//! What a browser or a program shows to be let in.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, ensure};
use axum::http::{
    HeaderMap,
    header::{AUTHORIZATION, COOKIE},
};
use sha2::{Digest as _, Sha256};
use step::{Failure, text::hex};
use subtle::ConstantTimeEq as _;

/// A shorter one is guessed.
const SHORTEST: usize = 16;
const COOKIE_NAME: &str = "release-page";
/// After a week, or when the token is another one, it is asked for again.
const COOKIE_SECONDS: u32 = 7 * 24 * 3600;

/// A file with the token, read for each request, as Kubernetes changes a mounted Secret under a pod that runs
#[derive(Clone, Debug)]
pub struct TokenFile(PathBuf);

impl TokenFile {
    /// Refuses a token that would let everybody in.
    pub fn open(path: PathBuf) -> Result<Self> {
        let file = Self(path);
        file.read().with_context(|| Failure {
            what: "failed to use the token".into(),
            hint: "`--token-file` names a file with one word, as `openssl rand -hex 32` prints it; in a pod, a key of a mounted Secret".into(),
        })?;
        Ok(file)
    }

    fn read(&self) -> Result<String> {
        let text = fs::read_to_string(&self.0)
            .with_context(|| format!("failed to read `{}`", self.0.display()))?;
        let token = text.trim();
        ensure!(!token.is_empty(), "`{}` is empty", self.0.display());
        ensure!(
            token.bytes().all(|byte| byte.is_ascii_graphic()),
            "`{}` has more than one word",
            self.0.display()
        );
        ensure!(
            token.len() >= SHORTEST,
            "`{}` has fewer than {SHORTEST} characters",
            self.0.display()
        );
        Ok(token.to_owned())
    }

    /// Whether the request has it, as `Authorization: Bearer` or as the cookie of a browser that was let in. A
    /// file that cannot be read by now lets nobody in.
    pub(super) fn is_shown_by(&self, headers: &HeaderMap) -> bool {
        let Ok(token) = self.read() else { return false };
        let bearer =
            headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| {
                let (scheme, word) = value.split_once(' ')?;
                scheme.eq_ignore_ascii_case("bearer").then(|| word.trim())
            });
        bearer.is_some_and(|word| same(word, &token))
            || cookies(headers).any(|word| same(word, &seal(&token)))
    }

    /// The cookie for who has typed the token.
    pub(super) fn cookie_for(&self, typed: &str, path: &str, is_https: bool) -> Option<String> {
        let token = self.read().ok()?;
        same(typed.trim(), &token)
            .then(|| set_cookie(&seal(&token), path, is_https, COOKIE_SECONDS))
    }
}

/// Takes the cookie away.
pub(super) fn no_cookie(path: &str) -> String {
    set_cookie("", path, false, 0)
}

fn set_cookie(value: &str, path: &str, is_https: bool, seconds: u32) -> String {
    let secure = if is_https { "; Secure" } else { "" };
    let path = if path.is_empty() { "/" } else { path }; // `/releases/` would not be of `/releases`
    format!(
        "{COOKIE_NAME}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"
    )
}

/// A browser may have several of the name: ports of one host share them.
pub(super) fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let pairs = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let pairs =
        pairs.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == COOKIE_NAME).map(|(_, value)| value)
}

/// A browser keeps this in place of the token, from which the token does not follow.
fn seal(token: &str) -> String {
    hex(&Sha256::digest(format!("release-page cookie {token}")))
}

fn same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

//! Secrets of this process, so that a server that repeats them puts none into our log.

use std::{
    borrow::Cow,
    cmp::Reverse,
    env,
    sync::{PoisonError, RwLock},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use percent_encoding::percent_decode_str;

/// Shorter, it is a word that a sentence has for another reason.
pub(crate) const SHORTEST: usize = 6;

/// For the life of the process, which sends them.
static KEPT: RwLock<Vec<String>> = RwLock::new(Vec::new());

/// From now on, [`crate::text::short`] shows `…` where somebody else's text has it.
pub fn keep(secret: &str) {
    let secret = secret.trim();
    let mut kept = KEPT.write().unwrap_or_else(PoisonError::into_inner);
    if secret.len() >= SHORTEST && kept.iter().all(|known| known != secret) {
        kept.push(secret.to_owned());
        kept.sort_by_key(|secret| Reverse(secret.len())); // the whole before a part of it
    }
}

/// Keeps what is secret in variables that libraries read by themselves.
pub(crate) fn keep_variables() {
    let value = |name: &str| env::var(name).unwrap_or_default();
    for name in ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
        keep(&value(name));
    }
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        keep_address(&value(name));
        keep_address(&value(&name.to_lowercase()));
    }
}

/// Keeps the value of a header, and of `Bearer TOKEN` the token.
pub fn keep_header(value: &str) {
    keep(value);
    if let Some((_, token)) = value.split_once(' ') {
        keep(token);
    }
}

/// Keeps what [`crate::text::address`] does not show, as it is written and as it is sent.
pub fn keep_address(url: &str) {
    let (plain, hidden) = url.find(['?', '#']).map_or((url, ""), |at| url.split_at(at));
    for pair in hidden.split(['?', '&', '#']) {
        let value = pair.split_once('=').map_or(pair, |(_, value)| value);
        keep(value);
        keep(&decoded(value));
    }
    let rest = plain.split_once("://").map_or(plain, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or_default();
    let Some((user, _)) = host.rsplit_once('@') else { return };
    let (name, password) = user.split_once(':').unwrap_or((user, ""));
    // A name alone is a token; beside a password it is no secret.
    let secret = if password.is_empty() { name } else { password };
    keep(secret);
    keep(&decoded(secret));
    keep_user(&decoded(name), &decoded(password));
}

/// Keeps a password, also as `Authorization: Basic` sends it.
pub fn keep_user(name: &str, password: &str) {
    keep(password);
    keep(&BASE64.encode(format!("{name}:{password}")));
}

pub(crate) fn hide(text: &str) -> Cow<'_, str> {
    let kept = KEPT.read().unwrap_or_else(PoisonError::into_inner);
    let found = kept.iter().filter(|secret| text.contains(secret.as_str()));
    found.fold(Cow::Borrowed(text), |text, secret| text.replace(secret.as_str(), "…").into())
}

fn decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::short;

    #[test]
    fn a_server_that_repeats_a_secret_shows_none() {
        keep_header("Bearer tok-7f3a");
        assert_eq!(short("you sent `Bearer tok-7f3a`, not tok-7f3a", 99), "you sent `…`, not …");
    }

    #[test]
    fn all_that_an_address_hides_is_kept() {
        keep_address("https://ada:p%40ssw0rd@host/a?sig=q%2Buery1&x#fragm3nt");
        for repeated in
            ["p%40ssw0rd", "p@ssw0rd", "YWRhOnBAc3N3MHJk", "q%2Buery1", "q+uery1", "fragm3nt"]
        {
            assert_eq!(short(repeated, 99), "…", "{repeated}");
        }
        assert_eq!(short("ada x host", 99), "ada x host", "a name or a short word is none");
    }

    #[test]
    fn a_user_without_a_password_is_a_token() {
        keep_address("https://t0ken-of-mine@host/");
        assert_eq!(short("t0ken-of-mine", 99), "…");
    }
}

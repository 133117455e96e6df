//! What a registry wants to see of us: a password, or a token of the service that it names.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use reqwest::{
    Response, Url,
    header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE},
};
use serde::Deserialize;

use crate::{
    credentials::Credential,
    error::RegistryError,
    http::{Http, parse},
};

const LARGEST_TOKEN: usize = 64 << 10;

/// What to send in answer to a 401; nothing where we have nothing that it wants.
pub(crate) async fn authorize(
    http: &Http,
    answer: &Response,
    base: &Url,
    repository: &str,
    credential: Option<&Credential>,
) -> Result<Option<HeaderValue>, RegistryError> {
    let mut offered = answer.headers().get_all(WWW_AUTHENTICATE).iter();
    let challenge = offered.find_map(|value| Challenge::parse(value.to_str().ok()?));
    let Some(challenge) = challenge else { return Ok(None) };
    match (challenge, credential) {
        (Challenge::Basic, Some(Credential::Password { user, password })) => {
            Ok(Some(basic(user, password)))
        }
        (Challenge::Basic, _) => Ok(None),
        (Challenge::Bearer { realm, service }, credential) => {
            let url = Url::parse(&realm).map_err(|_| RegistryError::Malformed("token service"))?;
            if url.scheme() != "https" && base.scheme() == "https" {
                return Err(RegistryError::Denied(
                    "its token service has no TLS, so it gets no credentials".into(),
                ));
            }
            // Of our own making: some registries put a placeholder into the challenge.
            let scope = format!("repository:{repository}:pull");
            token(http, url, &service, &scope, credential).await.map(Some)
        }
    }
}

async fn token(
    http: &Http,
    realm: Url,
    service: &str,
    scope: &str,
    credential: Option<&Credential>,
) -> Result<HeaderValue, RegistryError> {
    let ask = |realm| http.client.get(realm).query(&[("service", service), ("scope", scope)]);
    let request = match credential {
        Some(Credential::IdentityToken(token)) => http.client.post(realm).form(&[
            ("grant_type", "refresh_token"),
            ("service", service),
            ("client_id", "kanaria"),
            ("scope", scope),
            ("refresh_token", token),
        ]),
        Some(Credential::Password { user, password }) => {
            ask(realm).header(AUTHORIZATION, basic(user, password))
        }
        None => ask(realm),
    };
    let answer = http.send(request).await?;
    if !answer.status().is_success() {
        return Err(http.refusal(answer).await);
    }
    let text = http.whole(answer, LARGEST_TOKEN, "token").await?;
    let Token { token, access_token } = parse(&text, "token")?;
    let token = token.or(access_token).ok_or(RegistryError::Malformed("token"))?;
    sensitive(&format!("Bearer {token}")).ok_or(RegistryError::Malformed("token"))
}

/// What a 401 asks for.
#[derive(Debug, PartialEq, Eq)]
enum Challenge {
    Basic,
    Bearer { realm: String, service: String },
}

impl Challenge {
    fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        if kind.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !kind.eq_ignore_ascii_case("bearer") {
            return None;
        }
        // A value in quotes may hold a comma: `scope="repository:x:pull,push"`.
        let mut fields = BTreeMap::new();
        let mut rest = rest.trim();
        while let Some((key, more)) = rest.split_once('=') {
            let (value, after) = match more.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"')?,
                None => more.split_once(',').unwrap_or((more, "")),
            };
            fields.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
            rest = after.trim_start_matches([',', ' ']);
        }
        Some(Self::Bearer {
            realm: fields.remove("realm")?,
            service: fields.remove("service").unwrap_or_default(),
        })
    }
}

fn basic(user: &str, password: &str) -> HeaderValue {
    let joined = BASE64.encode(format!("{user}:{password}"));
    sensitive(&format!("Basic {joined}")).unwrap_or(HeaderValue::from_static("Basic"))
}

/// A header that no `Debug` shows and that no redirect takes elsewhere.
fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_read_in_either_case_and_with_commas_in_quotes() {
        let bearer = |realm: &str, service: &str| {
            Some(Challenge::Bearer { realm: realm.into(), service: service.into() })
        };
        for (text, wanted) in [
            ("Basic realm=\"x\"", Some(Challenge::Basic)),
            ("basic", Some(Challenge::Basic)),
            (
                "Bearer realm=\"https://auth.example/token\",service=\"r.example\",scope=\"repository:x:pull,push\"",
                bearer("https://auth.example/token", "r.example"),
            ),
            ("bearer scope=\"a,b\", realm=\"https://a/t\"", bearer("https://a/t", "")),
            ("Bearer realm=https://a/t,service=s", bearer("https://a/t", "s")),
            ("Bearer service=\"s\"", None),
            ("Negotiate", None),
        ] {
            assert_eq!(Challenge::parse(text), wanted, "{text}");
        }
    }
}

//! What a registry wants to see of us: a password, or a token of the service that it names.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use reqwest::{
    Response, Url,
    header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE},
};
use serde::Deserialize;
use step::secret;
use tokio::sync::Mutex;

use crate::{
    credentials::Credential,
    error::{RegistryError, Right},
    http::{Http, parse},
    reference::RepositoryName,
    refusal::Refusal,
};

const LARGEST_TOKEN: usize = 64 << 10;

/// What a request needs: a right in its repository, and perhaps to pull from another one beside it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Scope {
    pub(crate) right: Right,
    pub(crate) repository: RepositoryName,
    pub(crate) mounted_from: Option<RepositoryName>,
}

impl Scope {
    /// Of our own making: some registries put a placeholder into the challenge.
    fn texts(&self) -> Vec<String> {
        let actions = match self.right {
            Right::Pull => "pull",
            Right::Push => "pull,push",
        };
        let own = format!("repository:{}:{actions}", self.repository.path);
        let other = self.mounted_from.as_ref();
        std::iter::once(own)
            .chain(other.map(|from| format!("repository:{}:pull", from.path)))
            .collect()
    }

    fn denied(&self, text: String) -> RegistryError {
        let Self { right, repository, .. } = self;
        RegistryError::Denied { text, right: *right, repository: repository.clone() }
    }
}

/// Headers that a registry took, for what they are good.
#[derive(Debug, Default)]
pub(crate) struct Authorizations(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Good for everything
    password: Option<HeaderValue>,
    tokens: BTreeMap<Scope, HeaderValue>,
    /// Where tokens are made, and for which service
    maker: Option<(Url, String)>,
}

impl Authorizations {
    /// What the registry took before, or a token of the kind that it asked for before. None: it has not asked yet.
    pub(crate) async fn of(
        &self,
        http: &Http,
        scope: &Scope,
        credential: Option<&Credential>,
    ) -> Result<Option<HeaderValue>, RegistryError> {
        let known = self.0.lock().await;
        let pushing = || known.tokens.get(&Scope { right: Right::Push, ..scope.clone() });
        let token = known.tokens.get(scope).or_else(pushing);
        if let Some(header) = known.password.as_ref().or(token) {
            return Ok(Some(header.clone()));
        }
        let Some((realm, service)) = known.maker.clone() else { return Ok(None) };
        drop(known);
        let header = token_of(http, realm, &service, scope, credential).await?;
        self.0.lock().await.tokens.insert(scope.clone(), header.clone());
        Ok(Some(header))
    }

    /// What a registry no longer takes. Who comes late does not take what another one has renewed meanwhile.
    pub(crate) async fn forget(&self, refused: &HeaderValue) {
        let mut known = self.0.lock().await;
        known.tokens.retain(|_, token| token != refused);
        known.password.take_if(|password| password == refused);
    }

    /// Makes what a 401 asks for, and keeps it.
    pub(crate) async fn renew(
        &self,
        http: &Http,
        answer: &Response,
        base: &Url,
        scope: &Scope,
        credential: Option<&Credential>,
    ) -> Result<HeaderValue, RegistryError> {
        let mut offered = answer.headers().get_all(WWW_AUTHENTICATE).iter();
        let challenge = offered.find_map(|value| Challenge::parse(value.to_str().ok()?));
        let denied = |why: &str| scope.denied(format!("it answered {}{why}", answer.status()));
        match (challenge, credential) {
            (None, _) => Err(denied(" and asks for nothing that is known here")),
            (Some(Challenge::Basic), Some(Credential::Password { user, password })) => {
                let header = basic(user, password);
                self.0.lock().await.password = Some(header.clone());
                Ok(header)
            }
            (Some(Challenge::Basic), None) => {
                Err(denied(" and wants a password, of which none is known"))
            }
            (Some(Challenge::Basic), Some(Credential::IdentityToken(_))) => {
                Err(denied(" and wants a password, not an identity token"))
            }
            (Some(Challenge::Bearer { realm, service }), credential) => {
                let url =
                    Url::parse(&realm).map_err(|_| RegistryError::Malformed("token service"))?;
                if url.scheme() != "https" && base.scheme() == "https" {
                    return Err(scope
                        .denied("its token service has no TLS, so it gets no credentials".into()));
                }
                let header = token_of(http, url.clone(), &service, scope, credential).await?;
                let mut known = self.0.lock().await;
                known.maker = Some((url, service));
                known.tokens.insert(scope.clone(), header.clone());
                Ok(header)
            }
        }
    }
}

async fn token_of(
    http: &Http,
    realm: Url,
    service: &str,
    scope: &Scope,
    credential: Option<&Credential>,
) -> Result<HeaderValue, RegistryError> {
    let scopes = scope.texts();
    let ask = |realm| {
        let scopes = scopes.iter().map(|scope| ("scope", scope.as_str()));
        let query: Vec<_> = std::iter::once(("service", service)).chain(scopes).collect();
        http.client.get(realm).query(&query)
    };
    let request = match credential {
        Some(Credential::IdentityToken(token)) => http.client.post(realm).form(&[
            ("grant_type", "refresh_token"),
            ("service", service),
            ("client_id", "kanaria"),
            ("scope", &scopes.join(" ")),
            ("refresh_token", token),
        ]),
        Some(Credential::Password { user, password }) => {
            ask(realm).header(AUTHORIZATION, basic(user, password))
        }
        None => ask(realm),
    };
    let answer = http.send(request).await?;
    if !answer.status().is_success() {
        let mut refusal = Refusal::read(http, answer).await;
        refusal.text = refusal.text.replacen("it answered", "its token service answered", 1);
        return Err(refusal.error(scope.right, &scope.repository));
    }
    let text = http.whole(answer, LARGEST_TOKEN, "token").await?;
    let Token { token, access_token } = parse(&text, "token")?;
    let token = token.or(access_token).ok_or(RegistryError::Malformed("token"))?;
    secret::keep(&token);
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

    #[tokio::test]
    async fn a_token_service_without_tls_gets_no_credentials_of_a_registry_with_it() {
        let challenge = "Bearer realm=\"http://auth.example/token\",service=\"r\"";
        let answer = http::Response::builder().status(401).header(WWW_AUTHENTICATE, challenge);
        let scope = Scope {
            right: Right::Push,
            repository: "r.example/iris".parse().unwrap(),
            mounted_from: None,
        };
        let http = Http::new(&[], std::time::Duration::from_secs(1)).unwrap();
        let base = "https://r.example/v2/".parse().unwrap();
        let answer = answer.body("").unwrap().into();
        let known = Authorizations::default();
        let refused = known.renew(&http, &answer, &base, &scope, None).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "its token service has no TLS, so it gets no credentials: the right to push to `r.example/iris` is missing"
        );
    }
}

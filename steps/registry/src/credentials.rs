//! `config.json` of `docker login`: who we are for which registry.

use std::{collections::BTreeMap, fmt};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::Deserialize;
use step::{SecretError, SecretFolder};
use thiserror::Error;

use crate::reference::RepositoryName;

/// What a `config.json` holds.
#[derive(Debug, Default)]
pub struct Credentials {
    auths: BTreeMap<String, Credential>,
    /// Registries whose credentials a program would have to be asked for
    helpers: Vec<String>,
    default_helper: Option<String>,
}

/// A name and a password, or the token that stands for them. Not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    Password {
        user: String,
        password: String,
    },
    /// Exchanged for tokens by OAuth 2, as Azure's registry does
    IdentityToken(String),
}

#[derive(Debug, Error)]
pub enum CredentialsError {
    #[error(transparent)]
    Read(#[from] SecretError),
    /// Without the parser's words, which may quote a password
    #[error("`{0}` is not a valid configuration of Docker")]
    Parse(String),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential")
    }
}

impl Credentials {
    /// Reads `config.json` of a folder, or what `kubectl create secret docker-registry` calls it there. A folder
    /// with neither holds none.
    pub fn read(folder: &SecretFolder) -> Result<Self, CredentialsError> {
        for name in ["config.json", ".dockerconfigjson"] {
            if let Some(text) = folder.bytes(name)? {
                let path = folder.path().join(name).display().to_string();
                return Self::parse(&text).ok_or(CredentialsError::Parse(path));
            }
        }
        Ok(Self::default())
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let config: Config = serde_json::from_slice(text).ok()?;
        let auths = config
            .auths
            .into_iter()
            .filter_map(|(key, auth)| Some((place(&key), auth.credential()?)));
        Some(Self {
            auths: auths.collect(),
            helpers: config.cred_helpers.into_keys().map(|key| place(&key)).collect(),
            default_helper: config.creds_store,
        })
    }

    /// The credential of the longest path that the image lies in: `HOST/team/models` before `HOST/team` before `HOST`.
    pub fn of(&self, image: &RepositoryName) -> Option<&Credential> {
        places(image).find_map(|place| self.auths.get(&place))
    }

    /// The program that Docker would ask for them. It is not run: a step's image has no programs.
    pub fn helper(&self, image: &RepositoryName) -> Option<&str> {
        let named = places(image).any(|place| self.helpers.contains(&place));
        if named { Some("credHelpers") } else { self.default_helper.as_ref().map(|_| "credsStore") }
    }
}

/// A key of `auths` without what Docker writes around the host: `https://index.docker.io/v1/`.
fn place(key: &str) -> String {
    let key =
        key.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
    let key = key.strip_suffix("/v1").or_else(|| key.strip_suffix("/v2")).unwrap_or(key);
    match key.split_once('/') {
        None if key == "docker.io" => "index.docker.io".into(),
        Some(("docker.io", path)) => format!("index.docker.io/{path}"),
        _ => key.into(),
    }
}

fn places(image: &RepositoryName) -> impl Iterator<Item = String> {
    let whole = image.to_string();
    let ends: Vec<_> = whole.match_indices('/').map(|(end, _)| end).collect();
    let shorter: Vec<_> = ends.into_iter().rev().map(|end| whole[..end].to_owned()).collect();
    std::iter::once(whole).chain(shorter)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Deserialize)]
struct Auth {
    /// `USER:PASSWORD` in base64
    #[serde(rename = "auth")]
    joined: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

impl Auth {
    fn credential(self) -> Option<Credential> {
        if let Some(token) = self.identitytoken.filter(|token| !token.is_empty()) {
            return Some(Credential::IdentityToken(token));
        }
        let joined =
            self.joined.and_then(|auth| String::from_utf8(BASE64.decode(auth.trim()).ok()?).ok());
        let from_auth = joined.as_deref().and_then(|joined| joined.split_once(':'));
        let (user, password) = match from_auth {
            Some((user, password)) => (user.to_owned(), password.to_owned()),
            None => (self.username?, self.password?),
        };
        Some(Credential::Password { user, password })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(config: &str, image: &str) -> Option<Credential> {
        Credentials::parse(config.as_bytes()).unwrap().of(&image.parse().unwrap()).cloned()
    }

    fn password(user: &str) -> Credential {
        Credential::Password { user: user.into(), password: "p:w".into() }
    }

    #[test]
    fn the_longest_path_wins_and_other_hosts_get_nothing() {
        let auth = |user: &str| BASE64.encode(format!("{user}:p:w"));
        let config = format!(
            r#"{{"auths": {{"r.example": {{"auth": "{}"}}, "r.example/team/models": {{"auth": "{}"}},
                "https://index.docker.io/v1/": {{"username": "hub", "password": "p:w"}}}}}}"#,
            auth("all"),
            auth("models"),
        );
        assert_eq!(of(&config, "r.example/team/models/iris"), Some(password("models")));
        assert_eq!(of(&config, "r.example/team/modelsx"), Some(password("all")));
        assert_eq!(of(&config, "r.example:5000/team/models/iris"), None);
        assert_eq!(of(&config, "acme/iris"), Some(password("hub")));
        assert_eq!(of(&config, "docker.io/acme/iris"), Some(password("hub")));
        assert_eq!(of(&config, "evil-r.example/team/models/iris"), None);
    }

    #[test]
    fn identity_tokens_and_helpers_are_known() {
        let config = r#"{"auths": {"a.azurecr.io": {"auth": "MDA6", "identitytoken": "t0ken"}, "empty.example": {}},
            "credHelpers": {"1.dkr.ecr.eu-west-1.amazonaws.com": "ecr-login"}}"#;
        assert_eq!(of(config, "a.azurecr.io/x"), Some(Credential::IdentityToken("t0ken".into())));
        assert_eq!(of(config, "empty.example/x"), None);
        let read = Credentials::parse(config.as_bytes()).unwrap();
        let helper = |image: &str| read.helper(&image.parse().unwrap()).map(str::to_owned);
        assert_eq!(
            helper("1.dkr.ecr.eu-west-1.amazonaws.com/iris").as_deref(),
            Some("credHelpers")
        );
        assert_eq!(helper("a.azurecr.io/x"), None);
    }

    #[test]
    fn a_folder_may_hold_either_name_or_nothing_and_a_bad_file_is_not_quoted() {
        let home = tempfile::tempdir().unwrap();
        let folder = SecretFolder::from(home.path().as_os_str().to_owned());
        let image = "r.example/x".parse().unwrap();
        assert_eq!(Credentials::read(&folder).unwrap().of(&image), None);
        let write = |name: &str, text: &str| std::fs::write(home.path().join(name), text).unwrap();
        write(
            ".dockerconfigjson",
            r#"{"auths": {"r.example": {"username": "u", "password": "p:w"}}}"#,
        );
        assert_eq!(Credentials::read(&folder).unwrap().of(&image), Some(&password("u")));
        write("config.json", r#"{"auths": {"r.example": "s3cr3t"}}"#);
        let error = Credentials::read(&folder).unwrap_err();
        assert!(
            error.to_string().ends_with("config.json` is not a valid configuration of Docker"),
            "{error}"
        );
        assert!(!format!("{:?}", Credentials::read(&folder)).contains("s3cr3t"));
    }
}

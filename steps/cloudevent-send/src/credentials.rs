//! Secrets and certificates: read from files, shown nowhere.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use clap::Args;
use cloudevent::id::hex;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::{Certificate, Identity, Url};
use sha2::Sha256;
use step::{Failure, Usage};

/// Where Knative mounts the token of a `SinkBinding` or a source that authenticates itself.
const KNATIVE_TOKEN: &str = "/oidc/token";

#[derive(Args)]
#[command(next_help_heading = "Credentials")]
pub(crate) struct CredentialArgs {
    /// Folder that may hold `token`, `hmac`, `ca.crt`, `tls.crt` and `tls.key`, as a mounted Secret
    /// does; what is there is used, and the flags below win
    #[arg(long, value_name = "DIR")]
    credentials: Option<PathBuf>,
    /// File of a token, sent as `Authorization: Bearer …` [default: /oidc/token if it is there]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// File of the secret that signs the body with HMAC-SHA256. Verbatim but for a final newline
    #[arg(long, value_name = "FILE")]
    hmac_secret_file: Option<PathBuf>,
    /// Header for the signature, `sha256=` and 64 hex digits
    #[arg(long, value_name = "NAME", default_value = "X-Hub-Signature-256")]
    hmac_header: String,
    /// PEM file of certificate authorities to trust beside the system's
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// PEM text of certificate authorities to trust, as Knative hands it over
    #[arg(long, value_name = "PEM", env = "K_CA_CERTS", hide_env_values = true)]
    ca_certs: Option<String>,
    /// PEM file of the certificate that this client shows; needs `--client-key`
    #[arg(long, value_name = "FILE")]
    client_cert: Option<PathBuf>,
    /// PEM file of the client certificate's key
    #[arg(long, value_name = "FILE")]
    client_key: Option<PathBuf>,
    /// Send credentials over plain `http://` too
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", action = clap::ArgAction::Set)]
    insecure_http: bool,
}

/// What proves who sends, and whom to trust.
pub(crate) struct Credentials {
    pub(crate) token: Option<Token>,
    pub(crate) signer: Option<Signer>,
    pub(crate) authorities: Vec<Certificate>,
    pub(crate) identity: Option<Identity>,
}

pub(crate) struct Token {
    /// For a dry run, which names the file in place of the token
    pub(crate) file: PathBuf,
    pub(crate) text: String,
}

/// Signs a body; the header's name and the key.
pub(crate) struct Signer {
    pub(crate) header: String,
    key: Vec<u8>,
}

impl Signer {
    /// `sha256=` and 64 hex digits, as GitHub and Tekton's `github` interceptor write it.
    pub(crate) fn sign(&self, body: &[u8]) -> Result<String> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.key).context("failed to use the HMAC secret")?;
        mac.update(body);
        Ok(format!("sha256={}", hex(&mac.finalize().into_bytes())))
    }
}

impl CredentialArgs {
    /// Reads every file, and refuses what would send a secret in the clear to `sink`.
    pub(crate) fn read(self, sink: &Url) -> Result<Credentials> {
        let in_clear = sink.scheme() == "http" && !self.insecure_http;
        let Self {
            credentials,
            token_file,
            hmac_secret_file,
            hmac_header,
            ca_file,
            ca_certs,
            client_cert,
            client_key,
            insecure_http: _,
        } = self;
        let found = |name: &str| {
            credentials.as_ref().map(|folder| folder.join(name)).filter(|file| file.exists())
        };
        if let Some(folder) = credentials.as_ref().filter(|folder| !folder.is_dir()) {
            bail!(Usage {
                what: format!("credentials `{}` is no folder", folder.display()),
                hint: "name the folder in which the Secret is mounted".into(),
            });
        }

        // Nobody asked for Knative's token: it stays at home rather than travel in the clear.
        let knatives =
            || Some(PathBuf::from(KNATIVE_TOKEN)).filter(|file| file.exists() && !in_clear);
        let token =
            token_file.or_else(|| found("token")).or_else(knatives).map(read_token).transpose()?;
        let key =
            hmac_secret_file.or_else(|| found("hmac")).map(|file| read_key(&file)).transpose()?;
        let has_secret = token.is_some()
            || key.is_some()
            || sink.password().is_some()
            || !sink.username().is_empty();
        if in_clear && has_secret {
            bail!(Usage {
                what: format!("credentials would go to `{}` in the clear", shown(sink)),
                hint: "use an `https://` sink, or allow it with `insecure-http`".into(),
            });
        }

        let cert = client_cert.or_else(|| found("tls.crt"));
        let client_key = client_key.or_else(|| found("tls.key"));
        let ca_file = ca_file.or_else(|| found("ca.crt"));
        Ok(Credentials {
            token,
            signer: key.map(|key| Signer { header: hmac_header, key }),
            authorities: read_authorities(ca_file.as_deref(), ca_certs.as_deref())?,
            identity: read_identity(cert.as_deref(), client_key.as_deref())?,
        })
    }
}

/// The address without user and password.
pub(crate) fn shown(sink: &Url) -> String {
    let mut url = sink.clone();
    // Only an address without a host refuses this, and it has no user either.
    let _ = url.set_password(None).and_then(|()| url.set_username(""));
    url.to_string()
}

fn read_token(file: PathBuf) -> Result<Token> {
    let text = String::from_utf8(without_newline(read_file(&file)?)).unwrap_or_default();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        bail!(Usage {
            what: format!("`{}` holds no token", file.display()),
            hint: "the file holds the bare token on one line, without `Bearer`".into(),
        });
    }
    Ok(Token { file, text })
}

fn read_key(file: &Path) -> Result<Vec<u8>> {
    let key = without_newline(read_file(file)?);
    if key.is_empty() {
        bail!(Usage {
            what: format!("the HMAC secret `{}` is empty", file.display()),
            hint: "an empty secret signs nothing: fill the Secret's key `hmac`".into(),
        });
    }
    Ok(key)
}

fn read_authorities(file: Option<&Path>, text: Option<&str>) -> Result<Vec<Certificate>> {
    let mut authorities = Vec::new();
    if let Some(file) = file {
        authorities.extend(certificates(&read_file(file)?, &file.display().to_string())?);
    }
    if let Some(text) = text {
        authorities.extend(certificates(text.as_bytes(), "K_CA_CERTS")?);
    }
    Ok(authorities)
}

fn read_identity(cert: Option<&Path>, key: Option<&Path>) -> Result<Option<Identity>> {
    let (cert, key) = match (cert, key) {
        (None, None) => return Ok(None),
        (Some(cert), Some(key)) => (cert, key),
        _ => bail!(Usage {
            what: "a client certificate and its key belong together".into(),
            hint: "give both `--client-cert` and `--client-key`, or `tls.crt` and `tls.key`".into(),
        }),
    };
    let pem = [read_file(cert)?, read_file(key)?].join(&b'\n');
    let identity = Identity::from_pem(&pem).with_context(|| Usage {
        what: format!("failed to use client certificate `{}`", cert.display()),
        hint: format!("`{}` must hold a PEM chain and `{}` its key", cert.display(), key.display()),
    })?;
    Ok(Some(identity))
}

fn certificates(pem: &[u8], origin: &str) -> Result<Vec<Certificate>> {
    let unusable = || Usage {
        what: format!("failed to use the certificate authorities of `{origin}`"),
        hint: "it must be PEM text with at least one `BEGIN CERTIFICATE`".into(),
    };
    let found = Certificate::from_pem_bundle(pem).with_context(unusable)?;
    if found.is_empty() { Err(unusable().into()) } else { Ok(found) }
}

fn read_file(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| Failure {
        what: format!("failed to read `{}`", file.display()),
        hint: "is the Secret mounted there, and can user 65532 read it?".into(),
    })
}

fn without_newline(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.iter().rposition(|byte| !b"\r\n".contains(byte)).map_or(0, |last| last + 1);
    bytes.truncate(end);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_one_that_github_documents() {
        let signer = Signer {
            header: "X-Hub-Signature-256".into(),
            key: b"It's a Secret to Everybody".to_vec(),
        };
        assert_eq!(
            signer.sign(b"Hello, World!").unwrap(),
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
        );
    }

    #[test]
    fn an_address_is_shown_without_its_password() {
        let url = Url::parse("https://ada:secret@sink.example/events?x=1").unwrap();
        assert_eq!(shown(&url), "https://sink.example/events?x=1");
    }

    #[test]
    fn only_the_final_newline_of_a_secret_is_dropped() {
        assert_eq!(without_newline(b" a\nb \r\n".to_vec()), b" a\nb ");
        assert_eq!(without_newline(b"\n".to_vec()), b"");
    }
}

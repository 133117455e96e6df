//! Secrets and certificates: read from files, shown nowhere.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use clap::Args;
use cloudevent::http_binding::percent_encode;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::{Certificate, Identity, Url, header::HeaderName};
use sha2::Sha256;
use step::{
    Failure, SecretFolder, Usage, secret,
    text::{hex, origin},
};

/// Where Knative mounts the token of a `SinkBinding` or a source that authenticates itself.
const KNATIVE_TOKEN: &str = "/oidc/token";

const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

#[derive(Args)]
#[command(next_help_heading = "Credentials")]
pub(crate) struct CredentialArgs {
    /// Folder that may hold `token`, `hmac`, `ca.crt`, `tls.crt` and `tls.key`, as a mounted Secret
    /// does; what is there is used, and the flags below win. Over plain `http://` a token stays at home
    /// where there is an `hmac`, whose signature tells nothing secret
    #[arg(long)]
    credentials: Option<SecretFolder>,
    /// File of a token, sent as `Authorization: Bearer …` [default: /oidc/token if it is there]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// File of the secret that signs the body with HMAC-SHA256. Verbatim but for a final newline;
    /// `whsec_` and base64 sign as Standard Webhooks has it, with id and time
    #[arg(long, value_name = "FILE")]
    hmac_secret_file: Option<PathBuf>,
    /// Header for the signature of a verbatim secret, `sha256=` and 64 hex digits
    #[arg(long, value_name = "NAME", default_value = "X-Hub-Signature-256")]
    hmac_header: HeaderName,
    /// PEM file of additional CA certificates
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// PEM text of additional CA certificates, as Knative hands it over
    #[arg(long, value_name = "PEM", env = "K_CA_CERTS")]
    ca_certs: Option<String>,
    /// PEM file of the certificate that this client shows; needs `--client-key`
    #[arg(long, value_name = "FILE")]
    client_cert: Option<PathBuf>,
    /// PEM file of the client certificate's key
    #[arg(long, value_name = "FILE")]
    client_key: Option<PathBuf>,
    /// Send a token or password over plain `http://` too
    #[arg(long)]
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

/// Signs what is sent, which shows the secret to nobody.
pub(crate) struct Signer {
    form: Form,
    mac: Hmac<Sha256>,
}

enum Form {
    /// As GitHub and Tekton's `github` interceptor write it: the body, in the header of this name
    Body(HeaderName),
    /// As <https://www.standardwebhooks.com> writes it: id, time and body
    Standard,
}

impl Signer {
    fn new(secret: &[u8], file: &Path, header: HeaderName) -> Result<Self> {
        let (form, key) = match secret.strip_prefix(b"whsec_") {
            None => (Form::Body(header), secret.to_owned()),
            Some(encoded) => {
                let key = BASE64.decode(encoded).with_context(|| Usage {
                    what: format!("`{}` has no base64 behind `whsec_`", file.display()),
                    hint: "copy the whole secret, or use one that does not begin so".into(),
                })?;
                (Form::Standard, key)
            }
        };
        let mac = Hmac::new_from_slice(&key).context("failed to use the HMAC secret")?;
        Ok(Self { form, mac })
    }

    /// The headers that prove who sends this body at this time, in seconds since 1970.
    pub(crate) fn sign(&self, id: &str, now: u64, body: &[u8]) -> Vec<(HeaderName, String)> {
        let mut mac = self.mac.clone();
        match &self.form {
            Form::Body(header) => {
                mac.update(body);
                vec![(header.clone(), format!("sha256={}", hex(&mac.finalize().into_bytes())))]
            }
            Form::Standard => {
                let id = percent_encode(id); // a header holds no other characters
                mac.update(format!("{id}.{now}.").as_bytes());
                mac.update(body);
                let signature = BASE64.encode(mac.finalize().into_bytes());
                vec![
                    (WEBHOOK_ID, id),
                    (WEBHOOK_TIMESTAMP, now.to_string()),
                    (WEBHOOK_SIGNATURE, format!("v1,{signature}")),
                ]
            }
        }
    }

    /// Whether attributes in headers are left out of what is signed.
    pub(crate) fn covers_the_body_only(&self) -> bool {
        matches!(self.form, Form::Body(_))
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
        let found = |flag: Option<PathBuf>, key: &str| {
            let mounted = || Some(credentials.as_ref()?.path().join(key));
            flag.or_else(|| mounted().filter(|file| file.exists()))
        };
        if let Some(folder) =
            credentials.as_ref().map(SecretFolder::path).filter(|path| !path.is_dir())
        {
            bail!(Usage {
                what: format!("credentials `{}` is not a folder", folder.display()),
                hint: "name the folder in which the Secret is mounted".into(),
            });
        }

        let signer = found(hmac_secret_file, "hmac")
            .map(|file| Signer::new(&read_key(&file)?, &file, hmac_header))
            .transpose()?;
        // The signature suffices, so that the other kind of proof need not travel in the clear.
        let stays = in_clear && signer.is_some();
        let offered = found(None, "token").filter(|file| {
            if stays && token_file.is_none() {
                tracing::info!(
                    "`{}` is not sent over plain http: the signature suffices",
                    file.display()
                );
            }
            !stays
        });
        // Nobody asked for Knative's token.
        let knatives =
            || Some(PathBuf::from(KNATIVE_TOKEN)).filter(|file| file.exists() && !in_clear);
        let token = token_file.or(offered).or_else(knatives).map(read_token).transpose()?;
        let has_secret =
            token.is_some() || sink.password().is_some() || !sink.username().is_empty();
        if in_clear && has_secret {
            bail!(Usage {
                what: format!("a token or password would go to `{}` in the clear", origin(sink.as_str())),
                hint: "use an `https://` sink, put an `hmac` into the Secret, which only signs, or allow it with `insecure-http`".into(),
            });
        }

        Ok(Credentials {
            token,
            signer,
            authorities: read_authorities(
                found(ca_file, "ca.crt").as_deref(),
                ca_certs.as_deref(),
            )?,
            identity: read_identity(
                found(client_cert, "tls.crt").as_deref(),
                found(client_key, "tls.key").as_deref(),
            )?,
        })
    }
}

fn read_token(file: PathBuf) -> Result<Token> {
    let text = String::from_utf8(read_file(&file)?).unwrap_or_default();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        bail!(Usage {
            what: format!("`{}` holds no token", file.display()),
            hint: "the file holds the bare token on one line, without `Bearer`".into(),
        });
    }
    secret::keep(&text);
    Ok(Token { file, text })
}

fn read_key(file: &Path) -> Result<Vec<u8>> {
    let key = read_file(file)?;
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

/// What a file holds but for line breaks at its end.
fn read_file(file: &Path) -> Result<Vec<u8>> {
    let mut bytes = fs::read(file).with_context(|| Failure {
        what: format!("failed to read `{}`", file.display()),
        hint: "is the Secret mounted there, and can the step's user read it?".into(),
    })?;
    while bytes.pop_if(|byte| b"\r\n".contains(byte)).is_some() {}
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(secret: &str, id: &str, now: u64, body: &str) -> Vec<String> {
        let header = HeaderName::from_static("x-hub-signature-256");
        let signer = Signer::new(secret.as_bytes(), Path::new("hmac"), header).unwrap();
        let headers = signer.sign(id, now, body.as_bytes());
        headers.into_iter().map(|(name, value)| format!("{name}: {value}")).collect()
    }

    #[test]
    fn a_signature_is_the_one_that_github_documents() {
        assert_eq!(
            signed("It's a Secret to Everybody", "7", 0, "Hello, World!"),
            [
                "x-hub-signature-256: sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
            ]
        );
    }

    #[test]
    fn a_signature_is_the_one_that_standard_webhooks_documents() {
        // The example in the specification's section on symmetric signatures and its libraries' tests.
        assert_eq!(
            signed(
                "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                1_614_265_330,
                r#"{"test": 2432232314}"#
            ),
            [
                "webhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek",
                "webhook-timestamp: 1614265330",
                "webhook-signature: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            ]
        );
    }

    #[test]
    fn a_secret_that_breaks_off_is_refused() {
        let header = HeaderName::from_static("x-hub-signature-256");
        assert!(Signer::new(b"whsec_?", Path::new("hmac"), header).is_err());
    }

    #[test]
    fn only_the_final_newline_of_a_secret_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hmac");
        for (text, kept) in [(" a\nb \r\n", " a\nb "), ("\n", "")] {
            fs::write(&file, text).unwrap();
            assert_eq!(read_file(&file).unwrap(), kept.as_bytes());
        }
    }
}

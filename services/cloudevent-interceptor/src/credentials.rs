//! What an event is checked with: keys of a mounted Secret, read anew for each event.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use step::{Failure, SecretFolder, Usage, chain};

use crate::refusal::Refusal;

/// How Standard Webhooks marks a key that is written in base64.
const BASE64_MARK: &str = "whsec_";

/// Neither of them: an event is not checked.
#[derive(Default)]
pub(crate) struct Credentials {
    pub(crate) hmac: Option<HmacKey>,
    pub(crate) token: Option<Vec<u8>>,
}

/// A key for HMAC-SHA256.
pub(crate) struct HmacKey {
    /// As the Secret has it: what GitHub signs with
    pub(crate) text: Vec<u8>,
    /// What `whsec_…` stands for: what Standard Webhooks signs with
    pub(crate) decoded: Option<Vec<u8>>,
}

/// The folder, and whether it ever held a key.
pub(crate) struct CredentialFolder {
    folder: Option<SecretFolder>,
    demanded: AtomicBool,
}

impl CredentialFolder {
    /// Refuses a key that would check nothing.
    pub(crate) fn open(folder: Option<SecretFolder>) -> Result<Self> {
        let path = folder.as_ref().map(SecretFolder::path);
        if let Some(path) = path.filter(|path| path.exists() && !path.is_dir()) {
            return Err(Usage {
                what: format!("credentials `{}` is not a folder", path.display()),
                hint: "name the folder in which the Secret is mounted".into(),
            }
            .into());
        }
        let opened = Self { folder, demanded: AtomicBool::new(false) };
        let found = opened.load().context(Failure {
            what: "failed to use the credentials".into(),
            hint: "fill the keys `hmac` or `token` of Secret `canary-listener`; to take every event, delete the key".into(),
        })?;
        opened.demanded.store(found.is_there(), Ordering::Relaxed);
        Ok(opened)
    }

    /// Those of this moment. A Secret that is gone or spoilt by now lets nobody in.
    pub(crate) fn read(&self) -> Result<Credentials, Refusal> {
        let unusable = |what: String| {
            Refusal::unproved(
                what,
                "nothing is wrong with the event: fix Secret `canary-listener`, and send it again",
            )
        };
        let keys = self.load().map_err(|error| {
            unusable(format!("the keys of this listener cannot be used: {}", chain(error.as_ref())))
        })?;
        let demanded = self.demanded.swap(keys.is_there(), Ordering::Relaxed);
        if keys.is_there() && !demanded {
            tracing::info!("a key is there now: an event must carry its proof");
        }
        if demanded && !keys.is_there() {
            self.demanded.store(true, Ordering::Relaxed);
            return Err(unusable("the keys of this listener are gone since it started, so it takes nothing until it is restarted".into()));
        }
        Ok(keys)
    }

    /// In words, what an event must carry.
    pub(crate) fn asks_for(&self) -> Option<&'static str> {
        let keys = self.load().unwrap_or_default();
        match (keys.hmac.is_some(), keys.token.is_some()) {
            (true, true) => Some("a signature or the token"),
            (true, false) => Some("a signature"),
            (false, true) => Some("the token"),
            (false, false) => None,
        }
    }

    fn load(&self) -> Result<Credentials> {
        let Some(folder) = &self.folder else { return Ok(Credentials::default()) };
        let hmac = read(folder, "hmac")?.map(hmac_key).transpose()?;
        let token = read(folder, "token")?;
        if token.as_ref().is_some_and(|token| !token.iter().all(u8::is_ascii_graphic)) {
            anyhow::bail!(
                "key `token` is not a valid token: it is one line without spaces, without `Bearer`"
            );
        }
        Ok(Credentials { hmac, token })
    }
}

impl Credentials {
    const fn is_there(&self) -> bool {
        self.hmac.is_some() || self.token.is_some()
    }
}

fn hmac_key(text: Vec<u8>) -> Result<HmacKey> {
    let Some(encoded) = text.strip_prefix(BASE64_MARK.as_bytes()) else {
        return Ok(HmacKey { text, decoded: None });
    };
    let decoded = BASE64.decode(encoded).ok().filter(|key| !key.is_empty());
    let decoded = decoded.context("key `hmac` begins with `whsec_`, and no base64 follows")?;
    Ok(HmacKey { text, decoded: Some(decoded) })
}

/// Nothing if there is no such key.
fn read(folder: &SecretFolder, name: &str) -> Result<Option<Vec<u8>>> {
    let bytes = folder.bytes(name)?;
    if bytes.as_ref().is_some_and(|bytes| bytes.iter().all(u8::is_ascii_whitespace)) {
        anyhow::bail!("key `{name}` is empty, which would prove nothing");
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsString, fs};

    use super::*;

    fn opened(files: &[(&str, &str)]) -> (tempfile::TempDir, Result<CredentialFolder>) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let opened = CredentialFolder::open(Some(folder.path().as_os_str().to_owned().into()));
        (folder, opened)
    }

    #[test]
    fn without_a_key_nothing_is_asked_for() {
        assert_eq!(CredentialFolder::open(None).unwrap().asks_for(), None);
        assert_eq!(
            CredentialFolder::open(Some(OsString::from("/nowhere").into())).unwrap().asks_for(),
            None
        );
        assert_eq!(opened(&[]).1.unwrap().asks_for(), None);
    }

    #[test]
    fn a_key_that_proves_nothing_stops_the_start() {
        for files in [
            [("hmac", "")],
            [("hmac", "\n")],
            [("hmac", " \n")],
            [("token", "")],
            [("token", "two words")],
            [("token", "größe")],
            [("hmac", "whsec_")],
            [("hmac", "whsec_?")],
        ] {
            assert!(opened(&files).1.is_err(), "{files:?}");
        }
    }

    #[test]
    fn a_key_is_read_again_for_each_event() {
        let (folder, found) = opened(&[]);
        let found = found.unwrap();
        assert!(found.read().unwrap().hmac.is_none());
        fs::write(folder.path().join("hmac"), "one\n").unwrap();
        assert_eq!(found.read().unwrap().hmac.unwrap().text, b"one");
        fs::write(folder.path().join("hmac"), "whsec_dHdv").unwrap();
        assert_eq!(found.read().unwrap().hmac.unwrap().decoded.as_deref(), Some(&b"two"[..]));
    }

    #[test]
    fn a_key_that_goes_away_opens_no_door() {
        let (folder, found) = opened(&[("token", "t")]);
        let found = found.unwrap();
        fs::write(folder.path().join("token"), "").unwrap();
        assert!(found.read().is_err_and(|refusal| refusal.what.contains("empty")));
        fs::remove_file(folder.path().join("token")).unwrap();
        for _ in 0..2 {
            assert!(found.read().is_err_and(|refusal| refusal.what.contains("gone")));
        }
        fs::write(folder.path().join("hmac"), "one").unwrap();
        assert!(found.read().unwrap().token.is_none());
    }
}

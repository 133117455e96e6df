//! The S3 store's keys and its bucket.

use std::fs;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use step::text::hex;

use crate::paths::{private_dir, private_file, run};

pub(crate) const BUCKET: &str = "bentos";
pub(crate) const REGION: &str = "us-east-1";

/// Made for each cluster.
pub(crate) struct Keys {
    pub(crate) access: String,
    pub(crate) secret: String,
}

impl Keys {
    /// This cluster's keys; new ones when it has none yet.
    pub(crate) fn ensure() -> Result<Self> {
        let path = run("s3-keys");
        if !path.exists() {
            let new = json!({ "access": random(10)?, "secret": random(20)? });
            private_file(&path, new.to_string())?;
        }
        Self::read()
    }

    pub(crate) fn read() -> Result<Self> {
        let read = || -> Result<Self> {
            let keys: Value = serde_json::from_slice(&fs::read(run("s3-keys"))?)?;
            let key = |name: &str| {
                keys[name].as_str().map(str::to_owned).with_context(|| format!("no `{name}`"))
            };
            Ok(Self { access: key("access")?, secret: key("secret")? })
        };
        read().context("failed to read the S3 store's keys")
    }
}

/// versitygw takes each directory of its root for a bucket.
pub(crate) fn make_bucket() -> Result<()> {
    private_dir(&run("s3").join(BUCKET))
}

/// So many random bytes, as twice as many digits.
fn random(bytes: usize) -> Result<String> {
    use std::io::Read as _;
    let mut random = vec![0; bytes];
    fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut random))
        .context("failed to make a key")?;
    Ok(hex(&random))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_length_asked_for_and_is_not_made_twice() {
        assert_eq!(random(20).unwrap().len(), 40);
        assert_ne!(random(20).unwrap(), random(20).unwrap());
    }
}

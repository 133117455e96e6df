//! A place in a store, `s3://BUCKET/PREFIX`.

use std::fmt;

use thiserror::Error;

/// `s3://BUCKET/PREFIX`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    pub bucket: String,
    /// Without slashes at its ends; may be empty
    pub prefix: String,
}

/// What is wrong with a location. Never holds the text itself, in which people put keys.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum LocationError {
    #[error("it does not begin with `s3://`")]
    Scheme,
    #[error("it has no bucket, or one with characters that no bucket's name has")]
    Bucket,
    #[error("it has `?`, `#` or a control character")]
    Query,
}

impl Location {
    pub fn parse(text: &str) -> Result<Self, LocationError> {
        let rest = text.strip_prefix("s3://").ok_or(LocationError::Scheme)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        // Old buckets have capitals and underscores; `:` and `@` would be a key in front of the bucket.
        let fits = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        if bucket.is_empty() || !bucket.chars().all(fits) {
            return Err(LocationError::Bucket);
        }
        if prefix.contains(|c: char| c == '?' || c == '#' || c.is_control()) {
            return Err(LocationError::Query); // once an option of BentoML; now it would be part of the key
        }
        Ok(Self { bucket: bucket.into(), prefix: prefix.trim_matches('/').into() })
    }

    /// The key of something below the prefix.
    pub fn key(&self, below: &str) -> String {
        if self.prefix.is_empty() { below.to_owned() } else { format!("{}/{below}", self.prefix) }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        write!(f, "s3://{}{slash}{}", self.bucket, self.prefix)
    }
}

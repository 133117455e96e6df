//! What goes into the spec together with an image, because each of it makes a new revision.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What one patch changes of a service: an image, and what goes with it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    pub image: String,
    /// Fields of its container
    pub fields: Fields,
    /// Annotations of the service, none for one to take away; all others stay
    pub annotations: BTreeMap<String, Option<String>>,
    /// Secret with which the pods pull the image; those that are there stay
    pub pull_secret: Option<String>,
}

impl Change {
    /// The image alone.
    #[must_use]
    pub fn image(image: &str) -> Self {
        Self { image: image.to_owned(), ..Self::default() }
    }
}

/// Fields of a container by name; null stands for one that is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Fields(pub Map<String, Value>);

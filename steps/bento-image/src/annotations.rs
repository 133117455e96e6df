//! Labels and annotations of environments, images and their layers.

/// What all of ours begin with.
pub const OURS: &str = "kanaria.dev/";

/// Label of an environment: its key. Annotation of an image: its environment, REPOSITORY@DIGEST.
pub const ENVIRONMENT: &str = "kanaria.dev/environment";
/// Label of an environment: when kaniko began to build it. Its own time may be a constant one.
pub const BUILT: &str = "kanaria.dev/built";
/// Annotation of an environment: what the layers below the bento's have where it goes.
pub const BELOW: &str = "kanaria.dev/below-the-bento";

/// Label and annotation of an image, and annotation of its code layer: the bento, NAME:VERSION.
pub const BENTO: &str = "kanaria.dev/bento";
/// Label and annotation of an image: the SHA-256 of the archive that it was made of.
pub const ARCHIVE: &str = "kanaria.dev/bento-sha256";
/// Annotation of a model's layer: the model, NAME:VERSION.
pub const MODEL: &str = "kanaria.dev/model";

/// Annotations of an image that are the OCI's.
pub const CREATED: &str = "org.opencontainers.image.created";
pub const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";

//! The configuration and the manifest of a bento's image: those of its environment, and our layers.
//!
//! Both are patched as JSON and never read into types, so that nothing is lost of what a builder wrote.

use std::collections::BTreeMap;

use registry::Document;
use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::annotations::{ARCHIVE, BASE_DIGEST, BENTO, CREATED, ENVIRONMENT, OURS};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Media types of Docker and those of OCI for the same bytes. Foreign layers stay as they are.
const MEDIA_TYPES: [(&str, &str); 3] = [
    ("application/vnd.docker.image.rootfs.diff.tar", LAYER_TAR),
    ("application/vnd.docker.image.rootfs.diff.tar.gzip", LAYER_GZIP),
    (
        "application/vnd.docker.image.rootfs.diff.tar.zstd",
        "application/vnd.oci.image.layer.v1.tar+zstd",
    ),
];

/// The type of a model's layer.
pub const LAYER_TAR: &str = "application/vnd.oci.image.layer.v1.tar";
/// The type of the code layer.
pub const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Why there is no image on top of an environment.
#[derive(Debug, Error)]
pub enum ImageError {
    #[error("failed to read the environment's {0}")]
    Json(&'static str, #[source] serde_json::Error),
    #[error("the environment's {0} has no `{1}`")]
    Missing(&'static str, &'static str),
    #[error("the environment's configuration names {diff_ids} layers, its manifest {layers}")]
    Layers { diff_ids: usize, layers: usize },
}

/// An environment's manifest and configuration, as a registry has them.
#[derive(Clone, Copy, Debug)]
pub struct Environment<'a> {
    pub manifest: &'a [u8],
    pub config: &'a [u8],
}

/// One layer of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// [`LAYER_TAR`] or [`LAYER_GZIP`]
    pub media_type: &'static str,
    /// `sha256:` and 64 digits, as the diff ID
    pub digest: String,
    pub diff_id: String,
    /// Bytes
    pub size: u64,
    /// What made it, for the image's history
    pub created_by: String,
    /// Such as `kanaria.dev/model`
    pub annotations: BTreeMap<String, String>,
}

/// What the image says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// When the bento was made: RFC 3339
    pub created: String,
    /// Added to the labels that the environment has
    pub labels: BTreeMap<String, String>,
    /// Of the manifest
    pub annotations: BTreeMap<String, String>,
}

impl About {
    /// The labels and annotations of a bento's image.
    pub fn bento(of: &Bento) -> Self {
        let Bento { name, version, sha256, created, environment, base_name, base_digest } = *of;
        let bento = format!("{name}:{version}");
        let map = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let labels = [(BENTO, bento.as_str()), (ARCHIVE, sha256)];
        let standard = [
            (CREATED, created),
            ("org.opencontainers.image.title", name),
            ("org.opencontainers.image.version", version),
            ("org.opencontainers.image.base.name", base_name),
            (BASE_DIGEST, base_digest),
            (ENVIRONMENT, environment),
        ];
        let annotations = map(&[labels.as_slice(), &standard].concat());
        Self { created: created.to_owned(), labels: map(&labels), annotations }
    }
}

/// The bento that an image is made of.
#[derive(Clone, Copy, Debug)]
pub struct Bento<'a> {
    pub name: &'a str,
    pub version: &'a str,
    /// Of its archive, in hexadecimal digits
    pub sha256: &'a str,
    /// RFC 3339
    pub created: &'a str,
    /// `REPOSITORY@DIGEST`
    pub environment: &'a str,
    /// The image whose layers come first, as people name it
    pub base_name: &'a str,
    pub base_digest: &'a str,
}

/// A bento's image, but for its layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// To be pushed as a blob
    pub config: Document,
    pub manifest: Document,
    /// Bytes of all layers, as they are in the registry
    pub size: u64,
}

/// The image of an environment with our layers on top, the first of them lowest. The same bytes for the same input.
pub fn assemble(
    environment: &Environment,
    layers: &[Layer],
    about: &About,
) -> Result<Image, ImageError> {
    let mut config = parse(environment.config, "configuration")?;
    let mut manifest = parse(environment.manifest, "manifest")?;
    let diff_ids = diff_ids(&mut config)?;
    let descriptors = descriptors(&mut manifest)?;
    if diff_ids.len() != descriptors.len() {
        return Err(ImageError::Layers { diff_ids: diff_ids.len(), layers: descriptors.len() });
    }
    diff_ids.extend(layers.iter().map(|layer| layer.diff_id.clone().into()));
    patch_config(&mut config, layers, about);
    let config = document(CONFIG, &config);
    let size = patch_manifest(&mut manifest, &config, layers, about)?;
    Ok(Image { config, manifest: document(MANIFEST, &manifest), size })
}

fn patch_config(config: &mut Map<String, Value>, layers: &[Layer], about: &About) {
    config.insert("created".into(), about.created.clone().into());
    let history = list(config, "history");
    history.extend(
        layers
            .iter()
            .map(|layer| json!({ "created": about.created, "created_by": layer.created_by })),
    );
    let labels = object(object(config, "config"), "Labels");
    labels.extend(values(&about.labels));
}

/// Gives the bytes of all layers.
fn patch_manifest(
    manifest: &mut Map<String, Value>,
    config: &Document,
    layers: &[Layer],
    about: &About,
) -> Result<u64, ImageError> {
    let all = descriptors(manifest)?;
    for descriptor in all.iter_mut() {
        let Some(Value::String(media_type)) = descriptor.get_mut("mediaType") else { continue };
        if let Some((_, oci)) = MEDIA_TYPES.iter().find(|(docker, _)| docker == media_type) {
            *media_type = (*oci).to_owned();
        }
    }
    all.extend(layers.iter().map(|layer| {
        let Layer { media_type, digest, size, annotations, .. } = layer;
        let mut descriptor = json!({ "mediaType": media_type, "digest": digest, "size": size });
        if !annotations.is_empty() {
            descriptor["annotations"] = json!(annotations);
        }
        descriptor
    }));
    let size = all.iter().filter_map(|descriptor| descriptor["size"].as_u64()).sum();
    manifest.insert("schemaVersion".into(), 2.into());
    manifest.insert("mediaType".into(), MANIFEST.into());
    manifest.insert(
        "config".into(),
        json!({ "mediaType": CONFIG, "digest": config.digest, "size": config.bytes.len() }),
    );
    // The environment could be about another image; this one is not.
    manifest.remove("subject");
    let annotations = object(manifest, "annotations");
    annotations.retain(|name, _| !name.starts_with(OURS));
    annotations.extend(values(&about.annotations));
    Ok(size)
}

fn parse(json: &[u8], what: &'static str) -> Result<Map<String, Value>, ImageError> {
    serde_json::from_slice(json).map_err(|error| ImageError::Json(what, error))
}

fn diff_ids(config: &mut Map<String, Value>) -> Result<&mut Vec<Value>, ImageError> {
    let ids = config.get_mut("rootfs").and_then(|rootfs| rootfs.get_mut("diff_ids"));
    ids.and_then(Value::as_array_mut).ok_or(ImageError::Missing("configuration", "rootfs.diff_ids"))
}

fn descriptors(manifest: &mut Map<String, Value>) -> Result<&mut Vec<Value>, ImageError> {
    let layers = manifest.get_mut("layers").and_then(Value::as_array_mut);
    layers.ok_or(ImageError::Missing("manifest", "layers"))
}

/// The object of this name, which a builder may have written as null or not at all.
fn object<'a>(parent: &'a mut Map<String, Value>, name: &str) -> &'a mut Map<String, Value> {
    let value = parent.entry(name).or_insert(Value::Null);
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    let Value::Object(object) = value else { unreachable!("it was made one") };
    object
}

/// The same for a list.
fn list<'a>(parent: &'a mut Map<String, Value>, name: &str) -> &'a mut Vec<Value> {
    let value = parent.entry(name).or_insert(Value::Null);
    if !value.is_array() {
        *value = Value::Array(Vec::new());
    }
    let Value::Array(list) = value else { unreachable!("it was made one") };
    list
}

fn values(texts: &BTreeMap<String, String>) -> impl Iterator<Item = (String, Value)> {
    texts.iter().map(|(key, text)| (key.clone(), text.clone().into()))
}

fn document(media_type: &str, object: &Map<String, Value>) -> Document {
    Document::new(media_type, Value::Object(object.clone()).to_string().into_bytes())
}

//! Manifests: what a registry refuses, and in which words.

use registry::{RegistryError, Repository};
use serde_json::json;

use crate::{
    registry_state::digest,
    scripted::{Fault, Scripted, busy, error},
};

const TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const MANIFEST: &str = r#"{"schemaVersion":2,"layers":[]}"#;

async fn push(repository: &Repository) -> Result<(), RegistryError> {
    repository.push_manifest("v1", TYPE, MANIFEST).await
}

#[tokio::test]
async fn a_manifest_is_put_under_its_tag_as_what_it_is() {
    let server = Scripted::start().await;
    let repository = server.repository("models/iris");
    server.on("PUT", busy(503)).on("PUT", Fault::CutAfter(3));
    push(&repository).await.unwrap();
    let put = server.seen("PUT").pop().unwrap();
    assert_eq!(put.target, "/v2/models/iris/manifests/v1");
    assert_eq!(put.headers["content-type"], TYPE);
    let found = repository.manifest("v1").await.unwrap().unwrap();
    assert_eq!((found.bytes, found.digest), (MANIFEST.into(), digest(MANIFEST.as_bytes())));
}

#[tokio::test]
async fn blobs_that_are_gone_are_named_wherever_the_registry_names_them() {
    let [one, other] = [digest(b"1"), digest(b"2")];
    let code = "MANIFEST_BLOB_UNKNOWN";
    for (status, errors, wanted) in [
        (400, json!([{ "code": code, "detail": { "digest": one } }]), vec![one.clone()]),
        (404, json!([{ "code": code, "detail": one }]), vec![one.clone()]),
        (
            404,
            json!([{ "code": "BLOB_UNKNOWN", "message": format!("no {one}") }]),
            vec![one.clone()],
        ),
        (
            400,
            json!([{ "code": code, "detail": one }, { "code": code, "detail": other }]),
            vec![one.clone(), other.clone()],
        ),
        (400, json!([{ "code": code, "message": "blob unknown to registry" }]), vec![]),
    ] {
        let server = Scripted::start().await;
        server.on("PUT", Fault::Says(status, vec![], json!({ "errors": errors }).to_string()));
        let refused = push(&server.repository("models/iris")).await.unwrap_err();
        assert!(!refused.is_retryable());
        let RegistryError::UnknownBlob { mut digests, .. } = refused else { panic!("{refused:?}") };
        digests.sort_by_key(|digest| *digest != one);
        assert_eq!(digests, wanted);
    }
}

/// What registries say of a tag that is there and must not change.
fn immutable() -> [Fault; 10] {
    let ecr = "The image tag 'v1' already exists in the 'models/iris' repository and cannot be overwritten";
    [
        error(400, "TAG_INVALID", &format!("{ecr} because the repository is immutable.")),
        error(400, "TAG_INVALID", &format!("{ecr} because the tag is immutable.")),
        error(400, "TAG_INVALID", ecr),
        error(
            412,
            "PRECONDITION",
            "Failed to process request due to 'iris:v1' configured as immutable.",
        ),
        error(
            400,
            "FAILED_PRECONDITION",
            "cannot update tag v1. The repository has enabled tag immutability",
        ),
        error(
            400,
            "MANIFEST_INVALID",
            "cannot update tag v1. The repository has enabled tag immutability",
        ),
        error(403, "DENIED", "The repository has enabled tag immutability"),
        error(409, "TAG_IMMUTABLE", "tag v1 is immutable"),
        error(409, "CONFLICT", ""),
        Fault::Says(412, vec![], String::new()),
    ]
}

#[tokio::test]
async fn a_tag_that_must_not_change_is_told_from_other_refusals() {
    for fault in immutable() {
        let server = Scripted::start().await;
        server.state(|state| state.manifests.insert("v1".into(), b"another".into()));
        server.on("PUT", fault.clone());
        let refused = push(&server.repository("models/iris")).await.unwrap_err();
        assert!(matches!(refused, RegistryError::Immutable(_)), "{fault:?}: {refused:?}");
    }
    for fault in [
        error(400, "TAG_INVALID", "manifest tag did not match URI"),
        error(400, "MANIFEST_INVALID", "no config"),
        error(403, "DENIED", "no right"),
        Fault::Says(405, vec![], "<html>".into()),
    ] {
        let server = Scripted::start().await;
        server.on("PUT", fault.clone());
        let refused = push(&server.repository("models/iris")).await.unwrap_err();
        assert!(!matches!(refused, RegistryError::Immutable(_)), "{fault:?}: {refused:?}");
    }
}

#[tokio::test]
async fn a_tag_that_must_not_change_and_holds_this_very_manifest_is_as_wanted() {
    for fault in immutable() {
        let server = Scripted::start().await;
        server.state(|state| state.manifests.insert("v1".into(), MANIFEST.into()));
        server.on("PUT", fault);
        push(&server.repository("models/iris")).await.unwrap();
    }
    // As after an answer that got lost.
    let server = Scripted::start().await;
    server.on("PUT", Fault::AnswerLost).on("PUT", error(409, "CONFLICT", ""));
    push(&server.repository("models/iris")).await.unwrap();
}

#[tokio::test]
async fn a_right_that_is_missing_is_named_with_its_repository() {
    let server = Scripted::start().await;
    server.on("PUT", error(403, "DENIED", "requested access to the resource is denied"));
    let refused = push(&server.repository("models/iris")).await.unwrap_err();
    let wanted = format!(
        "it answered 403 Forbidden DENIED (requested access to the resource is denied): the right to push to \
         `{}/models/iris` is missing",
        server.host
    );
    assert_eq!(refused.to_string(), wanted);
}

#[tokio::test]
async fn a_digest_is_looked_up_also_where_a_head_does_not_say_it() {
    let server = Scripted::start().await;
    let repository = server.repository("models/iris");
    let wanted = digest(MANIFEST.as_bytes());
    assert_eq!(repository.digest_of("v1").await.unwrap(), None);
    server.state(|state| state.manifests.insert("v1".into(), MANIFEST.into()));
    assert_eq!(repository.digest_of("v1").await.unwrap().as_ref(), Some(&wanted));
    assert_eq!(server.seen("GET").len(), 1, "only /v2/");
    server.on("HEAD", Fault::Says(405, vec![], String::new()));
    assert_eq!(repository.digest_of("v1").await.unwrap().as_ref(), Some(&wanted));
    server.state(|state| state.tells_no_digest = true);
    assert_eq!(repository.digest_of("v1").await.unwrap().as_ref(), Some(&wanted));
}

#[tokio::test]
async fn a_manifest_of_another_digest_is_refused_and_nothing_else_is_asked_for() {
    let server = Scripted::start().await;
    let repository = server.repository("models/iris");
    let wanted = digest(b"wanted");
    server.state(|state| state.manifests.insert(wanted.clone(), MANIFEST.into()));
    let refused = repository.manifest(&wanted).await.unwrap_err();
    assert!(matches!(refused, RegistryError::Digest(_)), "{refused:?}");
    for version in ["", "../../v1", "v1/..", "sha256:00", "v1?x=y"] {
        let refused = repository.manifest(version).await.unwrap_err();
        assert!(matches!(refused, RegistryError::Malformed(_)), "{version}: {refused:?}");
    }
}

#[tokio::test]
async fn an_index_without_an_image_for_this_node_says_which_it_has() {
    let server = Scripted::start().await;
    let platform = json!({ "os": "linux", "architecture": "s390x" });
    let index = json!({ "manifests": [{ "digest": digest(b"1"), "platform": platform }] });
    server.state(|state| state.manifests.insert("v1".into(), index.to_string().into()));
    let refused = server.repository("models/iris").image("v1").await.unwrap_err().to_string();
    assert!(refused.ends_with(", only for linux/s390x"), "{refused}");
}

#[tokio::test]
async fn tags_are_read_over_all_pages_of_this_registry_and_of_no_other() {
    let server = Scripted::start().await;
    let repository = server.repository("models/iris");
    assert_eq!(repository.tags(10).await.unwrap(), Vec::<String>::new());
    let page = |tags: &[&str], link: &str| {
        let link = (!link.is_empty()).then(|| ("link", link.to_owned()));
        Fault::Says(200, link.into_iter().collect(), json!({ "tags": tags }).to_string())
    };
    let next = r#"</v2/models/iris/tags/list?n=2&last=b>; rel="next""#;
    server.on("GET", page(&["c", "a"], next)).on("GET", page(&["b"], ""));
    assert_eq!(repository.tags(10).await.unwrap(), ["a", "b", "c"]);
    assert!(server.seen("GET").pop().unwrap().target.ends_with("?n=2&last=b"));
    server.on("GET", page(&["c", "a"], next));
    assert_eq!(repository.tags(2).await.unwrap(), ["a", "c"]);
    server.on("GET", page(&["a"], r#"<http://elsewhere.example/>; rel="next""#));
    assert_eq!(repository.tags(10).await.unwrap(), ["a"]);
    server.on("GET", Fault::Says(200, vec![], r#"{"tags":null}"#.into()));
    assert_eq!(repository.tags(10).await.unwrap(), Vec::<String>::new());
}

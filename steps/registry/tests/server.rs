//! The client and real registries: Debian's, which is distribution 2.8, and crane's own.
//!
//! `make cluster-tests` runs these, because bringing the cluster up is what builds and installs them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "server/registries.rs"]
mod registries;

use bytes::Bytes;
use registries::{Kind, Registry, digest, image};
use registry::{RegistryError, Repository};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const KINDS: [Kind; 2] = [Kind::Debian, Kind::Crane];

/// An image of this layer, by the name of `tag`; returns its digest.
async fn push(repository: &Repository, tag: &str, layer: &[u8]) -> String {
    let (config, manifest) = image(layer);
    repository.push_blob(&digest(layer), layer.to_vec()).await.unwrap();
    repository.push_blob(&digest(&config), config).await.unwrap();
    repository.push_manifest(tag, MANIFEST, manifest.clone()).await.unwrap();
    digest(&manifest)
}

#[tokio::test]
#[ignore = "needs registries: `make cluster-up` builds and installs them"]
async fn an_image_that_was_pushed_is_there_by_its_tag_and_by_its_digest() {
    for kind in KINDS {
        let registry = Registry::start(kind).await;
        let repository = registry.repository("models/iris");
        assert_eq!(repository.image("v1").await.unwrap(), None);
        assert_eq!(repository.tags(10).await.unwrap(), Vec::<String>::new());
        let wanted = push(&repository, "v1", b"layer").await;
        for version in ["v1", &wanted] {
            let found = repository.image(version).await.unwrap().unwrap();
            assert_eq!((&found.digest, &found.manifest.digest), (&wanted, &wanted));
            assert_eq!(found.manifest.media_type, MANIFEST);
            assert_eq!(found.labels["kind"], "model");
            assert!(repository.has(version).await.unwrap());
            assert_eq!(repository.digest_of(version).await.unwrap().as_ref(), Some(&wanted));
        }
        assert_eq!(repository.digest_of("v2").await.unwrap(), None);
        let layer = repository.blob(&digest(b"layer"), 1 << 20).await.unwrap();
        assert_eq!(layer.as_deref(), Some(&b"layer"[..]));
        assert_eq!(repository.blob(&digest(b"other"), 1 << 20).await.unwrap(), None);
    }
}

#[tokio::test]
#[ignore = "needs registries: `make cluster-up` builds and installs them"]
async fn a_manifest_may_have_no_tag() {
    for kind in KINDS {
        let registry = Registry::start(kind).await;
        let repository = registry.repository("models/iris");
        let (config, manifest) = image(b"layer");
        repository.push_blob(&digest(b"layer"), &b"layer"[..]).await.unwrap();
        repository.push_blob(&digest(&config), config).await.unwrap();
        let wanted = digest(&manifest);
        repository.push_manifest(&wanted, MANIFEST, manifest.clone()).await.unwrap();
        let found = repository.manifest(&wanted).await.unwrap().unwrap();
        assert_eq!((found.bytes, found.digest), (manifest, wanted));
    }
}

#[tokio::test]
#[ignore = "needs registries: `make cluster-up` builds and installs them"]
async fn a_blob_that_is_there_is_not_sent_again() {
    for kind in KINDS {
        let registry = Registry::start(kind).await;
        let repository = registry.repository("models/iris");
        let blob = Bytes::from_static(b"layer");
        assert!(repository.push_blob(&digest(&blob), blob.clone()).await.unwrap());
        assert!(!repository.push_blob(&digest(&blob), blob.clone()).await.unwrap());
        assert_eq!(repository.copy_blob(&digest(&blob), 5, &repository).await.unwrap(), 0);
    }
}

#[tokio::test]
#[ignore = "needs registries: `make cluster-up` builds and installs them"]
async fn bytes_of_unknown_length_are_uploaded_as_they_come() {
    for kind in KINDS {
        let registry = Registry::start(kind).await;
        let repository = registry.repository("models/iris");
        let mut upload = repository.upload().await.unwrap();
        let mut all = Vec::new();
        for number in 0..200_u32 {
            let piece = number.to_le_bytes().repeat(10_000 + number as usize);
            all.extend_from_slice(&piece);
            upload.write(piece.into()).await.unwrap();
        }
        upload.finish(&digest(&all)).await.unwrap();
        assert!(repository.has_blob(&digest(&all)).await.unwrap());
        let mut blob = repository.open_blob(&digest(&all)).await.unwrap().unwrap();
        assert_eq!(blob.size(), Some(all.len() as u64));
        let mut back = Vec::new();
        while let Some(bytes) = blob.next().await.unwrap() {
            back.extend_from_slice(&bytes);
        }
        assert!(back == all);
    }
}

#[tokio::test]
#[ignore = "needs registries: `make cluster-up` builds and installs them"]
async fn an_upload_may_be_empty_or_given_up() {
    for kind in KINDS {
        let registry = Registry::start(kind).await;
        let repository = registry.repository("models/iris");
        repository.upload().await.unwrap().finish(&digest(b"")).await.unwrap();
        assert!(repository.has_blob(&digest(b"")).await.unwrap());
        let mut upload = repository.upload().await.unwrap();
        upload.write(Bytes::from_static(b"layer")).await.unwrap();
        upload.abandon().await;
        assert!(!repository.has_blob(&digest(b"layer")).await.unwrap());
    }
}

#[tokio::test]
#[ignore = "needs registries: `make cluster-up` builds and installs them"]
async fn an_upload_in_whose_middle_the_registry_is_killed_succeeds_when_it_is_back() {
    for kind in KINDS {
        let mut registry = Registry::start(kind).await;
        let repository = registry.repository("models/iris");
        let piece = Bytes::from(vec![7; 1 << 20]);
        let mut upload = repository.upload().await.unwrap();
        upload.write(piece.clone()).await.unwrap();
        registry.kill();
        let failed = loop {
            if let Err(failed) = upload.write(piece.clone()).await {
                break failed;
            }
        };
        assert!(failed.is_retryable(), "{kind:?}: {failed:?}");
        drop(upload);
        registry.start_again().await;
        let mut upload = repository.upload().await.unwrap();
        upload.write(piece.clone()).await.unwrap();
        upload.finish(&digest(&piece)).await.unwrap();
        assert!(repository.has_blob(&digest(&piece)).await.unwrap());
    }
}

#[tokio::test]
#[ignore = "needs registries: `make cluster-up` builds and installs them"]
async fn bytes_that_are_not_what_their_digest_says_are_refused() {
    for kind in KINDS {
        let registry = Registry::start(kind).await;
        let repository = registry.repository("models/iris");
        let mut upload = repository.upload().await.unwrap();
        upload.write(Bytes::from_static(b"layer")).await.unwrap();
        let refused = upload.finish(&digest(b"other")).await.unwrap_err();
        assert!(refused.to_string().contains("DIGEST_INVALID"), "{kind:?}: {refused}");
        assert!(!refused.is_retryable(), "{kind:?}: {refused:?}");
    }
}

#[tokio::test]
#[ignore = "needs registries: `make cluster-up` builds and installs them"]
async fn a_blob_of_a_repository_beside_is_mounted_and_not_sent() {
    // Crane's keeps the blobs of all repositories together.
    let registry = Registry::start(Kind::Debian).await;
    let [from, to] = [registry.repository("environments"), registry.repository("models/iris")];
    from.push_blob(&digest(b"layer"), &b"layer"[..]).await.unwrap();
    assert!(!to.has_blob(&digest(b"layer")).await.unwrap());
    assert_eq!(to.copy_blob(&digest(b"layer"), 5, &from).await.unwrap(), 0);
    assert!(to.has_blob(&digest(b"layer")).await.unwrap());
    assert!(!to.mount(&digest(b"other"), &from).await.unwrap(), "it is not there");
}

#[tokio::test]
#[ignore = "needs registries: `make cluster-up` builds and installs them"]
async fn a_blob_of_another_registry_is_copied() {
    let [one, other] = [Registry::start(Kind::Debian).await, Registry::start(Kind::Crane).await];
    for (number, from, to) in [(1, &one, &other), (2, &other, &one)] {
        let layer = vec![number; 3 << 20];
        let [from, to] = [from.repository("environments"), to.repository("models/iris")];
        from.push_blob(&digest(&layer), layer.clone()).await.unwrap();
        let size = layer.len() as u64;
        assert_eq!(to.copy_blob(&digest(&layer), size, &from).await.unwrap(), size);
        assert_eq!(to.copy_blob(&digest(&layer), size, &from).await.unwrap(), 0);
        assert!(to.blob(&digest(&layer), 4 << 20).await.unwrap() == Some(layer.clone()));
        let missing = to.copy_blob(&digest(b"none"), 4, &from).await.unwrap_err();
        let wanted = format!("`{}`: it has no blob `{}`", from.name(), digest(b"none"));
        assert_eq!(missing.to_string(), wanted);
    }
}

#[tokio::test]
#[ignore = "needs registries: `make cluster-up` builds and installs them"]
async fn the_tags_are_listed_and_no_more_than_wanted() {
    for kind in KINDS {
        let registry = Registry::start(kind).await;
        let repository = registry.repository("models/iris");
        for tag in ["v1", "v2", "v3", "v4"] {
            push(&repository, tag, tag.as_bytes()).await;
        }
        assert_eq!(repository.tags(10).await.unwrap(), ["v1", "v2", "v3", "v4"]);
        assert_eq!(repository.tags(3).await.unwrap().len(), 3);
    }
}

#[tokio::test]
#[ignore = "needs registries: `make cluster-up` builds and installs them"]
async fn a_manifest_whose_blob_is_gone_says_which() {
    let registry = Registry::start(Kind::Debian).await;
    let repository = registry.repository("models/iris");
    let (config, manifest) = image(b"layer");
    repository.push_blob(&digest(&config), config).await.unwrap();
    let refused = repository.push_manifest("v1", MANIFEST, manifest).await.unwrap_err();
    let RegistryError::UnknownBlob { digests, .. } = refused else { panic!("{refused:?}") };
    assert_eq!(digests, [digest(b"layer")]);
}

#[tokio::test]
#[ignore = "needs registries: `make cluster-up` builds and installs them"]
async fn a_password_opens_a_registry_that_asks_for_it_and_a_wrong_one_says_what_is_missing() {
    let registry = Registry::start(Kind::WithPassword).await;
    let repository = registry.repository_of("models/iris", "puller", "secret");
    let wanted = push(&repository, "v1", &vec![7; 2 << 20]).await;
    assert_eq!(repository.digest_of("v1").await.unwrap(), Some(wanted));
    let refused = registry.repository_of("models/iris", "puller", "wrong").upload().await;
    let refused = refused.unwrap_err().to_string();
    let wanted = format!("the right to push to `{}` is missing", repository.name());
    assert!(refused.ends_with(&wanted) && refused.contains("401"), "{refused}");
}

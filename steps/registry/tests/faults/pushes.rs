//! Blobs that are in memory or in another repository, and sent again after a fault.

use registry::RegistryError;
use tokio::task::JoinSet;

use crate::{
    registry_state::digest,
    scripted::{Fault, Scripted, busy, error},
};

const LAYER: &[u8] = b"the bytes of a layer";

#[tokio::test]
async fn a_blob_in_memory_goes_by_its_length_after_one_look() {
    let server = Scripted::start().await;
    let repository = server.repository("models/iris");
    let many = vec![7; 1 << 20];
    assert!(repository.push_blob(&digest(&many), many.clone()).await.unwrap());
    assert!(!repository.push_blob(&digest(&many), many.clone()).await.unwrap());
    let [put] = &server.seen("PUT")[..] else { panic!("one PUT") };
    assert_eq!((put.body, put.headers["content-length"].as_str()), (1 << 20, "1048576"));
    assert!(server.seen("PATCH").is_empty());
    assert_eq!(repository.blob(&digest(&many), 1 << 20).await.unwrap(), Some(many));
}

#[tokio::test]
async fn a_blob_in_memory_is_sent_again_in_a_session_of_its_own() {
    for fault in
        [busy(500), busy(429), error(404, "BLOB_UPLOAD_UNKNOWN", "gone"), Fault::CutAfter(5)]
    {
        let server = Scripted::start().await;
        server.on("PUT", fault.clone());
        assert!(server.repository("models/iris").push_blob(&digest(LAYER), LAYER).await.unwrap());
        let targets: Vec<_> = server.seen("PUT").into_iter().map(|seen| seen.target).collect();
        assert_eq!(targets.len(), 2, "{fault:?}");
        assert_ne!(targets[0], targets[1], "{fault:?}");
        assert_eq!(server.seen("DELETE").len(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_blob_whose_answer_got_lost_is_not_sent_again() {
    let server = Scripted::start().await;
    server.on("PUT", Fault::AnswerLost);
    server.repository("models/iris").push_blob(&digest(LAYER), LAYER).await.unwrap();
    assert_eq!(server.seen("PUT").len(), 1);
}

#[tokio::test]
async fn a_token_that_expires_before_a_blob_is_renewed() {
    let server = Scripted::start().await;
    server.state(|state| state.token = Some(1));
    server.on("PUT", Fault::Expires);
    server.known("models/iris").push_blob(&digest(LAYER), LAYER).await.unwrap();
    let [refused, taken] = &server.seen("PUT")[..] else { panic!("two PUTs") };
    assert_eq!((&refused.target, refused.body), (&taken.target, taken.body), "of one session");
}

#[tokio::test]
async fn a_blob_that_is_not_what_its_digest_says_is_refused_once() {
    let server = Scripted::start().await;
    let refused = server.repository("models/iris").push_blob(&digest(b"other"), LAYER).await;
    let refused = refused.unwrap_err().to_string();
    assert_eq!(
        refused,
        "it answered 400 Bad Request DIGEST_INVALID (provided digest did not match)"
    );
    assert_eq!(server.seen("PUT").len(), 1);
}

#[tokio::test]
async fn a_repository_that_has_to_be_made_first_says_so() {
    let server = Scripted::start().await;
    server.on("POST", error(404, "NAME_UNKNOWN", "no repository with name 'models/iris'"));
    let refused = server.repository("models/iris").push_blob(&digest(LAYER), LAYER).await;
    let wanted = "it answered 404 Not Found NAME_UNKNOWN (no repository with name 'models/iris')";
    assert_eq!(refused.unwrap_err().to_string(), wanted);
}

#[tokio::test]
async fn a_blob_of_another_registry_is_copied_past_a_redirect_that_gets_no_credentials() {
    let [from, storage, to] =
        [Scripted::start().await, Scripted::start().await, Scripted::start().await];
    from.state(|state| state.token = Some(1));
    storage.state(|state| state.holds("bucket", LAYER));
    let away = format!("http://localhost:{}/v2/bucket/blobs/{}", port(&storage), digest(LAYER));
    from.on("GET", Fault::None).on("GET", Fault::None).on("GET", Fault::None); // /v2/, 401, a token
    from.on("GET", Fault::Says(307, vec![("location", away)], String::new()));
    let (source, target) = (from.known("environments"), to.repository("models/iris"));
    let size = LAYER.len() as u64;
    assert_eq!(target.copy_blob(&digest(LAYER), size, &source).await.unwrap(), size);
    assert_eq!(target.copy_blob(&digest(LAYER), size, &source).await.unwrap(), 0);
    assert!(target.has_blob(&digest(LAYER)).await.unwrap());
    let asked = storage.seen("GET");
    assert!(!asked.is_empty());
    assert!(asked.iter().all(|seen| !seen.headers.contains_key("authorization")));
    assert!(to.seen("POST").iter().all(|seen| !seen.target.contains("mount")));
}

fn port(server: &Scripted) -> &str {
    server.host.rsplit_once(':').unwrap().1
}

#[tokio::test]
async fn a_copy_that_fails_on_either_side_is_begun_again() {
    let cut = Fault::Says(200, vec![("content-length", "9".into())], String::new());
    for (side, method, fault) in [
        (1, "GET", cut),
        (1, "GET", busy(503)),
        (2, "PATCH", busy(500)),
        (2, "PATCH", Fault::CutAfter(4)),
        (2, "PATCH", Fault::AnswerLost),
        (2, "POST", busy(503)),
    ] {
        let [from, to] = [Scripted::start().await, Scripted::start().await];
        from.state(|state| state.holds("environments", LAYER));
        let (source, target) = (from.repository("environments"), to.repository("models/iris"));
        source.has_blob(&digest(LAYER)).await.unwrap(); // /v2/ is asked
        (if side == 1 { &from } else { &to }).on(method, fault.clone());
        let size = LAYER.len() as u64;
        let sent = target.copy_blob(&digest(LAYER), size, &source).await;
        assert_eq!(sent.unwrap(), size, "{fault:?}");
        assert!(target.has_blob(&digest(LAYER)).await.unwrap());
    }
}

#[tokio::test]
async fn many_blobs_are_brought_at_once() {
    let [from, to] = [Scripted::start().await, Scripted::start().await];
    to.state(|state| state.token = Some(1));
    let (source, target) = (from.repository("environments"), to.known("models/iris"));
    let mut copies = JoinSet::new();
    for number in 0..20 {
        let layer = vec![number; 100_000];
        let digest = from.state(|state| state.holds("environments", &layer));
        let (source, target) = (source.clone(), target.clone());
        copies.spawn(async move { target.copy_blob(&digest, 100_000, &source).await.unwrap() });
    }
    assert_eq!(copies.join_all().await, [100_000; 20]);
    assert_eq!(to.state(|state| state.blobs.len()), 20);
}

#[tokio::test]
async fn a_source_that_is_wrong_is_named_and_nothing_is_put() {
    let other = Fault::Says(200, vec![], "something else".into());
    for (fault, size, what) in [
        (Fault::None, 20, "it has no blob"),
        (other.clone(), 14, "its blob is not what its digest says"),
        (other, 3, "its blob is larger than expected"),
    ] {
        let [from, to] = [Scripted::start().await, Scripted::start().await];
        let (source, target) = (from.repository("environments"), to.repository("models/iris"));
        source.has_blob(&digest(LAYER)).await.unwrap(); // /v2/ is asked
        from.on("GET", fault);
        let refused = target.copy_blob(&digest(LAYER), size, &source).await.unwrap_err();
        assert!(matches!(refused, RegistryError::Source { .. }), "{refused:?}");
        let wanted = format!("`{}/environments`: {what}", from.host);
        assert!(refused.to_string().starts_with(&wanted), "{refused}");
        assert!(to.seen("PUT").is_empty());
    }
}

#[tokio::test]
async fn a_blob_that_comes_cut_or_wrong_is_noticed() {
    let server = Scripted::start().await;
    let repository = server.repository("models/iris");
    server.state(|state| state.holds("models/iris", LAYER));
    assert!(repository.has_blob(&digest(LAYER)).await.unwrap());
    server.on("GET", Fault::Says(200, vec![], "something else".into()));
    let wrong = repository.blob(&digest(LAYER), 100).await.unwrap_err();
    assert!(matches!(wrong, RegistryError::Digest(_)), "{wrong:?}");
    let large = repository.blob(&digest(LAYER), 3).await.unwrap_err();
    assert!(matches!(large, RegistryError::TooLarge(_)), "{large:?}");
    server.on("GET", Fault::Says(200, vec![("content-length", "9".into())], String::new()));
    assert_eq!(repository.blob(&digest(LAYER), 100).await.unwrap().as_deref(), Some(LAYER));
    let mut stream = repository.open_blob(&digest(LAYER)).await.unwrap().unwrap();
    assert_eq!(stream.next().await.unwrap().as_deref(), Some(LAYER));
    assert_eq!(stream.next().await.unwrap(), None);
}

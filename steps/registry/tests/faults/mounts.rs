//! A blob of a repository beside: mounted, or sent where the registry does not want that.

use crate::{
    registry_state::digest,
    scripted::{Fault, Scripted, busy, error},
};

const LAYER: &[u8] = b"the bytes of a layer";

#[tokio::test]
async fn a_mount_asks_for_both_rights_and_sends_nothing() {
    let server = Scripted::start().await;
    server.state(|state| {
        (state.token, state.mounts) = (Some(1), true);
        state.holds("environments", LAYER);
    });
    let to = server.known("models/iris");
    let from = to.beside(format!("{}/environments", server.host).parse().unwrap(), None).unwrap();
    assert_eq!(to.copy_blob(&digest(LAYER), 20, &from).await.unwrap(), 0);
    assert!(to.has_blob(&digest(LAYER)).await.unwrap());
    let asked: Vec<_> = server.seen("GET").into_iter().map(|seen| seen.target).collect();
    let token = asked.iter().rfind(|target| target.starts_with("/token")).unwrap();
    let token = token.replace("%3A", ":").replace("%2F", "/").replace("%2C", ",");
    let own = "scope=repository:models/iris:pull,push";
    assert!(token.ends_with(&format!("{own}&scope=repository:environments:pull")), "{token}");
    assert!(server.seen("PUT").is_empty() && server.seen("PATCH").is_empty());
}

#[tokio::test]
async fn a_mount_that_is_refused_however_becomes_an_upload() {
    for fault in [
        Fault::None, // 202: here is a session instead
        error(401, "UNAUTHORIZED", "no such project"),
        error(403, "DENIED", "no"),
        error(404, "NAME_UNKNOWN", "no such repository"),
        error(405, "UNSUPPORTED", "no mounts here"),
        error(400, "NAME_INVALID", "from"),
        busy(500),
        busy(503),
        Fault::AnswerLost,
        Fault::CutAfter(0),
    ] {
        let server = Scripted::start().await;
        server.state(|state| state.holds("environments", LAYER));
        let [from, to] = [server.repository("environments"), server.repository("models/iris")];
        server.on("POST", fault.clone()).on("POST", fault.clone());
        assert!(!to.mount(&digest(LAYER), &from).await.unwrap(), "{fault:?}");
        let sent = to.copy_blob(&digest(LAYER), 20, &from).await;
        assert_eq!(sent.unwrap(), 20, "{fault:?}");
        assert!(to.has_blob(&digest(LAYER)).await.unwrap(), "{fault:?}");
    }
}

#[tokio::test]
async fn the_session_that_comes_in_place_of_a_mount_is_given_back() {
    let server = Scripted::start().await;
    server.state(|state| state.holds("environments", LAYER));
    let [from, to] = [server.repository("environments"), server.repository("models/iris")];
    assert!(!to.mount(&digest(LAYER), &from).await.unwrap());
    assert_eq!(server.seen("DELETE")[0].target, "/v2/models/iris/blobs/uploads/s0");
}

#[tokio::test]
async fn a_right_that_is_refused_for_a_mount_is_still_good_for_a_push() {
    let server = Scripted::start().await;
    server.state(|state| {
        state.token = Some(1);
        state.holds("environments", LAYER);
    });
    let [from, to] = [server.known("environments"), server.known("models/iris")];
    // With whatever token, as from a registry that does not know the other repository.
    for _ in 0..2 {
        server.on("POST", error(401, "UNAUTHORIZED", "no such project"));
    }
    assert!(!to.mount(&digest(LAYER), &from).await.unwrap());
    assert_eq!(to.copy_blob(&digest(LAYER), 20, &from).await.unwrap(), 20);
}

#[tokio::test]
async fn nothing_is_mounted_from_another_registry() {
    let [one, other] = [Scripted::start().await, Scripted::start().await];
    let (to, from) = (one.repository("models/iris"), other.repository("environments"));
    assert!(!to.mount(&digest(LAYER), &from).await.unwrap());
    assert!(one.seen("POST").is_empty());
    assert!(to.beside(from.name().clone(), None).is_none());
}

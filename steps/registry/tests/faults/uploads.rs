//! One streamed PATCH, and all that can happen to it.

use std::time::Duration;

use bytes::Bytes;
use registry::{RegistryError, Repository};

use crate::{
    registry_state::{digest, said},
    scripted::{Fault, Scripted, busy, error},
};

const MODEL: &[u8] = b"the bytes of a model";

async fn upload(repository: &Repository) -> Result<(), RegistryError> {
    let mut upload = repository.upload().await?;
    upload.write(Bytes::from_static(&MODEL[..9])).await?;
    upload.write(Bytes::from_static(&MODEL[9..])).await?;
    upload.finish(&digest(MODEL)).await
}

/// Writes until that fails.
async fn endless(repository: &Repository) -> RegistryError {
    let mut upload = repository.upload().await.unwrap();
    let piece = Bytes::from(vec![0; 1 << 20]);
    let failed = loop {
        if let Err(error) = upload.write(piece.clone()).await {
            break error;
        }
    };
    assert!(upload.write(piece).await.is_err(), "nothing more can be written");
    failed
}

async fn has(server: &Scripted) -> bool {
    server.repository("models/iris").has_blob(&digest(MODEL)).await.unwrap()
}

#[tokio::test]
async fn all_bytes_go_in_one_request_without_ranges_or_a_length() {
    let server = Scripted::start().await;
    upload(&server.repository("models/iris")).await.unwrap();
    assert!(has(&server).await);
    let [patch] = &server.seen("PATCH")[..] else { panic!("one PATCH") };
    assert_eq!(patch.body, MODEL.len());
    assert_eq!(patch.headers["transfer-encoding"], "chunked");
    assert_eq!(patch.headers["content-type"], "application/octet-stream");
    assert!(!patch.headers.contains_key("content-range"));
    assert!(!patch.headers.contains_key("content-length"));
    let [put] = &server.seen("PUT")[..] else { panic!("one PUT") };
    assert_eq!((put.body, put.headers["content-length"].as_str()), (0, "0"));
}

#[tokio::test]
async fn a_session_goes_on_wherever_the_registry_says() {
    for query in ["", "?_state=a-b_c%3D%3D", "?a=1&b="] {
        let server = Scripted::start().await;
        for location in [String::new(), format!("http://{}", server.host)] {
            server.state(|state| (state.location, state.query) = (location, query));
            server.state(|state| state.blobs.clear());
            upload(&server.repository("models/iris")).await.unwrap();
            assert!(has(&server).await);
            assert!(server.seen("PATCH").pop().unwrap().target.ends_with(query));
            let put = server.seen("PUT").pop().unwrap().target;
            let joined = if query.is_empty() { "?".into() } else { format!("{query}&") };
            let wanted = format!("{joined}digest={}", digest(MODEL).replace(':', "%3A"));
            assert!(put.ends_with(&wanted), "{put}");
        }
    }
}

#[tokio::test]
async fn a_session_on_another_host_gets_the_bytes_and_no_credentials() {
    let [server, storage] = [Scripted::start().await, Scripted::start().await];
    server.state(|state| {
        state.location = format!("http://{}", storage.host);
        state.token = Some(1);
    });
    storage.state(|state| state.location = format!("http://{}", storage.host));
    upload(&server.known("models/iris")).await.unwrap();
    let [patch, put] = [storage.seen("PATCH"), storage.seen("PUT")];
    assert_eq!((patch.len(), patch[0].body, put.len()), (1, MODEL.len(), 1));
    assert!(patch.iter().chain(&put).all(|seen| !seen.headers.contains_key("authorization")));
    assert!(server.seen("POST").pop().unwrap().headers.contains_key("authorization"));
}

#[tokio::test]
async fn another_host_that_wants_to_know_who_we_are_is_not_told() {
    let [server, storage] = [Scripted::start().await, Scripted::start().await];
    server.state(|state| state.location = format!("http://{}", storage.host));
    storage.state(|state| state.token = Some(1));
    let refused = upload(&server.known("models/iris")).await.unwrap_err();
    assert!(matches!(refused, RegistryError::Denied { .. }), "{refused:?}");
    let seen = [storage.seen("GET"), storage.seen("PATCH"), storage.seen("PUT")].concat();
    assert!(seen.iter().all(|seen| !seen.headers.contains_key("authorization")));
}

#[tokio::test]
async fn a_patch_may_be_answered_as_created_and_without_an_address() {
    let server = Scripted::start().await;
    server.state(|state| state.says_created = true);
    upload(&server.repository("models/iris")).await.unwrap();
    assert!(has(&server).await);
}

#[tokio::test]
async fn an_upload_that_is_not_begun_is_asked_for_again() {
    for fault in [busy(429), busy(500), busy(503), Fault::AnswerLost] {
        let server = Scripted::start().await;
        server.on("POST", fault);
        upload(&server.repository("models/iris")).await.unwrap();
        assert!(has(&server).await);
        assert_eq!((server.seen("POST").len(), server.seen("PATCH").len()), (2, 1));
    }
}

#[tokio::test]
async fn a_token_is_proved_before_the_first_byte() {
    let server = Scripted::start().await;
    server.state(|state| state.token = Some(1));
    server.on("POST", Fault::None).on("POST", error(401, "UNAUTHORIZED", "insufficient scope"));
    let refused = server.known("models/iris").upload().await.unwrap_err();
    let wanted = format!(
        "it answered 401 Unauthorized UNAUTHORIZED (insufficient scope): the right to push to `{}/models/iris` is missing",
        server.host
    );
    assert_eq!(refused.to_string(), wanted);
    assert!(!refused.is_retryable());
    assert!(server.seen("PATCH").is_empty());
}

#[tokio::test]
async fn a_token_that_expires_before_the_patch_is_another_one_in_the_next_upload() {
    let server = Scripted::start().await;
    server.state(|state| state.token = Some(1));
    server.on("PATCH", Fault::Expires);
    let repository = server.known("models/iris");
    let failed = upload(&repository).await.unwrap_err();
    assert!(matches!(failed, RegistryError::Ended(_)) && failed.is_retryable(), "{failed:?}");
    upload(&repository).await.unwrap();
    let used: Vec<_> =
        server.seen("PATCH").iter().map(|seen| seen.headers["authorization"].clone()).collect();
    assert_eq!(used, ["Bearer t1", "Bearer t2"]);
}

#[tokio::test]
async fn a_token_that_expires_before_the_end_is_renewed_and_no_byte_goes_twice() {
    let server = Scripted::start().await;
    server.state(|state| state.token = Some(1));
    server.on("PUT", Fault::Expires);
    upload(&server.known("models/iris")).await.unwrap();
    assert_eq!((server.seen("PATCH").len(), server.seen("PUT").len()), (1, 2));
    assert_eq!(server.seen("PUT")[1].headers["authorization"], "Bearer t2");
}

#[tokio::test]
async fn what_a_new_session_may_help_is_told_from_what_it_may_not() {
    let seven = vec![("retry-after", "7".to_owned())];
    for (method, fault, is_retryable, pause) in [
        ("PATCH", Fault::Says(429, seven, String::new()), true, Some(7)),
        ("PATCH", busy(408), true, Some(0)),
        ("PATCH", Fault::Says(500, vec![], "<html>".into()), true, None),
        ("PATCH", error(404, "BLOB_UPLOAD_UNKNOWN", "unknown"), true, None),
        ("PATCH", error(400, "BLOB_UPLOAD_INVALID", "offset"), true, None),
        ("PUT", error(404, "BLOB_UPLOAD_UNKNOWN", "unknown"), true, None),
        ("PATCH", Fault::CutAfter(7), true, None),
        ("PATCH", Fault::AnswerLost, true, None),
        ("PATCH", error(403, "DENIED", "quota"), false, None),
        ("PATCH", Fault::Says(413, vec![], String::new()), false, None),
        ("PUT", error(400, "DIGEST_INVALID", "provided digest did not match"), false, None),
        ("PUT", error(403, "DENIED", "no"), false, None),
    ] {
        let server = Scripted::start().await;
        server.on(method, fault.clone());
        let repository = server.repository("models/iris");
        let failed = upload(&repository).await.unwrap_err();
        assert_eq!(failed.is_retryable(), is_retryable, "{fault:?}: {failed:?}");
        assert_eq!(failed.retry_after().map(|pause| pause.as_secs()), pause, "{fault:?}");
        assert!(!failed.to_string().is_empty());
        upload(&repository).await.unwrap();
        assert!(has(&server).await, "{fault:?}");
    }
}

#[tokio::test]
async fn an_end_that_is_not_taken_is_told_again_without_the_bytes() {
    for faults in [vec![busy(503), busy(429)], vec![Fault::CutAfter(0)], vec![Fault::AnswerLost]] {
        let server = Scripted::start().await;
        for fault in &faults {
            server.on("PUT", fault.clone());
        }
        upload(&server.repository("models/iris")).await.unwrap();
        assert!(has(&server).await);
        assert_eq!(server.seen("PATCH").len(), 1, "{faults:?}");
        assert_eq!(server.seen("PUT").len(), 1 + faults.len(), "{faults:?}");
    }
}

#[tokio::test]
async fn a_refusal_while_bytes_still_come_is_the_registry_s_own_and_comes_at_once() {
    let server = Scripted::start().await;
    server.on("PATCH", Fault::Early(413, said("SIZE_INVALID", "no layer of more than 1 GiB")));
    let failed = endless(&server.repository("models/iris")).await;
    let wanted = "it answered 413 Payload Too Large SIZE_INVALID (no layer of more than 1 GiB)";
    assert_eq!(failed.to_string(), wanted);
    assert!(!failed.is_retryable());
}

#[tokio::test]
async fn an_answer_while_bytes_still_come_is_no_success() {
    let server = Scripted::start().await;
    server.on("PATCH", Fault::Early(202, String::new()));
    let failed = endless(&server.repository("models/iris")).await;
    assert_eq!(failed.to_string(), "it ended the upload before its bytes did");
}

#[tokio::test]
async fn a_connection_that_is_cut_ends_the_upload() {
    let server = Scripted::start().await;
    server.on("PATCH", Fault::CutAfter(3 << 20));
    let failed = endless(&server.repository("models/iris")).await;
    assert!(matches!(failed, RegistryError::Unreachable(_)), "{failed:?}");
}

#[tokio::test]
async fn a_registry_that_takes_nothing_is_not_waited_for_without_end() {
    let server = Scripted::start().await;
    server.on("PATCH", Fault::Deaf);
    let failed = endless(&server.impatient("models/iris")).await;
    assert_eq!(failed.to_string(), "it took nothing for 1s");
    assert!(failed.is_retryable());
}

#[tokio::test]
async fn a_registry_that_never_answers_is_not_waited_for_without_end() {
    for method in ["GET", "POST"] {
        let server = Scripted::start().await;
        server.on(method, Fault::Silent);
        let failed = upload(&server.impatient("models/iris")).await.unwrap_err();
        assert_eq!(failed.to_string(), "it did not answer for 1s", "{method}");
        assert!(failed.is_retryable());
    }
}

#[tokio::test]
async fn an_upload_that_is_given_up_or_dropped_leaves_no_session() {
    let server = Scripted::start().await;
    let repository = server.repository("models/iris");
    let mut upload = repository.upload().await.unwrap();
    upload.write(Bytes::from_static(MODEL)).await.unwrap();
    upload.abandon().await;
    assert_eq!(server.seen("DELETE").len(), 1);
    assert!(server.seen("PUT").is_empty());

    let server = Scripted::start().await;
    server.on("PATCH", Fault::Silent);
    let mut upload = server.repository("models/iris").upload().await.unwrap();
    upload.write(Bytes::from_static(MODEL)).await.unwrap();
    drop(upload);
    assert_eq!(server.sees("DELETE").await.target, "/v2/models/iris/blobs/uploads/s0");
}

#[tokio::test]
async fn a_slow_source_is_no_silence_of_the_registry() {
    let server = Scripted::start().await;
    let mut upload = server.impatient("models/iris").upload().await.unwrap();
    upload.write(Bytes::from_static(&MODEL[..9])).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    upload.write(Bytes::from_static(&MODEL[9..])).await.unwrap();
    upload.finish(&digest(MODEL)).await.unwrap();
}

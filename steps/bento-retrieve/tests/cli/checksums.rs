//! Checksums of the store and of whoever asks.

use crate::{
    run::{ALL, KEY, Run, crc32, retrieve_from, served, sha256sum},
    support::{
        bento, bento_files,
        server::{Answer, Server},
        tar::{archive, file},
    },
};

#[test]
fn another_archive_than_the_one_that_was_meant_is_refused() {
    let run = served([]);
    run.assert_nothing(
        &run.ended(run.command().arg("--sha256").arg("0".repeat(64)).output().unwrap()),
    );
    let right = sha256sum(&bento("iris", "v1")).to_uppercase();
    run.assert_whole(
        &run.ended(run.command().arg(format!("--sha256=sha256:{right}")).output().unwrap()),
    );
}

#[test]
fn the_store_s_own_checksum_is_compared_also_after_a_cut() {
    let crc = crc32(&bento("iris", "v1"));
    let header = || Answer::Headers(vec![("x-amz-checksum-crc32", crc.clone())]);
    let run = served([header()]);
    run.assert_whole(&run.retrieve());
    let run = served([Answer::Headers(vec![("x-amz-checksum-crc32", "not base64".into())])]);
    run.assert_whole(&run.retrieve());
}

#[test]
fn an_intact_archive_is_not_called_damaged_for_a_checksum_of_its_parts() {
    let damaged = |crc: &str, kind: Option<&str>, in_parts: bool| {
        let mut headers = vec![("x-amz-checksum-crc32", crc.to_owned())];
        headers.extend(kind.map(|kind| ("x-amz-checksum-type", kind.to_owned())));
        let answer = if in_parts { Answer::InParts(headers) } else { Answer::Headers(headers) };
        let run = served([answer]);
        let ended = run.retrieve();
        if ended.code == Some(0) {
            run.assert_whole(&ended);
            return false;
        }
        run.assert_nothing(&ended);
        assert!(ended.stderr.contains("its checksum is not the one"), "{}", ended.stderr);
        true
    };
    let (right, of_parts) = (&crc32(&bento("iris", "v1")), "nM3ykQ==");
    for (crc, kind) in [
        ("nM3ykQ==-2", Some("COMPOSITE")), // AWS
        ("nM3ykQ==-2", None),
        (of_parts, Some("COMPOSITE")), // older MinIO
        (of_parts, None),
        (of_parts, Some("NEW")),
        (right, Some("FULL_OBJECT")),
    ] {
        assert!(!damaged(crc, kind, true), "{crc} {kind:?}");
    }
    assert!(damaged(of_parts, Some("FULL_OBJECT"), true));
    assert!(damaged(of_parts, Some("FULL_OBJECT"), false));
    assert!(damaged(of_parts, None, false));
    assert!(!damaged(right, None, false));
    let unknown = served([Answer::Headers(vec![("x-amz-checksum-xxhash64", of_parts.into())])]);
    unknown.assert_whole(&unknown.retrieve());
}

#[test]
fn the_store_s_checksum_can_be_left_out_and_the_archive_s_own_remains() {
    let wrong = || Answer::Headers(vec![("x-amz-checksum-crc32", "AAAAAA==".into())]);
    let run = served([wrong()]);
    let with = |run: &Run, more: &str| {
        run.ended(run.command().args(["--store-checksum=false", more]).output().unwrap())
    };
    run.assert_whole(&with(&run, "--retries=3"));
    let run = served([wrong()]);
    run.assert_nothing(&with(&run, &format!("--sha256={}", "0".repeat(64))));
    let mut damaged = bento("iris", "v1");
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    let run = Run::new(Server::start([(KEY, damaged)]));
    run.assert_nothing(&with(&run, "--retries=3"));
}

#[test]
fn a_wrong_sha256_says_why_when_the_bytes_may_not_be_those_that_are_stored() {
    let plain = archive(bento_files("iris", "v1").iter().map(|(name, text)| file(name, text)));
    let told = |key: &str, archive: Vec<u8>, answer: Answer| {
        let run = Run::new(Server::start([(key, archive)]).script([answer]));
        let ended = retrieve_from(&run, &format!("s3://{key}"), &["--sha256", &"0".repeat(64)]);
        run.assert_nothing(&ended);
        ended.stderr.lines().find(|line| line.starts_with("hint:")).unwrap().to_owned()
    };
    let (packed, other) = (bento("iris", "v1"), "bentos/iris-v1.bento");
    let encoded = Answer::Headers(vec![("Content-Encoding", "gzip".into())]);
    insta::assert_snapshot!(
        [
            told(KEY, packed.clone(), Answer::Whole),
            told(KEY, plain, Answer::Chunked(ALL)),
            told(other, packed.clone(), Answer::Chunked(ALL)),
            told(other, packed, encoded),
        ]
        .join("\n")
    );
}

#[test]
fn bytes_that_the_store_marks_as_encoded_are_taken_as_they_are_stored() {
    let run = served([Answer::Headers(vec![("Content-Encoding", "gzip".into())])]);
    let right = sha256sum(&bento("iris", "v1"));
    run.assert_whole(&run.ended(run.command().arg(format!("--sha256={right}")).output().unwrap()));
}

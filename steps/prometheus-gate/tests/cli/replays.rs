//! The verdict of a record, again, wherever the record lies.

use std::{
    fs,
    io::{Write as _, repeat},
    path::Path,
    process::Output,
};

use flate2::{Compression, write::GzEncoder};
use tempfile::TempDir;
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{method, path},
};

use crate::server::{constant, gate, last_error, run, server, stderr};

/// What a gate has left: its record, and its verdict.
async fn evidence() -> (TempDir, Vec<u8>, Vec<u8>) {
    let prometheus = server(|request| constant(request, Some("0"))).await;
    let folder = tempfile::tempdir().unwrap();
    let report = format!("--report={}", folder.path().display());
    run(&prometheus, &["--query=errors", "--when=value == 0", &report]).await;
    let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
    let (record, verdict) = (read("record.ndjson"), read("verdict.json"));
    (folder, record, verdict)
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

async fn replay(record: &str, more: &[&str]) -> Output {
    let mut command = gate();
    command.arg("replay").arg(record).args(more);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

async fn holding(key: &str, bytes: Vec<u8>) -> MockServer {
    let store = MockServer::start().await;
    let found = ResponseTemplate::new(200).set_body_bytes(bytes).insert_header("etag", "\"1\"");
    Mock::given(method("GET")).and(path(key)).respond_with(found).mount(&store).await;
    let missing = "<Error><Code>NoSuchKey</Code><Message>there is none</Message></Error>";
    let missing = ResponseTemplate::new(404).set_body_string(missing);
    Mock::given(method("GET")).respond_with(missing).with_priority(9).mount(&store).await;
    store
}

#[tokio::test]
async fn a_record_that_is_packed_gives_the_same_verdict() {
    let (folder, record, verdict) = evidence().await;
    // Whatever it is called: a browser may have unpacked what it saved.
    for (name, bytes) in [("a.gz", packed(&record)), ("b", packed(&record)), ("c.gz", record)] {
        let file = folder.path().join(name);
        fs::write(&file, bytes).unwrap();
        let output = replay(&file.display().to_string(), &[]).await;
        assert_eq!(output.status.code(), Some(0), "{name}: {}", stderr(&output));
        assert_eq!(output.stdout, verdict, "{name}");
    }
}

#[tokio::test]
async fn a_record_is_read_from_a_store_and_from_a_page() {
    let (folder, record, verdict) = evidence().await;
    let key = "/bentos/releases/iris/v2/models.run/record.ndjson.gz";
    let store = holding(key, packed(&record)).await;
    let again = folder.path().join("again");
    let report = format!("--report={}", again.display());
    let endpoint = format!("--s3-endpoint={}", store.uri());
    let (in_store, on_page) = (format!("s3:/{key}"), format!("{}{key}", store.uri()));
    for (record, more) in
        [(in_store, &["--anonymous", &endpoint, &report][..]), (on_page, &[&report])]
    {
        let output = replay(&record, more).await;
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert_eq!(output.stdout, verdict);
        assert!(again.join("report.html").is_file());
        fs::remove_dir_all(&again).unwrap();
    }
}

#[tokio::test]
async fn a_record_that_is_not_there_is_told_with_where_records_lie() {
    let store = holding("/nothing", Vec::new()).await;
    let endpoint = format!("--s3-endpoint={}", store.uri());
    let output =
        replay("s3://bentos/releases/x/record.ndjson.gz", &["--anonymous", &endpoint]).await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        last_error(&output, &store),
        "error: there is no record `s3://bentos/releases/x/record.ndjson.gz`\n\nhint: releases that are kept have theirs as \
         `SERVICE/VERSION/NAMESPACE.RUN/record.ndjson.gz` below the setting `releases`, for as long as \
         `releases-retention` says\n"
    );
}

fn refused(output: &Output, file: &Path, why: &str) {
    let text = stderr(output).replace(&file.display().to_string(), "FILE");
    assert!(matches!(output.status.code(), Some(1 | 2)) && text.contains(why), "{why}: {text}");
    assert_eq!(output.stdout, b"");
}

#[tokio::test]
async fn a_record_that_is_cut_or_altered_or_unpacks_without_end_is_refused() {
    let (folder, record, _) = evidence().await;
    let file = folder.path().join("record.ndjson.gz");
    let whole = packed(&record);
    let mut altered = whole.clone();
    let middle = altered.len() - 6; // of the checksum
    altered[middle] ^= 1;
    let mut zeros = Vec::new();
    std::io::copy(&mut std::io::Read::take(repeat(b' '), 1 << 20), &mut zeros).unwrap();
    let bomb = packed(&zeros).repeat(65);
    for (bytes, why) in [
        (whole[..whole.len() / 2].to_vec(), "record `FILE` has no end"),
        (altered, "failed to read record `FILE`: "),
        (bomb, "record `FILE` is larger than a gate writes"),
    ] {
        fs::write(&file, bytes).unwrap();
        refused(&replay(&file.display().to_string(), &[]).await, &file, why);
    }
}

//! Several events, no sink, and the exit code of another step.

use super::*;

/// An event's text for a file.
fn event_text(id: &str, ty: &str) -> Vec<u8> {
    json!({"specversion": "1.0", "id": id, "source": "/s", "type": ty, "data": {"n": 1}})
        .to_string()
        .into_bytes()
}

async fn received_ids(server: &MockServer) -> Vec<Value> {
    let requests = received(server).await;
    requests.iter().map(|request| request.body_json::<Value>().unwrap()["id"].clone()).collect()
}

#[tokio::test]
async fn the_events_of_a_folder_are_sent_in_the_order_of_their_names() {
    let server = sink(ResponseTemplate::new(202)).await;
    let folder = TempDir::new().unwrap();
    for name in ["b", "a", "c"] {
        file(&folder, &format!("{name}.json"), &event_text(name, "t.v1"));
    }
    file(&folder, "notes.txt", b"no event");
    let results = Results::new();
    step()
        .args([format!("--sink={}", server.uri()), flag("event-file", folder.path())])
        .args(results.flags())
        .assert()
        .success();
    assert_eq!(received_ids(&server).await, ["a", "b", "c"]);
    assert_eq!(results.read(), ["c", "", "202", ""]);
}

#[tokio::test]
async fn an_empty_folder_is_done_with_nothing_sent() {
    let server = sink(ResponseTemplate::new(202)).await;
    let folder = TempDir::new().unwrap();
    let run = step()
        .args([format!("--sink={}", server.uri()), flag("event-file", folder.path())])
        .assert()
        .success();
    assert_eq!(stderr(&run), "there is no event to send\n");
    assert!(received(&server).await.is_empty());
}

#[tokio::test]
async fn a_folder_with_something_that_is_no_event_sends_nothing() {
    let server = sink(ResponseTemplate::new(202)).await;
    let folder = TempDir::new().unwrap();
    file(&folder, "a.json", &event_text("a", "t.v1"));
    file(&folder, "b.json", &event_text("", "t.v1"));
    let run = step()
        .args([format!("--sink={}", server.uri()), flag("event-file", folder.path())])
        .assert()
        .code(2);
    assert!(stderr(&run).contains("b.json`: attribute `id` is empty"), "{}", stderr(&run));
    assert!(received(&server).await.is_empty());
}

#[tokio::test]
async fn an_event_that_is_refused_does_not_hold_up_the_next() {
    let server = MockServer::start().await;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(400))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    Mock::given(any()).respond_with(ResponseTemplate::new(202)).mount(&server).await;
    let folder = TempDir::new().unwrap();
    file(&folder, "a.json", &event_text("a", "t.v1"));
    file(&folder, "b.json", &event_text("b", "t.v1"));
    let events = flag("event-file", folder.path());
    step().args([&format!("--sink={}", server.uri()), &events]).assert().code(3);
    assert_eq!(received_ids(&server).await, ["a", "b"]);

    let away = step().args(["--sink=http://127.0.0.1:9", "--retries=0", &events]).assert().code(1);
    insta::assert_snapshot!(stderr(&away));
}

#[test]
fn without_a_sink_the_events_of_a_folder_are_told_to_the_log() {
    let folder = TempDir::new().unwrap();
    file(&folder, "a.json", &event_text("a", "t.v1"));
    let events = flag("event-file", folder.path());
    let run = step().args(["--sink=", &events]).assert().success();
    insta::assert_snapshot!(stderr(&run));
    step().args(["--type=t.v1", "--source=/s"]).assert().code(2);
}

#[tokio::test]
async fn the_exit_code_of_another_step_is_the_end_of_this_one() {
    let server = sink(ResponseTemplate::new(202)).await;
    let folder = TempDir::new().unwrap();
    for (text, code) in [("0", 0), ("1", 1), ("3", 3), ("-1", 1), ("", 1), ("256", 1), ("143", 143)]
    {
        let exit_code = flag("exit-code-file", &file(&folder, "exitCode", text.as_bytes()));
        to(&server.uri()).arg(&exit_code).assert().code(code);
    }
    assert_eq!(received(&server).await.len(), 7);
    let exit_code = flag("exit-code-file", &file(&folder, "exitCode", b"3"));
    let failed = to(&server.uri()).arg(&exit_code).assert().code(3);
    let missing = to(&server.uri()).arg("--exit-code-file=/nowhere").assert().code(1);
    assert_eq!(received(&server).await.len(), 9);
    let texts = format!("{}\n{}", stderr(&failed), stderr(&missing));
    insta::assert_snapshot!(texts.replace(&server.uri(), "http://sink"));
}

//! Cuts, stalls, busy stores, servers without ranges.

use crate::{
    run::{ALL, KEY, Run, retrieve_from, served, sha256sum},
    support::{
        bento, bento_files, noise,
        server::{Answer, Server},
        tar::{archive, file},
    },
};

#[test]
fn a_cut_connection_is_taken_up_at_the_byte_it_had() {
    let whole = bento("iris", "v1");
    let run = served([Answer::CutAfter(50_000), Answer::CutAfter(60_000), Answer::Whole]);
    run.assert_whole(&run.retrieve());
    assert_eq!(run.result("sha256"), Some(sha256sum(&whole)));
    let seen: Vec<_> = run
        .server
        .seen()
        .iter()
        .map(|line| line.split(' ').nth(1).unwrap_or("all").to_owned())
        .collect();
    assert_eq!(seen, ["all", "bytes=50000-", "bytes=110000-"]);
    assert!(
        run.server.seen()[1..].iter().all(|line| line.split(' ').count() == 3),
        "each with If-Match"
    );
}

#[test]
fn what_may_heal_is_tried_again() {
    let run = served([
        Answer::Hangup,
        Answer::Error(503, "SlowDown"),
        Answer::NotS3(500),
        Answer::StallAfter(20_000),
        Answer::StallAfter(0),
        Answer::CutAfter(10_000),
        Answer::Error(500, "InternalError"),
        Answer::CutAfter(0),
    ]);
    run.assert_whole(&run.retrieve());
}

#[test]
fn a_store_that_stays_ill_is_given_up() {
    for answer in [Answer::Error(503, "SlowDown"), Answer::Hangup, Answer::StallAfter(0)] {
        let run = served(vec![answer; 30]);
        run.assert_nothing(&run.retrieve());
        assert_eq!(run.server.seen().len(), 4, "the first try and three more");
    }
}

#[test]
fn what_a_server_unpacks_on_the_way_is_begun_anew_after_a_cut() {
    let run = served([Answer::Hangup, Answer::CutAfter(0), Answer::WithoutTag]);
    run.assert_whole(&run.retrieve());
    assert_eq!(run.server.seen().len(), 3);

    let cut = [Answer::Chunked(9_000), Answer::Chunked(150_000), Answer::Chunked(ALL)];
    let run = served(cut.clone());
    run.assert_whole(&run.retrieve());
    assert_eq!(run.server.seen(), vec![format!("/{KEY}"); 3], "no part of it is asked for");
    assert_eq!(run.result("sha256"), Some(sha256sum(&bento("iris", "v1"))));

    let run = served(cut);
    run.assert_whole(&retrieve_from(&run, &format!("{}/{KEY}", run.server.url()), &[]));
}

#[test]
fn a_server_that_sends_another_part_than_was_asked_for_is_begun_anew() {
    for other in [Answer::WithoutRanges, Answer::OtherRange, Answer::Chunked(ALL)] {
        let run = served([Answer::CutAfter(9_000), other]);
        run.assert_whole(&run.retrieve());
        let seen = run.server.seen();
        assert!(seen[1].contains("bytes=9000-") && seen[2] == format!("/{KEY}"), "{seen:?}");
    }
    let run = served([Answer::OtherRange]);
    let ended = run.retrieve();
    run.assert_nothing(&ended);
    assert!(ended.stderr.contains("another part than the one"), "{}", ended.stderr);
}

#[test]
fn an_archive_is_begun_anew_as_often_as_retries_say_and_no_more() {
    let run = served(vec![Answer::Chunked(9_000); 30]);
    let ended = run.retrieve();
    run.assert_nothing(&ended);
    assert_eq!(run.server.seen().len(), 4, "the first time and three more");
    insta::assert_snapshot!(ended.stderr);
}

#[test]
fn an_end_without_a_length_is_believed_when_it_comes_again_at_the_same_byte() {
    let run = served([9_000, 150_000, ALL].map(Answer::Unmeasured));
    run.assert_whole(&run.retrieve());
    let run = served(vec![Answer::Unmeasured(9_000); 30]);
    let ended = run.retrieve();
    run.assert_nothing(&ended);
    assert_eq!(run.server.seen().len(), 2);
    assert!(ended.stderr.contains("the archive is truncated"), "{}", ended.stderr);
}

#[test]
fn a_slow_server_without_ranges_is_read_on_one_connection() {
    let mut files = bento_files("iris", "v1");
    files.push(("./models/iris_svm/abc/weights".into(), noise(24 << 20)));
    let plain = archive(files.iter().map(|(name, text)| file(name, text)));
    let answers = [Answer::Slow].into_iter().chain(vec![Answer::WithoutRanges; 30]);
    let run = Run::new(Server::start([(KEY, plain.clone())]).script(answers));
    run.assert_whole(&run.ended(run.command_with("bento", "10s").output().unwrap()));
    assert_eq!(run.result("sha256"), Some(sha256sum(&plain)));
    assert_eq!(run.server.seen().last(), Some(&format!("/{KEY}")));
}

#[test]
fn a_slow_connection_gets_others_beside_it_and_the_bytes_stay_in_order() {
    let mut files = bento_files("iris", "v1");
    files.push(("./models/iris_svm/abc/weights".into(), noise(24 << 20)));
    let plain = archive(files.iter().map(|(name, text)| file(name, text)));
    let with = |more: &str| {
        let answers = [
            Answer::Slow,
            Answer::Whole,
            Answer::CutAfter(1_000_000),
            Answer::Error(503, "SlowDown"),
        ];
        let run = Run::new(Server::start([(KEY, plain.clone())]).script(answers));
        let ended = run.ended(run.command_with("bento", "10s").arg(more).output().unwrap());
        run.assert_whole(&ended);
        assert_eq!(run.result("sha256"), Some(sha256sum(&plain)));
        run.server.seen()
    };
    let seen = with("--connections=4");
    let parts: Vec<_> = seen[1..].iter().map(|line| line.split(' ').nth(1).unwrap()).collect();
    assert!(parts.len() > 4, "{parts:?}");
    assert!(parts.iter().all(|range| !range.ends_with('-')), "each part has its end: {parts:?}");
    assert!(seen[1..].iter().all(|line| line.contains('"')), "each with If-Match");
    assert_eq!(with("--connections=1").len(), 1);
}

#[test]
fn a_length_that_is_wrong_is_never_taken_for_a_whole_archive() {
    let run = served([Answer::Claims(150_000)]);
    let short = run.retrieve();
    run.assert_nothing(&short);
    assert!(short.stderr.contains("the archive is truncated"), "{}", short.stderr);
    let run = served([Answer::Claims(1_000_000), Answer::Error(416, "InvalidRange")]);
    let long = run.retrieve();
    run.assert_nothing(&long);
    assert!(long.stderr.contains("416 InvalidRange"), "{}", long.stderr);
}

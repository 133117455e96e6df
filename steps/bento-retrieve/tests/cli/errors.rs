//! What a store says, and what to do about it.

use std::{
    io::{Read, Write},
    net::TcpListener,
};

use crate::{
    run::{KEY, Run, retrieve_from, served},
    support::{
        bento, bento_files,
        server::{Answer, Server},
        tar::{archive, file, gzip},
    },
};

#[test]
fn what_will_not_heal_is_told_at_once_with_what_to_do() {
    let told = |server: Server| {
        let run = Run::new(server);
        let ended = run.retrieve();
        run.assert_nothing(&ended);
        ended.stderr
    };
    let answered =
        |answer: Answer| told(Server::start([(KEY, bento("iris", "v1"))]).script([answer]));
    let half = bento("iris", "v1").split_off(100_000);
    let folder = || {
        [("bentos/team/iris/v1/bento.yaml", vec![]), ("bentos/team/iris/v1/src/service.py", vec![])]
    };
    let texts = [
        answered(Answer::Error(403, "AccessDenied")),
        answered(Answer::Error(301, "PermanentRedirect")),
        answered(Answer::NotS3(418)),
        told(Server::start([
            ("bentos/team/iris/v2.tar.gz", vec![]),
            ("bentos/team/iris/v3.bento", vec![]),
        ])),
        told(Server::start([("bentos/x", vec![])])),
        told(Server::start([("bentos/x", vec![])]).without_listing()),
        told(Server::start([("others/x", vec![])])),
        told(Server::start(folder())),
        told(
            Server::start([(KEY, bento("iris", "v1"))])
                .script([Answer::CutAfter(9_000), Answer::Replaced(half)]),
        ),
        told(Server::start([(KEY, bento("iris", "v2"))])),
        told(Server::start([(KEY, gzip(&archive([file("README.md", b"hello")])))])),
        told(Server::start([(
            KEY,
            gzip(&archive([file("bento.yaml", b"name: iris\nversion: v1\n")])),
        )])),
        told(Server::start([(KEY, gzip(&archive([file("bento.yaml", b"name: [iris\n")])))])),
        told(Server::start([(
            KEY,
            gzip(&archive(without_model().map(|(name, text)| file(&name, &text)))),
        )])),
        told(Server::start([(KEY, b"<html>Sign in</html>".to_vec())])),
        told(Server::start([(
            KEY,
            gzip(&archive([file("bento.yaml", b""), file("../../etc/x", b"")])),
        )])),
        answered(Answer::Headers(vec![("x-amz-checksum-crc32", "AAAAAA==".into())])),
    ];
    insta::assert_snapshot!(texts.join("\n"));
}

fn without_model() -> impl Iterator<Item = (String, Vec<u8>)> {
    bento_files("iris", "v1").into_iter().filter(|(name, _)| !name.starts_with("./models"))
}

fn error(code: &str, more: &str) -> String {
    format!("<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code>{more}</Error>")
}

fn message(text: &str) -> String {
    format!("<Message>{text}</Message>")
}

#[test]
fn each_refusal_of_a_store_leads_to_its_cause() {
    let told = |status: u16, body: String| {
        let run = served([Answer::Says(status, body)]);
        let ended = run.retrieve();
        run.assert_nothing(&ended);
        assert_eq!(run.server.seen().len(), 1, "told at once: {}", ended.stderr);
        ended.stderr
    };
    let page = || "<!DOCTYPE html><html>Sign in</html>".to_owned();
    insta::assert_snapshot!(
        [
            told(
                301,
                error(
                    "PermanentRedirect",
                    "<Endpoint>bentos.s3.eu-west-1.amazonaws.com</Endpoint>"
                )
            ),
            told(400, error("AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>")),
            told(301, error("PermanentRedirect", "")),
            told(403, error("AccessDenied", &message("Access Denied"))),
            told(
                403,
                error(
                    "AccessDenied",
                    &message(
                        "User: arn:aws:iam::1:user/lea is not authorized to perform: kms:Decrypt"
                    )
                )
            ),
            told(403, error("InvalidAccessKeyId", &message("The key does not exist"))),
            told(403, error("SignatureDoesNotMatch", "")),
            told(400, error("ExpiredToken", "")),
            told(400, error("InvalidToken", "")),
            told(403, error("InvalidObjectState", "<StorageClass>DEEP_ARCHIVE</StorageClass>")),
            told(400, error("KMS.DisabledException", "")),
            told(
                400,
                error(
                    "InvalidRequest",
                    &message("The object was stored using a form of Server Side Encryption")
                )
            ),
            told(403, error("AllAccessDisabled", "")),
            told(
                501,
                error(
                    "NotImplemented",
                    &message("A header you provided implies functionality that is not implemented")
                )
            ),
            told(404, error("NoSuchBucket", "")),
            told(403, page()),
            told(200, page()),
            told(400, "Client sent an HTTP request to an HTTPS server.\n".into()),
        ]
        .join("\n")
    );
}

#[test]
fn a_clock_that_is_wrong_is_set_by_the_store_s_and_told_when_that_does_not_help() {
    let skewed = "<Error><Code>RequestTimeTooSkewed</Code><ServerTime>2026-11-24T06:00:00Z</ServerTime></Error>";
    let run = served([Answer::Says(403, skewed.into())]);
    run.assert_whole(&run.retrieve());
    let run = served(vec![Answer::Says(403, skewed.into()); 30]);
    let ended = run.retrieve();
    run.assert_nothing(&ended);
    for text in ["the clock here says 2", "the store's 2026-11-24T06:00:00Z", "hint: set the clock"]
    {
        assert!(ended.stderr.contains(text), "{text}: {}", ended.stderr);
    }
}

/// The address of something that answers all that is said to it with these bytes.
fn always_answering(bytes: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4_096]);
            let _ = stream.write_all(bytes);
        }
    });
    address
}

#[test]
fn tls_and_plain_http_that_are_mixed_up_are_told_apart() {
    let run = served([]);
    let told = |address: String| {
        let ended = retrieve_from(&run, &address, &[]);
        run.assert_nothing(&ended);
        ended.stderr.lines().find(|line| line.starts_with("hint:")).unwrap().to_owned()
    };
    let plain = always_answering(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    let hint = told(format!("https://{plain}/x"));
    assert!(hint.contains("begin `s3-endpoint`, or the address, with `http://`"), "{hint}");
    let alert = always_answering(b"\x15\x03\x01\x00\x02\x02\x46"); // of TLS, to whoever does not speak it
    let hint = told(format!("http://{alert}/x"));
    assert!(hint.contains("begin `s3-endpoint`, or the address, with `https://`"), "{hint}");
}

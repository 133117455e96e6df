//! Where archives are looked for and taken from.

use std::fs;

use crate::{
    run::{KEY, Run, retrieve_from, served},
    support::{
        bento, bento_files,
        server::{Answer, Server},
        tar::{archive, bzip2, file, gzip, xz},
    },
};

#[test]
fn an_archive_is_found_under_each_of_its_usual_names_and_told_by_its_contents() {
    let plain = archive(bento_files("iris", "v1").iter().map(|(name, text)| file(name, text)));
    for (key, packed) in [
        ("bentos/team/iris/v1.bento", xz(&plain)),
        ("bentos/team/iris/v1.tar", plain.clone()),
        ("bentos/team/iris/v1.tar.xz", gzip(&plain)),
        ("bentos/team/iris/v1.tar.bz2", bzip2(&plain)),
        ("bentos/team/iris-v1.bento", xz(&plain)),
        ("bentos/team/iris/v1.tar.gz", plain.clone()),
    ] {
        let run = Run::new(Server::start([(key, packed), ("bentos/team/iris/v10.tar.gz", vec![])]));
        run.assert_whole(&run.retrieve());
    }
}

#[test]
fn a_bundle_of_0_x_loses_its_one_folder() {
    let manifest = b"metadata:\n  service_name: iris\n  service_version: v1\n".to_vec();
    let files = [
        file("iris/bentoml.yml", &manifest),
        file("iris/Dockerfile", b"FROM scratch\n"),
        file("iris/iris/iris.py", b""),
    ];
    let run = Run::new(Server::start([(KEY, gzip(&archive(files)))]));
    assert_eq!(run.retrieve().code, Some(0));
    assert_eq!(run.result("dockerfile").as_deref(), Some("Dockerfile"));
    assert!(run.bento().join("iris/iris.py").is_file());
    assert_eq!(run.left_over(), Vec::<String>::new());
}

#[test]
fn an_archive_is_taken_from_an_exact_key_an_address_and_a_path() {
    let run = served([Answer::CutAfter(40_000)]);
    run.assert_whole(&retrieve_from(&run, "s3://bentos/team/iris/v1.tar.gz", &["--bento=iris:v1"]));
    assert!(run.server.seen()[1].contains("bytes=40000-"));

    let run = served([Answer::CutAfter(40_000), Answer::Redirect(307, format!("/{KEY}"))]);
    let ended =
        retrieve_from(&run, &format!("{}/{KEY}?X-Amz-Signature=s3cr3t", run.server.url()), &[]);
    run.assert_whole(&ended);
    assert!(run.server.seen()[2].contains("bytes=40000- \""), "with If-Match");
    assert!(!ended.stderr.contains("s3cr3t"), "{}", ended.stderr);

    let run = served([]);
    let path = run.home.path().join("result.archive");
    fs::write(&path, bento("iris", "v1")).unwrap();
    run.assert_whole(&retrieve_from(&run, "result.archive", &[]));
    run.assert_whole(&retrieve_from(&run, "result.archive", &[]));
    assert_eq!(run.server.seen(), Vec::<String>::new());
}

#[test]
fn an_address_that_fails_is_told_without_its_signature() {
    let told = |answer: Option<Answer>, key: &str| {
        let run = served(answer);
        let ended =
            retrieve_from(&run, &format!("{}/{key}?X-Amz-Signature=s3cr3t", run.server.url()), &[]);
        run.assert_nothing(&ended);
        assert!(!ended.stderr.contains("s3cr3t"), "{}", ended.stderr);
        ended.stderr
    };
    insta::assert_snapshot!(
        [
            told(None, "bentos/none"),
            told(Some(Answer::Error(403, "AccessDenied")), KEY),
            told(Some(Answer::Redirect(302, "ftp://elsewhere/x".into())), KEY),
            told(Some(Answer::Redirect(302, "/circle".into())), "bentos/none"),
        ]
        .join("\n")
    );
}

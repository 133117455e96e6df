//! `list` and `show`.

use crate::{
    run::{ALL, command},
    support::{
        bento, noise,
        server::{Answer, Server},
        tar::{archive, file, gzip, xz},
        zip,
    },
};

fn shelf() -> Server {
    let saved = |name: &str, version: &str, created: &str, labels: &str| {
        let manifest = format!(
            "name: {name}\nversion: {version}\nbentoml_version: 1.4.39\nservice: service:Iris\ncreation_time: '{created}'\n\
             labels: {{{labels}}}\nmodels: []\nenvs:\n- name: TOKEN\n  value: s3cr3t\n\
             image: {{base_image: 'python:3.11-slim', python_version: '3.11'}}\n\
             schema: {{routes: [{{route: /classify, input: {{properties: {{petal: {{}}, sepal: {{}}}}}}}}]}}\n\
             services:\n- name: Iris\n  models:\n  - {{tag: 'svm:m1', module: bentoml.sklearn}}\n"
        );
        let model = b"name: svm\nmetadata: {accuracy: 0.97}\ncontext: {framework_versions: {scikit-learn: 1.9.1}}\n";
        archive([
            file("./bento.yaml", manifest.as_bytes()),
            file("./models/svm/m1/model.yaml", model),
            file("./models/svm/m1/weights", &noise(3_000_000)),
        ])
    };
    let legacy = archive([
        file("Old/Old/artifacts/model.pkl", &noise(200_000)),
        file("Old/bentoml.yml", b"version: 0.13.1\nmetadata:\n  created_at: 2020-01-02 03:04:05.678\n  service_name: Old\n  service_version: 2020_A\nartifacts:\n- {name: model, artifact_type: SklearnModelArtifact}\napis:\n- {name: predict}\n"),
    ]);
    let zipped = zip::Zip::of([
        zip::file(
            "bento.yaml",
            b"name: iris\nversion: z\ncreation_time: '2026-11-25T06:00:00+00:00'\n",
        ),
        zip::file("models/weights", &noise(300_000)),
    ]);
    Server::start([
        (
            "bentos/team/iris/v1.tar.gz",
            gzip(&saved("iris", "v1", "2026-11-24T06:00:00+00:00", "owner: lea")),
        ),
        ("bentos/team/iris/v2.bento", xz(&saved("iris", "v2", "2026-11-26T06:00:00+00:00", ""))),
        ("bentos/team/iris/z.zip", zipped.bytes()),
        ("bentos/team/wine-a.tar", saved("wine", "a", "2026-11-20T06:00:00+00:00", "")),
        ("bentos/team/Old/2020_A.tar.gz", gzip(&legacy)),
        ("bentos/team/iris/broken.tar.gz", b"<html>".to_vec()),
        ("bentos/team/iris/v1/bento.yaml", vec![]),
        ("bentos/team/notes.txt", vec![]),
    ])
}

fn look(server: &Server, words: &[&str]) -> (Option<i32>, String, String) {
    let mut command = command();
    command.args(words).env("AWS_ENDPOINT_URL", server.url());
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap().replace(&server.url(), "[server]");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn list_prints_what_is_there_newest_first_from_the_manifests_alone() {
    let server = shelf();
    let (code, stdout, stderr) = look(&server, &["list", "--store=s3://bentos/team"]);
    assert_eq!(code, Some(0), "{stderr}");
    insta::assert_snapshot!(format!("{stdout}{stderr}"));
    let whole = server
        .seen()
        .iter()
        .filter(|line| !line.starts_with("list") && !line.contains("bytes="))
        .count();
    assert_eq!(whole, 0, "no archive is asked for as a whole");
    let (_, stdout, _) =
        look(&server, &["list", "--store=s3://bentos/team", "wine", "--output=json"]);
    insta::assert_snapshot!(stdout);
}

#[test]
fn list_and_show_need_neither_ranges_nor_a_length() {
    for answer in [Answer::Chunked(ALL), Answer::WithoutRanges] {
        let server = shelf().script(vec![answer.clone(); 30]);
        let (_, stdout, stderr) = look(&server, &["list", "--store=s3://bentos/team", "Old"]);
        assert!(stdout.contains("Old:2020_A "), "{answer:?}: {stdout}{stderr}");
        let (_, stdout, stderr) = look(&server, &["show", "--store=s3://bentos/team", "iris:v2"]);
        assert!(stdout.starts_with("iris:v2"), "{answer:?}: {stdout}{stderr}");
    }
}

#[test]
fn list_knows_versions_and_latest_and_says_when_there_is_nothing() {
    let server = shelf();
    let listed = |bento| look(&server, &["list", "--store=s3://bentos/team", bento]);
    for (bento, rows) in [("iris", 5), ("iris:latest", 2), ("iris:v1", 2)] {
        let (_, stdout, stderr) = listed(bento);
        assert_eq!(stdout.lines().count(), rows, "{bento}: {stdout}{stderr}");
    }
    assert!(listed("iris:latest").1.contains("\niris:v2 "));
    let nothing = "there is no bento `none` in `s3://bentos/team`\n";
    assert_eq!(listed("none"), (Some(0), String::new(), nothing.into()));
}

#[test]
fn show_prints_one_and_latest_is_the_newest_by_its_manifest() {
    let server = shelf();
    let (code, stdout, stderr) =
        look(&server, &["show", "--store=s3://bentos/team", "iris:latest"]);
    assert_eq!(code, Some(0), "{stderr}");
    insta::assert_snapshot!(stdout);
    let (_, stdout, _) =
        look(&server, &["show", "--store=s3://bentos/team", "iris:v1", "--output=json"]);
    assert!(stdout.contains("\"TOKEN\"") && !stdout.contains("s3cr3t"), "{stdout}");
    let (_, stdout, _) = look(&server, &["show", "--from=s3://bentos/team/Old/2020_A.tar.gz"]);
    insta::assert_snapshot!(stdout);
    let (code, _, stderr) = look(&server, &["show", "--store=s3://bentos/team", "none:latest"]);
    assert_eq!(code, Some(1));
    insta::assert_snapshot!(stderr);
}

/// A title, a colour, a turned line, a value of 70,000 characters and 10,000 labels, in keys and values.
fn hostile() -> Server {
    let bad = r#""\u001b]0;owned\u0007\u001b[31m\u009b2J\u202eevil\nBENTO  forged""#;
    let long = "x".repeat(70_000);
    let many = (0..10_000).fold(String::new(), |labels, at| labels + &format!("l{at}: v, "));
    let manifest = format!(
        "name: iris\nversion: v1\ncreation_time: {bad}\nbentoml_version: {bad}\nservice: {bad}\n\
         labels: {{{bad}: {bad}, {many} long: {long}}}\nimage: {{base_image: {bad}, python_version: {long}}}\n\
         envs: [{{name: {bad}, value: x}}]\nschema: {{routes: [{{route: {bad}}}]}}\n\
         models:\n- {{tag: {bad}, module: {bad}, registry: huggingface}}\n- {{tag: 'b:c', module: {long}}}\n"
    );
    Server::start([
        ("bentos/team/iris/v1.tar.gz", gzip(&archive([file("./bento.yaml", manifest.as_bytes())]))),
        ("bentos/team/iris/v\u{202e}zt.\u{9b}2J.tar.gz", b"<html>".to_vec()),
        ("bentos/team/iris/v2.tar.gz", bento("iris", "v2")),
    ])
}

fn acts(c: char) -> bool {
    c != '\n' && c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[test]
fn what_others_put_into_a_store_harms_nobody_who_lists_it() {
    let server = hostile();
    for words in [
        &["list", "--store=s3://bentos/team"][..],
        &["show", "--store=s3://bentos/team", "iris:v1"],
        &["list", "--store=s3://bentos/team", "--output=json"],
        &["show", "--store=s3://bentos/team", "iris:v1", "--output=json"],
    ] {
        let (code, stdout, stderr) = look(&server, words);
        assert_eq!(code, Some(0), "{stderr}");
        assert!(!format!("{stdout}{stderr}").contains(acts), "{words:?}\n{stdout}{stderr}");
        assert!(stdout.contains("evil") && !stdout.contains("\nBENTO  forged"), "{stdout}");
        if words.contains(&"--output=json") {
            let value: serde_json::Value = serde_json::from_str(&stdout).unwrap();
            let text = value.to_string();
            assert!(text.contains('\u{202e}') && text.len() > 70_000, "a program reads it exactly");
        } else {
            let longest = stdout.lines().map(|line| line.chars().count()).max();
            assert!(longest < Some(3000), "{longest:?}");
        }
    }
    let (_, stdout, _) = look(&server, &["list", "--store=s3://bentos/team"]);
    assert_eq!(stdout.lines().count(), 4, "a row each, and the heading: {stdout}");
    assert!(stdout.contains("\niris:v2 "), "{stdout}");
}

#[test]
fn latest_is_refused_with_the_version_that_it_would_have_meant() {
    let (code, _, stderr) =
        look(&shelf(), &["--store=s3://bentos/team", "--bento=iris:latest", "--into=/nonexistent"]);
    assert_eq!(code, Some(2));
    insta::assert_snapshot!(stderr);
}

#[test]
fn what_is_kept_of_releases_is_not_listed_with_the_bentos_beside_it() {
    let kept = |run| format!("bentos/releases/iris/v1/run-{run:04}/run.json");
    let kept: Vec<_> = (0..2_500).map(kept).collect();
    let bento = |name: &str| {
        let manifest = format!("name: {name}\nversion: v1\ncreation_time: '2026-11-24T06:00:00'\n");
        gzip(&archive([file("./bento.yaml", manifest.as_bytes())]))
    };
    let objects = kept.iter().map(|key| (key.as_str(), Vec::new()));
    let server = Server::start(objects.chain([
        ("bentos/iris/v1.tar.gz", bento("iris")),
        ("bentos/releases/v1.tar.gz", bento("releases")),
        ("bentos/wine/v1.tar.gz", bento("wine")),
    ]));
    let (code, stdout, stderr) = look(&server, &["list", "--store=s3://bentos"]);
    assert_eq!(code, Some(0), "{stderr}");
    let listed: Vec<_> = stdout.lines().filter_map(|line| line.split_once(' ')).collect();
    let names: Vec<_> = listed.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["BENTO", "wine:v1", "iris:v1"]);
    let lists = server.seen().iter().filter(|line| line.starts_with("list")).count();
    assert_eq!(lists, 2, "one page ends in what is left out, and the next begins behind it");
    let (_, stdout, _) = look(&server, &["list", "--store=s3://bentos", "releases"]);
    assert!(stdout.contains("releases:v1"), "{stdout}");
}

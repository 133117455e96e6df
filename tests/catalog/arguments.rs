//! How each binary is called where there is nobody to talk to.

/// A port at which nothing listens.
pub(crate) const NOBODY: &str = "127.0.0.1:9";

/// Arguments with which a binary gets as far as it can where there is no server, and then ends.
pub(crate) fn base(binary: &str, subcommand: &str, flag: &str) -> Vec<String> {
    let digest = "0".repeat(64);
    let image = format!("--image=r/iris@sha256:{digest}");
    let unreachable = format!("--prometheus-url=http://{NOBODY}");
    let [store, s3, once] =
        ["--store=s3://bucket", "--s3-endpoint=http://127.0.0.1:9", "--retries=0"];
    let (bento, repository) = ("--bento=iris:v1", "--image=127.0.0.1:9/models/iris");
    let words: &[&str] = match (binary, subcommand, flag) {
        ("bento-retrieve", "", "--from") => &["--into=new/bento", "--retries=0", "--timeout=5s"],
        ("bento-retrieve", "", _) => &[store, s3, bento, "--into=new/bento", once],
        ("bento-retrieve", "show", "--from") => &["--retries=0"],
        ("bento-retrieve", "show", _) => &["iris:v1", store, s3, once],
        ("bento-retrieve", "list", _) => &[store, s3, once],
        ("bento-image", "build", _) => &["--from=new"],
        ("bento-image", "prepare", _) => &[store, s3, bento, repository, once, "--into=new/work"],
        ("bento-image", "finish", _) => &[store, s3, bento, repository, once, "--from=new"],
        ("bento-image", "assemble" | "plan", _) => &[store, s3, bento, repository, once],
        ("canary-create", ..) => &["--service=iris", &image, "--ladder=10"],
        ("canary-decide", ..) => {
            &["--service=iris", "--decision=hold", "--version=v2", "--by=ada", "--timeout=1s"]
        }
        ("canary-promote", ..) => &["--service=iris", "--canary-revision=iris-predictor-00002"],
        ("canary-rollback", ..) => &["--service=iris", &image.replacen("image", "canary-image", 1)],
        ("prometheus-gate", "", "--spec") => &[&unreachable],
        ("prometheus-gate", "", _) => &[
            "--query=up",
            "--when=value == 0",
            &unreachable,
            "--max-outage=1s",
            "--poll=1s",
            "--record=new/record",
        ],
        ("prometheus-gate", "check", _) => &["spec.yaml", &unreachable],
        ("cloudevent-send", _, "--event-file") => &["--sink=http://127.0.0.1:9"],
        ("cloudevent-send", ..) => &[
            "--type=t.v1",
            "--source=/s",
            "--sink=http://127.0.0.1:9",
            "--retries=0",
            "--result-error=new/error",
        ],
        ("release-record", "gate", _) => &[
            "--folder=new",
            "--releases=s3://bucket",
            s3,
            once,
            "--service=iris",
            "--namespace=models",
            "--pipeline-run=promotion-1",
        ],
        ("release-record", "runs", _) => &["--releases=s3://bucket", s3, once],
        // An address for documentation, which no machine has.
        ("answer-counter" | "cloudevent-interceptor", ..) => &["--listen=192.0.2.1:9"],
        ("release-page", "serve", "--user-header") => {
            &["--listen=192.0.2.1:9", "--trusted-proxy=10.0.0.0/8", store, s3]
        }
        ("release-page", "serve", _) => {
            &["--listen=192.0.2.1:9", "--insecure-no-authentication", store, s3]
        }
        _ => &[],
    };
    words.iter().map(|&word| word.to_owned()).collect()
}

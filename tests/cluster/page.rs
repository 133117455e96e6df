//! The release page in a real browser, while a release goes on; and what it shows when all runs are gone.

use std::process::{ExitStatus, Stdio};

use demo::{Site, tree};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use crate::{
    bento::Model, interrupted_releases::ask, ladder::climbing, namespace::in_namespace,
    release::LIMIT,
};

/// A program whose lines are read.
struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The first line that has these words.
    async fn says(&mut self, words: &str) -> String {
        let said = async {
            loop {
                let line = self.lines.next_line().await.unwrap();
                let line = line.unwrap_or_else(|| panic!("it ended before it said `{words}`"));
                if line.contains(words) {
                    return line;
                }
            }
        };
        tokio::time::timeout(LIMIT, said)
            .await
            .unwrap_or_else(|_| panic!("it never said `{words}`"))
    }

    async fn ends(mut self) -> ExitStatus {
        tokio::time::timeout(LIMIT, self.child.wait()).await.unwrap().unwrap()
    }
}

/// The page as whoever tries it first reaches it; gone when it is dropped.
async fn forwarded(site: &Site) -> (Running, String) {
    site.kubectl(["rollout", "status", "deployment/release-page", "--timeout=3m"]).unwrap();
    let mut forward = Running::start(
        Command::new(&site.cluster.kubectl)
            .arg("--kubeconfig")
            .arg(&site.cluster.kubeconfig)
            .args(["--namespace", &site.namespace, "port-forward"])
            .args(["deployment/release-page", ":8080"]),
    );
    let line = forward.says("Forwarding from 127.0.0.1").await;
    let address = line.split_whitespace().nth(2).unwrap();
    let url = format!("http://{address}");
    (forward, url)
}

/// One of the scripts that drive a browser.
fn browser(script: &str, url: &str, more: &[&str]) -> Running {
    let tree = tree().unwrap();
    Running::start(
        Command::new("node")
            .arg(tree.join("tests/browser").join(script))
            .args(["--url", url])
            .args(more)
            .current_dir(tree),
    )
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn a_person_watches_a_release_on_the_page_and_sees_it_when_its_runs_are_gone() {
    in_namespace("watched", async |mut site| {
        site.kubectl(["scale", "deployment/release-page", "--replicas=1"]).unwrap();
        let (sink, _traffic) = climbing(&mut site, "watched", "10,50").await;
        let (forward, url) = forwarded(&site).await;
        let path = format!("/services/{}/watched", site.namespace);
        let mut eyes = browser("release.mjs", &format!("{url}{path}"), &["--version", "v2"]);
        eyes.says("sees v1").await;
        ask(&site, "watched", "v2", Model::Good).await;
        sink.event(LIMIT, ("watched", "v2"), &["canary.promoted"]).await;
        assert!(eyes.ends().await.success(), "what the browser saw is above");

        // Pages of a real site, by the same rules as those of the made-up one.
        assert!(browser("drive.mjs", &url, &[]).ends().await.success());

        keep_runs(&site);
        site.delete_runs().await.unwrap();
        let kept = browser("release.mjs", &format!("{url}{path}"), &["--version", "v2", "--kept"]);
        assert!(kept.ends().await.success(), "what is kept in the store is shown");
        drop(forward);
    })
    .await;
}

/// Has the runs that have ended kept now, and not when it is time.
fn keep_runs(site: &Site) {
    site.kubectl(["create", "job", "keep", "--from=cronjob/release-record"]).unwrap();
    site.kubectl(["wait", "job/keep", "--for=condition=complete", "--timeout=3m"]).unwrap();
}

//! Each step with exactly the Role that its README names, or that of the sweep, and with one verb less,
//! which it then names. A verb that no step misses has no place in a Role.

use std::{
    fs,
    process::Stdio,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use demo::{Site, within};
use kube::config::Kubeconfig;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::{bento::Model, canary::SERVICE, image, namespace::in_namespace};

/// A verb on a resource.
type Right = (&'static str, &'static str);

/// What each look at a service reads.
const SERVICE_READS: [Right; 3] =
    [("get", "inferenceservices"), ("list", "revisions"), ("get", "leases")];

/// What a look reads besides while the newest revision has a pod without a container.
const POD_READS: [Right; 2] = [("list", "pods"), ("list", "events")];

const CREATE: &str = "tasks/canary-create/README.md";
const PROMOTE: &str = "tasks/canary-promote/README.md";
const ROLLBACK: &str = "tasks/canary-rollback/README.md";
const SWEEP: &str = "triggers/sweep.yaml";

/// No node has as many, so that the pod gets no container.
const TOO_LARGE: &str =
    r#"--container={"resources":{"requests":{"cpu":"1000"},"limits":{"cpu":"1000"}}}"#;

#[tokio::test]
#[ignore = "needs the cluster"]
async fn canary_create_misses_each_of_its_rights() {
    in_namespace("create-rights", async |site| {
        let images = Images::push(&site).await;
        let mut step = Step::new(&site, "canary-create", CREATE);
        let first = images.create("v1");
        step.misses(("create", "inferenceservices"), &first).await;
        step.succeeds(&first).await;

        let next = images.create("v2");
        let look = format!("{next} --dry-run");
        step.misses_each(&SERVICE_READS, &look).await;
        step.misses(("create", "leases"), &next).await;
        step.misses(("patch", "inferenceservices"), &next).await;
        step.misses(("patch", "leases"), &images.create("v3")).await;
        step.misses(("get", "configmaps"), &next).await;
        step.leave_a_minimum("iris-predictor-00001");
        step.misses(("patch", "revisions"), &next).await;
        step.succeeds(&next).await;

        let wait = format!("{next} --when-busy=wait");
        step.misses(("list", "pipelineruns"), &wait).await;
        step.misses(("list", "taskruns"), &wait).await;
        let replace = |version| format!("{} --when-busy=replace", images.create(version));
        step.misses(("delete", "revisions"), &replace("v3")).await;

        step.leaves_pending(&replace("v4")).await;
        let look = format!("{} --dry-run", images.create("v4"));
        step.misses_each(&POD_READS, &look).await;
        step.assert_all_missed();
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn canary_promote_misses_each_of_its_rights() {
    in_namespace("promote-rights", async |site| {
        let images = Images::push(&site).await;
        let releaser = Step::new(&site, "canary-create", CREATE);
        releaser.succeeds(&images.create("v1")).await;
        releaser.succeeds(&images.create("v2")).await;

        let mut step = Step::new(&site, "canary-promote", PROMOTE);
        step.leaves_to_others(("get", "pipelineruns")); // which cloudevent-send has tests for
        let promote = format!("--service={SERVICE} --canary-revision={}", step.latest());
        let look = format!("{promote} --dry-run");
        step.misses_each(&SERVICE_READS, &look).await;
        step.misses(("patch", "inferenceservices"), &promote).await;
        step.leave_a_minimum("iris-predictor-00001");
        step.misses(("patch", "revisions"), &promote).await;
        step.succeeds(&promote).await;

        releaser.leaves_pending(&images.create("v3")).await;
        step.misses_each(&POD_READS, &look).await;
        step.assert_all_missed();
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn canary_rollback_misses_each_of_its_rights() {
    in_namespace("rollback-rights", async |site| {
        let images = Images::push(&site).await;
        let releaser = Step::new(&site, "canary-create", CREATE);
        releaser.succeeds(&images.create("v1")).await;
        releaser.succeeds(&images.create("v2")).await;

        let mut step = Step::new(&site, "canary-rollback", ROLLBACK);
        let back = images.rollback("v2");
        let look = format!("{back} --dry-run");
        step.misses_each(&SERVICE_READS, &look).await;
        step.misses(("patch", "inferenceservices"), &back).await;
        step.misses(("delete", "revisions"), &back).await;

        releaser.succeeds(&images.create("v3")).await;
        step.misses(("patch", "leases"), &images.rollback("v3")).await;
        releaser.succeeds(&images.create("v4")).await;
        let back = images.rollback("v4");
        let forgotten = format!("{back} --baseline-image={}", images.of("v1"));
        step.kubectl(&["delete", "lease", &format!("{SERVICE}-canary")]).unwrap();
        step.misses(("create", "leases"), &forgotten).await;

        let told = format!("{back} {} --pipeline-run=promotion", step.events());
        step.misses(("get", "pipelineruns"), &told).await;
        site.create(json!({
            "apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "metadata": {"name": "promotion"},
            "spec": {"status": "PipelineRunPending", "pipelineRef": {"name": "canary-promotion"}},
        }))
        .await
        .unwrap();
        step.misses(("list", "taskruns"), &told).await;
        step.succeeds(&told).await;

        releaser.leaves_pending(&images.create("v5")).await;
        let look = format!("{} --dry-run", images.rollback("v5"));
        step.misses_each(&POD_READS, &look).await;
        step.assert_all_missed();
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the cluster"]
async fn the_sweep_misses_each_of_its_rights() {
    in_namespace("sweep-rights", async |site| {
        let images = Images::push(&site).await;
        let releaser = Step::new(&site, "canary-create", CREATE);
        releaser.succeeds(&images.create("v1")).await;

        let mut step = Step::new(&site, "canary-rollback", SWEEP);
        let sweep = format!("--sweep --grace=1s {}", step.events());
        let left_behind = |version| format!("{} --pipeline-run=gone", images.create(version));
        releaser.succeeds(&left_behind("v2")).await;
        step.misses(("list", "inferenceservices"), &sweep).await;
        step.misses_each(&SERVICE_READS, &sweep).await;
        step.misses(("list", "pipelineruns"), &sweep).await;
        step.misses(("list", "taskruns"), &sweep).await;
        step.misses(("patch", "inferenceservices"), &sweep).await;
        step.misses(("get", "pipelineruns"), &sweep).await;
        releaser.succeeds(&left_behind("v3")).await;
        step.misses(("patch", "leases"), &sweep).await;
        releaser.succeeds(&left_behind("v4")).await;
        step.misses(("delete", "revisions"), &sweep).await;

        releaser.leaves_pending(&left_behind("v5")).await;
        step.misses_each(&POD_READS, &sweep).await;

        // Behind all others: a sweep with this right ends what the next one is to see.
        step.leaves_stuck(images.of("v2")).await;
        step.misses(("patch", "pipelineruns"), &sweep).await;
        step.assert_all_missed();
    })
    .await;
}

struct Images(Vec<(&'static str, String)>);

impl Images {
    async fn push(site: &Site) -> Self {
        let mut images = Vec::new();
        for version in ["v1", "v2", "v3", "v4", "v5"] {
            images.push((version, image::push(site, version, Model::Good).await));
        }
        Self(images)
    }

    fn of(&self, version: &str) -> &str {
        &self.0.iter().find(|(known, _)| *known == version).unwrap().1
    }

    fn create(&self, version: &str) -> String {
        format!("--service={SERVICE} --memory=64Mi --cpu=10m --image={}", self.of(version))
    }

    fn rollback(&self, version: &str) -> String {
        format!("--service={SERVICE} --canary-image={}", self.of(version))
    }
}

/// A step as a process of an account that has a Role of these rules.
struct Step<'a> {
    site: &'a Site,
    binary: &'static str,
    /// One verb on one resource each
    rules: Vec<Value>,
    missed: Vec<Right>,
    /// What it did without a right and did not say so
    silent: Vec<String>,
    folder: TempDir,
}

impl<'a> Step<'a> {
    /// With the Role in a README, or in a file of YAML.
    fn new(site: &'a Site, binary: &'static str, file: &str) -> Self {
        let text = fs::read_to_string(demo::tree().unwrap().join(file)).unwrap();
        let mut documents = text.split("\n---\n").flat_map(|text| text.split("```"));
        let role = documents.find(|text| text.contains("\nkind: Role\n")).unwrap();
        let role: Value = serde_saphyr::from_str(role.trim_start_matches("yaml\n")).unwrap();
        let list = |rule: &Value, what: &str| rule[what].as_array().unwrap().clone();
        let mut rules = Vec::new();
        for rule in list(&role, "rules") {
            for resource in list(&rule, "resources") {
                rules.extend(list(&rule, "verbs").iter().map(|verb| {
                    json!({"apiGroups": rule["apiGroups"], "resources": [resource], "verbs": [verb]})
                }));
            }
        }
        let folder = tempfile::tempdir().unwrap();
        Self { site, binary, rules, missed: Vec::new(), silent: Vec::new(), folder }
    }

    /// A right of the Role that another step of the Task needs.
    fn leaves_to_others(&mut self, right: Right) {
        self.rules.retain(|rule| !is(rule, right));
    }

    /// Has a revision look like one whose promotion was killed while it had more pods.
    fn leave_a_minimum(&self, revision: &str) {
        let minima = ["autoscaling.knative.dev/min-scale=2", "kanaria.dev/min-scale=1"];
        let annotate = ["annotate", "--overwrite", "revision", revision];
        self.kubectl(&[&annotate[..], &minima].concat()).unwrap();
    }

    /// A run that was given this image, which is taken back, and that waits in vain: no node has its gate's pod, whose
    /// status says what a kubelet says of one that was killed whole long ago.
    async fn leaves_stuck(&self, image: &str) {
        let given = [("service", SERVICE), ("canary-image", image), ("version", "v2")];
        let given = given.into_iter().chain([("canary-revision", "-"), ("prometheus-url", "-")]);
        let params: Vec<_> =
            given.map(|(name, value)| json!({"name": name, "value": value})).collect();
        let nowhere = json!({"podTemplate": {"schedulerName": "nobody"}});
        self.site
            .create(json!({
                "apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "metadata": {"name": "stuck"},
                "spec": {"pipelineRef": {"name": "canary-promotion"}, "params": params, "taskRunTemplate": nowhere},
            }))
            .await
            .unwrap();
        let of_run = ["get", "pods", "-l", "tekton.dev/pipelineRun=stuck", "-o", "name"];
        let pod = within(Duration::from_mins(1), "the pod of its gate", async || {
            Ok(self.kubectl(&of_run).ok().filter(|pod| !pod.is_empty()))
        })
        .await
        .unwrap();
        let status = |name: &str, state: Value| json!({"name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state});
        let long_ago = "2020-01-01T00:00:00Z";
        let killed =
            json!({"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": long_ago}});
        let waits = json!({"running": {"startedAt": long_ago}});
        let steps = [status("step-prometheus-gate", killed), status("step-release-record", waits)];
        let seen = json!({"status": {"containerStatuses": steps}}).to_string();
        self.kubectl(&["patch", pod.trim(), "--subresource=status", "-p", &seen]).unwrap();
    }

    async fn succeeds(&self, arguments: &str) {
        let (succeeded, log) = self.run(arguments).await;
        assert!(succeeded && !log.contains("forbidden"), "{log}");
    }

    /// Without this right it names it.
    async fn misses(&mut self, right: Right, arguments: &str) {
        let (verb, resource) = right;
        let others = self.rules.iter().filter(|rule| !is(rule, right)).cloned().collect::<Vec<_>>();
        assert_ne!(others.len(), self.rules.len(), "the Role has no {verb} of {resource}");
        let (_, log) = self.run_with(&others, arguments).await;
        if !log.contains(&format!("cannot {verb} resource \"{resource}\"")) {
            self.silent.push(format!("{} without {verb} of {resource}:\n{log}", self.binary));
        }
        self.missed.push(right);
    }

    async fn misses_each(&mut self, rights: &[Right], arguments: &str) {
        for right in rights {
            self.misses(*right, arguments).await;
        }
    }

    /// Every right of the Role was missed by then, and named.
    fn assert_all_missed(&self) {
        let is_missed = |rule: &Value| self.missed.iter().any(|right| is(rule, *right));
        let unused: Vec<_> = self.rules.iter().filter(|rule| !is_missed(rule)).collect();
        assert!(
            self.silent.is_empty() && unused.is_empty(),
            "{}\n{unused:?}",
            self.silent.join("\n")
        );
    }

    async fn run(&self, arguments: &str) -> (bool, String) {
        self.run_with(&self.rules, arguments).await
    }

    async fn run_with(&self, rules: &[Value], arguments: &str) -> (bool, String) {
        let ended = self.start(rules, arguments).await.wait_with_output().await.unwrap();
        let log = [ended.stderr, ended.stdout].concat();
        (ended.status.success(), String::from_utf8(log).unwrap())
    }

    /// Dies when the canary has a pod that no node has room for, and that therefore has no container.
    async fn leaves_pending(&self, arguments: &str) {
        let before = self.latest();
        let mut step = self.start(&self.rules, &format!("{arguments} {TOO_LARGE}")).await;
        let pending = ["get", "pods", "--field-selector=status.phase=Pending", "-o", "yaml"];
        while self.latest() == before || !self.kubectl(&pending).unwrap().contains("Unschedulable")
        {
            assert!(step.try_wait().unwrap().is_none(), "no pod waited for a node");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        step.kill().await.unwrap();
    }

    async fn start(&self, rules: &[Value], arguments: &str) -> Child {
        let token = self.token(rules).await;
        let mut config = Kubeconfig::read_from(&self.site.cluster.kubeconfig).unwrap();
        let context = config.contexts[0].context.as_mut().unwrap();
        context.namespace = Some(self.site.namespace.clone());
        let user = serde_json::from_value(json!({"token": token})).unwrap();
        config.auth_infos[0].auth_info = Some(user);
        let file = self.folder.path().join("kubeconfig");
        fs::write(&file, serde_json::to_vec(&config).unwrap()).unwrap();
        let mut command = Command::new(demo::built(self.binary).unwrap());
        command.args(arguments.split_whitespace()).env("KUBECONFIG", file);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// A token of a new account with a Role of these rules.
    async fn token(&self, rules: &[Value]) -> String {
        static ACCOUNTS: AtomicUsize = AtomicUsize::new(1);
        let name = format!("account-{}", ACCOUNTS.fetch_add(1, Ordering::Relaxed));
        let group = "rbac.authorization.k8s.io";
        let version = format!("{group}/v1");
        let objects = json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}},
            {"apiVersion": version, "kind": "Role", "metadata": {"name": name}, "rules": rules},
            {"apiVersion": version, "kind": "RoleBinding", "metadata": {"name": name},
             "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
             "subjects": [{"kind": "ServiceAccount", "name": name}]},
        ]});
        let file = self.folder.path().join("role.json");
        fs::write(&file, objects.to_string()).unwrap();
        self.kubectl(&["apply", "-f", file.to_str().unwrap()]).unwrap();
        self.has_come_into_effect(&name, &rules[0]).await;
        self.kubectl(&["create", "token", &name]).unwrap().trim().to_owned()
    }

    /// The API server learns of a Role and its binding a moment after they were written.
    async fn has_come_into_effect(&self, account: &str, rule: &Value) {
        let account = format!("system:serviceaccount:{}:{account}", self.site.namespace);
        let [group, resource, verb] =
            ["apiGroups", "resources", "verbs"].map(|what| rule[what][0].as_str().unwrap());
        let resource = format!("{resource}.{group}");
        let may = ["auth", "can-i", verb, &resource, "--as", &account];
        within(Duration::from_secs(10), &format!("the Role of {account}"), async || {
            Ok(self.kubectl(&may).ok())
        })
        .await
        .unwrap();
    }

    fn kubectl(&self, line: &[&str]) -> anyhow::Result<String> {
        let namespace = ["-n", self.site.namespace.as_str()];
        self.site.cluster.kubectl(namespace.iter().chain(line).copied())
    }

    /// The newest revision of the service.
    fn latest(&self) -> String {
        let latest = "jsonpath={.status.components.predictor.latestCreatedRevision}";
        self.kubectl(&["get", "inferenceservice", SERVICE, "-o", latest]).unwrap()
    }

    /// Where it writes the event about a rollback.
    fn events(&self) -> String {
        format!("--event-folder={}", self.folder.path().display())
    }
}

fn is(rule: &Value, (verb, resource): Right) -> bool {
    rule["verbs"][0] == verb && rule["resources"][0] == resource
}

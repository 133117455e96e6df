//! What the servers are filled with: objects as a cluster has them after many releases, of their real size.

use std::{fs, io::Write as _, sync::LazyLock, time::Duration};

use flate2::{Compression, write::GzEncoder};
use futures::{StreamExt as _, stream};
use kube::{
    Api, Client,
    api::{DynamicObject, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use release_record::{
    key::RunKey,
    run::{RunRecord, TaskRecord},
};
use serde_json::{Value, json};

use crate::servers::Servers;

const NAMESPACE: &str = "models";
const AT_ONCE: usize = 32;

/// How many there are
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) services: usize,
    /// Of each service
    pub(crate) runs: usize,
    /// Of each run
    pub(crate) tasks: usize,
    pub(crate) bentos: usize,
    /// Runs of each service that the store has and the cluster has not any more
    pub(crate) kept: usize,
}

/// What a TaskRun has of its Task, its steps and its pod, which nobody shows: some 10 kB
static REST: LazyLock<Value> = LazyLock::new(|| {
    let step = |number: usize| json!({"name": format!("step-{number}"), "args": vec!["--flag=value of it"; 40], "image": "registry/step"});
    json!((0..12).map(step).collect::<Vec<_>>())
});

struct Kind {
    group: &'static str,
    version: &'static str,
    name: &'static str,
}

const SERVICE: Kind =
    Kind { group: "serving.kserve.io", version: "v1beta1", name: "InferenceService" };
const REVISION: Kind = Kind { group: "serving.knative.dev", version: "v1", name: "Revision" };
const PIPELINE_RUN: Kind = Kind { group: "tekton.dev", version: "v1", name: "PipelineRun" };
const TASK_RUN: Kind = Kind { group: "tekton.dev", version: "v1", name: "TaskRun" };

impl Kind {
    fn resource(&self) -> ApiResource {
        ApiResource::from_gvk(&GroupVersionKind::gvk(self.group, self.version, self.name))
    }

    /// As upstream's: any field, and here no controller
    fn definition(&self) -> Value {
        let plural = self.resource().plural;
        let any = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
        json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.{}", self.group)},
            "spec": {
                "group": self.group, "scope": "Namespaced",
                "names": {"kind": self.name, "plural": plural, "singular": self.name.to_lowercase()},
                "versions": [{"name": self.version, "served": true, "storage": true, "schema": any}],
            },
        })
    }
}

pub(crate) async fn fill(servers: &Servers, size: Size) {
    save_bentos(servers, size.bentos);
    (0..size.services).for_each(|of| (0..size.kept).for_each(|run| keep(servers, of, run)));
    let client = servers.client().await;
    let definitions =
        GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    let definitions: Api<DynamicObject> =
        Api::all_with(client.clone(), &ApiResource::from_gvk(&definitions));
    for kind in [SERVICE, REVISION, PIPELINE_RUN, TASK_RUN] {
        create(&definitions, kind.definition()).await;
    }
    let namespaces = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Namespace"));
    create(
        &Api::all_with(client.clone(), &namespaces),
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}),
    )
    .await;
    for (kind, objects) in [
        (SERVICE, (0..size.services).map(service).collect::<Vec<_>>()),
        (
            REVISION,
            (0..size.services)
                .flat_map(|of| (1..=2).map(move |number| revision(of, number)))
                .collect(),
        ),
    ] {
        create_all(&client, &kind, objects).await;
    }
    for of in 0..size.services {
        let runs = (0..size.runs).map(|number| pipeline_run(of, number)).collect();
        create_all(&client, &PIPELINE_RUN, runs).await;
        let tasks =
            (0..size.runs).flat_map(|run| (0..size.tasks).map(move |task| task_run(of, run, task)));
        create_all(&client, &TASK_RUN, tasks.collect()).await;
    }
}

async fn create_all(client: &Client, kind: &Kind, objects: Vec<Value>) {
    let api = Api::namespaced_with(client.clone(), NAMESPACE, &kind.resource());
    let typed = |mut object: Value| {
        object["apiVersion"] = kind.resource().api_version.into();
        object["kind"] = kind.name.into();
        object
    };
    let objects = objects.into_iter().map(typed);
    stream::iter(objects).for_each_concurrent(AT_ONCE, |object| create(&api, object)).await;
}

/// A definition is served a moment after it was created.
async fn create(api: &Api<DynamicObject>, object: Value) {
    let mut last = String::new();
    for _ in 0..100 {
        let found = serde_json::from_value(object.clone()).unwrap();
        match api.create(&PostParams::default(), &found).await {
            Err(kube::Error::Api(status)) if status.code == 409 => return,
            Ok(_) => return,
            Err(error) => last = step::text::short(&error.to_string(), 500),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("{last}");
}

fn name(service: usize) -> String {
    format!("model-{service:03}")
}

fn digest(service: usize, version: usize) -> String {
    format!("sha256:{:0>32x}{:0>32x}", service * 7_919 + 1, version * 104_729 + 1)
}

fn image(service: usize, version: usize) -> String {
    format!("registry.local:5000/models/{}@{}", name(service), digest(service, version))
}

fn metadata(name: &str, labels: &Value) -> Value {
    json!({"name": name, "namespace": NAMESPACE, "labels": labels})
}

fn service(of: usize) -> Value {
    let name = name(of);
    let revision = |number: usize| format!("{name}-predictor-{number:05}");
    json!({
        "metadata": metadata(&name, &json!({})),
        "spec": {"predictor": {
            "canaryTrafficPercent": 10, "containers": [{"name": "kserve-container", "image": image(of, 2), "args": *REST}],
        }},
        "status": {
            "url": format!("http://{name}-predictor.models.example.test"),
            "conditions": [{"type": "Ready", "status": "True"}],
            "components": {"predictor": {
                "latestCreatedRevision": revision(2), "latestReadyRevision": revision(2), "latestRolledoutRevision": revision(1),
                "traffic": [
                    {"revisionName": revision(2), "percent": 10, "tag": "latest", "latestRevision": true},
                    {"revisionName": revision(1), "percent": 90, "tag": "prev"},
                ],
            }},
        },
    })
}

fn revision(of: usize, number: usize) -> Value {
    let containers =
        json!([{"name": "kserve-container", "image": image(of, number), "args": *REST}]);
    json!({
        "metadata": metadata(&format!("{}-predictor-{number:05}", name(of)), &json!({})), "spec": {"containers": containers},
    })
}

fn run_name(of: usize, run: usize) -> String {
    let kind = if run.is_multiple_of(2) { "release" } else { "promotion" };
    format!("{kind}-{}-v{}-{:020x}", name(of), run / 2, (of * 1_000 + run) * 15_485_863 + 7)
}

fn pipeline(run: usize) -> &'static str {
    if run.is_multiple_of(2) { "canary-release" } else { "canary-promotion" }
}

fn condition(message: &str) -> Value {
    json!([{"type": "Succeeded", "status": "True", "reason": "Completed", "message": message}])
}

/// Every second run promotes what the one before released.
fn pipeline_run(of: usize, run: usize) -> Value {
    let version = run / 2;
    let labels = json!({
        "tekton.dev/pipeline": pipeline(run), "kanaria.dev/service": name(of),
        "kanaria.dev/correlation-id": format!("{}-v{version}-a298029bc6b8ba63314e", name(of)),
    });
    let param = |(name, value): (&str, String)| json!({"name": name, "value": value});
    let params = [
        ("service", name(of)),
        ("version", format!("v{version}")),
        ("bento", format!("{}:v{version}", name(of))),
        ("image", format!("registry.local:5000/models/{}", name(of))),
        ("ladder", "10,100".into()),
        ("percent", "10".into()),
        ("canary-image", image(of, version)),
        ("canary-revision", format!("{}-predictor-{version:05}", name(of))),
        ("baseline-image", image(of, version + 1)),
        ("started-at", "2026-11-24T06:02:00Z".into()),
        ("criteria", "no-restarts,errors,rejections,latency".into()),
        ("event-sink", "http://el-canary:8080".into()),
    ];
    json!({
        "metadata": metadata(&run_name(of, run), &labels),
        "spec": {"params": params.map(param)},
        "status": {
            "conditions": condition("Tasks Completed: 3 (Failed: 0, Cancelled 0), Skipped: 1"), "pipelineSpec": {"tasks": *REST},
            "startTime": "2026-11-24T06:00:00Z", "completionTime": "2026-11-24T06:10:00Z",
        },
    })
}

fn task_run(of: usize, run: usize, task: usize) -> Value {
    let version = run / 2;
    let digest = digest(of, version);
    let revision = format!("{}-predictor-{version:05}", name(of));
    let (task, results): (_, Vec<(&str, String)>) = match (run % 2, task) {
        (0, 0) => ("bento-build", vec![
            ("IMAGE_DIGEST", digest.clone()), ("IMAGE_URL", image(of, version)), ("sha256", digest[7..].to_owned()),
            ("bento", format!("{}:v{version}", name(of))),
        ]),
        (0, 1) => ("canary-create", vec![
            ("outcome", "canary".into()), ("percent", "10".into()), ("canary-revision", revision),
            ("canary-url", format!("http://latest-{}-predictor.models.example.test", name(of))),
            ("baseline-image", image(of, version + 1)), ("started-at", "2026-11-24T06:02:00Z".into()),
        ]),
        (0, _) => ("canary-created", vec![("id", format!("{digest}-created")), ("status-code", "202".into())]),
        (_, 0) => ("prometheus-gate", vec![
            ("verdict", "pass".into()), ("reason", "held for 5m: errors 0.1 % of 1,210 requests, latency within 1.5 times the baseline's".into()),
        ]),
        (_, 1) => ("canary-promote", vec![("outcome", "promoted".into()), ("percent", "100".into()), ("status-code", "202".into())]),
        (_, _) => ("canary-promoted", vec![("id", format!("{digest}-promoted")), ("status-code", "202".into())]),
    };
    let results: Vec<_> = results
        .iter()
        .map(|(name, value)| json!({"name": name, "type": "string", "value": value}))
        .collect();
    let run = (run_name(of, run), pipeline(run));
    let labels = json!({
        "tekton.dev/pipeline": run.1, "tekton.dev/pipelineRun": run.0, "tekton.dev/pipelineTask": task, "kanaria.dev/service": name(of),
    });
    json!({
        "metadata": metadata(&format!("{}-{task}", run.0), &labels),
        "spec": {"params": *REST},
        "status": {
            "conditions": condition("All Steps have completed executing"), "results": results, "taskSpec": {"steps": *REST},
            "startTime": "2026-11-24T06:00:00Z", "completionTime": "2026-11-24T06:01:00Z",
        },
    })
}

/// The page of a service
pub(crate) fn a_service() -> String {
    format!("/services/{NAMESPACE}/{}", name(0))
}

/// What a run of an older version left in the store
fn keep(servers: &Servers, of: usize, run: usize) {
    let (name, version) = (name(of), format!("old-{}", run / 2));
    let object = |mut object: Value| {
        object["apiVersion"] = "tekton.dev/v1".into();
        object["metadata"]["creationTimestamp"] =
            format!("2026-10-{:02}T06:{:02}:00Z", 1 + run / 2, run % 2).into();
        object
    };
    let mut pipeline_run = object(pipeline_run(of, run));
    pipeline_run["metadata"]["name"] = format!("old-{run}-{name}").into();
    pipeline_run["metadata"]["labels"]["kanaria.dev/correlation-id"] =
        format!("{name}-{version}").into();
    for param in pipeline_run["spec"]["params"].as_array_mut().unwrap() {
        if param["name"] == "version" {
            param["value"] = version.clone().into();
        }
    }
    let read = |object: Value| serde_json::from_value(object).unwrap();
    let tasks = (0..3).map(|task| TaskRecord::of(&read(object(task_run(of, run, task)))));
    let record = RunRecord::of(&read(pipeline_run)).unwrap().with_tasks(tasks.collect::<Vec<_>>());
    let folder =
        servers.folder.path().join("s3/bentos/releases").join(RunKey::of(&record).folder());
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("run.json"), record.to_json().unwrap()).unwrap();
}

/// Straight into the store's folder, in which an object is a file
fn save_bentos(servers: &Servers, bentos: usize) {
    let bucket = servers.folder.path().join("s3/bentos");
    for at in 0..bentos {
        let (name, version) = (name(at / 5), at % 5);
        let manifest = format!(
            "name: {name}\nversion: v{version}\ncreation_time: '2026-11-{:02}T06:00:00'\nbentoml_version: 1.4.39\n\
             labels: {{owner: team-{}, stage: production}}\nmodels:\n- {{tag: '{name}:m{version}', module: bentoml.sklearn}}\n",
            1 + at % 28,
            at % 7
        );
        let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        let mut header = tar::Header::new_gnu();
        header.set_size(manifest.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, "bento.yaml", manifest.as_bytes()).unwrap();
        let mut packed = archive.into_inner().unwrap();
        packed.flush().unwrap();
        fs::create_dir_all(bucket.join(&name)).unwrap();
        fs::write(bucket.join(&name).join(format!("v{version}.tar.gz")), packed.finish().unwrap())
            .unwrap();
    }
}

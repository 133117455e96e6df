//! First releases with and without a template.

use super::*;
use crate::Args;

const IMAGE: &str =
    "r/iris@sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc";

/// The service of a first release with these flags, where the site has this template.
fn service(template: Option<&str>, flags: &[&str], brought: Value) -> Result<Value, String> {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    if let Some(template) = template {
        std::fs::write(folder.join("default.yaml"), template).unwrap();
    }
    let path = format!("--template={}", folder.display());
    let line = ["canary-create", "--service=iris", "--image", IMAGE, &path];
    let args: Args = step::parse(line.iter().chain(flags)).unwrap();
    let change = DesiredSpec {
        fields: serde_json::from_value(brought).unwrap(),
        ..DesiredSpec::image(IMAGE)
    };
    let first = args.first.read("iris").map_err(|error| format!("{error:#}"))?;
    first.service("models", "iris", &change).map_err(|error| format!("{error:#}"))
}

fn predictor(template: &str, flags: &[&str]) -> Value {
    service(Some(template), flags, json!({})).unwrap()["spec"]["predictor"].clone()
}

const HEAD: &str = "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\n";

fn template(rest: &str) -> String {
    format!("{HEAD}{rest}")
}

#[test]
fn without_a_template_the_defaults_and_the_flags_make_the_service() {
    let service = service(None, &[], json!({})).unwrap();
    let wanted = json!({
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": "iris", "namespace": "models",
            "annotations": {
                "serving.kserve.io/enable-tag-routing": "true", "serving.kserve.io/deploymentMode": "Serverless",
            },
        },
        "spec": {"predictor": {
            "minReplicas": 1,
            "containers": [{
                "name": "kserve-container",
                "image": IMAGE,
                "ports": [{"containerPort": 3000}],
                "readinessProbe": {
                    "httpGet": {"path": "/readyz"}, "periodSeconds": 1, "timeoutSeconds": 2, "failureThreshold": 30,
                },
                "resources": {"requests": {"cpu": "100m", "memory": "512Mi"}, "limits": {"memory": "512Mi"}},
                "securityContext": {
                    "runAsNonRoot": true, "runAsUser": 1034, "allowPrivilegeEscalation": false,
                    "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
                },
            }],
        }},
    });
    assert_eq!(service, wanted);
    let flags = [
        "--port=80",
        "--readiness-path=/up",
        "--run-as-user=none",
        "--min-replicas=0",
        "--cpu=2",
        "--memory=1Gi",
        "--env=A=b=c",
    ];
    let service = self::service(None, &flags, json!({})).unwrap();
    let predictor = &service["spec"]["predictor"];
    let container = &predictor["containers"][0];
    assert_eq!(predictor["minReplicas"], 0);
    assert_eq!(container["ports"], json!([{"containerPort": 80}]));
    assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/up");
    assert_eq!(container["securityContext"]["runAsUser"], Value::Null);
    assert_eq!(
        container["resources"],
        json!({"requests": {"cpu": "2", "memory": "1Gi"}, "limits": {"memory": "1Gi"}})
    );
    assert_eq!(container["env"], json!([{"name": "A", "value": "b=c"}]));
}

const GPU: &str = r#"
metadata:
  labels: {team: vision}
  annotations: {autoscaling.knative.dev/target: "2", serving.kserve.io/enable-tag-routing: "false"}
spec:
  predictor:
    minReplicas: 0
    maxReplicas: 4
    scaleTarget: 3
    containerConcurrency: 5
    serviceAccountName: reader
    nodeSelector: {accelerator: a100}
    tolerations: [{key: gpu, operator: Exists}]
    imagePullSecrets: [{name: mirror}]
    volumes: [{name: cache, emptyDir: {}}]
    containers:
    - image: stays/nowhere:1
      env:
      - {name: TOKEN, valueFrom: {secretKeyRef: {name: hub, key: token}}}
      - {name: LEVEL, value: "off"}
      envFrom: [{secretRef: {name: keys}}]
      volumeMounts: [{name: cache, mountPath: /cache}]
      resources: {limits: {nvidia.com/gpu: 1, memory: 8Gi}}
      ports: [{containerPort: 8080, name: h2c}]
      readinessProbe: {grpc: {port: 8080}}
      securityContext: {readOnlyRootFilesystem: true}
"#;

#[test]
fn all_that_a_template_says_stays_and_what_it_leaves_out_is_filled_in() {
    let kept = predictor(&template(GPU), &[]);
    let mut wanted: Value = serde_saphyr::from_str(&template(GPU)).unwrap();
    let wanted = &mut wanted["spec"]["predictor"];
    wanted["containers"][0]["name"] = "kserve-container".into();
    wanted["containers"][0]["image"] = IMAGE.into();
    assert_eq!(kept, *wanted, "nothing is missing here");

    let service = service(Some(&template(GPU)), &[], json!({})).unwrap();
    assert_eq!(service["metadata"]["labels"], json!({"team": "vision"}));
    assert_eq!(service["metadata"]["annotations"][TAG_ROUTING], "true");

    let least = self::service(Some(HEAD), &[], json!({})).unwrap();
    let default = self::service(None, &[], json!({})).unwrap();
    assert_eq!(least["spec"], default["spec"]);
}

#[test]
fn the_model_s_container_comes_first_because_kserve_takes_the_first_for_it() {
    let spec = "spec: {predictor: {containers: [{name: a, image: x}, {name: b, image: y}, {name: kserve-container}]}}\n";
    let predictor = predictor(&template(spec), &[]);
    let names: Vec<_> =
        predictor["containers"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["kserve-container", "a", "b"]);
}

#[test]
fn flags_and_what_a_release_brings_win_over_a_template_where_they_say_something() {
    let flags =
        ["--memory=4Gi", "--min-replicas=1", "--env=LEVEL=info", "--port=81", "--run-as-user=7"];
    let brought = json!({"resources": {"limits": {"memory": "9Gi"}}, "env": [{"name": "TOKEN", "value": null}]});
    let service = service(Some(&template(GPU)), &flags, brought).unwrap();
    let predictor = &service["spec"]["predictor"];
    let container = &predictor["containers"][0];
    assert_eq!(predictor["minReplicas"], 1);
    assert_eq!(container["env"], json!([{"name": "LEVEL", "value": "info"}]));
    assert_eq!(container["ports"], json!([{"containerPort": 81}]));
    assert_eq!(container["readinessProbe"], json!({"grpc": {"port": 8080}}));
    assert_eq!(
        container["securityContext"],
        json!({"readOnlyRootFilesystem": true, "runAsUser": 7})
    );
    let resources =
        json!({"limits": {"nvidia.com/gpu": 1, "memory": "9Gi"}, "requests": {"memory": "4Gi"}});
    assert_eq!(container["resources"], resources);
}

#[test]
fn a_service_has_its_own_template_before_the_one_for_all() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("default.yaml"), HEAD).unwrap();
    std::fs::write(folder.path().join("iris.yaml"), template("metadata: {labels: {a: b}}\n"))
        .unwrap();
    let labels = |service: &str| {
        let found = Template::find(folder.path(), service).unwrap().unwrap();
        found.service("models", service).unwrap()["metadata"]["labels"].clone()
    };
    assert_eq!((labels("iris"), labels("rose")), (json!({"a": "b"}), Value::Null));
    let error = Template::find(&folder.path().join("none.yaml"), "iris").unwrap_err();
    assert!(error.to_string().starts_with("failed to read template"), "{error}");
}

#[test]
fn what_kubectl_prints_of_a_service_that_runs_is_a_template() {
    let printed = template(
        "metadata:\n  name: iris\n  namespace: models\n  uid: u\n  resourceVersion: '7'\n  generation: 2\n  \
         creationTimestamp: '2026-11-24T06:07:00Z'\n  annotations: {kubectl.kubernetes.io/last-applied-configuration: '{}'}\n\
         spec: {predictor: {containers: [{name: kserve-container, image: old}]}}\nstatus: {url: x}\n",
    );
    let service = service(Some(&printed), &[], json!({})).unwrap();
    assert_eq!(service["status"], Value::Null);
    let annotations = json!({TAG_ROUTING: "true", DEPLOYMENT_MODE: KNATIVE});
    assert_eq!(
        service["metadata"],
        json!({"name": "iris", "namespace": "models", "annotations": annotations})
    );
}

#[test]
fn a_template_that_makes_no_canary_is_refused_with_what_is_wrong() {
    let with = |predictor: &str| template(&format!("spec: {{predictor: {{{predictor}}}}}\n"));
    for (template, why) in [
        ("- a\n".to_owned(), "`apiVersion` is not `serving.kserve.io/v1beta1`"),
        (": :\n\t-".to_owned(), "it is not valid YAML"),
        (HEAD.replace("InferenceService", "Deployment"), "`kind` is not `InferenceService`"),
        (HEAD.replace("v1beta1", "v1alpha1"), "`apiVersion` is not"),
        (format!("{HEAD}---\n{HEAD}"), "it is not valid YAML"),
        (template("metadata: {name: rose}\n"), "`metadata.name` is `rose`, not `iris`"),
        (template("metadata: {namespace: other}\n"), "`metadata.namespace` is `other`"),
        (template("metadata: [a]\n"), "`metadata` is not a map"),
        (
            template(
                "metadata: {annotations: {serving.kserve.io/deploymentMode: RawDeployment}}\n",
            ),
            "its deploymentMode is `RawDeployment`",
        ),
        (template("metadata: {annotations: {serving.kserve.io/stop: 'true'}}\n"), "stop is true"),
        (template("spec: {transformer: {}}\n"), "it has `spec.transformer`"),
        (template("spec: {explainer: {}}\n"), "it has `spec.explainer`"),
        (template("spec: {canary: []}\n"), "it has `spec.canary`"),
        (with("canaryTrafficPercent: 10"), "it has `canaryTrafficPercent`"),
        (
            with("model: {modelFormat: {name: sklearn}}"),
            "it has `predictor.model` and no custom container",
        ),
        (with("containers: {name: kserve-container}"), "`predictor.containers` is not a list"),
        (with("containers: [a]"), "one of `predictor.containers` is not a map"),
        (with("containers: [{name: model}]"), "none of its containers is named `kserve-container`"),
        (
            with("containers: [{name: kserve-container}, {name: kserve-container}]"),
            "two of its containers are named",
        ),
        (with("containers: [{env: {A: b}}]"), "`env` of `kserve-container` is not a list"),
        (with("containers: [{env: [{name: PORT, value: '80'}]}]"), "it sets the variable PORT"),
        (with("containers: [{resources: 1Gi}]"), "`resources` of `kserve-container` is not a map"),
    ] {
        let error = service(Some(&template), &[], json!({})).unwrap_err();
        let begin = "failed to create `models/iris`: `default.yaml` is not a valid template: ";
        assert!(error.starts_with(begin) && error.contains(why), "{template}: {error}");
    }
    let secret = with("containers: [{env: [{name: A, value: \"hunter2}]}]");
    let error = service(Some(&secret), &[], json!({})).unwrap_err();
    assert!(error.contains("it is not valid YAML") && !error.contains("hunter2"), "{error}");
}

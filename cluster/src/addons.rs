//! The add-ons that run in the cluster: Tekton, Knative with Kourier, KServe.
//!
//! Their manifests are applied once per cluster and version: a mark in the cluster says what was.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result};
use sha2::{Digest as _, Sha256};
use step::{Failure, text::hex};

use crate::{
    build::manifests::{self, ADD_ONS},
    certificates::{self, KSERVE_WEBHOOK},
    command,
    paths::Cache,
    progress::{Progress, Stage},
    wait::retry_until,
};

/// Kept as a field of this `ConfigMap` in kube-system.
const MARK: &str = "kanaria-engines";
pub(crate) const NAMESPACES: [&str; 4] =
    ["tekton-pipelines", "knative-serving", "kourier-system", "kserve"];
const ADMISSION: &str = include_str!("../manifests/admission.yaml");

/// All add-ons start within a minute on two idle cores; five times that is something that is stuck.
const STARTS: Duration = Duration::from_mins(5);
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Installs what the cluster lacks and waits until it can be used.
pub(crate) fn install(cluster: &Kubectl, cache: &Cache, progress: &Progress) -> Result<()> {
    let manifests = manifests(cache)?;
    let version = hash(&manifests);
    let is_installed = cluster.mark() == version;
    let stage =
        progress.stage(if is_installed { "wait for the add-ons" } else { "install the add-ons" });
    if !is_installed {
        cluster.install(&manifests.replace("KANARIA_SETTINGS", &version), &stage)?;
    }
    // Installed is not running: all processes may have ended since.
    retry(&stage, || cluster.all_available()).context("failed to wait for the add-ons")?;
    retry(&stage, || cluster.all_admitted()).context("failed to wait for the add-ons' webhooks")?;
    if is_installed { Ok(()) } else { cluster.set_mark(&version) }
}

/// Add-ons that were killed gave no lease back, and those that start now would do nothing for the minute
/// until it runs out. One that still lives takes its lease again: there is one of each.
pub(crate) fn free_leases(cluster: &Kubectl) -> Result<()> {
    for namespace in NAMESPACES {
        cluster
            .run(&["delete", "leases", "--all", "--namespace", namespace])
            .context("failed to free the add-ons' leases")?;
    }
    Ok(())
}

/// All manifests, with this cluster's own certificate in them.
fn manifests(cache: &Cache) -> Result<String> {
    let mut all = String::new();
    for add_on in ADD_ONS {
        let path = manifests::file(cache, add_on)?;
        let text = fs::read_to_string(&path)
            .with_context(|| format!("failed to read `{}`", path.display()))?;
        all.push_str(&text);
        all.push_str("\n---\n");
    }
    for (name, file) in [
        ("KANARIA_CA_BUNDLE", "ca.crt".to_owned()),
        ("KANARIA_TLS_CRT", format!("{KSERVE_WEBHOOK}.crt")),
        ("KANARIA_TLS_KEY", format!("{KSERVE_WEBHOOK}.key")),
    ] {
        all = all.replace(
            name,
            &command::run("base64", ["-w0".as_ref(), certificates::path(&file).as_os_str()])?,
        );
    }
    Ok(all)
}

fn hash(text: &str) -> String {
    hex(&Sha256::digest(text)[..16])
}

/// Custom resources can be created only once what defines them is there.
fn split(manifests: &str) -> (String, String) {
    let is_definition =
        |document: &&str| document.lines().any(|line| line == "kind: CustomResourceDefinition");
    let (definitions, rest): (Vec<&str>, Vec<&str>) =
        manifests.split("\n---\n").partition(is_definition);
    (definitions.join("\n---\n"), rest.join("\n---\n"))
}

/// Asks again and again until the answer is yes, and shows what is still missing.
fn retry(stage: &Stage, ask: impl Fn() -> Result<(), String>) -> Result<()> {
    let mut missing = String::new();
    let answered = retry_until(STARTS, LOOK_AGAIN, || {
        missing = match ask() {
            Ok(()) => return Some(()),
            Err(missing) => missing,
        };
        stage.set_detail(missing.lines().next().unwrap_or_default());
        None
    });
    answered.ok_or_else(|| anyhow::Error::msg(missing).context(Failure {
        what: format!("gave up after {} minutes", STARTS.as_secs() / 60),
        hint: "`kubectl get pods -A` and `kubectl describe` say why; run `cluster up` again when it is fixed".into(),
    }))
}

/// The build's own kubectl, on this cluster.
pub(crate) struct Kubectl<'a> {
    pub(crate) program: &'a Path,
    pub(crate) kubeconfig: &'a Path,
}

impl Kubectl<'_> {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.program);
        command.arg("--kubeconfig").arg(self.kubeconfig).args(args);
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Result<String> {
        command::read(&mut self.command(args))
    }

    /// Applies everything, what defines kinds before what is of those kinds.
    fn install(&self, manifests: &str, stage: &Stage) -> Result<()> {
        let (definitions, rest) = split(manifests);
        stage.set_detail("applies definitions");
        self.apply(&definitions)?;
        self.run(&[
            "wait",
            "customresourcedefinition",
            "--all",
            "--for=condition=Established",
            "--timeout=60s",
        ])?;
        stage.set_detail("applies manifests");
        // Webhooks of an earlier version may be on their way out or in.
        retry(stage, || self.apply(&rest).map_err(|error| error.to_string()))
            .context("failed to apply the add-ons' manifests")
    }

    /// Only this field manager writes these objects by hand, so it wins over itself of before.
    fn apply(&self, documents: &str) -> Result<()> {
        let args =
            ["apply", "--server-side", "--force-conflicts", "--field-manager=kanaria", "-f", "-"];
        command::feed(&mut self.command(&args), documents)?;
        Ok(())
    }

    /// What is installed: empty when nothing is.
    fn mark(&self) -> String {
        let field = "--output=jsonpath={.data.version}";
        self.run(&[
            "get",
            "configmap",
            MARK,
            "--namespace=kube-system",
            "--ignore-not-found",
            field,
        ])
        .unwrap_or_default()
    }

    fn set_mark(&self, version: &str) -> Result<()> {
        self.apply(&format!(
            "apiVersion: v1
kind: ConfigMap
metadata: {{ name: {MARK}, namespace: kube-system }}
data: {{ version: \"{version}\" }}
"
        ))
    }

    fn all_available(&self) -> Result<(), String> {
        let fields = "--output=jsonpath={range .items[*]}{.metadata.namespace}/{.metadata.name} {.metadata.generation} \
                      {.status.observedGeneration} {.spec.replicas} {.status.updatedReplicas} {.status.availableReplicas}{\"\\n\"}{end}";
        let list = self
            .run(&["get", "deployments", "--all-namespaces", fields])
            .map_err(|error| error.to_string())?;
        match &unavailable(&list)[..] {
            [] => Ok(()),
            missing => Err(format!("waits for {}", missing.join(", "))),
        }
    }

    /// Asks the API server to take one of each kind, and to keep none.
    fn all_admitted(&self) -> Result<(), String> {
        let dry =
            ["apply", "--server-side", "--dry-run=server", "--field-manager=kanaria", "-f", "-"];
        command::feed(&mut self.command(&dry), ADMISSION)
            .map(drop)
            .map_err(|error| error.to_string())
    }
}

/// Deployments of the add-ons that do not run as they were last told to.
fn unavailable(list: &str) -> Vec<&str> {
    let is_ours = |name: &str| {
        name.split_once('/').is_some_and(|(namespace, _)| NAMESPACES.contains(&namespace))
    };
    let is_settled = |line: &str| match line.split(' ').collect::<Vec<_>>()[1..] {
        [wanted, seen, replicas, updated, available] => {
            wanted == seen && replicas == updated && replicas == available
        }
        _ => false,
    };
    list.lines()
        .filter_map(|line| Some((line.split(' ').next()?, line)))
        .filter(|(name, line)| is_ours(name) && !is_settled(line))
        .map(|(name, _)| name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_come_apart_from_what_they_define() {
        let (definitions, rest) = split(
            "apiVersion: v1\nkind: Namespace\n---\nkind: CustomResourceDefinition\nspec: {}\n---\nkind: Widget\n  kind: CustomResourceDefinition\n---\n",
        );
        assert_eq!(definitions, "kind: CustomResourceDefinition\nspec: {}");
        assert_eq!(
            rest,
            "apiVersion: v1\nkind: Namespace\n---\nkind: Widget\n  kind: CustomResourceDefinition\n---\n"
        );
    }

    #[test]
    fn a_deployment_is_waited_for_until_all_of_its_last_version_is_available() {
        let list = "kserve/manager 2 2 1 1 1
knative-serving/unseen 2 1 1 1 1
knative-serving/rolling 2 2 1  1
kourier-system/starting 1 1 1 1 \ndefault/of-a-user 1 1 1 1 \n";
        assert_eq!(
            unavailable(list),
            ["knative-serving/unseen", "knative-serving/rolling", "kourier-system/starting"]
        );
    }
}

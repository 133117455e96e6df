//! The fault of a plan, at its moment.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    ResourceExt,
    api::{DeleteParams, ListParams},
};

use super::{
    environment::{Environment, LOOK, PipelineRun, retry_until_answered},
    plan::{Fault, Plan},
};

/// A run that comes at all comes within this time after the one before.
const FOLLOWS: Duration = Duration::from_secs(8);

/// How long the API server is away: longer than any client's one try.
const API_AWAY: Duration = Duration::from_secs(5);

const PROMETHEUS_AWAY: Duration = Duration::from_mins(1);

/// What came of a fault.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Injected {
    /// When and where, for people
    pub(crate) moment: String,
    /// Whether there was something to hit
    pub(crate) hit: bool,
}

impl Environment {
    /// Waits for the plan's moment and does what it says.
    pub(crate) async fn inject(
        &self,
        plan: &Plan,
        service: &str,
        version: &str,
    ) -> Result<Injected> {
        if plan.fault == Fault::Nothing {
            return Ok(Injected { moment: "-".into(), hit: false });
        }
        let Some((run, moment)) = self.moment(plan, service, version).await? else {
            // What all share can be hit at any time; a run that is over cannot.
            if plan.fault.is_shared() {
                self.hit(plan.fault, "").await?;
            }
            return Ok(Injected { moment: "after its end".into(), hit: false });
        };
        let target = self.hit(plan.fault, &run).await?;
        Ok(match target {
            Some(target) if target.is_empty() => Injected { moment, hit: true },
            Some(target) => Injected { moment: format!("{moment}, {target}"), hit: true },
            None => Injected { moment: format!("{moment}, missed"), hit: false },
        })
    }

    /// The run to hit and where it stands, when it is time. A run that ends before leaves it to the one that
    /// follows. None when none does.
    async fn moment(
        &self,
        plan: &Plan,
        service: &str,
        version: &str,
    ) -> Result<Option<(String, String)>> {
        let (mut begun, mut idle) = (None, None);
        loop {
            let seen = self.look(service).await?;
            let going = |run: &&PipelineRun| run.version == version && !run.has_ended;
            match seen.run(plan.stage, version) {
                Some(planned) if planned.has_ended => {
                    if let Some(next) = seen.runs.iter().find(going) {
                        return Ok(Some((next.name.clone(), format!("{} +0 s", next.stage()))));
                    }
                }
                Some(planned) => {
                    let age = begun.get_or_insert_with(Instant::now).elapsed();
                    if age >= plan.after {
                        let moment = format!("{} +{} s", planned.stage(), age.as_secs());
                        return Ok(Some((planned.name.clone(), moment)));
                    }
                }
                None => {}
            }
            if !seen.is_idle() {
                idle = None;
            } else if idle.get_or_insert_with(Instant::now).elapsed() > FOLLOWS {
                return Ok(None);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Does it, and says what was hit, in a word where the fault's name does not say it all.
    async fn hit(&self, fault: Fault, run: &str) -> Result<Option<String>> {
        match fault {
            Fault::Nothing => Ok(None),
            Fault::StepKilled => self.kill_step(run).await,
            Fault::PodDeleted => self.delete_pod(run).await,
            Fault::RunCancelled => {
                retry_until_answered("cancel the run", async || self.site.cancel(run).await)
                    .await?;
                Ok(Some(String::new()))
            }
            Fault::RunDeleted => {
                retry_until_answered("delete the run", async || {
                    let gone = self.site.objects("PipelineRun").get_opt(run).await?.is_none();
                    if gone { Ok(()) } else { self.site.delete_run(run).await }
                })
                .await?;
                Ok(Some(String::new()))
            }
            Fault::ListenerRestarted => self.restart_listener().await.map(|()| Some(String::new())),
            Fault::ApiServerKilled => self.take_away("apiserver", API_AWAY).await,
            Fault::PrometheusAway => self.take_away("prometheus", PROMETHEUS_AWAY).await,
        }
    }

    /// Kills what runs in a step of the run, or in the next that does.
    async fn kill_step(&self, run: &str) -> Result<Option<String>> {
        while !self.has_ended(run).await? {
            for pod in self.pods(&format!("tekton.dev/pipelineRun={run}")).await? {
                for id in running_steps(&pod) {
                    let cluster = self.site.cluster.clone();
                    let killed =
                        tokio::task::spawn_blocking(move || cluster.kill_in_container(&id))
                            .await??;
                    if killed > 0 {
                        return Ok(Some(task(&pod)));
                    }
                }
            }
            tokio::time::sleep(LOOK / 5).await;
        }
        Ok(None)
    }

    /// Deletes a pod of the run that has not ended, or the next one, without a word to its processes.
    async fn delete_pod(&self, run: &str) -> Result<Option<String>> {
        while !self.has_ended(run).await? {
            for pod in self.pods(&format!("tekton.dev/pipelineRun={run}")).await? {
                let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
                if matches!(phase, Some("Pending" | "Running")) {
                    self.delete_now(&pod).await?;
                    return Ok(Some(task(&pod)));
                }
            }
            tokio::time::sleep(LOOK / 5).await;
        }
        Ok(None)
    }

    async fn restart_listener(&self) -> Result<()> {
        let disturbance = self.away();
        for pod in self.pods("eventlistener=canary").await? {
            self.delete_now(&pod).await?;
        }
        let live = format!("{}/live", self.sink.listener);
        retry_until_answered("reach the new EventListener", async || {
            let asked = reqwest::Client::new().get(&live).timeout(Duration::from_secs(2)).send();
            asked.await?.error_for_status()?;
            Ok(())
        })
        .await?;
        self.back(disturbance);
        Ok(())
    }

    /// Kills a part of the cluster and starts it again after a while.
    async fn take_away(&self, part: &'static str, away: Duration) -> Result<Option<String>> {
        let _alone = self.one_at_a_time.lock().await;
        let disturbance = self.away();
        let (kill, start) = (self.site.cluster.clone(), self.site.cluster.clone());
        tokio::task::spawn_blocking(move || kill.kill(part)).await??;
        tokio::time::sleep(away).await;
        tokio::task::spawn_blocking(move || start.start(part)).await??;
        self.back(disturbance);
        Ok(Some(String::new()))
    }

    async fn has_ended(&self, run: &str) -> Result<bool> {
        retry_until_answered("look at the run", async || {
            let found = self.site.objects("PipelineRun").get_opt(run).await?;
            let status = found.map(|run| run.data["status"]["conditions"][0]["status"].clone());
            Ok(status.is_none_or(|status| status == "True" || status == "False"))
        })
        .await
    }

    async fn pods(&self, labels: &str) -> Result<Vec<Pod>> {
        let wanted = ListParams::default().labels(labels);
        retry_until_answered("list pods", async || Ok(self.pods_here().list(&wanted).await?.items))
            .await
    }

    async fn delete_now(&self, pod: &Pod) -> Result<()> {
        let at_once = DeleteParams::default().grace_period(0);
        let name = pod.name_any();
        retry_until_answered("delete a pod", async || {
            match self.pods_here().delete(&name, &at_once).await {
                Err(kube::Error::Api(refused)) if refused.code == 404 => Ok(()),
                deleted => deleted.map(drop).context("failed to delete"),
            }
        })
        .await
    }
}

/// Ids of the containers whose step is at work.
fn running_steps(pod: &Pod) -> Vec<String> {
    let containers =
        pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    containers
        .filter(|container| container.name.starts_with("step-"))
        .filter(|container| container.state.as_ref().is_some_and(|state| state.running.is_some()))
        .filter_map(|container| container.container_id.clone())
        .collect()
}

/// The task that a pod is of.
fn task(pod: &Pod) -> String {
    pod.labels().get("tekton.dev/pipelineTask").cloned().unwrap_or_default()
}

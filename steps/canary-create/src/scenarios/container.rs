//! Releases that bring resources, variables or a pull secret.

use super::*;

/// A release that brings this for its container.
fn bringing(image: &str, brings: serde_json::Value) -> Desired {
    let brings = fields(brings);
    let release = Release { brought: brings.fingerprint(), ..Release::default() };
    Desired { brings, release, ..desired(image) }
}

/// A service whose container has this much memory, and a variable.
fn serving_with(image: &str, memory: &str) -> Simulator {
    let simulator = serving(image);
    simulator.edit(|service| {
        let container = &mut service["spec"]["predictor"]["containers"][0];
        container["resources"] = json!({"limits": {"memory": memory}});
        container["env"] = json!([{"name": "B", "value": "1"}, {"name": "A", "value": "1"}]);
    });
    simulator.settle();
    simulator
}

/// The fields that a rollback would put back
async fn noted(simulator: &Simulator) -> Fields {
    Service::new(simulator.client(), None, "iris").observe().await.unwrap().mark.before
}

fn brings() -> serde_json::Value {
    json!({
        "resources": {"limits": {"memory": "2Gi", "nvidia.com/gpu": "1"}},
        "env": [{"name": "C", "value": "3"}, {"name": "B", "value": null}],
    })
}

#[tokio::test(start_paused = true)]
async fn what_a_release_brings_comes_in_the_patch_of_its_image_and_is_noted_before() {
    for kill in
        (0..5).flat_map(|number| [Some((number, false)), Some((number, true))]).chain([None])
    {
        let simulator = serving_with(B, "512Mi");
        let before = simulator.container();
        if let Some((number, applied)) = kill {
            simulator.kill_at_write(number, applied);
            simulator.until_killed(run(&simulator, bringing(C, brings()))).await;
        }
        assert_eq!(
            run(&simulator, bringing(C, brings())).await.unwrap().outcome,
            "canary",
            "{kill:?}"
        );
        let container = simulator.container();
        assert_eq!(container["resources"], brings()["resources"]);
        assert_eq!(
            container["env"],
            json!([{"name": "A", "value": "1"}, {"name": "C", "value": "3"}])
        );
        assert_eq!(
            simulator.revisions().len(),
            3,
            "{kill:?}: one revision for the image and all it brings"
        );
        let wanted = fields(json!({"resources": before["resources"], "env": before["env"]}));
        assert_eq!(noted(&simulator).await, wanted, "{kill:?}");
        simulator.ask(C, None);
        assert_eq!(simulator.serving(), container, "a promotion keeps it");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_release_does_not_name_is_neither_changed_nor_noted() {
    let simulator = serving_with(B, "512Mi");
    run(&simulator, desired(C)).await.unwrap();
    assert_eq!(noted(&simulator).await, Fields::default());
    simulator.ask(C, None);
    let brings = json!({"resources": {"limits": {"memory": "1Gi"}}});
    run(&simulator, bringing(D, brings)).await.unwrap();
    let before = json!({"resources": {"limits": {"memory": "512Mi"}}});
    assert_eq!(noted(&simulator).await, fields(before));
}

#[tokio::test(start_paused = true)]
async fn a_release_that_replaces_a_canary_begins_from_the_baseline_s_container() {
    for lose in [false, true] {
        for kill in [None, Some((0, true)), Some((1, false)), Some((1, true))] {
            let simulator = serving_with(B, "512Mi");
            let before = simulator.container();
            let brings_more = json!({"env": [{"name": "D", "value": "4"}]});
            let of_run = |image, run, brings: serde_json::Value| {
                let bringing = bringing(image, brings);
                let brought = bringing.release.brought;
                let release = Release { brought, ..by_run(image, run).release };
                Desired { release, brings: bringing.brings, ..replacing(image) }
            };
            run(&simulator, of_run(D, "release-1", brings())).await.unwrap();
            if let Some((number, applied)) = kill.filter(|_| !lose) {
                simulator.kill_at_write(number, applied);
                simulator
                    .until_killed(run(&simulator, of_run(C, "release-2", brings_more.clone())))
                    .await;
            }
            if lose {
                simulator.ask(D, Some(0)); // somebody gives it up, and the mark is gone
                simulator.lose_mark();
            }
            run(&simulator, of_run(C, "release-2", brings_more)).await.unwrap();
            assert_eq!(simulator.container()["resources"], before["resources"], "{lose} {kill:?}");
            let mut variables = before["env"].clone();
            variables.as_array_mut().unwrap().push(json!({"name": "D", "value": "4"}));
            assert_eq!(simulator.container()["env"], variables, "{lose} {kill:?}");
            let wanted = fields(json!({"resources": before["resources"], "env": before["env"]}));
            assert_eq!(noted(&simulator).await, wanted, "{lose} {kill:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_image_that_was_rolled_back_may_come_again_with_more_memory() {
    let simulator = serving_with(B, "512Mi");
    reject(&simulator, C).await;
    run(&simulator, desired(C)).await.unwrap_err();
    let more = json!({"resources": {"limits": {"memory": "2Gi"}}});
    assert_eq!(run(&simulator, bringing(C, more)).await.unwrap().outcome, "canary");
    assert_eq!(traffic(&simulator), [(B.to_owned(), 90), (C.to_owned(), 10)]);
}

#[tokio::test(start_paused = true)]
async fn the_image_that_runs_already_is_refused_with_something_else_and_unchanged_with_the_same() {
    let simulator = serving_with(B, "2Gi");
    let same = json!({"resources": {"limits": {"memory": "2048Mi"}}});
    assert_eq!(run(&simulator, bringing(B, same)).await.unwrap().outcome, "unchanged");
    run(&simulator, bringing(C, brings())).await.unwrap();
    let other = json!({"resources": {"limits": {"memory": "3Gi"}}});
    for percent in [Some(10), None] {
        simulator.ask(C, percent);
        let writes = simulator.writes();
        let error = run(&simulator, bringing(C, other.clone())).await.unwrap_err();
        assert!(error.to_string().contains("with other resources or variables"), "{error}");
        assert_eq!(simulator.writes(), writes);
        let again = run(&simulator, bringing(C, brings())).await.unwrap();
        assert_eq!(again.outcome, if percent.is_some() { "canary" } else { "unchanged" });
    }
}

#[tokio::test(start_paused = true)]
async fn a_release_that_says_nothing_of_the_container_goes_on_with_what_another_brought() {
    let simulator = serving_with(B, "512Mi");
    run(&simulator, bringing(C, brings())).await.unwrap();
    run(&simulator, by_run(C, "release-2")).await.unwrap();
    let observed = Service::new(simulator.client(), None, "iris").observe().await.unwrap();
    assert_eq!(observed.mark.release.run, "release-2");
    assert_eq!(observed.mark.release.brought, fields(brings()).fingerprint());
}

#[tokio::test(start_paused = true)]
async fn a_first_release_that_never_served_gets_more_memory_with_the_same_image() {
    let simulator = Simulator::new();
    simulator.behave(C, Behaviour::Exits);
    run(&simulator, desired(C)).await.unwrap_err();
    simulator.behave(C, Behaviour::Good);
    let more = json!({"resources": {"limits": {"memory": "2Gi"}}});
    assert_eq!(run(&simulator, bringing(C, more)).await.unwrap().outcome, "first");
    simulator.settle();
    assert_eq!(simulator.serving()["resources"]["limits"]["memory"], "2Gi");
}

#[tokio::test(start_paused = true)]
async fn a_service_without_the_pull_secret_gets_it_with_the_image_and_keeps_it() {
    let pulling = |image| Desired { pull_secret: Some("registry".into()), ..desired(image) };
    let secrets = |simulator: &Simulator| {
        simulator.service().unwrap()["spec"]["predictor"]["imagePullSecrets"].clone()
    };
    let simulator = serving(B);
    for image in [C, D] {
        run(&simulator, pulling(image)).await.unwrap();
        simulator.ask(image, None);
        assert_eq!(secrets(&simulator), json!([{"name": "registry"}]), "{image}");
    }
    let unpulled = Simulator::new();
    unpulled.behave(C, Behaviour::Missing);
    run(&unpulled, desired(C)).await.unwrap_err();
    unpulled.behave(C, Behaviour::Good);
    assert_eq!(run(&unpulled, pulling(C)).await.unwrap().outcome, "first");
    assert_eq!(secrets(&unpulled), json!([{"name": "registry"}]));
}

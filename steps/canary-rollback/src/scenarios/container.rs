//! What a canary brought for the container goes with it.

use super::*;

const ENV: &str = r#"[{"name": "B", "value": "2"}, {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]"#;

/// What a baseline's container may have, and what a canary makes of it
fn brought() -> Vec<(Value, Value)> {
    let some: Value = serde_json::from_str(ENV).unwrap();
    let more = json!([{"name": "B", "value": "3"}, {"name": "C", "value": "\"$(A)\""}]);
    let (small, large) = (
        json!({"limits": {"memory": "512Mi"}}),
        json!({"limits": {"memory": "2Gi", "nvidia.com/gpu": "1"}}),
    );
    vec![
        (json!({}), json!({"resources": large, "env": more})),
        (json!({"resources": small}), json!({"resources": large})),
        (json!({"resources": small, "env": some}), json!({"resources": large, "env": more})),
        (json!({"resources": small, "env": some}), json!({"resources": null, "env": null})),
    ]
}

#[tokio::test(start_paused = true)]
async fn what_the_canary_brought_goes_with_it_and_the_container_is_as_it_was() {
    for (state, (baseline, canary)) in
        STATES.iter().flat_map(|state| brought().into_iter().map(move |both| (state, both)))
    {
        for (is_noted, kill) in (0..4).flat_map(|number| [(true, number), (false, number)]) {
            let simulator = simulator_with(state, &baseline, &canary);
            if is_noted {
                let null = json!({"resources": null, "env": null});
                let before = canary.as_object().unwrap().keys().map(|name| {
                    (name.clone(), baseline.get(name).or(null.get(name)).unwrap().clone())
                });
                let before = Fields(before.collect());
                mark(&simulator, |mark| began(mark).from_fields(before.clone())).await;
            }
            simulator.kill_at_write(kill, true);
            simulator.until_killed(run(&simulator, by_image(C))).await;
            let ended = run(&simulator, by_image(C)).await.unwrap();
            let case = format!(
                "{state}, noted {is_noted}, killed after write {kill}, {baseline} {canary}"
            );
            assert_eq!(ended, rolled_back(), "{case}");
            assert_on(&simulator, B, &case);
            let mut wanted = json!({"name": "kserve-container", "image": B});
            json_patch::merge(&mut wanted, &baseline);
            assert_eq!(simulator.container(), wanted, "{case}: the spec");
            assert_eq!(simulator.serving(), wanted, "{case}: what serves");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn another_baseline_that_is_given_comes_back_with_its_own_fields() {
    for state in STATES {
        let (baseline, canary) = brought().remove(2);
        let simulator = simulator_with(state, &baseline, &canary);
        let before: Fields = serde_json::from_value(baseline).unwrap();
        mark(&simulator, |mark| began(mark).from_fields(before.clone())).await;
        let first = Some("iris-predictor-00001".to_owned());
        let desired = Desired { baseline_revision: first, ..by_image(C) };
        let ended = run(&simulator, desired).await.unwrap();
        assert_eq!(ended, RollbackOutcome::RolledBack { image: A.into() }, "{state}");
        let wanted = json!({"name": "kserve-container", "image": A});
        assert_eq!(simulator.container(), wanted, "{state}");
        assert_eq!(simulator.serving(), wanted, "{state}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_any_note_and_without_the_old_revision_the_image_alone_goes_back() {
    let (baseline, canary) = brought().remove(1);
    let simulator = simulator_with("live", &baseline, &canary);
    simulator.collect("iris-predictor-00002");
    let desired = Desired { baseline_image: Some(B.into()), ..by_image(C) };
    assert_eq!(run(&simulator, desired).await.unwrap(), rolled_back());
    assert_eq!(simulator.container()["resources"], canary["resources"], "nobody knows better");
}

//! What does not start, and services that are refused.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_canary_that_does_not_start_gets_no_request_and_is_explained() {
    for (behaviour, why) in [
        (Behaviour::Exits, "its container exits with code 1: no such file: model.pkl"),
        (Behaviour::Missing, "its image cannot be pulled: not found"),
        (Behaviour::NeverReady, "its container runs, but its readiness probe does not pass yet"),
    ] {
        let simulator = serving(B);
        simulator.behave(C, behaviour);
        let error = run(&simulator, desired(C)).await.unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
        assert_eq!(traffic(&simulator), [(B.to_owned(), 100)]);
        assert_eq!(simulator.spec(), (C.to_owned(), Some(0)));
    }
}

const DENIED: &str = "admission webhook \"validation.webhook.serving.knative.dev\" denied the request: \
                      validation failed: must not set the field(s): spec.template.spec.nodeSelector";

#[tokio::test(start_paused = true)]
async fn what_will_not_heal_ends_the_wait_long_before_the_timeout_and_says_what_helps() {
    for (behaviour, why, helps) in [
        (Behaviour::Denied(DENIED), "KServe cannot hand it on: ", "`config-features`"),
        (
            Behaviour::Refused("pods is forbidden: failed quota: q: must specify limits.cpu"),
            "its pods are refused: ",
            "LimitRange",
        ),
    ] {
        for simulator in [serving(B), Simulator::new()] {
            simulator.behave(C, behaviour);
            let began = tokio::time::Instant::now();
            let error = run(&simulator, desired(C)).await.unwrap_err();
            assert!(began.elapsed() < Duration::from_mins(1), "{error}");
            assert!(error.to_string().contains(why), "{error}");
            let hint = &error.downcast_ref::<step::Failure>().unwrap().hint;
            assert!(hint.contains(helps), "{hint}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_heal_is_waited_for_as_long_as_the_release_itself() {
    let simulator = serving(B);
    simulator.behave(C, Behaviour::Denied("failed calling webhook: connection refused"));
    let release = run(&simulator, desired(C));
    let webhook = async {
        tokio::time::sleep(Duration::from_mins(3)).await;
        simulator.behave(C, Behaviour::Good);
    };
    assert_eq!(tokio::join!(release, webhook).0.unwrap().outcome, "canary");
}

#[tokio::test(start_paused = true)]
async fn a_first_release_that_was_refused_is_tried_again_by_the_next_run() {
    let simulator = Simulator::new();
    simulator.behave(C, Behaviour::Denied(DENIED));
    run(&simulator, desired(C)).await.unwrap_err();
    let writes = simulator.writes().len();
    run(&simulator, desired(C)).await.unwrap_err();
    assert_eq!(simulator.writes().len(), writes + 1, "once in a run");
    simulator.behave(C, Behaviour::Good);
    assert_eq!(run(&simulator, desired(C)).await.unwrap().outcome, "first");
}

#[tokio::test(start_paused = true)]
async fn without_knative_nothing_is_made() {
    let simulator = Simulator::new();
    simulator.without_knative();
    let error = run(&simulator, desired(C)).await.unwrap_err();
    assert!(format!("{error:#}").contains("Knative Serving is not installed"), "{error:#}");
    assert_eq!(simulator.writes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn services_that_kserve_would_not_split_are_refused_by_name() {
    for (path, value, why) in [
        ("/spec/transformer", serde_json::json!({}), "a transformer or an explainer"),
        ("/spec/canary", serde_json::json!([]), "another kind of canary"),
        ("/status/deploymentMode", "Standard".into(), "not in Knative mode"),
        ("/metadata/annotations/serving.kserve.io~1stop", "true".into(), "it is stopped"),
        ("/spec/predictor/containers/0/name", "model".into(), "no container `kserve-container`"),
    ] {
        let simulator = serving(B);
        simulator.edit(|service| {
            let patch = serde_json::json!([{"op": "add", "path": path, "value": value}]);
            json_patch::patch(
                service,
                &serde_json::from_value::<json_patch::Patch>(patch).unwrap(),
            )
            .unwrap();
        });
        simulator.schedule([4; 20]); // KServe does not write its status over ours
        let error = run(&simulator, desired(C)).await.unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
        assert_eq!(simulator.writes(), [""; 0]);
    }
}

//! Images and bentos that were rolled back before.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_bento_that_was_rolled_back_is_recognised_in_another_image() {
    let simulator = serving(B);
    let release = Release { bento: "ab".repeat(32), ..Release::default() };
    let of_bento = |image| Desired { release: release.clone(), ..desired(image) };
    run(&simulator, of_bento(C)).await.unwrap();
    let service = Service::new(simulator.client(), None, "iris");
    let observed = service.observe().await.unwrap();
    let mut rejected = Some(observed.mark.reject(C, observed.latest()));
    service
        .reconcile(Duration::from_secs(10), |_| {
            Ok(rejected.take().map_or(Action::Done(()), |mark| Action::Mark(Box::new(mark))))
        })
        .await
        .unwrap();
    simulator.ask(B, Some(0));
    simulator.ask(B, None);
    let error = run(&simulator, of_bento(D)).await.unwrap_err().to_string();
    assert!(
        error.contains(&format!("its bento, with SHA-256 {}, was rolled back", release.bento)),
        "{error}"
    );
    run(&simulator, Desired { retry_rejected: true, ..of_bento(D) }).await.unwrap();
    assert_eq!(traffic(&simulator), [(B.to_owned(), 90), (D.to_owned(), 10)]);
}

#[tokio::test(start_paused = true)]
async fn an_image_that_was_rolled_back_is_refused_until_it_is_asked_for_again() {
    let simulator = serving(B);
    reject(&simulator, C).await;
    let writes = simulator.writes();
    let error = run(&simulator, desired(C)).await.unwrap_err();
    assert!(error.to_string().ends_with("it was rolled back before"), "{error}");
    assert_eq!(simulator.writes(), writes);
    run(&simulator, Desired { retry_rejected: true, ..desired(C) }).await.unwrap();
    assert_eq!(traffic(&simulator), [(B.to_owned(), 90), (C.to_owned(), 10)]);
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_somebody_set_to_zero_stays_there() {
    let simulator = serving(B);
    run(&simulator, desired(C)).await.unwrap();
    simulator.ask(C, Some(0));
    let error = run(&simulator, desired(C)).await.unwrap_err();
    assert!(error.to_string().ends_with("it was rolled back before"), "{error}");
    assert_eq!(
        run(&simulator, desired(D)).await.unwrap().outcome,
        "canary",
        "a new image may replace it"
    );
    assert_eq!(traffic(&simulator), [(B.to_owned(), 90), (D.to_owned(), 10)]);
}

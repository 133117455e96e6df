//! Releases, promotions, rollbacks and owners, one after the other in any order.

use std::collections::BTreeMap;

use super::*;

/// What happens to a service, one after the other.
#[derive(Clone, Debug)]
enum Event {
    /// An image as its version, whether it is counted, and the write at which the run is killed, once
    Release {
        image: usize,
        answers: u8,
        kill: Option<(usize, bool)>,
    },
    Promote,
    RollBack,
    /// The owner sets a logger, or with none takes away the one that is there
    Own(Option<u8>),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let kill = proptest::option::of((0..5_usize, any::<bool>()));
    let release = (0..3_usize, 0..5_u8, kill).prop_map(|(image, answers, kill)| Event::Release {
        image,
        answers,
        kill,
    });
    let own = proptest::option::of(0..2_u8).prop_map(Event::Own);
    let event = prop_oneof![
        5 => release, 2 => Just(Event::Promote), 3 => Just(Event::RollBack), 1 => own
    ];
    proptest::collection::vec(event, 1..9)
}

const IMAGES: [&str; 3] = [B, C, D];

fn version_of(image: &str) -> &'static str {
    ["v1", "v2", "v3"][IMAGES.iter().position(|one| *one == image).unwrap()]
}

fn version_in(url: &Value) -> Option<&str> {
    url.as_str()?.strip_prefix("http://answer-counter.canary:8080/models/iris/")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn after_every_story_a_logger_names_the_image_that_it_belongs_to_or_is_its_owner_s(events in events()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let simulator = Simulator::new();
            let mut owned: Option<Value> = None;
            for event in &events {
                match event {
                    Event::Release { image, answers, kill } => {
                        let answers = match answers {
                            0 => Answers::default(),
                            1 => counting(AnswersOf::New),
                            2 => replying(Reply::Silent, AnswersOf::All),
                            3 => replying(Reply::Refuses, AnswersOf::New),
                            _ => counting(AnswersOf::All),
                        };
                        let image = IMAGES[*image];
                        let release = Release { run: "r".into(), run_uid: "r".into(), version: version_of(image).into(), ..Release::default() };
                        let desired = Desired { answers, release, retry_rejected: true, when_busy: WhenBusy::Replace, ..desired(image) };
                        let release = || async {
                            let (service, mut desired) = (Service::new(simulator.client(), None, "iris"), desired.clone());
                            let step = |observed: &Observed| { desired.learn(observed); next(&desired, observed, "now") };
                            let _ = service.reconcile(Duration::from_mins(5), step).await;
                        };
                        if let Some((number, applied)) = kill {
                            simulator.kill_at_write(*number, *applied);
                            Box::pin(simulator.until_killed(release())).await;
                        }
                        release().await;
                    }
                    Event::Promote => {
                        let (image, percent) = simulator.spec();
                        if percent.is_some_and(|percent| percent > 0) {
                            simulator.ask(&image, None);
                        }
                    }
                    Event::RollBack => roll_back(&simulator).await,
                    Event::Own(which) if simulator.service().is_some() => {
                        let logger = which.map_or(Value::Null, |which| json!({"mode": "all", "url": format!("http://owner/{which}")}));
                        simulator.set_logger(&logger);
                        owned = which.map(|_| logger);
                    }
                    Event::Own(_) => {}
                }
                simulator.settle();
                let (logger, (image, _)) = (simulator.logger(), simulator.spec());
                if let Some(owned) = &owned {
                    assert_eq!(&logger, owned, "{events:?}");
                } else if !logger.is_null() {
                    assert_eq!(version_in(&logger["url"]), Some(version_of(&image)), "{events:?}");
                }
                let sinks: BTreeMap<String, Value> = simulator.sinks();
                for (image, sink) in sinks.iter().filter(|(_, sink)| version_in(sink).is_some()) {
                    assert_eq!(version_in(sink), Some(version_of(image)), "{events:?}");
                }
            }
        });
    }
}

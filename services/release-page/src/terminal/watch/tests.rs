use tokio::sync::watch::{Sender, channel};

use super::*;
use crate::terminal::example::{known, service, story};

fn sources(first: Known) -> (Sender<Arc<Known>>, Sources) {
    let (sender, known) = channel(Arc::new(first));
    let (interest, counts) = (Interest::default(), Arc::default());
    (sender, Sources { known, store: None, interest, counts })
}

#[tokio::test(start_paused = true)]
async fn a_release_is_followed_to_its_end() {
    let (sender, sources) = sources(story(0));
    let mut follower = Follower::new(sources, "iris", None);
    let first = follower.next().await.unwrap().unwrap();
    assert!(matches!(first[0], Event::Begun(_)), "{first:?}");
    assert_eq!(follower.next().await.unwrap(), Some(vec![]), "a second without news");
    for seconds in [60, 120, 300] {
        sender.send(Arc::new(story(seconds))).unwrap();
        assert!(!follower.next().await.unwrap().unwrap().is_empty());
    }
    assert_eq!(follower.next().await.unwrap(), None);
    assert_eq!(follower.ending(), Some(Ending::RolledBack));
    let looked = follower.interest.services();
    assert_eq!(looked, [("models".to_owned(), "iris".to_owned())], "its gate is looked at");
}

#[tokio::test(start_paused = true)]
async fn a_release_whose_runs_were_deleted_is_an_error_and_lists_read_anew_are_none() {
    let (sender, sources) = sources(story(100));
    let mut follower = Follower::new(sources, "iris", None);
    follower.next().await.unwrap();
    let without = || Arc::new(known(vec![service(10)], vec![]));
    sender.send(without()).unwrap();
    follower.next().await.unwrap();
    sender.send(Arc::new(story(101))).unwrap();
    for _ in 0..20 {
        follower.next().await.unwrap();
    }
    sender.send(without()).unwrap();
    let error = loop {
        if let Err(error) = follower.next().await {
            break error;
        }
    };
    let told = "failed to see the end of the release: its runs are not there any more";
    assert_eq!(error.to_string(), told);
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_is_not_read_in_time_is_an_error_with_its_cause() {
    let error = async |source: Source| {
        let (_sender, mut sources) = sources(Known { api_server: source, ..Known::default() });
        first_picture(&mut sources.known, FIRST).await.map(drop).unwrap_err().to_string()
    };
    let since = Timestamp::UNIX_EPOCH;
    let away = Source::Away { since, error: "connection refused".into() };
    insta::assert_snapshot!(
        format!("{}\n{}", error(away).await, error(Source::Loading).await),
        @"
    failed to read all of the API server's lists within 30 s: connection refused
    failed to read all of the API server's lists within 30 s
    "
    );
}

#[tokio::test(start_paused = true)]
async fn a_limit_ends_the_watch_and_without_one_nothing_does() {
    let limit = Some(Duration::from_mins(1));
    let never = future::pending::<Result<()>>();
    let error = within(limit, "iris", never).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed to see the end of a release of `iris` within `--timeout`"
    );
    within(None, "iris", async { Ok(()) }).await.unwrap();
}

#[test]
fn the_only_service_needs_no_name_and_several_are_listed() {
    let named = |name: &str| crate::known::Service { name: name.into(), ..service(0) };
    assert_eq!(only_service(&known(vec![named("lily")], vec![])).unwrap(), "lily");
    let first_release = story(10).releases[0].as_ref().clone();
    assert_eq!(only_service(&known(vec![], vec![first_release])).unwrap(), "iris");
    assert!(only_service(&known(vec![], vec![])).unwrap_err().is::<Failure>());
    let many = (10..40).map(|number| named(&format!("iris-{number}"))).collect();
    let error = only_service(&known(many, vec![])).unwrap_err();
    let Usage { what, hint } = error.downcast_ref().unwrap();
    insta::assert_snapshot!(format!("{what}\n{hint}"), @"
    the namespace has 30 services, and none was named
    name one: iris-10, iris-11, iris-12, iris-13, iris-14, iris-15, iris-16, iris-17, iris-18, iris-19, iris-20, iris-21, iris-22, iris-23, iris-24, iris-25, iris-26, iris-27, iris-28, iris-29 and 10 more
    ");
}

use proptest::prelude::*;

use super::*;

const ADA: &str = "10.0.0.1";
const EVE: &str = "10.0.0.66";

fn place(service: &str, version: &str) -> Place {
    Place { namespace: "models".into(), service: service.into(), version: version.into() }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Counts an event with these answers; whether there was room for it.
fn take(
    counts: &mut Counts,
    place: &Place,
    from: &str,
    now: Instant,
    answers: &[(&str, &str)],
) -> bool {
    let Some(mut version) = counts.version(place, ip(from), now) else { return false };
    version.event(Outcome::Taken);
    for (field, answer) in answers {
        version.answer(field, Answer::Category(answer));
    }
    true
}

/// Answers of a version: `FIELD ANSWER MANY`
fn answers(counts: &Counts, place: &Place) -> Vec<String> {
    let names = (place.namespace.clone(), place.service.clone());
    let Some(service) = counts.services.get(&names) else { return Vec::new() };
    let Some(version) = service.versions.get(&place.version) else { return Vec::new() };
    let lines = service.tallies(version).flat_map(|(field, tally)| {
        let answers = field.answers(tally).into_iter();
        answers.map(move |(answer, many)| format!("{} {answer} {many}", field.name()))
    });
    lines.collect()
}

/// As many as are written
fn written(counts: &Counts) -> usize {
    let mut scrape = crate::metrics::Scrape::default();
    let mut all = 0;
    while let Some(piece) = scrape.next(counts) {
        all += piece.lines().filter(|line| !line.starts_with('#')).count();
    }
    all
}

#[test]
fn versions_share_the_first_answers_of_a_field() {
    let mut counts = Counts::default();
    let now = Instant::now();
    for at in 0..60 {
        assert!(take(&mut counts, &place("iris", "v1"), ADA, now, &[("/a", &at.to_string())]));
    }
    for answer in ["59", "49", "new", "other", "0"] {
        take(&mut counts, &place("iris", "v2"), ADA, now, &[("/a", answer)]);
    }
    let old = answers(&counts, &place("iris", "v1"));
    assert_eq!(old.len(), MOST_ANSWERS + 1);
    assert_eq!(old.last().unwrap(), "/a other 10");
    assert_eq!(answers(&counts, &place("iris", "v2")), ["/a 0 1", "/a 49 1", "/a other 3"]);
    take(&mut counts, &place("fraud", "v1"), ADA, now, &[("/a", "59")]);
    assert_eq!(answers(&counts, &place("fraud", "v1")), ["/a 59 1"]);
}

#[test]
fn a_field_knows_how_many_events_had_it_however_often() {
    let mut counts = Counts::default();
    let iris = place("iris", "v1");
    for answers in [&[("/a", "x"), ("/a", "y"), ("/b", "z"), ("/a", "x")][..], &[("/b", "z")], &[]]
    {
        assert!(take(&mut counts, &iris, ADA, Instant::now(), answers));
    }
    let (_, service) = counts.next(None).unwrap();
    let (_, version) = service.versions().next().unwrap();
    let events: Vec<_> =
        service.tallies(version).map(|(field, tally)| (field.name(), tally.events())).collect();
    assert_eq!(events, [("/a", 1), ("/b", 2)]);
}

#[test]
fn a_service_has_twenty_fields() {
    let mut counts = Counts::default();
    let fields: Vec<_> = (0..30).map(|at| format!("/f{at}")).collect();
    let all: Vec<_> = fields.iter().map(|field| (field.as_str(), "x")).collect();
    take(&mut counts, &place("iris", "v1"), ADA, Instant::now(), &all);
    assert_eq!(answers(&counts, &place("iris", "v1")).len(), MOST_FIELDS);
}

#[test]
fn numbers_go_into_the_buckets_that_bound_them_from_above() {
    let mut counts = Counts::default();
    let mut version = counts.version(&place("iris", "v1"), ip(ADA), Instant::now()).unwrap();
    for number in [-1.0, 0.5, 0.500_001, 1.0, 1.1, 1e308, 1e308] {
        version.answer("/score", Answer::Number(number, &[0.5, 1.0]));
    }
    version.answer("/score", Answer::Category("no number"));
    let (_, service) = counts.next(None).unwrap();
    let (_, version) = service.versions().next().unwrap();
    let (field, tally) = service.tallies(version).next().unwrap();
    let (bounds, buckets, sum) = field.numbers(tally).unwrap();
    assert_eq!((bounds, buckets), (&[0.5, 1.0][..], &[2, 2, 3][..]));
    assert!(sum.is_finite() && sum >= 1e308);
}

#[test]
fn a_stranger_with_names_of_his_own_leaves_two_thirds_to_the_others() {
    let mut counts = Counts::default();
    let now = Instant::now();
    let mut admitted = 0;
    for at in 0..MOST_SERIES {
        admitted += usize::from(take(&mut counts, &place(&format!("s{at}"), "v"), EVE, now, &[]));
    }
    assert_eq!(admitted, MOST_SERIES / 3 / 3);
    assert!(take(&mut counts, &place("iris", "v1"), ADA, now, &[("/species", "setosa")]));
    assert_eq!(answers(&counts, &place("iris", "v1")), ["/species setosa 1"]);
}

#[test]
fn a_million_answers_of_a_stranger_are_fifty_and_the_others() {
    let mut counts = Counts::default();
    let now = Instant::now();
    take(&mut counts, &place("iris", "v1"), ADA, now, &[("/species", "setosa")]);
    let mut version = counts.version(&place("odd", "v"), ip(EVE), now).unwrap();
    for at in 0..1_000_000 {
        version.answer("/a", Answer::Category(&at.to_string()));
    }
    assert_eq!(counts.series(), 3 + 3 + 3 + 52);
    assert_eq!(answers(&counts, &place("odd", "v")).last().unwrap(), "/a other 999950");
    assert_eq!(answers(&counts, &place("iris", "v1")), ["/species setosa 1"]);
}

#[test]
fn versions_that_were_not_seen_for_a_day_make_room_the_oldest_first() {
    let mut counts = Counts::default();
    let start = Instant::now();
    let hour = Duration::from_hours(1);
    let full = |counts: &mut Counts, now| {
        let peers = (0..4).map(|at| format!("10.0.1.{at}"));
        peers.fold(0, |all, peer| {
            let names =
                (0..2000).map(|at| place(&format!("p{}-{at}", peer.replace('.', "-")), "v"));
            all + names.filter(|name| take(counts, name, &peer, now, &[])).count()
        })
    };
    take(&mut counts, &place("old", "v1"), ADA, start, &[("/a", "x")]);
    take(&mut counts, &place("old", "v2"), ADA, start + hour, &[("/a", "x"), ("/a", "z")]);
    full(&mut counts, start + 2 * hour);
    assert!(counts.series() > MOST_SERIES - 3);
    let new = place("new", "v1");
    assert!(!take(&mut counts, &new, ADA, start + 23 * hour, &[]), "nothing is that old");
    take(&mut counts, &place("old", "v1"), ADA, start + 23 * hour, &[("/a", "y")]);
    assert!(take(&mut counts, &new, ADA, start + 25 * hour, &[]));
    assert!(answers(&counts, &place("old", "v2")).is_empty(), "it was the oldest");
    assert_eq!(answers(&counts, &place("old", "v1")), ["/a x 1", "/a y 1"]);
    assert!(counts.series() <= MOST_SERIES);
    // A day later all but the new one are forgotten as room is wanted.
    assert!(full(&mut counts, start + 48 * hour) > 0);
    assert!(counts.series.adds_up());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn there_are_never_more_series_than_are_counted_and_none_beyond_the_bound(
        events in prop::collection::vec((0u8..4, 0u8..3, 0u8..3, "/[a-c]", "[a-z]{1,2}", any::<f64>()), 0..300),
    ) {
        let mut counts = Counts::default();
        let now = Instant::now();
        for (peer, service, version, field, answer, number) in &events {
            let place = place(&format!("s{service}"), &format!("v{version}"));
            let mut counting = counts.version(&place, ip(&format!("10.0.0.{peer}")), now).unwrap();
            counting.event(Outcome::Taken);
            counting.answer(field, Answer::Category(answer));
            counting.answer("/n", Answer::Number(*number, &[0.0]));
        }
        prop_assert!(written(&counts) <= counts.series());
        prop_assert!(counts.series() <= MOST_SERIES);
        prop_assert!(counts.series.adds_up());
    }

    #[test]
    fn up_to_fifty_answers_their_order_changes_no_count(
        answers_of in prop::collection::vec("[a-f][a-f]?", 0..200), turn in 0usize..200,
    ) {
        let count = |all: &[String]| {
            let mut counts = Counts::default();
            for answer in all {
                take(&mut counts, &place("iris", "v1"), ADA, Instant::now(), &[("/a", answer)]);
            }
            let mut lines = answers(&counts, &place("iris", "v1"));
            lines.sort();
            lines
        };
        let mut turned = answers_of.clone();
        turned.rotate_left(turn.min(answers_of.len()));
        prop_assert_eq!(count(&answers_of), count(&turned));
    }
}

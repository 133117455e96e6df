use std::{net::IpAddr, time::Instant};

use super::*;
use crate::{
    answers::Answer,
    counts::{Outcome, Place},
};

fn all(counts: &Counts) -> String {
    let mut scrape = Scrape::default();
    std::iter::from_fn(|| scrape.next(counts)).collect()
}

fn place(service: &str, version: &str) -> Place {
    Place { namespace: "models".into(), service: service.into(), version: version.into() }
}

const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

#[test]
fn a_scrape_has_each_family_once_with_every_label_escaped() {
    let mut counts = Counts::default();
    for (version, answer) in [("v1", "setosa"), ("v1", "setosa"), ("v\"2\\", "vir\"gin\\ica")] {
        let mut version = counts.version(&place("iris", version), PEER, Instant::now()).unwrap();
        version.event(Outcome::Taken);
        version.answer("/species", Answer::Category(answer));
        version.answer("/score", Answer::Number(0.5, &[0.1, 0.5, 1.0]));
    }
    counts.version(&place("fraud", "7"), PEER, Instant::now()).unwrap().events(Outcome::Dropped, 3);
    insta::assert_snapshot!(all(&counts) + &of_itself(&counts, 1_790_000_000.25, 2));
}

#[test]
fn before_the_first_event_a_scrape_has_the_names_of_its_metrics() {
    let text = all(&Counts::default());
    assert_eq!(text.lines().filter(|line| line.starts_with("# TYPE")).count(), 4);
}

#[test]
fn a_large_scrape_comes_in_pieces_with_nothing_missing_or_twice() {
    let mut counts = Counts::default();
    for at in 0..1000 {
        let place = place(&format!("s{at}"), "v1");
        let peer = if at % 2 == 0 { PEER } else { IpAddr::V6(std::net::Ipv6Addr::LOCALHOST) };
        let mut version = counts.version(&place, peer, Instant::now()).unwrap();
        version.answer("/a", Answer::Category("x"));
    }
    let mut scrape = Scrape::default();
    let pieces: Vec<_> = std::iter::from_fn(|| scrape.next(&counts)).collect();
    assert!(pieces.len() > 5);
    assert!(pieces.iter().all(|piece| piece.len() < 2 * PIECE && piece.ends_with('\n')));
    let text = pieces.concat();
    let mut lines: Vec<_> = text.lines().collect();
    let many = lines.len();
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines.len(), many);
    assert_eq!(text.matches("kanaria_answers_total{").count(), 1000);
    assert_eq!(text.matches("# TYPE").count(), 4);
}

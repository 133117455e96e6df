//! How often the tests raise a false alarm, and how soon they find what is there: releases of an
//! hour each, looked at every 5 s. `cargo bench -p prometheus-gate` prints the tables.

mod answers;
mod ladder;
mod simulation;

use std::io::{self, Write};

use answers::{Answers, equal, first, skewed};
use ladder::{Climb, Evidence};
use simulation::{Errors, Past, Power, Release, Test, power};

/// Two standard errors of 5 % are 1 %, of 1 % are 0.4 %.
const RUNS: u32 = 2_000;
/// With 50 classes a release takes as long as a hundred of the others. Two standard errors of 5 % are 3 %.
const RUNS_OF_ANSWERS: u32 = 200;
const EVIDENCE: [Evidence; 3] = [Evidence::Restarted, Evidence::GoingOn, Evidence::OfOneRung];
const PASTS: [Past; 3] = [Past::Seen, Past::None, Past::WithoutErrors];

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    // Cargo hands on what is written after `--`: `answers`, and how many releases of each kind.
    let words: Vec<String> = std::env::args().collect();
    if let Some(at) = words.iter().position(|word| word == "answers") {
        let runs = words.get(at + 1).and_then(|runs| runs.parse().ok()).unwrap_or(RUNS_OF_ANSWERS);
        return print_answers(&mut out, runs);
    }
    writeln!(
        out,
        "false rollbacks in % of a canary that is no worse, in an hour of 5 s looks, alpha 5 %\n\
         {:38} {:>15} {:>15} {:>15}\n{:38} {}",
        "",
        "an hour's past",
        "no past",
        "without errors",
        "tolerated ratio",
        "    1.0    1.25 ".repeat(3)
    )?;
    for (name, release) in nulls() {
        write!(out, "{name:38}")?;
        for past in PASTS {
            for tolerated in [1.0, 1.25] {
                let found = power(release, Test { tolerated, past }, RUNS).found * 100.0;
                write!(out, "  {found:6.2}")?;
            }
        }
        writeln!(out)?;
    }
    for past in [Past::Seen, Past::None] {
        writeln!(
            out,
            "\npower at 10 % of the traffic, past {past:?}: found in an hour, median minutes \
             (canary requests over n*)"
        )?;
        print_power(&mut out, past)?;
    }
    print_ladders(&mut out)?;
    print_answers(&mut out, RUNS_OF_ANSWERS)
}

fn print_answers(out: &mut impl Write, runs: u32) -> io::Result<()> {
    print_power_of_answers(out, runs)?;
    writeln!(
        out,
        "\nfalse rollbacks in % by answers that do not change, in an hour of 5 s looks, alpha 5 %\n\
         {:38} {:>15} {:>8}",
        "", "an hour's past", "no past"
    )?;
    for classes in [3, 10, 50] {
        for (name, shares) in [("equal", equal(classes)), ("skewed", skewed(classes))] {
            let plain = Answers { shares, ..Answers::default() };
            for (more, answers) in [
                ("", plain.clone()),
                (", inputs drift", Answers { drift: true, ..plain.clone() }),
                (", 30 % of events lost", Answers { lost: 0.3, ..plain.clone() }),
                (", weight 50 %", Answers { weight: 0.5, ..plain.clone() }),
                (", the first 1.41 times as often", Answers { ratio: answers::TOLERATED, ..plain }),
            ] {
                // Of three skewed classes the others would be half as frequent.
                if answers.ratio > 1.0 && name == "skewed" {
                    continue;
                }
                write!(out, "{:38}", format!("{classes:2} classes, {name}{more}"))?;
                for has_past in [true, false] {
                    let found = Answers { has_past, ..answers.clone() }.power(runs).found * 100.0;
                    write!(out, "  {found:8.2}")?;
                }
                writeln!(out)?;
            }
        }
    }
    Ok(())
}

fn print_power_of_answers(out: &mut impl Write, runs: u32) -> io::Result<()> {
    writeln!(
        out,
        "\none answer is more or less frequent, at 10 % of 20 requests/s, an hour's past and none: found, median \
         minutes (canary answers over n*)"
    )?;
    let shares = [(0.1, 2.0), (0.1, 1.75), (0.1, 3.0), (0.2, 0.5), (1.0 / 3.0, 2.1), (0.02, 3.0)];
    for classes in [2, 3, 10, 50] {
        for (share, ratio) in shares {
            let answers = Answers { shares: first(share, classes), ratio, ..Answers::default() };
            write!(
                out,
                "{:4.1} -> {:4.1} %, {classes:2} classes",
                share * 100.0,
                share * ratio * 100.0
            )?;
            for has_past in [true, false] {
                let power = Answers { has_past, ..answers.clone() }.power(runs);
                let Power { found, minutes, requests } = power;
                let over = requests / answers.bound(0.05);
                write!(out, "   {:5.1} %, {minutes:4.1} ({over:4.2} n*)", found * 100.0)?;
            }
            writeln!(out)?;
        }
    }
    Ok(())
}

fn print_ladders(out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "\nfalse rollbacks in % of a whole release that is no worse, rungs of 10 min from 5 to 50 %\n\
         {:30} {:>7} {:>16} {:>16} {:>16}",
        "", "rungs", "begun anew", "going on", "each rung alone"
    )?;
    let quiet = Release::default();
    let bursts = Release { requests: 200.0, share: 0.002, errors: Errors::Bursts(8.0), ..quiet };
    for (name, release) in [
        ("1 % errors", quiet),
        ("0.1 % errors", Release { share: 0.001, ..quiet }),
        ("20 % errors", Release { share: 0.2, ..quiet }),
        ("busy, bursts of 8", bursts),
    ] {
        for rungs in [3, 6] {
            write!(out, "{name:30} {rungs:7}")?;
            for evidence in EVIDENCE {
                let [seen, none] = [Past::Seen, Past::None].map(|past| {
                    Climb::new(release, rungs).power(evidence, past, RUNS).found * 100.0
                });
                write!(out, "    {seen:5.2} / {none:5.2}")?;
            }
            writeln!(out)?;
        }
    }
    writeln!(
        out,
        "\na canary that is good for an hour on rung 1, and worse from rung 2 on: found, median minutes \
         and canary requests since then (an hour's past)"
    )?;
    for rungs in [3, 6] {
        for ratio in [2.0, 3.0, 5.0] {
            let release = Release { ratio, ..quiet };
            let climb = Climb { looks: 720, bad_from: 2, ..Climb::new(release, rungs) };
            write!(out, "{rungs} rungs, {ratio} times")?;
            for evidence in EVIDENCE {
                let Power { found, minutes, requests } = climb.power(evidence, Past::Seen, RUNS);
                let found = found * 100.0;
                write!(out, "   {evidence:?}: {found:5.1} %, {minutes:4.1} min, {requests:5.0}")?;
            }
            writeln!(out)?;
        }
    }
    Ok(())
}

fn print_power(out: &mut impl Write, past: Past) -> io::Result<()> {
    let quiet = Release::default();
    let busy = Release { requests: 200.0, share: 0.002, ..quiet };
    for (name, release) in [
        ("20 requests/s, 1 %", quiet),
        ("200 requests/s, 0.2 %", busy),
        ("200 requests/s, 0.2 %, bursts of 3", Release { errors: Errors::Bursts(3.0), ..busy }),
        ("200 requests/s, 0.2 %, bursts of 8", Release { errors: Errors::Bursts(8.0), ..busy }),
    ] {
        for ratio in [1.5, 2.0, 3.0, 5.0, 10.0] {
            let release = Release { ratio, ..release };
            write!(out, "{name:34} {ratio:4} times")?;
            for tolerated in [1.0, 1.25] {
                let Power { found, minutes, requests } =
                    power(release, Test { tolerated, past }, RUNS);
                let over = requests / release.bound(tolerated, 0.05);
                let found = found * 100.0;
                write!(out, "   ratio {tolerated}: {found:5.1} %, {minutes:4.1} ({over:5.2} n*)")?;
            }
            writeln!(out)?;
        }
    }
    Ok(())
}

fn nulls() -> Vec<(&'static str, Release)> {
    let quiet = Release::default();
    let busy = Release { requests: 200.0, share: 0.002, ..quiet };
    let bursts = |mean| Release { errors: Errors::Bursts(mean), ..busy };
    let pods = |part, seconds, minutes| Release {
        share: 0.0005,
        errors: Errors::BadPods { part, seconds, minutes },
        ..busy
    };
    vec![
        ("1 % errors", quiet),
        ("0.1 % errors", Release { share: 0.001, ..quiet }),
        ("20 % errors", Release { share: 0.2, ..quiet }),
        ("weights 5 to 50 %", Release { ramp: true, ..quiet }),
        ("0.2 requests/s", Release { requests: 0.2, ..quiet }),
        ("drifting 0.2 to 5 %", Release { drift: true, ..quiet }),
        ("1 % errors in bursts of 5", Release { errors: Errors::Bursts(5.0), ..quiet }),
        ("busy, bursts of 1.5", bursts(1.5)),
        ("busy, bursts of 3", bursts(3.0)),
        ("busy, bursts of 8", bursts(8.0)),
        ("busy, bursts of 20", bursts(20.0)),
        ("busy, bursts of 8, heavy tail", Release { errors: Errors::HeavyBursts(8.0), ..busy }),
        ("busy, bursts of 8, weights 5 to 50 %", Release { ramp: true, ..bursts(8.0) }),
        ("busy, bursts of 8, weight 50 %", Release { weight: 0.5, ..bursts(8.0) }),
        ("busy, bursts of 8, weight 90 %", Release { weight: 0.9, ..bursts(8.0) }),
        (
            "busy, bursts of 8 on the canary only",
            Release { canary: Some(Errors::Bursts(8.0)), ..busy },
        ),
        (
            "busy, bursts of 20 on the canary only",
            Release { canary: Some(Errors::Bursts(20.0)), ..busy },
        ),
        ("a pod fails all for 5 s in 10 min", pods(1.0, 5.0, 10.0)),
        ("a pod fails 30 % for 5 s in 10 min", pods(0.3, 5.0, 10.0)),
        ("a pod fails 5 % for 5 s in 10 min", pods(0.05, 5.0, 10.0)),
        ("a pod fails 30 % for 5 s in 2 min", pods(0.3, 5.0, 2.0)),
        ("a pod fails 30 % for 5 s in an hour", pods(0.3, 5.0, 60.0)),
        ("the same in 10 min, weight 50 %", Release { weight: 0.5, ..pods(0.3, 5.0, 10.0) }),
        ("the same in 10 min, weight 90 %", Release { weight: 0.9, ..pods(0.3, 5.0, 10.0) }),
        ("a pod fails 30 % for 15 s in 10 min", pods(0.3, 15.0, 10.0)),
        ("a pod fails 30 % for 30 s in 10 min", pods(0.3, 30.0, 10.0)),
    ]
}

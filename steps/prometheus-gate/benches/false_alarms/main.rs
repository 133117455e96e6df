//! How often the tests raise a false alarm, and how soon they find what is there: 10,000 releases of
//! an hour each, looked at every 15 s. `cargo bench -p prometheus-gate` prints both tables.

#![allow(dead_code, reason = "the step uses the rest")]

#[path = "../../src/evidence.rs"]
mod evidence;
mod simulation;

use std::io::Write as _;

use simulation::{Power, Release, Test, power};

fn main() {
    let runs = 10_000;
    let quiet = Release::default();
    let mut out = std::io::stdout().lock();
    let mut line = |text: String| out.write_all(text.as_bytes()).unwrap_or_default();
    line(
        "false rollbacks of a canary that is no worse, in an hour of 15 s looks, alpha 5 %\n"
            .to_owned(),
    );
    for (name, release) in [
        ("1 % errors", quiet),
        ("0.1 % errors", Release { share: 0.001, ..quiet }),
        ("20 % errors", Release { share: 0.2, ..quiet }),
        ("weights 5 to 50 %", Release { ramp: true, ..quiet }),
        ("0.2 requests/s", Release { requests: 2.0, ..quiet }),
        ("drifting 0.2 to 5 %", Release { drift: true, ..quiet }),
        ("bursts of 5", Release { burst: 5.0, ..quiet }),
    ] {
        let found =
            |tolerated, history| power(release, Test { tolerated, history }, runs).found * 100.0;
        line(format!(
            "  {name:22} ratio 1.0: {:5.2} %   1.25: {:5.2} %   1.0 without a look at bursts: {:5.2} %\n",
            found(1.0, true),
            found(1.25, true),
            found(1.0, false)
        ));
    }
    line("power at 10 % of 20 requests/s, 1 % errors: found in an hour, median minutes (canary requests)\n".to_owned());
    for ratio in [1.5, 2.0, 3.0, 5.0] {
        let release = Release { ratio, ..quiet };
        let told = [1.0, 1.25].map(|tolerated| {
            let Power { found, minutes, requests } =
                power(release, Test { tolerated, history: true }, runs);
            let bound = release.bound(tolerated, 0.05);
            format!(
                "  ratio {tolerated}: {:6.2} %, {minutes:4.1} min ({requests:5.0}, n* {bound:5.0})",
                found * 100.0
            )
        });
        line(format!("  {ratio} times the errors  {}\n", told.concat()));
    }
}

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use super::*;
use crate::{
    known::Known,
    terminal::{
        example::{at, known, release, rolled_back, service, stage, story},
        follow::Followed,
        json,
    },
};
use release_record::release::Step;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn text(&self) -> String {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.trim_start().replace('\x1b', "␛")
    }
}

/// What is shown of a look at each of these moments.
fn shown(looks: &[(i64, Known)], version: Option<&str>, has_colours: bool) -> String {
    let lines = Lines::default();
    let mut timeline = Timeline::into(lines.clone(), has_colours);
    let (mut followed, mut shown) = (Followed::new("iris", version), Shown::default());
    for (seconds, known) in looks {
        for event in followed.changes(known) {
            shown.show(&mut timeline, event, at(*seconds));
        }
    }
    lines.text()
}

/// A look each second.
fn seconds(from: i64, to: i64) -> Vec<(i64, Known)> {
    (from..=to).map(|seconds| (seconds, story(seconds))).collect()
}

#[test]
fn a_release_is_followed_in_plain_lines() {
    insta::assert_snapshot!(shown(&seconds(0, 210), None, false));
}

#[test]
fn a_release_is_followed_in_colours() {
    insta::assert_snapshot!(shown(&seconds(0, 210), None, true));
}

#[test]
fn who_comes_late_sees_what_has_been_with_its_times() {
    let late = [(150, story(150)), (210, story(210))];
    insta::assert_snapshot!(shown(&late, None, false));
}

#[test]
fn each_event_is_a_line_for_programs() {
    let mut followed = Followed::new("iris", None);
    let lines: String = seconds(0, 210)
        .iter()
        .flat_map(|(_, known)| followed.changes(known))
        .map(|event| json::line(&event))
        .collect();
    insta::assert_snapshot!(lines);
}

#[test]
fn it_says_what_it_waits_for() {
    let before = |mut ended: release_record::release::Release| {
        (ended.version, ended.runs) = ("v1".into(), vec!["before".into()]);
        ended
    };
    let waits = |known: Known| shown(&[(3 * 3600, known)], None, false);
    let others =
        ["lily", "rose"].map(|name| crate::known::Service { name: name.into(), ..service(0) });
    let lines = [
        waits(known(vec![service(0)], vec![before(rolled_back())])),
        waits(known(vec![service(0)], vec![])),
        waits(known(others.into(), vec![])),
        waits(known(vec![], vec![])),
        shown(&[(300, story(300))], Some("v9"), false),
    ];
    insta::assert_snapshot!(lines.concat());
}

#[test]
fn a_first_release_and_one_that_failed_are_told_by_how_they_ended() {
    let made = |state| {
        let image = stage(Step::Image, ["bento-build", "iris-v2-a1"], [2, 75], state, "");
        vec![image]
    };
    let first =
        release(Outcome::Promoted, ["", "there was no version before"], made(State::Succeeded));
    let first = release_record::release::Release { ladder: Vec::new(), ..first };
    let failed =
        release(Outcome::Failed, ["error", "failed to read the bento"], made(State::Failed));
    let all = [first, failed]
        .map(|release| shown(&[(75, known(vec![], vec![release]))], Some("v2"), false));
    insta::assert_snapshot!(all.concat());
}

#[test]
fn a_name_that_a_stranger_chose_is_only_text() {
    let hostile = "v2\n✔ iris v2 was promoted\x1b[2K\u{202e}";
    let mut release = rolled_back();
    release.version = hostile.into();
    release.reason = hostile.into();
    for stage in &mut release.stages {
        stage.detail = hostile.into();
        stage.run = hostile.into();
        stage.task = format!("{} {hostile}", stage.task);
    }
    release.runs = vec![hostile.into()];
    let mut canary = service(10);
    canary.split[1].version = hostile.into();
    canary.decisions = vec![("hold".into(), hostile.into())];
    let known = known(vec![canary], vec![release]);
    insta::assert_snapshot!(shown(&[(210, known.clone())], Some(hostile), false));
    let mut followed = Followed::new("iris", Some(hostile));
    let lines: String = followed.changes(&known).iter().map(json::line).collect();
    assert!(!lines.contains(['\x1b', '\u{202e}']) && !lines.contains("\n✔"), "{lines}");
    let begun: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!(begun["version"], hostile, "exact for programs");
}

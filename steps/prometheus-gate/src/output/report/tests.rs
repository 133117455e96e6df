//! The whole page of fixed gates. `cargo insta review` shows what a change does to it.

use super::*;
use crate::output::example;

fn shown(series: &[(&str, &str)]) -> String {
    shown_of(&example::judged(series))
}

fn shown_of((summary, record): &(Summary, Record)) -> String {
    let page = page(summary, record);
    // What programs read has tests of its own, and the last digits of its numbers are the machine's.
    let (before, rest) = page.split_once("<summary>verdict.json</summary><pre>").unwrap();
    let (_, after) = rest.split_once("</pre>").unwrap();
    format!("{before}<summary>verdict.json</summary><pre>…</pre>{after}")
        .replace(STYLE, "…")
        .replace(PAGE_STYLE, "")
        .replace(&format!("prometheus-gate {}<", summary.version), "prometheus-gate VERSION<")
}

#[test]
fn the_page_of_a_gate_that_passes() {
    insta::assert_snapshot!(shown(example::PASSING));
}

#[test]
fn the_page_of_a_gate_that_fails() {
    insta::assert_snapshot!(shown(example::FAILING));
}

#[test]
fn the_page_of_a_gate_that_cannot_tell() {
    insta::assert_snapshot!(shown(example::INCONCLUSIVE));
}

#[test]
fn the_page_of_answers_that_changed() {
    insta::assert_snapshot!(shown_of(&example::answered(example::CHANGED)));
}

#[test]
fn what_is_not_judged_is_said_at_the_top() {
    let (mut summary, record) = example::judged(example::PASSING);
    summary.notes = vec![format!("answers are not judged: {HOSTILE}")];
    let page = page(&summary, &record);
    let head = page.split_once("</header>").unwrap().0;
    assert!(head.contains("<li>answers are not judged: &lt;/style&gt;"), "{head}");
}

/// What anybody may write into a label, an annotation or an error.
const HOSTILE: &str = "</style><script>alert('\"&')</script>\u{1b}c\u{202e}";

#[test]
fn nothing_of_a_stranger_becomes_markup() {
    let yaml = serde_json::to_string(HOSTILE).unwrap();
    let image = serde_json::to_string(&format!("x@sha256:{HOSTILE}")).unwrap();
    let spec = format!(
        "timing: {{hold: 30s, deadline: 5m}}\n\
         rollout: {{service: {yaml}, namespace: {yaml}, canaryRevision: {yaml}, canaryImage: {yaml}, \
         baselineImage: {image}, canaryVersion: {yaml}, run: {yaml}}}\n\
         criteria: [{{name: {yaml}, query: {yaml}, when: value == 0, unit: {yaml}}}]"
    );
    let (mut summary, record) =
        crate::cli::simulate::example(&spec, &[(HOSTILE.to_owned(), "1x60")]);
    summary.judgement.message = HOSTILE.to_owned();
    summary.judgement.criteria[0].notes = vec![HOSTILE.to_owned()];
    let page = page(&summary, &record);
    assert_eq!(page.matches("<script").count(), 0);
    assert_eq!(page.matches("</style>").count(), 1, "the page's own");
    assert!(!page.contains(['\u{1b}', '\u{202e}']));
    assert!(page.matches("&lt;script&gt;").count() >= 10, "it is shown as text");
}

#[test]
fn an_image_is_shown_with_the_start_of_its_digest() {
    assert_eq!(image("iris:2"), "iris:2");
    assert_eq!(
        image("registry/iris@sha256:0123456789abcdef"),
        "<span title=\"registry/iris@sha256:0123456789abcdef\">registry/iris@sha256:0123456789ab…</span>"
    );
}

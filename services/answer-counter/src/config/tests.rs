use std::fmt::Write as _;

use super::*;

fn fields(selection: &Selection) -> Vec<&str> {
    match selection {
        Selection::Fields(fields) => fields.iter().map(|field| field.pointer.as_str()).collect(),
        Selection::ByItself { .. } => vec!["by itself"],
    }
}

#[test]
fn the_entry_that_says_most_about_a_service_applies() {
    let config = Config::parse(
        "services:
          - {name: iris, namespace: models, fields: [{pointer: /both}]}
          - {name: iris, fields: [{pointer: /name}]}
          - {namespace: models, fields: [{pointer: /namespace}]}
          - {name: fraud, namespace: team}
          - {fields: [{pointer: /all}]}",
    )
    .unwrap();
    let of = |namespace, service| fields(config.of(namespace, service).unwrap()).join(" ");
    assert_eq!(of("models", "iris"), "/both");
    assert_eq!(of("team", "iris"), "/name");
    assert_eq!(of("models", "fraud"), "/namespace");
    assert_eq!(of("team", "fraud"), "by itself");
    assert_eq!(of("team", "other"), "/all");
    assert_eq!(
        config.summary(),
        "5 of `services` with 4 fields; other services are counted by themselves"
    );
}

#[test]
fn a_config_may_close_the_list() {
    let config = Config::parse("{services: [{name: iris}], others: refuse}").unwrap();
    assert!(config.of("models", "iris").is_some());
    assert!(config.of("models", "fraud").is_none());
    assert_eq!(config.summary(), "1 of `services` with 0 fields; other services are refused");
    for open in ["", "  \n", "{}", "services: []", "# nothing\n"] {
        assert!(Config::parse(open).unwrap().of("models", "iris").is_some(), "{open:?}");
    }
}

#[test]
fn every_fault_is_told_with_its_place_and_what_to_write() {
    let many = format!("services: [{{fields: [{}]}}]", "{pointer: /x},".repeat(21));
    let buckets = |list: &str| {
        format!(
            "services: [{{fields: [{{pointer: /ok}}, {{pointer: /x, kind: number, buckets: {list}}}]}}]"
        )
    };
    let rows = [
        "services: iris",
        "service: []",
        "services: [{name: iris, field: []}]",
        "services: [{name: Iris}]",
        "services: [{namespace: a/b}]",
        "services: [{name: iris}, {name: fraud}, {name: iris}]",
        "services: [{fields: [{pointer: species}]}]",
        "services: [{fields: [{pointer: /a~2}]}]",
        "services: [{fields: [{pointer: /a, kind: numeric}]}]",
        "services: [{fields: [{pointer: /a}, {pointer: /a}]}]",
        "services: [{fields: [{pointer: /a, buckets: [1]}]}]",
        "services: [{fields: [{pointer: /a, kind: number}]}]",
        "services: [{fields: [{pointer: /a}], except: [/b]}]",
        "others: allow",
        &many,
        &buckets("[]"),
        &buckets("[1, 1]"),
        &buckets("[2, 1]"),
        &buckets("[1, .inf]"),
        &buckets("[.nan]"),
        &buckets("[low]"),
        &buckets(&format!("{:?}", (0..31).collect::<Vec<_>>())),
        "services: [",
        "\u{0}",
    ];
    let mut told = String::new();
    for row in rows {
        let Usage { what, hint } = Config::parse(row).unwrap_err();
        writeln!(told, "{}\n  {what}\n  {hint}", row.chars().take(90).collect::<String>()).unwrap();
    }
    insta::assert_snapshot!(told);
}

#[test]
fn the_examples_of_help_and_readme_are_sound() {
    let args = include_str!("../args.rs");
    let example = args.split_once("  services:\n").unwrap().1.split_once("\n\n").unwrap().0;
    Config::parse(&format!("  services:\n{example}")).unwrap();
    let readme = include_str!("../../README.md");
    let examples = readme.split("```yaml\n").skip(1);
    let configs =
        examples.filter_map(|text| text.split_once("```")?.0.split_once("config.yaml: |\n"));
    let configs: Vec<_> = configs.map(|(_, config)| config).collect();
    assert!(!configs.is_empty());
    for config in configs {
        Config::parse(config).unwrap();
    }
}

use super::*;

/// The published schema is made from the types above; `UPDATE=1 cargo test -p prometheus-gate schema` writes it anew.
#[test]
fn the_published_schema_says_what_a_spec_may_hold() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tasks/prometheus-gate/gate.schema.json");
    let made = serde_json::to_string_pretty(&schemars::schema_for!(SpecFile)).unwrap() + "\n";
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &made).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap_or_default(), made);
}

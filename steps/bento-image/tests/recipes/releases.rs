//! The Dockerfiles that releases of BentoML write with each of their options, rendered by the scripts beside this file.
//!
//! `make bentoml-tests` runs these, as they install the releases from the package index.

#[path = "../../../bento-retrieve/tests/support/releases.rs"]
mod install;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use bento_image::recipe::judge;

use crate::bento::{bento_1x, bundle_0x, verdict};

macro_rules! table_of {
    ($($test:ident: $release:literal;)*) => {$(
        #[test]
        #[ignore = "installs a release of BentoML: `make bentoml-tests`"]
        fn $test() {
            if let Some(table) = table($release) {
                insta::assert_snapshot!(stringify!($test), table);
            }
        }
    )*};
}

table_of! {
    dockerfiles_of_0_13_1: "0.13.1";
    dockerfiles_of_1_0_18: "1.0.18";
    dockerfiles_of_1_0_25: "1.0.25";
    dockerfiles_of_1_1_11: "1.1.11";
    dockerfiles_of_1_2_20: "1.2.20";
    dockerfiles_of_1_3_22: "1.3.22";
    dockerfiles_of_1_4_39: "1.4.39";
}

/// What becomes of each option, and of which templates: those of which the same becomes are one line.
fn table(release: &str) -> Option<String> {
    let bin = install::bin(release)?;
    let is_legacy = release.starts_with("0.");
    let (script, path, listing) = if is_legacy {
        ("dockerfiles_0x.py", "Dockerfile", bundle_0x())
    } else {
        ("dockerfiles_1x.py", "env/docker/Dockerfile", bento_1x())
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recipes").join(script);
    let out = tempfile::tempdir().unwrap();
    install::run(Command::new(bin.join("python")).arg(script).arg(out.path()));

    let mut rows = BTreeMap::<_, BTreeSet<String>>::new();
    for file in fs::read_dir(out.path()).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        let [spec, option, template] = name.split('~').collect::<Vec<_>>().try_into().unwrap();
        let text = fs::read_to_string(file.path()).unwrap();
        let mut verdict = verdict(path, &text, &listing);
        // Which line it is depends on the template, and says nothing more.
        if let Err(whole) = judge(path, &text) {
            verdict = verdict.replace(&format!(":{}:", whole.line.unwrap()), ":");
        }
        let row = (spec.to_owned(), option.to_owned(), verdict);
        rows.entry(row).or_default().insert(template.to_owned());
    }
    let lines = rows.into_iter().map(|((spec, option, verdict), templates)| {
        let templates: Vec<_> = templates.into_iter().collect();
        format!("{spec}  {option:15}  {verdict}\n    {}\n", templates.join(" "))
    });
    Some(lines.collect())
}

//! What a reader is told is what the YAML says, and every sample runs.

use std::path::Path;

use serde_json::Value;

use crate::{calls::call, faults::Faults, tree::*};

#[test]
fn a_readme_lists_the_params_and_results_of_its_yaml() {
    let mut faults = Faults::default();
    for (here, object) in tasks_and_pipelines() {
        let readme = read(&format!("{here}/README.md"));
        let title = format!("# {}", text(&object, "/metadata/name"));
        faults.unless(
            readme.lines().next() == Some(&title),
            &here,
            format!("begin README.md with `{title}`"),
        );
        for (what, heading) in
            [("params", "Params"), ("results", "Results"), ("workspaces", "Workspaces")]
        {
            let wanted: Vec<_> = list(object["spec"].get(what))
                .iter()
                .map(|one| text(one, "/name").to_owned())
                .collect();
            let rows = table(&readme, heading);
            let names: Vec<_> = rows.iter().map(|row| row[0].clone()).collect();
            faults.equal(
                &here,
                &format!("rows of `## {heading}` in README.md"),
                format!("{names:?}"),
                format!("{wanted:?}"),
            );
            if what != "params" {
                continue;
            }
            for (row, param) in rows.iter().zip(list(object["spec"].get(what))) {
                let default = param.get("default").map(default_cell);
                if let (Some(default), Some(cell)) =
                    (default.filter(|text| !text.is_empty()), row.get(1))
                {
                    faults.equal(
                        &here,
                        &format!("default of `{}` in README.md", row[0]),
                        cell.as_str(),
                        &default,
                    );
                }
            }
        }
    }
    faults.none();
}

fn default_cell(value: &Value) -> String {
    match value {
        Value::String(text) if text.contains("$(") => String::new(), // known at run time only
        Value::String(text) => text.clone(),
        Value::Array(values) if values.is_empty() => String::new(),
        other => other.to_string(),
    }
}

/// The cells of the first table below `## HEADING`, without back-quotes.
fn table(readme: &str, heading: &str) -> Vec<Vec<String>> {
    readme
        .lines()
        .skip_while(|line| line.trim_end() != format!("## {heading}"))
        .skip(1)
        .take_while(|line| !line.starts_with("## "))
        .skip_while(|line| !line.starts_with('|'))
        .map_while(|line| line.trim().strip_prefix('|')?.strip_suffix('|'))
        .skip(2)
        .map(|row| row.split(" | ").map(|cell| cell.trim().trim_matches('`').to_owned()).collect())
        .collect()
}

#[test]
fn the_index_of_decisions_names_files_that_are_there() {
    let mut faults = Faults::default();
    let rows = table(&read("CONTRIBUTING.md"), "Where is it decided?");
    assert!(rows.len() >= 20, "CONTRIBUTING.md: the index has {} rows", rows.len());
    for row in rows {
        let mut names = row[1].split("`, `");
        let first = names.next().unwrap_or_default();
        let siblings = names.map(|name| Path::new(first).with_file_name(name));
        for file in std::iter::once(first.into()).chain(siblings) {
            let here = format!("CONTRIBUTING.md, {}", row[0]);
            faults.unless(root().join(&file).is_file(), here, format!("no {}", file.display()));
        }
    }
    faults.none();
}

#[test]
fn a_sample_passes_what_is_declared_and_all_that_is_required() {
    let mut faults = Faults::default();
    for (folder, kind, by_ref) in
        [("tasks", "TaskRun", "taskRef"), ("pipelines", "PipelineRun", "pipelineRef")]
    {
        for name in folders(folder) {
            for file in files(&format!("{folder}/{name}/samples"), "yaml") {
                for run in documents(&file).iter().filter(|object| object["kind"] == kind) {
                    let called = text(run, &format!("/spec/{by_ref}/name")).to_owned();
                    if let Some(spec) = run.pointer("/spec/pipelineSpec") {
                        call(&mut faults, &file, &run["spec"], spec);
                        continue;
                    }
                    let Some(spec) = specs(folder).get(&called).cloned() else {
                        faults.add(&file, format!("there is no `{called}` in {folder}/"));
                        continue;
                    };
                    faults.unless(
                        called == name || folder == "tasks",
                        &file,
                        format!("this sample belongs to `{called}`"),
                    );
                    call(&mut faults, &file, &run["spec"], &spec);
                }
            }
        }
    }
    faults.none();
}

//! The modules of every crate: which file imports which, the map at the head of the crate, and how long a file is.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fs,
    path::{Path, PathBuf},
};

use syn::{
    Attribute, File, Item, ItemMod, ItemUse, Macro, Meta, UseName, UseRename, UseTree,
    visit::{self, Visit},
};

use crate::{faults::Faults, tree::*};

/// A longer file holds more than one thing, or says at its head why it is one.
const LONGEST: usize = 400;
const REASON: &str = "One file because";

/// A module's path in its crate: empty for `main.rs` or `lib.rs`.
type Module = Vec<String>;
type Imports = BTreeMap<Module, BTreeSet<Module>>;

#[test]
fn no_module_imports_what_imports_it() {
    let mut faults = Faults::default();
    for head in heads() {
        let modules = modules(&head);
        let imports = imports(&modules);
        let folders = modules.keys().filter_map(|path| Some(path.split_last()?.1.to_vec()));
        let siblings = folders.collect::<BTreeSet<_>>();
        let mut found = cycles(&imports);
        found.extend(siblings.iter().flat_map(|folder| cycles(&among_siblings(&imports, folder))));
        for cycle in found {
            faults.add(&head, format!("cut the cycle `{cycle}`: move what both need beneath them"));
        }
    }
    faults.none();
}

#[test]
fn each_crate_opens_with_a_map_of_its_modules() {
    let mut faults = Faults::default();
    for head in heads() {
        let text = read(&head);
        let map = text.lines().take_while(|line| line.starts_with("//!")).collect::<Vec<_>>();
        for path in modules(&head).keys().filter(|path| path.len() == 1) {
            let line = format!("//! - `{}`: ", path[0]);
            faults.unless(
                map.iter().any(|found| found.starts_with(&line)),
                &head,
                format!("say what the module is for in a line `{line}…`"),
            );
        }
    }
    faults.none();
}

#[test]
fn no_file_is_longer_than_one_thing() {
    let mut faults = Faults::default();
    for file in ["steps", "services", "cluster", "demo", "tests"].into_iter().flat_map(sources) {
        let text = read(&file);
        let opening = text.lines().take_while(|line| line.starts_with("//"));
        let opening = opening.map(|line| line.trim_start_matches(['/', '!', ' ']));
        let has_reason = opening.collect::<Vec<_>>().join(" ").contains(REASON);
        faults.unless(
            has_reason || text.lines().count() <= LONGEST,
            &file,
            format!(
                "split it, or say `{REASON} …` in its first comment: more than {LONGEST} lines"
            ),
        );
    }
    faults.none();
}

#[test]
fn a_cycle_is_found_wherever_it_begins_and_a_diamond_is_none() {
    let imports = |arrows: &[(&str, &str)]| {
        let mut imports = Imports::new();
        for (from, to) in arrows {
            imports.entry(module(from)).or_default().insert(module(to));
        }
        imports
    };
    let diamond = [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")];
    assert_eq!(cycles(&imports(&diamond)), BTreeSet::new());
    let circle = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "b"), ("e", "")];
    assert_eq!(cycles(&imports(&circle)), BTreeSet::from(["b -> c -> d -> b".to_owned()]));
    let folders = imports(&[("x::a", "y::a"), ("y::b", "x::b")]);
    assert_eq!(cycles(&folders), BTreeSet::new());
    let collapsed = among_siblings(&folders, &Module::new());
    assert_eq!(cycles(&collapsed), BTreeSet::from(["x -> y -> x".to_owned()]));
}

#[test]
fn imports_are_read_from_uses_paths_and_macros_but_not_from_tests() {
    let text = "
        mod args;
        use crate::{plan::{Asked, next}, tell as say};
        use self::args::Args;
        pub(crate) fn f() -> super::up::Up { println!(\"{}\", crate::log::LEVEL); args::read() }
        #[cfg(test)]
        mod tests { use crate::simulator::Simulator; }
    ";
    let here = module("cli");
    let known = ["cli", "cli::args", "plan", "tell", "up", "log", "simulator"];
    let known = known.into_iter().chain([""]).map(module).collect::<BTreeSet<_>>();
    let found = imported(&syn::parse_file(text).unwrap(), &here, &known);
    let wanted = ["cli::args", "log", "plan", "tell", "up"];
    assert_eq!(found, wanted.into_iter().map(module).collect());
}

fn module(path: &str) -> Module {
    path.split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn shown(path: &[String]) -> String {
    if path.is_empty() { "crate".into() } else { path.join("::") }
}

/// Every `lib.rs` and `main.rs` of ours.
fn heads() -> Vec<String> {
    let crates = ["steps", "services"]
        .into_iter()
        .flat_map(|folder| folders(folder).into_iter().map(move |name| format!("{folder}/{name}")))
        .chain(["cluster", "demo", "tests/model"].map(str::to_owned));
    crates
        .flat_map(|home| ["lib", "main"].map(|head| format!("{home}/src/{head}.rs")))
        .filter(|head| root().join(head).is_file())
        .collect()
}

/// Every source file below a folder, from the root.
fn sources(folder: &str) -> Vec<String> {
    let below = folders(folder).into_iter().filter(|name| name != "target");
    let below = below.flat_map(|name| sources(&format!("{folder}/{name}")));
    files(folder, "rs").into_iter().chain(below).collect()
}

/// The modules of a crate that are not for tests alone.
fn modules(head: &str) -> BTreeMap<Module, File> {
    let mut modules = BTreeMap::new();
    let mut open = vec![(Module::new(), root().join(head))];
    while let Some((path, file)) = open.pop() {
        let place = file.display();
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{place}: {error}"));
        let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{place}: {error}"));
        let folder = folder_of(&file);
        for name in parsed.items.iter().filter_map(declared_module) {
            let alone = folder.join(format!("{name}.rs"));
            let file = if alone.is_file() { alone } else { folder.join(&name).join("mod.rs") };
            open.push((path.iter().cloned().chain([name]).collect(), file));
        }
        modules.insert(path, parsed);
    }
    modules
}

/// Where the modules lie that a file declares.
fn folder_of(file: &Path) -> PathBuf {
    let is_head = ["mod.rs", "lib.rs", "main.rs"].iter().any(|name| file.ends_with(name));
    if is_head { file.with_file_name("") } else { file.with_extension("") }
}

fn declared_module(item: &Item) -> Option<String> {
    match item {
        Item::Mod(module) if module.content.is_none() && !is_for_tests(&module.attrs) => {
            Some(module.ident.to_string())
        }
        _ => None,
    }
}

/// `#[cfg(test)]`, and `#[cfg(any(test, …))]`.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => {
            list.tokens.to_string().split(|c: char| !c.is_alphanumeric()).any(|word| word == "test")
        }
        _ => false,
    })
}

fn imports(modules: &BTreeMap<Module, File>) -> Imports {
    let known = modules.keys().cloned().collect();
    modules.iter().map(|(path, file)| (path.clone(), imported(file, path, &known))).collect()
}

/// The modules that a file names, in uses, in paths and in the arguments of macros.
fn imported(file: &File, here: &Module, known: &BTreeSet<Module>) -> BTreeSet<Module> {
    let mut paths = Paths::default();
    paths.visit_file(file);
    let targets = paths.0.iter().filter_map(|path| resolve(path, here, known));
    targets.filter(|target| target != here).collect()
}

/// The module of ours that a path leads to.
fn resolve(path: &[String], here: &Module, known: &BTreeSet<Module>) -> Option<Module> {
    let mut names = path.iter().peekable();
    let mut target = here.clone();
    match names.peek()?.as_str() {
        "crate" => {
            names.next();
            target.clear();
        }
        "self" => drop(names.next()),
        "super" => {
            while names.next_if(|name| *name == "super").is_some() {
                target.pop();
            }
        }
        name => {
            target.push(name.to_owned());
            names.next();
            if !known.contains(&target) {
                return None;
            }
        }
    }
    for name in names {
        target.push(name.clone());
        if !known.contains(&target) {
            target.pop();
            break;
        }
    }
    Some(target)
}

#[derive(Default)]
struct Paths(Vec<Vec<String>>);

impl<'a> Visit<'a> for Paths {
    fn visit_item(&mut self, item: &'a Item) {
        let attributes = match item {
            Item::Mod(ItemMod { attrs, .. }) | Item::Use(ItemUse { attrs, .. }) => attrs.as_slice(),
            Item::Fn(function) => &function.attrs,
            Item::Impl(block) => &block.attrs,
            _ => &[],
        };
        if !is_for_tests(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'a ItemUse) {
        self.add(&item.tree, &mut Vec::new());
    }

    fn visit_visibility(&mut self, _: &'a syn::Visibility) {} // `pub(crate)` imports nothing

    fn visit_path(&mut self, path: &'a syn::Path) {
        let names = path.segments.iter().map(|segment| segment.ident.to_string());
        self.0.push(names.collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'a Macro) {
        // A path in the arguments: words with `::` between them, however deep in brackets.
        let text = call.tokens.to_string().replace(" :: ", "::");
        let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
        let paths = words.filter(|word| word.contains("::"));
        self.0.extend(paths.map(module));
    }
}

impl Paths {
    fn add(&mut self, tree: &UseTree, before: &mut Vec<String>) {
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.add(&path.tree, before);
                before.pop();
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.add(tree, before)),
            UseTree::Name(UseName { ident }) | UseTree::Rename(UseRename { ident, .. }) => {
                self.0.push([before.as_slice(), &[ident.to_string()]].concat());
            }
            UseTree::Glob(_) => self.0.push(before.clone()),
        }
    }
}

/// The imports between the modules of one folder, each with all that lies below it.
fn among_siblings(imports: &Imports, folder: &Module) -> Imports {
    let depth = folder.len();
    let child = |path: &Module| {
        (path.starts_with(folder) && path.len() > depth).then(|| path[..=depth].to_vec())
    };
    let mut among = Imports::new();
    for (from, targets) in imports {
        let Some(from) = child(from) else { continue };
        let others = targets.iter().filter_map(child).filter(|target| *target != from);
        among.entry(from.clone()).or_default().extend(others);
    }
    among
}

/// The shortest way from each module back to itself, once.
fn cycles(imports: &Imports) -> BTreeSet<String> {
    imports.keys().filter_map(|start| cycle(imports, start)).collect()
}

fn cycle(imports: &Imports, start: &Module) -> Option<String> {
    let mut reached = BTreeMap::new();
    let mut open = VecDeque::from([start]);
    while let Some(module) = open.pop_front() {
        for next in imports.get(module).into_iter().flatten() {
            if next == start {
                let mut way = vec![module];
                while way[way.len() - 1] != start {
                    way.push(reached[way[way.len() - 1]]);
                }
                way.reverse();
                // Of its modules the first by name begins, so that each finds the same.
                let first = (0..way.len()).min_by_key(|&at| way[at]).unwrap_or_default();
                way.rotate_left(first);
                way.push(way[0]);
                return Some(way.iter().map(|path| shown(path)).collect::<Vec<_>>().join(" -> "));
            }
            if !reached.contains_key(next) {
                reached.insert(next, module);
                open.push_back(next);
            }
        }
    }
    None
}

use proptest::prelude::*;

use super::*;

fn placed(names: &[&str]) -> Result<Vec<String>, Violation> {
    let mut tree = Tree::default();
    names.iter().map(|name| tree.file(name.as_bytes(), 1).map(|placed| placed.name)).collect()
}

#[test]
fn names_that_leave_the_folder_are_refused() {
    assert_eq!(placed(&["/etc/passwd"]), Err(Violation::Absolute));
    assert_eq!(placed(&["src/../../x"]), Err(Violation::Parent));
    assert_eq!(placed(&["./a//./b"]), Ok(vec!["a/b".into()]), "dots and empty parts mean nothing");
}

#[test]
fn names_that_no_bento_has_are_refused() {
    assert_eq!(Tree::default().file(b"\xff", 1).unwrap_err(), Violation::NotUtf8);
    assert_eq!(placed(&["a\u{1b}[2J"]), Err(Violation::Control));
    assert_eq!(placed(&["src/"]), Err(Violation::NoName));
    assert_eq!(placed(&["."]), Err(Violation::NoName));
    assert_eq!(placed(&[&"x".repeat(256)]), Err(Violation::TooLong));
    assert_eq!(placed(&[&format!("{}x", "x/".repeat(1_025))]), Err(Violation::TooLong));
}

#[test]
fn a_name_stands_for_one_thing_only() {
    assert_eq!(placed(&["a", "./a"]), Err(Violation::Twice));
    assert_eq!(placed(&["src/A", "src/a"]), Err(Violation::CaseTwin("src/A".into())));
    assert_eq!(placed(&["Src/a", "src/b"]), Err(Violation::CaseTwin("Src".into())));
    assert_eq!(placed(&["a", "a/b"]), Err(Violation::BelowFile("a".into())));
    assert_eq!(placed(&["a/b", "a"]), Err(Violation::Twice));
    let mut tree = Tree::default();
    tree.directory(b"./").unwrap();
    tree.file(b"src/a", 1).unwrap();
    tree.directory(b"src").unwrap();
    assert_eq!(tree.directory(b"src/").unwrap_err(), Violation::Twice);
}

#[test]
fn each_directory_is_made_once_before_what_is_in_it() {
    let mut tree = Tree::default();
    let mut fresh = |name: &str| tree.file(name.as_bytes(), 1).unwrap().fresh_directories;
    assert_eq!(fresh("a/b/c"), ["a", "a/b"]);
    assert!(fresh("a/b/d").is_empty());
}

#[test]
fn symlinks_that_stay_inside_are_kept() {
    let mut tree = Tree::default();
    tree.file(b"models/m/v1/model.yaml", 1).unwrap();
    for (name, target) in
        [("models/m/latest", "v1"), ("src/up", "../models/./m"), ("top", "."), ("again", "top")]
    {
        tree.link(name.as_bytes(), target.as_bytes()).unwrap();
    }
    assert_eq!(tree.into_links().unwrap().len(), 4);
}

#[test]
fn symlinks_that_leave_or_pass_through_another_are_refused() {
    let refused = |links: &[(&str, &str)]| {
        let mut tree = Tree::default();
        for (name, target) in links {
            if let Err(violation) = tree.link(name.as_bytes(), target.as_bytes()) {
                return violation;
            }
        }
        tree.into_links().unwrap_err().1
    };
    assert_eq!(refused(&[("l", "/etc")]), Violation::LinkAbsolute("/etc".into()));
    assert_eq!(refused(&[("l", "..")]), Violation::LinkOutside("..".into()));
    assert_eq!(refused(&[("a/l", "b/../../../x")]), Violation::LinkOutside("b/../../../x".into()));
    // Each is inside when its dots are counted; the second leaves through the first.
    let chain = [("p/q/s", "../.."), ("p/q/l", "s/../../x")];
    assert_eq!(refused(&chain), Violation::LinkThrough("s/../../x".into()));
    assert_eq!(refused(&[("l", "")]), Violation::LinkTarget);
    let mut tree = Tree::default();
    tree.link(b"l", b"src").unwrap();
    assert_eq!(tree.file(b"l/x", 1).unwrap_err(), Violation::BelowFile("l".into()));
}

#[test]
fn a_hard_link_is_a_second_name_of_a_file_that_came_before_and_of_nothing_else() {
    let mut tree = Tree::default();
    tree.file(b"./models/m/v1/weights", 7).unwrap();
    tree.link(b"latest", b"models").unwrap();
    let mut linked = |name: &str, target: &str| {
        let linked = tree.hard_link(name.as_bytes(), target.as_bytes());
        linked.map(|(placed, earlier)| (placed.name, earlier.path, earlier.size))
    };
    let first = ("models/m/v2/weights".into(), "models/m/v1/weights".into(), 7);
    assert_eq!(linked("./models/m/v2/weights", "./models/m/v1/weights"), Ok(first));
    let second = ("x".into(), "models/m/v2/weights".into(), 7);
    assert_eq!(linked("x", "models/m/v2/weights"), Ok(second), "by then it is a file");
    assert_eq!(linked("x", "models/m/v1/weights"), Err(Violation::Twice));
    assert_eq!(linked("y/", "x"), Err(Violation::NoName));
    for target in ["", "a\u{7}", &"x/".repeat(1_025)] {
        assert_eq!(linked("y", target), Err(Violation::LinkTarget), "{target:?}");
    }
    let nothing_earlier =
        ["y", "later", ".", "models", "models/m/v1", "latest", "latest/m/v1/weights", "X"];
    let outside = ["/etc/passwd", "/x"].map(|target| (target, Violation::Absolute));
    let above = ["../x", "models/../x"].map(|target| (target, Violation::Parent));
    let refused = nothing_earlier.map(|target| (target, Violation::NoEarlierFile));
    for (target, violation) in refused.into_iter().chain(outside).chain(above) {
        assert_eq!(
            linked("y", target),
            Err(Violation::HardLink(target.into(), Box::new(violation)))
        );
    }
}

/// An independent walk: where a path ends when every symlink is followed, or `None` when it leaves.
fn resolve(links: &HashMap<String, String>, path: &str, depth: usize) -> Option<Vec<String>> {
    let mut at: Vec<String> = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            at.pop()?;
            continue;
        }
        at.push(part.to_owned());
        if let Some(target) = links.get(&at.join("/")) {
            if depth > 40 {
                return Some(at); // the kernel gives up on a loop
            }
            at.pop();
            let onwards = format!("{}/{target}", at.join("/"));
            at = resolve(links, &onwards, depth + 1)?;
        }
    }
    Some(at)
}

proptest! {
    #[test]
    fn no_accepted_set_of_symlinks_leaves_the_folder(
        links in prop::collection::vec(("[ab](/[ab]){0,3}", "(\\.\\.|[ab]|\\.)(/(\\.\\.|[ab])){0,4}"), 1..6)
    ) {
        let mut tree = Tree::default();
        for (name, target) in &links {
            let _ = tree.link(name.as_bytes(), target.as_bytes());
        }
        if let Ok(kept) = tree.into_links() {
            let kept: HashMap<_, _> = kept.into_iter().collect();
            for name in kept.keys() {
                prop_assert!(resolve(&kept, name, 0).is_some(), "{name} leaves by way of {kept:?}");
            }
        }
    }
}

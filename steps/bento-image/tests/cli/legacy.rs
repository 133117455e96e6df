//! Bentos of 0.x: all of it in one folder, and what its environment is made of comes anywhere.

use bento_image::flatten::Tree;

use crate::{
    run::{IMAGE, World, assert_same},
    support::{
        bentos::{Item, Items, copy, noise, pack, with_directories},
        kaniko::{Builds, ENVIRONMENTS, without_skeleton},
    },
};

const HOME: &str = "home/bentoml/bundle";

const DOCKERFILE: &str = "\
FROM python:3.11-slim
ARG EXTRA_PIP_INSTALL_ARGS=
ENV EXTRA_PIP_INSTALL_ARGS $EXTRA_PIP_INSTALL_ARGS
ENV BUNDLE_PATH=/home/bentoml/bundle
RUN mkdir $BUNDLE_PATH && chown bentoml:bentoml $BUNDLE_PATH -R
WORKDIR $BUNDLE_PATH
COPY --chown=bentoml:bentoml bentoml-init.sh docker-entrypoint.sh ./
COPY --chown=bentoml:bentoml setup.s[h] python_versio[n] ./
COPY --chown=bentoml:bentoml requirements.txt ./
RUN bash ./bentoml-init.sh install_pip_packages
COPY --chown=bentoml:bentoml . ./
EXPOSE 5000
USER bentoml
RUN chmod +x ./docker-entrypoint.sh
ENTRYPOINT [ \"./docker-entrypoint.sh\" ]
CMD [\"bentoml\", \"serve-gunicorn\", \"./\"]
";

/// `iris` of this version, without the folder around it.
fn bento(version: &str) -> Items {
    let manifest = format!(
        "version: 0.13.1\nkind: BentoService\nmetadata:\n  created_at: 2021-06-01 06:00:00.000000\n  \
         service_name: iris\n  service_version: {version}\nartifacts: []\n"
    );
    let files = [
        ("Dockerfile", DOCKERFILE.into()),
        ("README.md", b"# iris\n".to_vec()),
        ("bentoml-init.sh", b"#!/bin/bash\n".to_vec()),
        ("bentoml.yml", manifest.into_bytes()),
        ("docker-entrypoint.sh", b"#!/bin/sh\n".to_vec()),
        ("iris/__init__.py", Vec::new()),
        ("iris/artifacts/svm.pkl", noise(1, 3 << 19)),
        ("iris/service.py", format!("VERSION = '{version}'\n").into_bytes()),
        ("python_version", b"3.11.9\n".to_vec()),
        ("requirements.txt", b"bentoml==0.13.1\n".to_vec()),
    ];
    let files = files.map(|(path, contents)| (path.to_owned(), Item::File(contents)));
    with_directories(&files.into())
}

/// In a folder, in the order in which it was walked: the code first.
fn archive(items: &Items) -> Vec<u8> {
    let mut walked = items.clone();
    walked.sort_by_key(|(path, _)| !path.starts_with("iris"));
    let mut around: Items = vec![("Iris".into(), Item::Directory)];
    around.extend(walked.into_iter().map(|(path, item)| (format!("Iris/{path}"), item)));
    pack(&around)
}

#[test]
fn a_bento_of_0_x_is_read_twice_and_laid_onto_its_environment() {
    let [one, two] = [bento("v1"), bento("v2")];
    let world = World::with_archives([("v1", archive(&one)), ("v2", archive(&two))]);
    let plan = world.plan("v1");
    let key = plan["key"].as_str().unwrap();
    let sources = [
        "bentoml-init.sh",
        "docker-entrypoint.sh",
        "setup.s[h]",
        "python_versio[n]",
        "requirements.txt",
    ];
    assert_eq!(plan["sources"], serde_json::json!(sources));
    let mut needed: Items = one.clone();
    needed.retain(|(path, _)| sources.contains(&path.as_str()) || path == "python_version");
    needed.push(("iris".into(), Item::Directory));
    let (home, entrypoint) = (HOME, "docker-entrypoint.sh");
    let builds = Builds { home, entrypoint, ..Builds::new(&world.registry) };
    builds.environment(&needed, key, key, &format!("e1-{key}"));
    for (version, items) in [("v1", &one), ("v2", &two)] {
        let ended = world.assemble(version).assert_code(0);
        ended.assert_says("reading it once more");
        let environment = world.registry.tree(ENVIRONMENTS, &format!("e1-{key}"));
        let mut wanted: Tree = without_skeleton(environment, HOME);
        copy(items, &mut wanted, HOME, entrypoint);
        assert_same(&world.registry.tree(IMAGE, version), &wanted);
    }
}

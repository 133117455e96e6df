//! One Dockerfile and one bento a rule, and what becomes of them.

use std::fmt::Write as _;

use crate::bento::{bento_1x, listing, verdict};

/// The table of Dockerfiles for one and the same bento, beside what becomes of each.
fn table(dockerfiles: &[&str]) -> String {
    let mut table = String::new();
    for dockerfile in dockerfiles {
        let verdict = verdict("env/docker/Dockerfile", dockerfile, &bento_1x());
        let _ = writeln!(table, "{}\n    {verdict}", dockerfile.escape_debug());
    }
    table
}

#[test]
fn the_base_is_one_image_by_name() {
    let found = table(&[
        "FROM python:3.11-slim\nCOPY . .\n",
        "from python as base\ncopy . .\n",
        "\u{feff}FROM a@sha256:00\r\nCOPY . .\r\n",
        "FROM registry.local:5000/a/b:1@sha256:00 AS x\nCOPY . .\n",
        "FROM scratch\nCOPY . .\n",
        "ARG UNUSED=1\nFROM python\nCOPY . .\n",
        "ARG TAG=3.11\nFROM python:$TAG\nCOPY . .\n",
        "FROM ${BASE}\nCOPY . .\n",
        "FROM --platform=linux/amd64 python\nCOPY . .\n",
        "FROM --platform=$BUILDPLATFORM python\nCOPY . .\n",
        "FROM \"python\"\nCOPY . .\n",
        "FROM \\\n  python\nCOPY . .\n",
        "FROM \\\n# python\n  python\nCOPY . .\n",
        "FROM a b\nCOPY . .\n",
        "FROM\nCOPY . .\n",
        "FROM a AS b\nFROM c\nCOPY . .\n",
        "FROM a\nCOPY . .\nFROM c\n",
        "RUN true\nFROM a\nCOPY . .\n",
        "ARG A\n",
        "COPY . .\n",
        "",
    ]);
    insta::assert_snapshot!(found);
}

#[test]
fn the_language_is_the_ordinary_one() {
    let found = table(&[
        "# syntax=docker/dockerfile:1.7-labs\nFROM a\nCOPY . .\n",
        "# syntax=docker.io/docker/dockerfile-upstream:master\nFROM a\nCOPY . .\n",
        "# check=skip=all\n# syntax = acme/dockerfile\nFROM a\nCOPY . .\n",
        "# syntax=docker/dockerfilex\nFROM a\nCOPY . .\n",
        "# why\n# syntax=acme/dockerfile\nFROM a\nCOPY . .\n",
        "# escape=`\nFROM a\nCOPY . .\n",
        "# why\n#  Escape = \\\nFROM a\nCOPY . .\n",
        "FROM a\n# escape=`\nCOPY . .\n",
        "FROM a\nRUN <<EOF\ntrue\nEOF\nCOPY . .\n",
        "FROM a\nCOPY <<EOF /x\ntrue\nEOF\nCOPY . .\n",
        "FROM a\nCOPY [\"<<EOF\", \"/x\"]\nCOPY . .\n",
        "FROM a\u{b}b\nCOPY . .\n",
        "FROM a\nSHELL [\"bash\", \"-c\"]\nCOPY . .\n",
        "FROM a\nONBUILD RUN true\nCOPY . .\n",
        "FROM a\nVOLUME /data\nCOPY . .\n",
        "FROM a\nINCLUDE b\nCOPY . .\n",
        "FROM a\nLABEL a=\"ONBUILD VOLUME SHELL\"\nCOPY . .\nHEALTHCHECK CMD curl localhost:3000/livez\n",
    ]);
    insta::assert_snapshot!(found);
}

#[test]
fn the_whole_bento_is_copied_once() {
    let found = table(&[
        "FROM a\nCOPY ./ ./\n",
        "FROM a\nCOPY / /app\n",
        "FROM a\nCOPY [\".\", \"/app/\"]\n",
        "FROM a\nCOPY --chown=$BENTO_USER:1034 . /a b\n",
        "FROM a\nARG U=x\nCOPY --chown=$U . ./\n",
        "FROM a\nCOPY \\\n # why\n . \\\n\n ./\n",
        "FROM a\n",
        "FROM a\nCOPY src ./\n",
        "FROM a\nCOPY * ./\n",
        "FROM a\nADD . .\n",
        "FROM a\nCOPY --link . .\n",
        "FROM a\nCOPY --chmod=755 . .\n",
        "FROM a\nCOPY --from=b . .\n",
        "FROM a\nCOPY --exclude=*.md . .\n",
        "FROM a\nCOPY . src ./\n",
        "FROM a\nCOPY . .\nCOPY . /b\n",
        "FROM a\nCOPY . .\nCOPY src /b\n",
        "FROM a\nCOPY . .\nADD src /b\n",
        "FROM a\nCOPY . .\nCOPY --from=x /y /z\n",
        "FROM a\nCOPY \"\" /x\nCOPY . .\n",
        "FROM a\nCOPY [\"\", \"/x\"]\nCOPY . .\n",
        "FROM a\nCOPY .\n",
        "FROM a\nCOPY\n",
    ]);
    insta::assert_snapshot!(found);
}

#[test]
fn before_it_only_what_is_named_is_read() {
    let table = |lines: &[&str]| {
        let dockerfiles: Vec<_> =
            lines.iter().map(|line| format!("FROM a\n{line}\nCOPY . .\n")).collect();
        table(&dockerfiles.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let found = table(&[
        "COPY env/python ./env/python/",
        "COPY --chown=a:b ./env/docker ./src/wheels/ /x/",
        "COPY [\"./env/docker\", \"/x y/\"]",
        "COPY \"env/python\" 'env/docker' /x/",
        "COPY env/python/requirements.* setup.s[h] /x/",
        "COPY setup.s[h] /x/",
        "COPY env/python $TARGET",
        "ADD env/conda/environment.yml /x",
        "ADD env/conda /x",
        "ADD env/python/*.txt /x/",
        "ADD src/wheels/* /x/",
        "COPY nothing /x",
        "COPY env/python nothing setup.s[h] /x/",
        "COPY env/python/requirements.txt/ /x",
        "COPY .. /x",
        "COPY $WHAT /x",
        "COPY my\\ file /x",
        "COPY env\\python /x",
        "COPY \"my file\" /x",
        "COPY env[/x /x",
        "COPY .?* /x",
        "COPY env\u{a0}/python /x",
        "COPY --from=other env/python /x",
        "COPY --chmod=755 env/python /x",
        "COPY --link env/python /x",
        "COPY --exclude=a env/python /x",
        "COPY --parents env/python /x",
        "ADD https://x.example/a /x",
        "ADD git@github.com:x/y.git /x",
        "ADD --checksum=sha256:00 env/python /x",
        "RUN pip install x && ls .",
        "RUN [\"pip\", \"install\", \"x\"]",
        "RUN --mount=type=cache,sharing=locked,target=/c --mount=type=cache,target=/d pip install x",
        "RUN --mount=type=bind,target=/b ls /b",
        "RUN --mount=target=/b ls /b",
        "RUN --mount=type=cache,target=/b,from=b ls /b",
        "RUN --mount=type=cache,source=.,target=/b ls /b",
        "RUN --mount=type=cache,type=bind,target=/b ls /b",
        "RUN --mount=type=$KIND,target=/b ls /b",
        "RUN --mount=type=secret,id=A cat /run/secrets/A",
        "RUN --mount=type=ssh true",
        "RUN --mount=type=tmpfs,target=/t true",
        "RUN --network=none true",
        "RUN --network=default true",
        "RUN --security=insecure true",
        "RUN --device=gpu true",
        "RUN \\\n  --mount=type=bind,target=/b \\\n  ls /b",
        "USER nobody\nWORKDIR /x\nEXPOSE 1\nCMD true\nENTRYPOINT true\nSTOPSIGNAL 9\nMAINTAINER a\nENV A b",
    ]);
    insta::assert_snapshot!(found);
}

#[test]
fn after_it_nothing_reads_the_bento() {
    let table = |lines: &[&str]| {
        let dockerfiles: Vec<_> =
            lines.iter().map(|line| format!("FROM a\nCOPY . .\n{line}\n")).collect();
        table(&dockerfiles.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let found = table(&[
        "EXPOSE 3000 3001\nENV A=b\nENV PATH=/x:$PATH\nLABEL a=b\nUSER b\nWORKDIR /x\nARG A\nSTOPSIGNAL 9\nHEALTHCHECK NONE",
        "ENTRYPOINT [ \"/home/bentoml/bento/env/docker/entrypoint.sh\" ]\nCMD [\"serve\"]",
        "RUN chmod +x /home/bentoml/bento/env/docker/entrypoint.sh",
        "run  chmod  +x \\\n  ./env/docker/entrypoint.sh",
        "RUN chmod +x /home/bentoml/bento/other.sh",
        "RUN chmod +x /home/bentoml/bento/env",
        "RUN chmod +x $BENTO_PATH/env/docker/entrypoint.sh",
        "RUN chmod +x env/docker/entrypoint.sh && ls",
        "RUN [\"chmod\", \"+x\", \"env/docker/entrypoint.sh\"]",
        "RUN --mount=type=cache,target=/c chmod +x env/docker/entrypoint.sh",
        "RUN rm -rf /var/lib/{apt,cache,log}",
        "RUN rm -rf /var/cache/yum",
        "RUN rm -rf /var/cache/apk/*",
        "RUN rm -rf /var/lib/apt",
        "RUN chown bentoml:bentoml -R $VIRTUAL_ENV",
        "ENV VIRTUAL_ENV=/app/.venv\nRUN chown bentoml:bentoml -R $VIRTUAL_ENV",
        "ENV VIRTUAL_ENV=/app/.venv\nENV VIRTUAL_ENV=/x\nRUN chown bentoml:bentoml -R $VIRTUAL_ENV",
        "ENV VIRTUAL_ENV=.\nENV VIRTUAL_ENV=/app/.venv\nRUN chown bentoml:bentoml -R $VIRTUAL_ENV",
        "ADD ./env/docker/setup_script /x\nRUN chmod +x /x\nRUN /x",
        "RUN true",
        "RUN bash env/python/install.sh",
    ]);
    insta::assert_snapshot!(found);
}

#[test]
fn the_files_of_the_bento_agree() {
    let plain = "FROM a\nRUN mkdir -p /x/apis ./models\nCOPY env/docker env/x* /x/\nCOPY . .\nRUN chmod +x /b/env/docker/e.sh\n";
    let known = ["apis/", "env/docker/Dockerfile", "env/docker/e.sh", "models/", "src/a.py"];
    let mut table = String::new();
    let mut add = |dockerfile: &str, known: &[&str], more: &[&str]| {
        let listing = listing(&[known, more].concat());
        let verdict = verdict("env/docker/Dockerfile", dockerfile, &listing);
        let _ = writeln!(table, "{} {}\n    {verdict}", dockerfile.escape_debug(), more.join(", "));
    };
    for more in [
        &[][..],
        &[".dockerignore"],
        &["src/.dockerignore"],
        &["env/docker/Dockerfile.dockerignore"],
        &["Dockerfile.dockerignore"],
        &[".kanaria-environment"],
        &["src/.kanaria-environment"],
        &["env/docker/b -> ../../src"],
        &["env/xyz -> python"],
        &["src/bin/chmod"],
        &["src/rm -> /bin/rm"],
        &["src/sh/"],
        &["docker/e.sh"],
        &["docker/e.sh -> x"],
        &["wheels/a.whl", "empty/"],
    ] {
        add(plain, &known, more);
    }
    // Each bento lacks one of those that each environment has.
    add(plain, &known[1..], &[]);
    add(plain, &[&known[..3], &known[4..]].concat(), &[]);
    add(plain, &known[..4], &[]);
    add("FROM a\nCOPY . .\n", &known[1..2], &[]);
    add("FROM a\nWORKDIR /b/models\nCOPY . /b\n", &known[1..2], &[]);
    add("FROM a\nCOPY env/docker ./apis/\nCOPY . .\n", &known[1..2], &[]);
    add("FROM a\nCOPY api[s] /x\nCOPY . .\n", &known, &[]);
    add("FROM a\nCOPY api[s] /x\nCOPY . .\n", &known[1..], &[]);
    add("FROM a\nCOPY . .\nWORKDIR src/run\n", &known[1..2], &[]);
    add("FROM a\nCOPY . .\n", &known[1..3], &["models"]);
    add("FROM a\nCOPY . .\n", &known[1..3], &["models -> /data"]);
    // Through links, and of links
    let copies = "FROM a\nCOPY own/python /x\nCOPY . .\n";
    add(copies, &known, &["own/python/a"]);
    add(copies, &known, &["own -> env"]);
    add(copies, &known, &["own/python -> ../src"]);
    // What ADD would unpack
    let adds = "FROM a\nADD own/* /x/\nCOPY . .\n";
    add(adds, &known, &["own/a.txt", "own/tar"]);
    for name in ["own/a.tar", "own/a.TGZ", "own/a.txt.xz", "own/a -> b"] {
        add(adds, &known, &[name]);
    }
    insta::assert_snapshot!(table);
}

/// kaniko looks at what is in a file, whatever its name.
#[test]
fn an_archive_is_one_by_its_content() {
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_data(&mut tar::Header::new_old(), "a", &b""[..]).unwrap();
    let tar = tar.into_inner().unwrap();
    let blank = vec![0; 2048];
    let text = "- numpy\n".repeat(400).into_bytes();
    for (content, is_archive) in [
        (&tar[..], true),
        (&tar[..511], false),
        (&blank, false),
        (&text, false),
        (b"\x1f\x8bxyz", true),
        (b"BZh9xyz", true),
        (b"\xfd7zXZ\0xyz", true),
        (b"\x28\xb5\x2f\xfdxyz", true),
        (b"\x50\x2a\x4d\x18xyz", true),
        (b"", false),
    ] {
        let mut listing = listing(&["a.yml"]);
        listing.texts.insert("a.yml".into(), content.to_owned());
        let verdict = verdict("Dockerfile", "FROM a\nADD a.yml /x\nCOPY . .\n", &listing);
        assert_eq!(verdict.starts_with("whole"), is_archive, "{content:?} {verdict}");
    }
    // One that was too large to be kept may be one.
    let mut listing = listing(&["a.yml"]);
    listing.texts.clear();
    let verdict = verdict("Dockerfile", "FROM a\nADD a.yml /x\nCOPY . .\n", &listing);
    assert_eq!(
        verdict,
        "whole    Dockerfile:2: `ADD a.yml /x` copies `a.yml`, and ADD unpacks archives"
    );
}

//! kaniko's executor, laid out as its own image is. It is pulled as `ghcr.io/kanaria/kaniko:v1.25.5`.

use anyhow::Result;

use super::{Recipe, authorities, copy, directory, write};

pub(super) fn recipe() -> Result<Recipe> {
    Ok(Recipe {
        image: "kanaria/kaniko:v1.25.5",
        made_from: vec![
            include_str!("kaniko.rs").into(),
            include_str!("../../go/kaniko/go.mod").into(),
            include_str!("../../go/kaniko/go.sum").into(),
            authorities()?,
        ],
        config: &[
            "--entrypoint=/kaniko/executor",
            "--user=0:0",
            "--workdir=/workspace",
            "--env=HOME=/root",
            "--env=USER=root",
            "--env=PATH=/usr/local/bin:/kaniko",
            "--env=SSL_CERT_DIR=/kaniko/ssl/certs",
            "--env=DOCKER_CONFIG=/kaniko/.docker/",
        ],
        fill: |root, built| {
            directory(&root.join("kaniko"), 0o777)?;
            copy(built.bin("executor"), root, "kaniko/executor")?;
            write(&authorities()?, root, "kaniko/ssl/certs/ca-certificates.crt")?;
            write("hosts: files dns\n", root, "etc/nsswitch.conf")?;
            directory(&root.join("kaniko"), 0o777)?;
            directory(&root.join("kaniko/.docker"), 0o777)?;
            directory(&root.join("workspace"), 0o777)
        },
    })
}

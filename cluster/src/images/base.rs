//! What ko puts every Go program on.

use anyhow::Result;

use super::{AUTHORITIES, Recipe, authorities, directory, write};

pub(super) fn recipe() -> Result<Recipe> {
    Ok(Recipe {
        image: "kanaria/base:0.1.0",
        made_from: vec![include_str!("base.rs").into(), authorities()?],
        config: &[
            "--user",
            "65532:65532",
            "--env",
            "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
        ],
        fill: |root, _| {
            write(&authorities()?, root, AUTHORITIES.trim_start_matches('/'))?;
            write("nonroot:x:65532:65532:nonroot:/tmp:/sbin/nologin\n", root, "etc/passwd")?;
            write("nonroot:x:65532:\n", root, "etc/group")?;
            directory(&root.join("tmp"), 0o1777)
        },
    })
}

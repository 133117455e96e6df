//! What holds a pod's namespaces while its containers come and go.

use std::process::Command;

use super::Recipe;
use crate::command::{feed, run};

const SOURCE: &str = include_str!("../../images/pause/pause.c");

pub(super) fn recipe() -> Recipe {
    Recipe {
        image: "kanaria/pause:0.1.0",
        made_from: vec![include_str!("pause.rs").into(), SOURCE.into()],
        config: &["--entrypoint", "/pause", "--user", "65535:65535"],
        fill: |root, _| {
            let mut compiler = Command::new("gcc");
            compiler.args(["-Os", "-static", "-s", "-x", "c", "-", "-o"]).arg(root.join("pause"));
            feed(&mut compiler, SOURCE)?;
            run("chmod", ["755".as_ref(), root.join("pause").as_os_str()])?;
            Ok(())
        },
    }
}

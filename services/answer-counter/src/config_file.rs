//! What is counted, as a site wrote it down.

use std::{
    fs::File,
    io::{ErrorKind, Read as _},
    path::Path,
};

use answer_counter::config::Config;
use anyhow::{Context as _, Result};
use step::{Failure, Usage};

/// What goes into a `ConfigMap`
const LONGEST: u64 = 1024 * 1024;

pub(crate) fn read(path: Option<&Path>) -> Result<Config> {
    let Some(path) = path else { return Ok(without("no config")) };
    let shown = path.display();
    let mut text = String::new();
    match File::open(path).and_then(|file| file.take(LONGEST).read_to_string(&mut text)) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok(without(&format!("no config at `{shown}`")));
        }
        Err(error) => {
            return Err(error).with_context(|| Failure {
                what: format!("failed to read config `{shown}`"),
                hint: "`--config` is the file `config.yaml` of the ConfigMap `answer-counter`, mounted".into(),
            });
        }
    }
    let config = Config::parse(&text).map_err(|Usage { what, hint }| Usage {
        what: format!("failed to use config `{shown}`: {what}"),
        hint,
    })?;
    tracing::info!("config `{shown}`: {}", config.summary());
    Ok(config)
}

fn without(why: &str) -> Config {
    let config = Config::open();
    tracing::info!("{why}: {}", config.summary());
    config
}

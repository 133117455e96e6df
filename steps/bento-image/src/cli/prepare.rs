//! Assembles, or lays out what kaniko needs.

use std::{
    env::current_exe,
    fs, io,
    path::{Path, PathBuf, absolute},
    sync::Arc,
};

use anyhow::{Context, Result};
use bento_image::{
    annotations,
    assembler::{Assembler, Assembly, Missing},
    environment::built_tag,
    made::Made,
    prepared::{Build, Prepared},
    recipe::{MARKER, Whole},
    waiting::unless,
};
use bento_retrieve::{
    bento::dockerfile::{Builder, ca_bundle},
    retrieve::{Retrieved, retrieve, retrieve_selected},
};
use step::{Outcome, SecretFolder, Terminated};

use crate::cli::{
    args::{MakingArgs, PrepareArgs},
    hints,
    making::{Given, assembler},
};

/// What the binary is called where kaniko's image runs it.
const BINARY: &str = "bento-image";

pub(crate) async fn prepare(args: PrepareArgs, mut terminated: Terminated) -> Result<Outcome> {
    let PrepareArgs { into, whole, making, results } = args;
    let filled = || hints::folder(&into);
    fs::create_dir_all(&into).with_context(filled)?;
    let into = absolute(&into).with_context(filled)?;
    Prepared::remove(&into).with_context(filled)?; // so that a failure leaves nothing to build
    fs::copy(current_exe()?, into.join(BINARY)).with_context(filled)?;
    let assembler =
        assembler(&making, Given { whole, may_rebuild: true, ..Given::default() }).await?;
    let Some(assembly) = assembler.assemble(&mut terminated).await? else {
        return Ok(Outcome::Terminated);
    };
    let laying_out = LayingOut { assembler: &assembler, making: &making, into: &into };
    let (made, prepared) = match assembly {
        Assembly::Made(made) => (made.clone(), Some(Prepared::Made(made))),
        Assembly::Missing(missing) => {
            tracing::info!("{}: kaniko builds it, once", missing.reason());
            let made = missing.made(assembler.name());
            (made, laying_out.environment(*missing, &mut terminated).await?)
        }
        Assembly::Whole(whole) => {
            tracing::info!("kaniko builds it whole: {whole}");
            laying_out.whole(&whole, &mut terminated).await?
        }
    };
    results.write(&made, &assembler.request.origin.to_string())?;
    let Some(prepared) = prepared else { return Ok(Outcome::Terminated) };
    prepared.write(&into).with_context(filled)?;
    Ok(Outcome::Done)
}

struct LayingOut<'a> {
    assembler: &'a Assembler,
    making: &'a MakingArgs,
    into: &'a Path,
}

impl LayingOut<'_> {
    /// What the environment is built over. `None` when a signal has ended it.
    async fn environment(
        &self,
        missing: Missing,
        terminated: &mut Terminated,
    ) -> Result<Option<Prepared>> {
        let reason = missing.reason();
        let Missing { layered, root, listing, sha256, .. } = missing;
        let context = self.into.join("context");
        let skeleton = layered.recipe.skeleton(&listing);
        let mut request = self.assembler.request.clone();
        request.sha256 = Some(sha256.clone());
        let (recipe, below) = (Arc::clone(&layered.recipe), root.clone());
        let is_selected =
            move |path: &str| path.strip_prefix(&below).is_some_and(|path| recipe.needs(path));
        let folder = Path::new(root.trim_end_matches('/'));
        make_room(&context).with_context(|| hints::folder(self.into))?;
        let selected =
            retrieve_selected(&request, &context, folder, is_selected, terminated).await?;
        if selected.is_none() {
            return Ok(None);
        }
        let filled = || hints::folder(self.into);
        fs::write(context.join(MARKER), &layered.key).with_context(filled)?;
        for directory in &skeleton.directories {
            fs::create_dir_all(context.join(directory)).with_context(filled)?;
        }
        let dockerfile = self.into.join("Dockerfile");
        fs::write(&dockerfile, layered.recipe.dockerfile(&layered.base)).with_context(filled)?;
        let dockerfile = self.trusting(&dockerfile)?;
        let planner = &self.assembler.planner;
        let destination = format!("{}:{}", planner.environments.name, built_tag(&layered.key));
        let labels = vec![
            format!("{}={}", annotations::ENVIRONMENT, layered.key),
            format!("{}={}", annotations::BUILT, planner.environments.now),
        ];
        let build = self.build(context, dockerfile, destination, labels);
        let (image, base) = (self.assembler.name(), layered.base);
        Ok(Some(Prepared::Environment { build, image, base, sha256, reason }))
    }

    /// The whole bento, and what is known of its image by then.
    async fn whole(
        &self,
        whole: &Whole,
        terminated: &mut Terminated,
    ) -> Result<(Made, Option<Prepared>)> {
        let mut made = Made {
            image: self.assembler.name(),
            assembled: "whole".into(),
            reason: whole.to_string(),
            ..Made::default()
        };
        let context = self.into.join("context");
        make_room(&context).with_context(|| hints::folder(self.into))?;
        let secret = self.making.registry.build_credentials.as_ref();
        let kaniko = Some(Builder::Kaniko);
        let request = &self.assembler.request;
        let Some(Retrieved { receipt, dockerfile }) =
            retrieve(request, &context, kaniko, secret, terminated).await?
        else {
            return Ok((made, None));
        };
        made.bento = receipt.bento;
        made.sha256 = receipt.sha256;
        let there = unless(terminated, self.assembler.look(&made.sha256));
        let Some(there) = there.await else { return Ok((made, None)) };
        if let Some(there) = there {
            return Ok((there.clone(), Some(Prepared::Made(there))));
        }
        let labels = vec![
            format!("{}={}", annotations::ARCHIVE, made.sha256),
            format!("{}={}", annotations::BENTO, made.bento),
        ];
        let build = self.build(context, dockerfile.into(), made.image.clone(), labels);
        Ok((made.clone(), Some(Prepared::Whole { build, made })))
    }

    fn build(
        &self,
        context: PathBuf,
        dockerfile: PathBuf,
        destination: String,
        labels: Vec<String>,
    ) -> Build {
        let planner = &self.assembler.planner;
        let hours = planner.environments.max_age.as_secs() / 3600;
        let mut caching = vec![
            format!("--cache-repo={}/cache", planner.environments.name),
            format!("--cache-ttl={hours}h"),
        ];
        if self.assembler.rebuild {
            caching.push("--cache=false".into());
        }
        let (registry_mirror, flags) = (planner.mirror.clone(), planner.flags.clone());
        Build { context, dockerfile, destination, labels, registry_mirror, caching, flags }
    }

    /// The Dockerfile, or where the site has CA certificates a copy whose commands trust them.
    fn trusting(&self, dockerfile: &Path) -> Result<PathBuf> {
        let secret = self.making.registry.build_credentials.as_ref();
        let own = secret.map_or(Ok(None), |folder: &SecretFolder| folder.bytes("ca.crt"))?;
        let Some(own) = own else { return Ok(dockerfile.to_owned()) };
        let system = Path::new(ca_bundle::CA_CERTIFICATES);
        ca_bundle::lay_out(self.into, "Dockerfile", &own, system)
            .with_context(|| hints::folder(self.into))
    }
}

/// Removes the skeleton that an earlier run has left there. What a bento's own folder is replaced by knows that one.
fn make_room(context: &Path) -> io::Result<()> {
    if context.join(MARKER).is_file() { fs::remove_dir_all(context) } else { Ok(()) }
}

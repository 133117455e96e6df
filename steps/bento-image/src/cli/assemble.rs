//! Assembles, where there is an environment to assemble onto.

use anyhow::Result;
use bento_image::{assembler::Assembly, made::Made};
use step::{Outcome, Terminated};

use crate::cli::{
    args::AssembleArgs,
    making::{Given, assembler},
};

pub(crate) async fn assemble(args: AssembleArgs, mut terminated: Terminated) -> Result<Outcome> {
    let AssembleArgs { making, results } = args;
    let assembler = assembler(&making, Given::default()).await?;
    let origin = assembler.request.origin.to_string();
    let Some(assembly) = assembler.assemble(&mut terminated).await? else {
        return Ok(Outcome::Terminated);
    };
    let (made, hint) = match assembly {
        Assembly::Made(made) => {
            results.write(&made, &origin)?;
            return Ok(Outcome::Done);
        }
        Assembly::Missing(missing) => {
            let environments = &assembler.planner.environments.name;
            let hint = format!(
                "run Task bento-build for this bento once, where kaniko may run: it puts the environment into {environments}"
            );
            (missing.made(assembler.name()), hint)
        }
        Assembly::Whole(whole) => {
            let made = Made {
                image: assembler.name(),
                assembled: "whole".into(),
                reason: format!("it has to be built whole: {whole}"),
                ..Made::default()
            };
            let hint = "Task bento-build builds each version of it, unless its Dockerfile changes";
            (made, hint.to_owned())
        }
    };
    results.write(&made, &origin)?;
    tracing::error!(hint, "no image was made: {}", made.reason);
    Ok(Outcome::No)
}

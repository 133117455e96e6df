//! Prints how a bento's image will be made.

use anyhow::Result;
use bento_image::planner::Plan;
use bento_retrieve::request::Output;
use serde_json::json;
use step::{Outcome, Terminated, print};

use crate::cli::{
    args::PlanArgs,
    making::{Given, assembler},
};

pub(crate) async fn plan(args: PlanArgs, mut terminated: Terminated) -> Result<Outcome> {
    let PlanArgs { making, output } = args;
    let assembler = assembler(&making, Given::default()).await?;
    let Some(planned) = assembler.plan(&mut terminated).await? else {
        return Ok(Outcome::Terminated);
    };
    let text = match (output, &planned.plan) {
        (Output::Json, Plan::Whole(whole)) => {
            json!({"plan": "whole", "reason": whole.to_string()}).to_string()
        }
        (Output::Json, Plan::Layered(layered)) => json!({
            "plan": "layered",
            "base": {"image": layered.recipe.base(), "digest": layered.base},
            "key": layered.key,
            "sources": layered.recipe.sources(),
            "environment": layered.environment().map(|environment| &environment.name),
            "changed": planned.changed,
        })
        .to_string(),
        (Output::Text, Plan::Whole(whole)) => format!("whole: {whole}"),
        (Output::Text, Plan::Layered(layered)) => {
            let mut lines = vec![
                "layered".to_owned(),
                format!("base         {} ({})", layered.recipe.base(), layered.base),
                format!("key          {}", layered.key),
                format!("covers       {}", layered.recipe.sources().join(", ")),
            ];
            match layered.environment() {
                Some(environment) => lines.push(format!("environment  {}", environment.name)),
                None => lines.push("environment  not there: kaniko builds it once".to_owned()),
            }
            lines.extend(planned.changed.iter().map(|changed| format!("changed      {changed}")));
            lines.join("\n")
        }
    };
    print(format!("{text}\n"))?;
    Ok(Outcome::Done)
}

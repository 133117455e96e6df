//! What the step writes for the tasks after it.

use anyhow::Result;
use inference_service::Observed;
use ladder::Ladder;
use step::ResultFile;

use crate::{desired::Desired, plan::Released};

/// Each is written as soon as it is known, also when the step fails later.
#[derive(clap::Args, Default)]
#[allow(clippy::struct_field_names)] // each is named as its flag
pub(crate) struct Results {
    /// Revision that runs the image
    #[arg(long)]
    pub(crate) result_canary_revision: ResultFile,
    /// Revision that served before; empty on a first release
    #[arg(long)]
    pub(crate) result_baseline_revision: ResultFile,
    /// Address of the canary alone
    #[arg(long)]
    pub(crate) result_canary_url: ResultFile,
    /// Image that served before, by digest; empty on a first release
    #[arg(long)]
    pub(crate) result_baseline_image: ResultFile,
    /// Percent of the requests that it has; 100 where the outcome is first or unchanged
    #[arg(long)]
    pub(crate) result_percent: ResultFile,
    /// Percents that it climbs, the default ones where none were given
    #[arg(long)]
    pub(crate) result_ladder: ResultFile,
    /// When the canary got its first requests, or was out at 0 %, RFC 3339
    #[arg(long)]
    pub(crate) result_started_at: ResultFile,
    /// Whether answers are compared: compared, observed (the same, and a shift is meant), or why not
    #[arg(long)]
    pub(crate) result_answers: ResultFile,
    /// canary, first or unchanged
    #[arg(long)]
    pub(crate) result_outcome: ResultFile,
    /// Why there is no canary; empty when there is one
    #[arg(long)]
    pub(crate) result_error: ResultFile,
}

impl Results {
    /// A result that was never written would keep Tekton from running whatever reads it.
    pub(crate) fn begin(&self, ladder: &Ladder) -> Result<()> {
        let all = [
            &self.result_canary_revision,
            &self.result_baseline_revision,
            &self.result_canary_url,
            &self.result_baseline_image,
            &self.result_percent,
            &self.result_started_at,
            &self.result_answers,
            &self.result_outcome,
            &self.result_error,
        ];
        all.into_iter().try_for_each(|result| result.write(""))?;
        self.result_ladder.write(ladder.to_string())
    }

    pub(crate) fn write_what_is_known(&self, desired: &Desired, observed: &Observed) -> Result<()> {
        if !observed.runs_image(observed.latest(), &desired.image) {
            return Ok(());
        }
        self.result_canary_revision.write(observed.latest())?;
        if observed.mark.is_of(&desired.image) && observed.latest() != observed.rolled_out() {
            self.result_baseline_revision.write(&observed.mark.baseline_revision)?;
            self.result_baseline_image.write(&observed.mark.baseline_image)?;
        }
        Ok(())
    }

    pub(crate) fn end(&self, ended: &Released) -> Result<()> {
        let Released { outcome, percent, canary_url, started_at, answers } = ended;
        self.result_canary_url.write(canary_url)?;
        self.result_percent.write(percent.to_string())?;
        self.result_started_at.write(started_at)?;
        self.result_answers.write(answers)?;
        self.result_outcome.write(outcome)
    }
}

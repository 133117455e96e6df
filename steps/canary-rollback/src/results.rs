//! What the step writes for the tasks after it.

use anyhow::Result;
use inference_service::Observed;
use step::ResultFile;

use crate::{desired::Desired, plan::RollbackOutcome};

#[derive(clap::Args, Default)]
pub(crate) struct Results {
    /// rolled-back, or nothing (the canary was not there)
    #[arg(long)]
    pub(crate) result_outcome: ResultFile,
    /// Image that serves again; written as soon as it is known
    #[arg(long)]
    pub(crate) result_restored_image: ResultFile,
}

impl Results {
    /// A result that was never written would keep Tekton from running whatever reads it.
    pub(crate) fn begin(&self) -> Result<()> {
        self.result_outcome.write("")?;
        self.result_restored_image.write("")
    }

    pub(crate) fn write_what_is_known(&self, desired: &Desired, observed: &Observed) -> Result<()> {
        if !desired.is_canary(observed) && observed.patches == 0 {
            return Ok(());
        }
        desired
            .baseline_image(observed)
            .map_or(Ok(()), |image| self.result_restored_image.write(image))
    }

    pub(crate) fn end(&self, ended: &RollbackOutcome) -> Result<()> {
        let (outcome, image) = match ended {
            RollbackOutcome::RolledBack { image } => ("rolled-back", image.as_str()),
            _ => ("nothing", ""),
        };
        self.result_restored_image.write(image)?;
        self.result_outcome.write(outcome)
    }
}

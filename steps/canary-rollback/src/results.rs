//! What the step writes for the tasks after it.

use anyhow::Result;
use inference_service::Observed;
use step::ResultFile;

use crate::{desired::Desired, plan::RollbackOutcome};

#[derive(clap::Args, Default)]
#[command(next_help_heading = "Results")]
pub(crate) struct Results {
    /// rolled-back, or nothing (the canary was not there)
    #[arg(long, value_name = "FILE", default_value_t, hide_default_value = true)]
    pub(crate) result_outcome: ResultFile,
    /// Image that serves again; written as soon as it is known
    #[arg(long, value_name = "FILE", default_value_t, hide_default_value = true)]
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
        match ended {
            RollbackOutcome::RolledBack { image } => {
                self.result_restored_image.write(image)?;
                self.result_outcome.write("rolled-back")
            }
            RollbackOutcome::Replaced | RollbackOutcome::Promoted | RollbackOutcome::Nothing(_) => {
                self.result_restored_image.write("")?;
                self.result_outcome.write("nothing")
            }
        }
    }
}

//! What the step writes for the steps and tasks after it.

use anyhow::Result;
use step::ResultFile;

use crate::{desired::Desired, plan::Climb};

#[derive(clap::Args, Default)]
#[allow(clippy::struct_field_names)] // each is named as its flag
pub(crate) struct Results {
    /// advanced, promoted, or changed (another revision is there than the one that was judged); empty on
    /// other failures
    #[arg(long)]
    pub(crate) result_outcome: ResultFile,
    /// Percent of the requests that the canary has now
    #[arg(long)]
    pub(crate) result_percent: ResultFile,
    /// When it got its first requests at this percent, RFC 3339
    #[arg(long)]
    pub(crate) result_started_at: ResultFile,
    /// Why it got no next percent; empty when it did
    #[arg(long)]
    pub(crate) result_error: ResultFile,
}

impl Results {
    /// A result that was never written would keep Tekton from running whatever reads it.
    pub(crate) fn begin(&self) -> Result<()> {
        let all = [
            &self.result_outcome,
            &self.result_percent,
            &self.result_started_at,
            &self.result_error,
        ];
        all.into_iter().try_for_each(|result| result.write(""))
    }

    pub(crate) fn write_what_is_known(&self, desired: &Desired) -> Result<()> {
        let percent = desired.stands.map(|percent| percent.to_string());
        percent.map_or(Ok(()), |percent| self.result_percent.write(percent))
    }

    /// Another revision is there than the one that was judged.
    pub(crate) fn changed(&self) -> Result<()> {
        self.result_outcome.write("changed")
    }

    pub(crate) fn end(&self, climb: Climb, started_at: &str) -> Result<()> {
        self.result_percent.write(climb.percent().to_string())?;
        self.result_started_at.write(started_at)?;
        self.result_outcome.write(climb.outcome())
    }
}

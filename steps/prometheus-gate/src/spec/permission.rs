//! What a pass needs besides criteria that hold: somebody's approval, the hour of the day, and that nobody
//! holds the release.

use jiff::SignedDuration;
use ladder::Ladder;
use serde::{Deserialize, Serialize};
use step::Usage;

use crate::spec::windows::Windows;
use crate::time::Length;

/// Permission to climb, in a file and by flags.
#[derive(Clone, Debug, Default, Deserialize, clap::Args)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PermissionSpec {
    /// Which rungs somebody has to approve before they are climbed; it needs `--decisions` [default: none]
    #[arg(long, value_name = "WHICH", help_heading = "Permission to climb")]
    pub(crate) approval: Option<Approval>,
    /// How long an approval is waited for once all else is there; without it the verdict is then `fail` [default: 24h]
    #[arg(long, value_name = "DURATION", help_heading = "Permission to climb")]
    pub(crate) approval_timeout: Option<Length>,
    /// When a rung may be climbed, such as `Mon-Fri 09:00-17:00 Europe/Berlin`; several are joined by `;`, and hours may
    /// go over midnight [default: always]
    #[arg(long, value_name = "WINDOWS", help_heading = "Permission to climb")]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub(crate) windows: Option<Windows>,
    /// Heed people, who write `kanaria.dev/approve`, `hold`, `promote` or `abort` on the Lease
    /// `SERVICE-canary-decision` in `--namespace`, as `VERSION[@PERCENT] WHO[: WHY]`, or stop all releases by the
    /// object `canary-stop`; the pod's service account has to be allowed to get both
    #[arg(long, help_heading = "Permission to climb")]
    #[serde(default)]
    pub(crate) decisions: bool,
}

/// Which rungs somebody has to approve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(crate) enum Approval {
    /// Criteria that hold are enough
    #[default]
    None,
    /// The step to 100 %
    Last,
    /// Every step
    Every,
}

/// The same for one rung, as far as a verdict depends on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Permission {
    /// The percent that a pass leads to.
    pub(crate) next: u8,
    /// Whether somebody has to approve that.
    pub(crate) approval: bool,
    pub(crate) approval_timeout: SignedDuration,
    pub(crate) windows: Option<Windows>,
    /// Whether people are heeded.
    pub(crate) decisions: bool,
}

impl Default for Permission {
    fn default() -> Self {
        Self {
            next: 100,
            approval: false,
            // Over night, and until the one who knows the model is back at work.
            approval_timeout: SignedDuration::from_hours(24),
            windows: None,
            decisions: false,
        }
    }
}

impl Permission {
    /// Whether a canary whose criteria hold may have to wait.
    pub(crate) fn may_wait(&self) -> bool {
        self.approval || self.windows.is_some() || self.decisions
    }

    /// Whether nothing was asked for: so were all records before there was a question.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl PermissionSpec {
    /// The same, with what another says where this says nothing.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            approval: self.approval.or(other.approval),
            approval_timeout: self.approval_timeout.or(other.approval_timeout),
            windows: self.windows.or(other.windows),
            decisions: self.decisions || other.decisions,
        }
    }

    /// What it means for a canary that has so many percent of the traffic.
    pub(crate) fn at(
        &self,
        percent: Option<f64>,
        ladder: Option<&Ladder>,
    ) -> Result<Permission, Usage> {
        let next = next(percent, ladder);
        // Where the canary has all requests, nothing is left to climb.
        let climbs = percent.is_none_or(|percent| percent < 100.0);
        let approval = match self.approval.unwrap_or_default() {
            Approval::None => false,
            Approval::Last => next == 100,
            Approval::Every => true,
        };
        if approval && climbs && !self.decisions {
            return Err(Usage {
                what: "an approval is wanted, and nobody is listened to".to_owned(),
                hint: "add `--decisions`, which reads approvals from the API server".to_owned(),
            });
        }
        let default = Permission::default();
        Ok(Permission {
            next,
            approval: approval && climbs,
            approval_timeout: self
                .approval_timeout
                .map_or(default.approval_timeout, |Length(timeout)| timeout),
            windows: self.windows.clone().filter(|_| climbs),
            decisions: self.decisions,
        })
    }
}

/// The percent that a pass leads to. Who does not say where the canary stands is asked for the most.
fn next(percent: Option<f64>, ladder: Option<&Ladder>) -> u8 {
    let above = |percent: f64| {
        let whole = (0..=100_u8).rev().find(|whole| f64::from(*whole) <= percent)?;
        Some(ladder?.above(whole))
    };
    percent.and_then(above).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(approval: Approval, percent: Option<f64>) -> Permission {
        let ladder: Ladder = "10,25,50,100".parse().unwrap();
        let spec = PermissionSpec {
            approval: Some(approval),
            windows: Some("Mon-Fri 09:00-17:00 UTC".parse().unwrap()),
            decisions: true,
            ..PermissionSpec::default()
        };
        spec.at(percent, Some(&ladder)).unwrap()
    }

    #[test]
    fn the_last_step_is_the_one_to_a_hundred() {
        for (percent, next, last) in [
            (0.0, 10, false),
            (10.0, 25, false),
            (12.5, 25, false),
            (25.0, 50, false),
            (50.0, 100, true),
        ] {
            let permission = of(Approval::Last, Some(percent));
            assert_eq!((permission.next, permission.approval), (next, last), "{percent}");
            assert!(of(Approval::Every, Some(percent)).approval);
            assert!(!of(Approval::None, Some(percent)).approval);
        }
        assert!(of(Approval::Last, None).approval, "it may be the last one");
    }

    #[test]
    fn a_canary_with_all_requests_has_nothing_to_climb() {
        let permission = of(Approval::Every, Some(100.0));
        assert!(!permission.approval && permission.windows.is_none() && permission.decisions);
    }

    #[test]
    fn an_approval_that_nobody_could_give_is_refused() {
        let spec = PermissionSpec { approval: Some(Approval::Last), ..PermissionSpec::default() };
        let error = spec.at(Some(10.0), None).unwrap_err();
        assert_eq!(error.what, "an approval is wanted, and nobody is listened to");
        let none = PermissionSpec::default().at(None, None).unwrap();
        assert!(none.is_default() && !none.may_wait());
    }
}

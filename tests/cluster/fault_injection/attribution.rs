//! Whose fault an error was: the model's that is being released, or that of whoever releases it.

use std::{collections::BTreeMap, time::Instant};

use demo::FailedRequest;

use super::{PERCENT, plan::Kind};

/// All that clients got during one release.
pub(crate) struct Attribution<'a> {
    pub(crate) kind: Kind,
    /// The version that is released
    pub(crate) version: &'a str,
    pub(crate) begun: Instant,
    pub(crate) requests: usize,
}

impl Attribution<'_> {
    /// How many errors the model itself made, and complaints about all others.
    pub(crate) fn share(&self, failed: &[FailedRequest]) -> (usize, Vec<String>) {
        let (own, foreign): (Vec<_>, Vec<_>) =
            failed.iter().partition(|request| self.is_own(request));
        let mut complaints = Vec::new();
        if !foreign.is_empty() {
            complaints.push(format!("requests failed: {}", self.grouped(&foreign)));
        }
        let share = self.requests * usize::try_from(PERCENT).unwrap_or(0) / 100;
        // Three standard deviations of so many requests, and a few that were under way.
        if own.len() > share + 3 * share.isqrt() + 5 {
            complaints.push(format!(
                "{} of {} requests failed, where its share is {PERCENT} %: {}",
                own.len(),
                self.requests,
                self.grouped(&own)
            ));
        }
        (own.len(), complaints)
    }

    /// A failing model names itself in each answer. A crashing one leaves it to others to say that it is not
    /// there, or to wait for it longer than its client does. A request that waits for it in Knative's activator
    /// when its revision is deleted gets that as an answer.
    fn is_own(&self, request: &FailedRequest) -> bool {
        match (self.kind, request.status) {
            (Kind::Failing, _) => request.version().as_deref() == Some(self.version),
            (Kind::Crashing, Some(status)) if status == 404 => {
                request.text.contains("Error getting active endpoint: revision")
            }
            (Kind::Crashing, Some(status)) => matches!(status.as_u16(), 502..=504),
            (Kind::Crashing, None) => request.text.ends_with("timed out"),
            (Kind::Good | Kind::Unready, _) => false,
        }
    }

    /// `3 × 503 (no healthy upstream) from +12 s on`, for each text.
    fn grouped(&self, failed: &[&FailedRequest]) -> String {
        let mut texts: BTreeMap<String, (usize, Instant)> = BTreeMap::new();
        for request in failed {
            let status =
                request.status.map_or("no answer".to_owned(), |status| status.as_u16().to_string());
            texts.entry(format!("{status} ({})", request.text)).or_insert((0, request.at)).0 += 1;
        }
        let line = |(text, (count, at)): (String, (usize, Instant))| {
            let since = at.saturating_duration_since(self.begun).as_secs();
            format!("{count} × {text} from +{since} s on")
        };
        texts.into_iter().map(line).collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;

    use super::*;

    fn failed(status: Option<u16>, text: &str) -> FailedRequest {
        let status = status.map(|status| StatusCode::from_u16(status).unwrap());
        FailedRequest { at: Instant::now(), status, text: text.into() }
    }

    fn shared(kind: Kind, failed: &[FailedRequest]) -> (usize, usize) {
        let attribution = Attribution { kind, version: "v2", begun: Instant::now(), requests: 100 };
        let (own, complaints) = attribution.share(failed);
        (own, complaints.len())
    }

    #[test]
    fn a_failing_model_answers_for_what_it_signs_and_for_no_more() {
        let own = failed(Some(500), r#"{"error":"broken","version":"v2"}"#);
        let others = [
            failed(Some(500), r#"{"error":"broken","version":"v1"}"#),
            failed(Some(503), "no healthy upstream"),
            failed(None, "connection refused"),
        ];
        assert_eq!(shared(Kind::Failing, std::slice::from_ref(&own)), (1, 0));
        for other in others {
            for kind in [Kind::Failing, Kind::Good] {
                assert_eq!(shared(kind, std::slice::from_ref(&other)), (0, 1), "{kind}: {other:?}");
            }
        }
        assert_eq!(shared(Kind::Good, &[own]), (0, 1));
    }

    #[test]
    fn a_crashing_model_answers_for_its_share_and_for_no_more() {
        let gone = failed(Some(502), "connection reset");
        assert_eq!(shared(Kind::Crashing, &vec![gone.clone(); 20]), (20, 0));
        assert_eq!(shared(Kind::Crashing, &vec![gone; 60]), (60, 1));
        assert_eq!(shared(Kind::Crashing, &[failed(None, "operation timed out")]), (1, 0));
        assert_eq!(shared(Kind::Crashing, &[failed(None, "connection refused")]), (0, 1));
        let deleted = failed(Some(404), "Error getting active endpoint: revision \"x\" not found");
        assert_eq!(shared(Kind::Crashing, std::slice::from_ref(&deleted)), (1, 0));
        assert_eq!(shared(Kind::Good, &[deleted]), (0, 1));
        assert_eq!(shared(Kind::Crashing, &[failed(Some(404), "not found")]), (0, 1));
    }
}

//! The preset `answers`: the ways to ask for the answers of both versions.

use crate::spec::answers_query::{AnswersQuery, EVENTS, Requests};
use crate::spec::candidates::Candidate;
use crate::spec::queries::{Shape, quoted};
use crate::spec::request_metrics::SOURCES;
use crate::spec::resolved::{AnswersTest, Criterion, Test};

/// The labels of a service, as the counter gives them, and as Prometheus renames them without `honor_labels`.
const LABELS: [(&str, &str); 2] =
    [("namespace", "service"), ("exported_namespace", "exported_service")];

/// Whose answers are compared.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    pub(crate) namespace: String,
    pub(crate) service: String,
    /// The canary's version. All others are the baseline's.
    pub(crate) version: String,
    /// The revisions whose requests the gateway counts, where both are known.
    pub(crate) revisions: Option<(String, String)>,
    pub(crate) max_ratio: f64,
    pub(crate) least_share: f64,
    pub(crate) alpha: f64,
    pub(crate) min_requests: f64,
}

/// The candidates to ask, best first: with a count of requests before those without one.
pub(crate) fn candidates(answered: &Answered) -> Vec<Candidate> {
    let Answered { namespace, service, version, revisions, .. } = answered;
    let mut candidates = Vec::new();
    let sides = LABELS.map(|(namespaces, services)| {
        let whose = format!("{namespaces}={},{services}={}", quoted(namespace), quoted(service));
        let version = quoted(version);
        (format!("{whose},version={version}"), format!("{whose},version!={version}"))
    });
    // One that also counts starts has the same ends.
    let sources = SOURCES.iter().filter(|source| !source.name.contains("not scraped"));
    if let Some((canary, baseline)) = revisions {
        for source in sources {
            for labels in source.labels {
                let of = |revision: &String| labels.matchers(namespace, revision);
                let requests = Requests {
                    selector: source.selector(source.total, &format!("{}=\"200\"", source.code)),
                    own: source.own,
                    canary: of(canary),
                    baseline: of(baseline),
                };
                for (canary, baseline) in sides.clone() {
                    let requests = Some(requests.clone());
                    let query = AnswersQuery { canary, baseline, requests };
                    candidates.push(candidate(answered, query, source.name));
                }
            }
        }
    }
    for (canary, baseline) in sides {
        candidates.push(candidate(answered, AnswersQuery { canary, baseline, requests: None }, ""));
    }
    candidates
}

fn candidate(answered: &Answered, query: AnswersQuery, source: &str) -> Candidate {
    let Answered { max_ratio, least_share, alpha, min_requests, .. } = *answered;
    let has_requests = query.requests.is_some();
    let test = AnswersTest { max_ratio, least_share, alpha, min_requests, has_requests };
    let shape = Shape::default();
    let notes = if has_requests {
        Vec::new()
    } else {
        vec![
            "nobody counts the requests, so that answers that are not counted are not missed"
                .to_owned(),
        ]
    };
    let source = match source {
        "" => "answer-counter".to_owned(),
        source => format!("answer-counter, and requests by {source}"),
    };
    Candidate {
        source: "answer-counter",
        metric: EVENTS.to_owned(),
        probe: query.probe(),
        criterion: Criterion {
            past: Some(query.past(&shape)),
            source,
            notes,
            ..Criterion::new("answers", query.text(&shape), Test::Answers(test))
        },
        query: None,
        answers: Some(query),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::Series;

    fn answered() -> Answered {
        Answered {
            namespace: "models".to_owned(),
            service: "iris".to_owned(),
            version: "v2 \"x\"".to_owned(),
            revisions: Some(("iris-predictor-00002".to_owned(), "iris-predictor-00001".to_owned())),
            max_ratio: 2.0,
            least_share: 0.02,
            alpha: 0.05,
            min_requests: 50.0,
        }
    }

    #[test]
    fn answers_of_the_canarys_version_are_held_against_those_of_all_others() {
        let candidate = &candidates(&answered())[0];
        let query = candidate.answers.as_ref().unwrap();
        let shape = Shape { process: "pod", beside: "instance", ..Shape::default() };
        let text = query.text(&shape);
        let part = r#"label_replace(sum by (pod,field,answer) (max by (pod,field,answer,version) (kanaria_answers_total{namespace="models",service="iris",version="v2 \"x\"",pod!=""})),"gate_part","canary_answer","","")"#;
        assert!(text.contains(part), "{text}");
        assert!(text.contains(r#"version!="v2 \"x\"""#), "{text}");
        let part = r#"label_replace(sum by (instance) (max by (instance,envoy_response_code) (envoy_cluster_upstream_rq{envoy_response_code="200",envoy_cluster_name="models/iris-predictor-00001"})),"gate_part","baseline_answered","","")"#;
        assert!(text.contains(part), "{text}");
        let of_baseline = query.past(&shape);
        assert!(!of_baseline.contains("canary") && !of_baseline.contains("envoy"), "{of_baseline}");
    }

    #[test]
    fn both_forms_of_labels_are_asked_for_and_those_without_requests_last() {
        let candidates = candidates(&answered());
        let last = candidates.len() - 2;
        for (at, candidate) in candidates.iter().enumerate() {
            assert_eq!(candidate.criterion.notes.is_empty(), at < last, "{}", candidate.probe);
        }
        let forms = [&candidates[0], &candidates[1], &candidates[last], &candidates[last + 1]];
        let exported = forms.map(|candidate| candidate.probe.contains("{exported_namespace="));
        assert_eq!(exported, [false, true, false, true]);
        assert!(candidates[0].probe.contains(") and count(envoy"), "{}", candidates[0].probe);
        let alone = Answered { revisions: None, ..answered() };
        assert_eq!(super::candidates(&alone).len(), 2);
    }

    #[test]
    fn counters_of_answers_and_of_requests_have_processes_of_their_own() {
        let series = |labels: &[(&str, &str)]| Series {
            labels: labels
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            values: Vec::new(),
        };
        let query = candidates(&answered())[0].answers.clone().unwrap();
        let shape = query.shape(&[
            series(&[("__name__", EVENTS), ("instance", "a"), ("pod", "x"), ("outcome", "taken")]),
            series(&[
                ("__name__", EVENTS),
                ("instance", "a"),
                ("pod", "x"),
                ("outcome", "unreadable"),
            ]),
            series(&[("__name__", "envoy_cluster_upstream_rq"), ("instance", "b")]),
        ]);
        assert_eq!((shape.process, shape.beside, shape.note()), ("pod", "instance", None));
    }
}

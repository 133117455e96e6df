//! Queries for counters: what the server sums, and what it leaves apart.
//!
//! One query brings all series of a comparison, so that one answer shows them at the same moments;
//! each says by a label what it stands for. Processes stay apart, because each begins to count anew
//! when it starts; all else is summed by the server. Of the copies of one counter, which several
//! jobs, an HA pair of Prometheus or a federation bring, the largest counts.

use std::collections::{BTreeMap, BTreeSet};

use crate::series::{Labels, Measure, ROLE, Revision, Series, SeriesRole};

/// Label matchers of the revisions.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sides {
    pub(crate) canary: String,
    pub(crate) baseline: Option<String>,
}

/// The labels by which a source splits its counts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Own {
    Known(&'static [&'static str]),
    /// All but those that say who scraped it.
    Unknown,
}

/// Metrics of requests that have begun, and of those that are under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UnderWay {
    pub(crate) starts: &'static str,
    pub(crate) active: &'static str,
}

/// What is counted of which series.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) total: String,
    pub(crate) errors: String,
    /// Errors as they are counted one step further inside.
    pub(crate) inner: Option<String>,
    /// A histogram, in place of the two.
    pub(crate) bucket: Option<String>,
    pub(crate) under_way: Option<UnderWay>,
    pub(crate) own: Own,
    pub(crate) sides: Sides,
}

/// Labels that say who scraped a series, by whom it came here, and in which copy.
const OF_A_SCRAPE: [&str; 19] = [
    "job",
    "instance",
    "exported_job",
    "exported_instance",
    "endpoint",
    "container",
    "service",
    "node",
    "pod",
    "pod_name",
    "exported_pod",
    "k8s_pod_name",
    "kubernetes_pod_name",
    "prometheus",
    "prometheus_replica",
    "replica",
    "monitor",
    "receive",
    "tenant_id",
];

/// Labels that tell a process, best first: a pod is the same whoever scrapes it.
const OF_A_PROCESS: [&str; 7] = [
    "pod",
    "pod_name",
    "k8s_pod_name",
    "kubernetes_pod_name",
    "exported_pod",
    "exported_instance",
    "instance",
];

impl Query {
    /// The whole query. Processes are told apart by this label, if there is one.
    pub(crate) fn text(&self, process: &str) -> String {
        let sides = [
            (Revision::Canary, Some(&self.sides.canary)),
            (Revision::Baseline, self.sides.baseline.as_ref()),
        ];
        let present = sides.into_iter().filter_map(|(side, matchers)| Some((side, matchers?)));
        present
            .flat_map(|(side, matchers)| self.of(side, matchers, process))
            .collect::<Vec<_>>()
            .join(" or ")
    }

    /// The same about the baseline alone.
    pub(crate) fn past(&self, process: &str) -> Option<String> {
        let matchers = self.sides.baseline.as_ref()?;
        let alone = Self { under_way: None, ..self.clone() };
        Some(alone.of(Revision::Baseline, matchers, process).join(" or "))
    }

    /// Finds a series exactly when all that is asked for can be there: counts of starts come with
    /// counts of ends, and not every site keeps them.
    pub(crate) fn probe(&self) -> String {
        let found = match self.under_way {
            Some(UnderWay { starts, .. }) => self.both(starts),
            None => self.sample(),
        };
        format!("count({found})")
    }

    /// The series as they are, to see which labels they have.
    pub(crate) fn sample(&self) -> String {
        let selector = match &self.bucket {
            Some(bucket) => merged(bucket, r#"le="+Inf""#),
            None => self.total.clone(),
        };
        self.both(&selector)
    }

    fn both(&self, selector: &str) -> String {
        let sides = [Some(&self.sides.canary), self.sides.baseline.as_ref()];
        let found: Vec<String> =
            sides.into_iter().flatten().map(|side| merged(selector, side)).collect();
        found.join(" or ")
    }

    fn of(&self, side: Revision, matchers: &str, process: &str) -> Vec<String> {
        let which = |selector: &str| {
            let selector = merged(selector, matchers);
            if process.is_empty() {
                selector
            } else {
                merged(&selector, &format!("{process}!=\"\""))
            }
        };
        let sum = |measure: Measure, selector: &str| {
            let also = if measure == Measure::Bucket { "le" } else { "" };
            let summed = self.summed(&which(selector), process, also);
            labelled(&summed, SeriesRole::Of(side, measure))
        };
        let mut series = Vec::new();
        let counter = if let Some(bucket) = &self.bucket {
            series.push(sum(Measure::Bucket, bucket));
            merged(bucket, r#"le="+Inf""#)
        } else {
            series.push(sum(Measure::Total, &self.total));
            series.push(sum(Measure::Errors, &self.errors));
            series.extend(self.inner.iter().map(|inner| sum(Measure::Inner, inner)));
            self.total.clone()
        };
        if let Some(UnderWay { starts, active }) = self.under_way {
            series.push(sum(Measure::Starts, starts));
            series.push(sum(Measure::Active, active));
        }
        let newest = |expression: &str| format!("max{} ({expression})", by(&[process]));
        series.push(labelled(
            &newest(&format!("timestamp({})", which(&counter))),
            SeriesRole::Of(side, Measure::Sampled),
        ));
        // Envoy's series carry the revision, and the target that they come from does not.
        if !process.is_empty() && !matchers.contains("envoy_cluster_name") {
            series.push(labelled(&newest(&which("up")), SeriesRole::Up));
            series
                .push(labelled(&newest(&which("process_start_time_seconds")), SeriesRole::Started));
        }
        series
    }

    fn summed(&self, selector: &str, process: &str, also: &str) -> String {
        let apart = by(&[process, also]);
        match self.own {
            Own::Known(own) => {
                let kept: Vec<&str> =
                    [process, also].into_iter().chain(own.iter().copied()).collect();
                format!("sum{apart} (max{} ({selector}))", by(&kept))
            }
            Own::Unknown => {
                let dropped: Vec<&str> =
                    OF_A_SCRAPE.into_iter().filter(|label| *label != process).collect();
                format!("sum{apart} (max without ({}) ({selector}))", dropped.join(","))
            }
        }
    }
}

/// How series are labelled, as far as it matters for counting them once.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Shape {
    /// The label that tells processes apart; empty where none does.
    pub(crate) process: &'static str,
    /// Labels in which the copies of one counter differ; empty where there are none.
    pub(crate) copies: BTreeSet<String>,
    /// The label that tells the processes apart which count requests beside those that count answers.
    pub(crate) beside: &'static str,
}

impl Shape {
    pub(crate) fn of(series: &[Series], own: Own) -> Self {
        let has = |label: &&str| series.iter().any(|series| series.labels.contains_key(*label));
        let process = OF_A_PROCESS.into_iter().find(|label| has(label)).unwrap_or_default();
        let is_own = |label: &str| match own {
            Own::Known(own) => own.contains(&label),
            Own::Unknown => !OF_A_SCRAPE.contains(&label),
        };
        let mut counters: BTreeMap<Vec<(&str, &str)>, Vec<&Labels>> = BTreeMap::new();
        for Series { labels, .. } in series {
            if !process.is_empty() && !labels.contains_key(process) {
                continue; // it is left out of the query as well
            }
            let key = labels
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .filter(|(name, _)| *name == process || is_own(name) || is_revision_label(name))
                .collect();
            counters.entry(key).or_default().push(labels);
        }
        let differ = |copies: &Vec<&Labels>| -> BTreeSet<String> {
            let names: BTreeSet<&String> = copies.iter().flat_map(|labels| labels.keys()).collect();
            let apart = |name: &&String| {
                copies.iter().any(|labels| labels.get(*name) != copies[0].get(*name))
            };
            names.into_iter().filter(apart).cloned().collect()
        };
        Self { process, copies: counters.values().flat_map(differ).collect(), beside: "" }
    }

    /// What is said about copies, where there are some.
    pub(crate) fn note(&self) -> Option<String> {
        let labels: Vec<String> = self.copies.iter().map(|label| format!("`{label}`")).collect();
        (!labels.is_empty()).then(|| {
            format!(
                "series are there several times, told apart by {}: each counts once",
                labels.join(", ")
            )
        })
    }
}

/// A label by which revisions, and so counters of one gateway, are told apart.
fn is_revision_label(label: &str) -> bool {
    label.contains("revision") || label == "envoy_cluster_name"
}

/// Matchers of the pods of a revision.
pub(crate) fn matchers(namespaces: &str, pods: &str, namespace: &str, revision: &str) -> String {
    let begin = revision.replace('.', "\\.");
    format!(
        "{namespaces}={},{pods}=~{}",
        quoted(namespace),
        quoted(&format!("{begin}-deployment-.+"))
    )
}

/// A selector with more matchers than it has.
pub(super) fn merged(selector: &str, matchers: &str) -> String {
    match selector.trim().strip_suffix('}') {
        Some(open) if open.trim_end().ends_with(['{', ',']) => format!("{open}{matchers}}}"),
        Some(open) => format!("{open},{matchers}}}"),
        None => format!("{}{{{matchers}}}", selector.trim()),
    }
}

/// ` by (a,b)`, or nothing.
pub(super) fn by(labels: &[&str]) -> String {
    let labels: Vec<&str> = labels.iter().copied().filter(|label| !label.is_empty()).collect();
    if labels.is_empty() { String::new() } else { format!(" by ({})", labels.join(",")) }
}

/// An expression whose series say what they stand for.
pub(crate) fn labelled(expression: &str, role: SeriesRole) -> String {
    replaced(expression, &role.label())
}

pub(crate) fn replaced(expression: &str, value: &str) -> String {
    format!(r#"label_replace({expression},"{ROLE}","{value}","","")"#)
}

/// A string of the query language.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query() -> Query {
        Query {
            total: "rq".to_owned(),
            errors: "rq{code!~\"2..\"}".to_owned(),
            inner: None,
            bucket: None,
            under_way: None,
            own: Own::Known(&["code"]),
            sides: Sides { canary: "r=\"2\"".to_owned(), baseline: Some("r=\"1\"".to_owned()) },
        }
    }

    #[test]
    fn all_counters_of_a_comparison_come_in_one_query_and_each_copy_counts_once() {
        let text = query().text("pod");
        let part = r#"label_replace(sum by (pod) (max by (pod,code) (rq{code!~"2..",r="2",pod!=""})),"gate_part","canary_errors","","")"#;
        assert!(text.contains(part), "{text}");
        assert_eq!(text.matches(" or ").count(), 9, "{text}");
        let part = r#"label_replace(max by (pod) (timestamp(rq{r="1",pod!=""})),"gate_part","baseline_sampled","","")"#;
        assert!(text.contains(part), "{text}");
    }

    #[test]
    fn the_past_is_the_baselines_alone() {
        let past = query().past("pod").unwrap();
        assert!(!past.contains("canary") && past.contains("baseline_errors"), "{past}");
        let alone = Query { sides: Sides { baseline: None, ..query().sides }, ..query() };
        assert_eq!(alone.past("pod"), None);
    }

    #[test]
    fn without_a_label_of_a_process_all_is_one() {
        let text = query().text("");
        assert!(text.contains(r#"label_replace(sum (max by (code) (rq{r="2"})),"#), "{text}");
    }

    #[test]
    fn counters_of_a_spec_are_summed_over_all_labels_but_those_of_the_scrape() {
        let text = Query { own: Own::Unknown, ..query() }.text("instance");
        assert!(text.contains("sum by (instance) (max without (job,exported_job,"), "{text}");
    }

    #[test]
    fn matchers_are_added_to_those_that_are_there() {
        assert_eq!(merged("x", "a=\"b\""), "x{a=\"b\"}");
        assert_eq!(merged("x{c=\"d\"}", "a=\"b\""), "x{c=\"d\",a=\"b\"}");
        assert_eq!(merged(" x{} ", "a=\"b\""), "x{a=\"b\"}");
        assert_eq!(merged("x{c=\"d\",}", "a=\"b\""), "x{c=\"d\",a=\"b\"}");
    }

    fn series(labels: &[(&str, &str)]) -> Series {
        let labels =
            labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Series { labels, values: Vec::new() }
    }

    #[test]
    fn a_process_is_told_by_its_pod_before_its_address() {
        let own = Own::Known(&["code"]);
        let pods = [series(&[("pod", "a"), ("instance", "x"), ("code", "200")])];
        assert_eq!(Shape::of(&pods, own), Shape { process: "pod", ..Shape::default() });
        let federated = [series(&[("exported_instance", "x"), ("instance", "fed:9090")])];
        assert_eq!(Shape::of(&federated, own).process, "exported_instance");
        assert_eq!(Shape::of(&[], own).process, "");
    }

    #[test]
    fn copies_of_a_counter_are_told_from_the_counters_of_a_process() {
        let of = |job: &str, replica: &str, code: &str| {
            series(&[("pod", "a"), ("job", job), ("ha", replica), ("code", code)])
        };
        let own = Own::Known(&["code"]);
        assert_eq!(Shape::of(&[of("a", "1", "200"), of("a", "1", "500")], own).note(), None);
        let two_jobs = [of("a", "1", "200"), of("b", "1", "200"), of("a", "1", "500")];
        assert_eq!(
            Shape::of(&two_jobs, own).note().unwrap(),
            "series are there several times, told apart by `job`: each counts once"
        );
        let pair = [of("a", "1", "200"), of("a", "2", "200")];
        assert!(Shape::of(&pair, own).note().unwrap().contains("`ha`"));
    }
}

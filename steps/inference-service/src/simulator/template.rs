//! What a revision is made from.

use serde_json::Value;

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Template {
    /// The model's
    pub(crate) container: Value,
    pub(crate) pull_secrets: Value,
    pub(crate) logger: Value,
}

impl Template {
    pub(crate) fn of(predictor: &Value) -> Self {
        Self {
            container: predictor["containers"][0].clone(),
            pull_secrets: predictor["imagePullSecrets"].clone(),
            logger: predictor["logger"].clone(),
        }
    }

    /// `addLoggerAnnotations` of KServe: onto those of the service.
    pub(crate) fn annotations(&self, of_service: &Value) -> Value {
        let mut annotations = of_service.clone();
        if let Some(logger) = self.logger.as_object() {
            let of = |name: &str| logger.get(name).cloned();
            let mode = Some(of("mode").unwrap_or_else(|| "".into()));
            for (key, value) in
                [("", Some("true".into())), ("-sink-url", of("url")), ("-mode", mode)]
            {
                if let Some(value) = value {
                    annotations[format!("internal.serving.kserve.io/logger{key}")] = value;
                }
            }
        }
        annotations
    }
}

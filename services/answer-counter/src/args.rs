//! The command line.

use std::{net::SocketAddr, path::PathBuf};

use clap::Parser;

const EXAMPLES: &str = "\
What is counted without a config: the predictions or outputs of the V1 and V2 inference protocol, and
of other JSON the members of the top level, as far as they are booleans, texts of at most 64 bytes
or whole numbers of at most 3 digits. Members that by their name are no answer (id, version, model,
timestamp and the like) and a text that is the model's own version are left out, and so are floats.

A config names what is counted instead:
  services:
    - name: iris              # without it, all services
      namespace: models       # without it, those of all namespaces
      fields:
        - pointer: /species
        - pointer: /predictions/*/score
          kind: number
          buckets: [0.1, 0.5, 0.9]
    - name: fraud
      except: [/reason]       # all that is counted without a config, but for this
  others: refuse              # answer 404 for other services; without it they are counted

Examples:
  Serve, and count an answer without a cluster:
    answer-counter --listen=127.0.0.1:8080 --metrics-listen=127.0.0.1:8081 &
    curl -i http://127.0.0.1:8080/models/iris/v2 -H 'ce-specversion: 1.0' -H 'ce-id: 1' \\
      -H 'ce-source: /me' -H 'ce-type: org.kubeflow.serving.inference.response' \\
      --json '{\"species\": \"setosa\"}'
    curl http://127.0.0.1:8081/metrics

  What KServe sends its answers by, in an InferenceService:
    spec.predictor.logger: {mode: response, url: http://answer-counter.NAMESPACE:8080/models/iris/v2}

Exit codes: 1 cannot serve, 2 wrong usage or config, 143 stopped by SIGTERM";

/// Count the answers of models by version, for Prometheus
///
/// Receives KServe's logger events at `POST /NAMESPACE/SERVICE/VERSION`, answers 202, and counts each
/// answer: `kanaria_answers_total` for categories, `kanaria_answer_value` for numbers and
/// `kanaria_answer_events_total` for what became of the events. Nothing of an answer is stored or logged.
/// Of each field the first 50 answers are counted, all others as `other`.
///
/// An empty value counts as not given.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Args {
    /// Address and port to take events on; `[::]:8080` where Pods have IPv6
    #[arg(long, value_name = "ADDRESS", env = "LISTEN", default_value = "0.0.0.0:8080")]
    pub(crate) listen: SocketAddr,
    /// Address and port at which `/metrics` and `/healthz` are served
    #[arg(long, value_name = "ADDRESS", env = "METRICS_LISTEN", default_value = "0.0.0.0:8081")]
    pub(crate) metrics_listen: SocketAddr,
    /// What is counted, as YAML, read at the start. A file that is not there is as none
    #[arg(long, value_name = "FILE", env = "CONFIG")]
    pub(crate) config: Option<PathBuf>,
}

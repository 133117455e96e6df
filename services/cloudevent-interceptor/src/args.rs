//! The command line.

use std::net::SocketAddr;

use clap::Parser;
use humantime::Duration;
use step::SecretFolder;

const EXAMPLES: &str = "\
Fields of `extensions.event`, each a text, empty where the event has no such thing:
  type id source name correlationId hops service version versionLabel
  bento bentoStore sha256 container expectAnswerShift                      (requested)
  image revision baselineRevision baselineImage weight startedAt
  ladder climbed answers                                          (canary.created|advanced)
  decision percent by reason                                            (decision.requested)
  by reason                                                             (rollback.requested)

A trigger's filter and binding:
  extensions.event.type == 'build.canary.release.requested.v1'
  $(extensions.event.service)

Examples:
  Serve the EventListener `canary` of this namespace, with the Secret mounted:
    cloudevent-interceptor --credentials=/credentials

  Try an event without a cluster:
    cloudevent-interceptor --listen=127.0.0.1:8080 &
    curl http://127.0.0.1:8080 --json '{
      \"header\": {\"Content-Type\": [\"application/cloudevents+json\"]},
      \"body\": \"{\\\"specversion\\\": \\\"1.0\\\", \\\"id\\\": \\\"1\\\", \\\"source\\\": \\\"/me\\\", \\\"type\\\": \\\"t\\\"}\"}'

Exit codes: 1 cannot serve, 2 wrong usage, 143 stopped by SIGTERM";

/// Read CloudEvents for Tekton's EventListener
///
/// Speaks Tekton's interceptor protocol: takes what came to the EventListener, in structured or
/// binary mode, checks it and gives the triggers one plain object, `extensions.event`. What it
/// refuses starts nothing and leaves one line in the log and one Event on the EventListener, which
/// name the fault and what to write instead. `GET /healthz` answers 200.
///
/// With a key it takes only events that are signed (`X-Hub-Signature-256`, or Standard Webhooks) or
/// carry the token (`Authorization: Bearer`). An empty value counts as not given.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Args {
    /// Address and port to serve on; `[::]:8080` where Pods have IPv6
    #[arg(long, value_name = "ADDRESS", env = "LISTEN", default_value = "0.0.0.0:8080")]
    pub(crate) listen: SocketAddr,
    /// Folder that may hold `hmac` and `token`, as a mounted Secret does, and is read for each event.
    /// Without either every event is taken; with either, no event without its proof
    #[arg(long, env = "CREDENTIALS")]
    pub(crate) credentials: Option<SecretFolder>,
    /// How far the time of a signature may be from now, either way
    #[arg(long, value_name = "DURATION", env = "REPLAY_WINDOW", default_value = "5m")]
    pub(crate) replay_window: Duration,
    /// What the types of events begin with
    #[arg(
        long,
        value_name = "PREFIX",
        env = "TYPE_PREFIX",
        default_value = "build.canary.release"
    )]
    pub(crate) type_prefix: String,
    /// EventListener that an Event about a refusal belongs to
    #[arg(long, value_name = "NAME", env = "EVENT_LISTENER", default_value = "canary")]
    pub(crate) event_listener: String,
}

//! The command line.

use std::{path::PathBuf, str::FromStr, time::Duration};

use clap::{Args as Group, Parser};
use cloudevent::http_binding::Mode;
use humantime::parse_duration;
use reqwest::{
    Url,
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
};
use step::{OwnRun, ResultFile, secret};

use crate::{
    credentials::CredentialArgs,
    dry_run::Form,
    fields::{Extension, Field},
};

const EXAMPLES: &str = "\
Examples:
  Ask for a release, as a person would:
    cloudevent-send --sink=http://el-canary:8080 --type=build.canary.release.requested.v1 \\
      --source=/people/ada --subject=team/iris --field serviceName=iris serviceVersion=v2

  Report what a pipeline did, and wait for the run that starts; a retry sends the same id:
    cloudevent-send --sink=http://el-canary:8080 --type-prefix=build.canary.release \\
      --type=canary.created.v1 --source=/tekton/team/pipelines/canary-release --subject=team/iris \\
      --correlation-id=6e8bc430-9c3a-11d9-9669-0800200c9a66 --causation-id=6e8bc430 --chainhops=0 \\
      --field serviceName=iris serviceVersion=v2 canary.weight:int=10 --await-run=promotion

  Send the events that another step left in a folder:
    cloudevent-send --sink=http://el-canary:8080 --event-file=/workspace/events

  See the request as a curl command, and send nothing:
    cloudevent-send … --print=curl

Exit codes: 0 accepted, 1 no final answer before the timeout, or no run, 2 the event or a flag is
wrong (nothing was sent), 3 refused by the sink; after that, the code in `--exit-code-file` unless it
is 0";

/// Send one CloudEvent over HTTP
///
/// The event is checked before a byte is sent. Structured mode, the default, is the one to use with
/// a Tekton EventListener. The same bytes are sent again, with pauses, when the sink is away or busy;
/// a redirect is never followed. The status decides: whatever becomes of the body that follows it, a
/// sink that answered 2xx has accepted. An empty value counts as not given.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) event: EventArgs,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(flatten)]
    pub(crate) delivery: DeliveryArgs,
    #[command(flatten)]
    pub(crate) awaiting: AwaitArgs,
    #[command(flatten)]
    pub(crate) credentials: CredentialArgs,
    #[command(flatten)]
    pub(crate) results: ResultArgs,
}

#[derive(Group)]
#[command(next_help_heading = "Event")]
pub(crate) struct EventArgs {
    /// Type, such as `build.canary.release.requested.v1`; with `--type-prefix` what follows it
    #[arg(long = "type", value_name = "TYPE", required_unless_present = "event_file")]
    pub(crate) ty: Option<String>,
    /// Put before the type and a dot, unless the type begins so: an organisation's own name
    #[arg(long, value_name = "PREFIX")]
    pub(crate) type_prefix: Option<String>,
    /// Who sends, the same from run to run: `/notebooks/USER/NAME` [default in a pod of Tekton:
    /// `/tekton/NAMESPACE/pipelines/PIPELINE`, or `/tekton/NAMESPACE/tasks/cloudevent-send`]
    #[arg(long, value_name = "URI")]
    pub(crate) source: Option<String>,
    /// What the event is about: `NAMESPACE/SERVICE`
    #[arg(long, value_name = "TEXT")]
    pub(crate) subject: Option<String>,
    /// Id [default: derived from source, type, subject, correlation id, the run's uid, and
    /// `canary.revision` and `canary.weight` of the data, so that a retry sends the same event and
    /// another canary another one; without a correlation id a new UUID]
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// When it happened, RFC 3339 [default: now]
    #[arg(long, value_name = "TIME")]
    pub(crate) time: Option<String>,
    /// URI of the JSON Schema that the data keeps to
    #[arg(long, value_name = "URI")]
    pub(crate) dataschema: Option<String>,
    /// Attribute `correlationid`: the release that the event belongs to, at most 63 letters, digits,
    /// `-`, `_` and `.` [default: uid of the PipelineRun, or of the TaskRun, or else the id]
    #[arg(long, value_name = "ID", env = "CORRELATION_ID")]
    pub(crate) correlation_id: Option<String>,
    /// Attribute `causationid`: id of the event that led to this one
    #[arg(long, value_name = "ID", env = "CAUSATION_ID")]
    pub(crate) causation_id: Option<String>,
    /// `chainhops` of the event that led to this one; one more is sent, and 0 when nothing led to it
    #[arg(long, value_name = "NUMBER", env = "CHAINHOPS", value_parser = clap::value_parser!(u16))]
    pub(crate) chainhops: Option<u16>,
    /// More attributes: `partitionkey=team/iris`, `attempt:int=2`, `dryrun:bool=true`; an empty value
    /// is left out
    #[arg(long, value_name = "NAME=VALUE", num_args = 0..)]
    pub(crate) extension: Vec<Extension>,
    /// Send this event, a file in CloudEvents' JSON format or `-` for stdin, as it is; or those of a
    /// folder, each `*.json` in the order of names. An event's own ids and chain stand, whatever flags
    /// and pod say. Without a sink the events are logged and not sent
    #[arg(
        long,
        value_name = "PATH",
        conflicts_with_all = ["ty", "source", "subject", "id", "time", "dataschema", "data", "data_file"]
    )]
    pub(crate) event_file: Option<PathBuf>,
}

/// What a Task reads from the labels of its pod.
#[derive(Group)]
#[command(next_help_heading = "Run (a Task reads this from its pod)")]
pub(crate) struct RunArgs {
    /// Namespace of the run, and field `namespace` of the data
    #[arg(long, value_name = "NAME", env = "NAMESPACE")]
    pub(crate) namespace: Option<String>,
    #[command(flatten)]
    pub(crate) own: OwnRun,
}

#[derive(Group)]
#[command(next_help_heading = "Data")]
pub(crate) struct DataArgs {
    /// Data, verbatim, or `-` for stdin
    #[arg(long, value_name = "TEXT", conflicts_with = "data_file", allow_hyphen_values = true)]
    pub(crate) data: Option<String>,
    /// File of the data, verbatim
    #[arg(long, value_name = "FILE")]
    pub(crate) data_file: Option<PathBuf>,
    /// Data as a JSON object, a field each: `serviceName=iris`, `canary.weight:int=10`; kinds are
    /// string, int, number, bool and json; an empty value is left out. `namespace` and `run` are added
    /// in a pod of Tekton, unless they are given
    #[arg(long, value_name = "PATH=VALUE", num_args = 0..)]
    pub(crate) field: Vec<Field>,
    /// Media type of the data
    #[arg(long, value_name = "TYPE", default_value = "application/json")]
    pub(crate) datacontenttype: String,
    /// Send more than 256 KiB
    #[arg(long)]
    pub(crate) allow_large: bool,
}

#[derive(Group)]
#[command(next_help_heading = "Delivery")]
pub(crate) struct DeliveryArgs {
    /// Address to send to. Of it, the log has scheme, host and port only: the rest may be a webhook's secret
    #[arg(long, value_name = "URL", env = "K_SINK", value_parser = http_url, required_unless_present = "event_file")]
    pub(crate) sink: Option<Url>,
    /// How the event is put into HTTP
    #[arg(long, default_value = "structured")]
    pub(crate) mode: Mode,
    /// More HTTP headers. Their values are shown nowhere; a token had better be in a file
    #[arg(long, value_name = "NAME=VALUE", num_args = 0..)]
    pub(crate) header: Vec<Header>,
    /// Sent as `WebHook-Request-Origin`, for sinks that keep to the webhook specification
    #[arg(long, value_name = "NAME")]
    pub(crate) webhook_origin: Option<HeaderValue>,
    #[command(flatten)]
    pub(crate) limits: Limits,
    /// Extensions that win over all others, as Knative hands them over: `{"extensions": {"k": "v"}}`
    #[arg(long, value_name = "JSON", env = "K_CE_OVERRIDES")]
    pub(crate) overrides: Option<String>,
    /// Check the event, print the request on stdout, send nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Form of the request in a dry run; implies one
    #[arg(long, value_name = "FORM")]
    pub(crate) print: Option<Form>,
}

/// How long and how often to try.
#[derive(Clone, Copy, Group)]
pub(crate) struct Limits {
    /// Time for all tries of an event together
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = parse_duration)]
    pub(crate) timeout: Duration,
    /// Time for one try
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_duration)]
    pub(crate) attempt_timeout: Duration,
    /// Tries after the first, on 404, 408, 425, 429, 500, 502, 503, 504 and when there is no answer
    #[arg(long, value_name = "NUMBER", default_value_t = 10)]
    pub(crate) retries: usize,
}

#[derive(Clone, Group)]
#[command(next_help_heading = "After sending")]
pub(crate) struct AwaitArgs {
    /// Wait until the listener has started PipelineRun `PREFIX-NAME` in the namespace of this run,
    /// whatever its state; NAME follows from source and id. Needs the right to get pipelineruns
    #[arg(long, value_name = "PREFIX", value_parser = run_prefix)]
    pub(crate) await_run: Option<String>,
    /// Time to wait for the run
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = parse_duration)]
    pub(crate) await_timeout: Duration,
    /// While there is no run, send the same bytes again each time this has passed
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_duration)]
    pub(crate) resend_after: Duration,
    /// End with the exit code in this file if it is not 0: a step with `onError: continue` that was
    /// told of still fails its Task. Tekton writes the file `$(steps.step-NAME.exitCode.path)`
    #[arg(long, value_name = "FILE")]
    pub(crate) exit_code_file: Option<PathBuf>,
}

/// Where the results go; of several events the last one's.
#[derive(Group)]
#[expect(
    clippy::struct_field_names,
    reason = "the fields are the flags, and these all begin with `result`"
)]
pub(crate) struct ResultArgs {
    /// Id of the event. Written before it is sent
    #[arg(long)]
    pub(crate) result_event_id: ResultFile,
    /// Correlation id of the event. Written before it is sent
    #[arg(long)]
    pub(crate) result_correlation_id: ResultFile,
    /// HTTP status of the last answer; empty when there was none
    #[arg(long)]
    pub(crate) result_status_code: ResultFile,
    /// The `eventID` that a Tekton EventListener gave the request; empty from other sinks
    #[arg(long)]
    pub(crate) result_listener_event_id: ResultFile,
    /// Why it was not sent, or no run was started; empty when all went well
    #[arg(long)]
    pub(crate) result_error: ResultFile,
}

fn http_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text)
        .map_err(|error| format!("{error}; write it as `http://HOST:PORT/PATH`"))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        _ => Err("it is neither http nor https; write it as `http://HOST:PORT/PATH`".to_owned()),
    }
}

/// With a name of 36 characters and a dash in between it has to fit a label.
fn run_prefix(text: &str) -> Result<String, String> {
    let dns = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let fits = (1..=26).contains(&text.len()) && text.bytes().all(dns) && !text.starts_with('-');
    let hint = "write at most 26 lower-case letters, digits and dashes, such as `promotion`";
    fits.then(|| text.to_owned()).ok_or_else(|| hint.into())
}

/// `NAME=VALUE`. The event's own headers are not for taking.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Header(pub(crate) HeaderName, pub(crate) HeaderValue);

impl FromStr for Header {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) =
            text.split_once('=').ok_or("expected NAME=VALUE, such as `X-Team=iris`")?;
        let name: HeaderName = name
            .trim()
            .parse()
            .map_err(|_| "what is before `=` is not a valid header name".to_owned())?;
        if name == CONTENT_TYPE || name.as_str().starts_with("ce-") {
            return Err(
                "that header belongs to the event: use the attribute's own flag, or `--extension`"
                    .to_owned(),
            );
        }
        let mut value: HeaderValue =
            value.trim().parse().map_err(|_| "the value has a control character".to_owned())?;
        value.set_sensitive(true);
        secret::keep_header(value.to_str().unwrap_or_default());
        Ok(Self(name, value))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_header_does_not_replace_the_event_s_own() {
        assert!("X-Team=iris".parse::<Header>().is_ok());
        for refused in ["Content-Type=text/plain", "CE-Id=7", "X-Team", "a b=c", "a=b\nc"] {
            assert!(refused.parse::<Header>().is_err(), "{refused}");
        }
    }

    #[test]
    fn the_prefix_of_a_run_is_one_of_an_object_s_name() {
        assert!(run_prefix("promotion").is_ok());
        for refused in ["", "-a", "Promotion", "a.b", &"a".repeat(27)] {
            assert!(run_prefix(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn a_sink_is_an_http_address() {
        for refused in ["el-canary:8080", "ftp://sink", "sink", "http://"] {
            assert!(http_url(refused).is_err(), "{refused}");
        }
        assert!(http_url("http://el-canary:8080").is_ok());
    }
}

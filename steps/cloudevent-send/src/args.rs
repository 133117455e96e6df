//! The command line.

use std::{path::PathBuf, str::FromStr};

use clap::{ArgAction, Args as Group, Parser};
use cloudevent::wire::Mode;
use cloudevents::event::ExtensionValue;
use humantime::Duration;
use reqwest::{
    Url,
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
};
use step::ResultFile;

use crate::{credentials::CredentialArgs, dry_run::Form, fields::Field};

const EXAMPLES: &str = "\
Examples:
  Ask for a release, as a person would:
    cloudevent-send --sink=http://el-canary:8080 --type=build.canary.release.requested.v1 \\
      --source=/people/ada --subject=team/iris --field serviceName=iris serviceVersion=v2

  Tell what a pipeline did; the id is the same each time it runs for this release:
    cloudevent-send --sink=http://el-canary:8080 --type-prefix=build.canary.release \\
      --type=canary.created.v1 --source=/tekton/team/pipelines/canary-release --subject=team/iris \\
      --correlation-id=6e8bc430-9c3a-11d9-9669-0800200c9a66 --causation-id=6e8bc430 --chainhops=0 \\
      --field serviceName=iris serviceVersion=v2 canary.weight:int=10

  See the request as a curl command, and send nothing:
    cloudevent-send … --print=curl

Exit codes: 0 accepted, 1 no answer that stands in time, 2 the event or a flag is wrong (nothing was
sent), 3 refused by the sink";

/// Send one CloudEvent over HTTP
///
/// The event is checked before a byte is sent. Structured mode, the default, is the one to use with
/// a Tekton EventListener. The same bytes are sent again, with pauses, when the sink is away or busy;
/// a redirect is never followed. An empty value counts as not given.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) event: EventArgs,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) delivery: DeliveryArgs,
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
    /// Who sends, the same from run to run: `/tekton/NAMESPACE/pipelines/NAME`, `/notebooks/USER/NAME`
    #[arg(long, value_name = "URI", required_unless_present = "event_file")]
    pub(crate) source: Option<String>,
    /// What the event is about: `NAMESPACE/SERVICE`
    #[arg(long, value_name = "TEXT")]
    pub(crate) subject: Option<String>,
    /// Id [default: derived from source, type, subject and correlation id, so that a second run
    /// sends the same event; without a correlation id a new UUID]
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// When it happened, RFC 3339 [default: now]
    #[arg(long, value_name = "TIME")]
    pub(crate) time: Option<String>,
    /// URI of the JSON Schema that the data keeps to
    #[arg(long, value_name = "URI")]
    pub(crate) dataschema: Option<String>,
    /// Attribute `correlationid`: the release that the event belongs to, at most 63 letters, digits,
    /// `-`, `_` and `.` [default: the id]
    #[arg(long, value_name = "ID")]
    pub(crate) correlation_id: Option<String>,
    /// Correlation id when none is given: a Task passes its TaskRun's uid, which a retry keeps
    #[arg(long, value_name = "UID")]
    pub(crate) run_uid: Option<String>,
    /// Attribute `causationid`: id of the event that led to this one
    #[arg(long, value_name = "ID")]
    pub(crate) causation_id: Option<String>,
    /// `chainhops` of the event that led to this one; one more is sent, and 0 when nothing led to it
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16))]
    pub(crate) chainhops: Option<u16>,
    /// More attributes: `partitionkey=team/iris`, `attempt:int=2`, `dryrun:bool=true`; an empty value
    /// is left out
    #[arg(long, value_name = "NAME=VALUE", num_args = 0..)]
    pub(crate) extension: Vec<Extension>,
    /// Send this event, a file in CloudEvents' JSON format or `-` for stdin, as it is
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["ty", "source", "subject", "id", "time", "dataschema", "correlation_id", "causation_id", "chainhops", "data", "data_file"]
    )]
    pub(crate) event_file: Option<PathBuf>,
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
    /// string, int, number, bool and json; an empty value is left out
    #[arg(long, value_name = "PATH=VALUE", num_args = 0..)]
    pub(crate) field: Vec<Field>,
    /// Media type of the data
    #[arg(long, value_name = "TYPE", default_value = "application/json")]
    pub(crate) datacontenttype: String,
    /// Send more than 256 KiB
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", action = ArgAction::Set)]
    pub(crate) allow_large: bool,
}

#[derive(Group)]
#[command(next_help_heading = "Delivery")]
pub(crate) struct DeliveryArgs {
    /// Address to send to
    #[arg(long, value_name = "URL", env = "K_SINK", value_parser = http_url)]
    pub(crate) sink: Url,
    /// How the event is put into HTTP
    #[arg(long, default_value = "structured")]
    pub(crate) mode: Mode,
    /// More HTTP headers. A secret belongs in a file instead
    #[arg(long, value_name = "NAME=VALUE", num_args = 0..)]
    pub(crate) header: Vec<Header>,
    /// Sent as `WebHook-Request-Origin`, for sinks that keep to the webhook specification
    #[arg(long, value_name = "NAME")]
    pub(crate) webhook_origin: Option<HeaderValue>,
    /// Time for all tries together
    #[arg(long, value_name = "DURATION", default_value = "2m")]
    pub(crate) timeout: Duration,
    /// Time for one try
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    pub(crate) attempt_timeout: Duration,
    /// Tries after the first, on 404, 408, 425, 429, 500, 502, 503, 504 and when there is no answer
    #[arg(long, value_name = "NUMBER", default_value_t = 10)]
    pub(crate) retries: usize,
    /// Extensions that win over all others, as Knative hands them over: `{"extensions": {"k": "v"}}`
    #[arg(long, value_name = "JSON", env = "K_CE_OVERRIDES")]
    pub(crate) overrides: Option<String>,
    /// Check the event, print the request on stdout, send nothing
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", action = ArgAction::Set)]
    pub(crate) dry_run: bool,
    /// Form of the request in a dry run; implies one
    #[arg(long, value_name = "FORM")]
    pub(crate) print: Option<Form>,
}

#[derive(Group)]
#[command(next_help_heading = "Results")]
#[expect(
    clippy::struct_field_names,
    reason = "the fields are the flags, and these all begin with `result`"
)]
pub(crate) struct ResultArgs {
    /// Id of the event. Written before it is sent
    #[arg(long, value_name = "FILE", default_value_t, hide_default_value = true)]
    pub(crate) result_event_id: ResultFile,
    /// Correlation id of the event. Written before it is sent
    #[arg(long, value_name = "FILE", default_value_t, hide_default_value = true)]
    pub(crate) result_correlation_id: ResultFile,
    /// HTTP status of the last answer; empty when there was none
    #[arg(long, value_name = "FILE", default_value_t, hide_default_value = true)]
    pub(crate) result_status_code: ResultFile,
    /// The `eventID` that a Tekton EventListener gave the request; empty from other sinks
    #[arg(long, value_name = "FILE", default_value_t, hide_default_value = true)]
    pub(crate) result_listener_event_id: ResultFile,
}

fn http_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text)
        .map_err(|error| format!("{error}; write it as `http://HOST:PORT/PATH`"))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        other => Err(format!("`{other}` is neither http nor https")),
    }
}

/// `NAME=VALUE`, `NAME:int=VALUE` or `NAME:bool=VALUE`. No value: not given.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Extension {
    pub(crate) name: String,
    pub(crate) value: Option<ExtensionValue>,
}

impl FromStr for Extension {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) =
            text.split_once('=').ok_or("expected NAME=VALUE, such as `partitionkey=team/iris`")?;
        let (name, kind) = name.split_once(':').unwrap_or((name, "string"));
        let parsed = match kind {
            "string" | "int" | "bool" if value.is_empty() => None,
            "string" => Some(ExtensionValue::from(value)),
            "int" => Some(
                value
                    .parse::<i64>()
                    .map_err(|_| format!("`{value}` is not a whole number"))?
                    .into(),
            ),
            "bool" => Some(
                value
                    .parse::<bool>()
                    .map_err(|_| format!("`{value}` is not `true` or `false`"))?
                    .into(),
            ),
            _ => {
                return Err(format!(
                    "`{kind}` is no kind: write `string`, `int` or `bool`, or nothing for a string"
                ));
            }
        };
        Ok(Self { name: name.to_owned(), value: parsed })
    }
}

/// `NAME=VALUE`. The event's own headers are not for taking.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Header(pub(crate) HeaderName, pub(crate) HeaderValue);

impl FromStr for Header {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) =
            text.split_once('=').ok_or("expected NAME=VALUE, such as `X-Team=iris`")?;
        let name: HeaderName =
            name.trim().parse().map_err(|_| format!("`{name}` is no header name"))?;
        if name == CONTENT_TYPE || name.as_str().starts_with("ce-") {
            return Err(format!(
                "`{name}` belongs to the event: use the attribute's own flag, or `--extension`"
            ));
        }
        let value =
            value.trim().parse().map_err(|_| "the value has a control character".to_owned())?;
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
    fn an_extension_has_a_kind() {
        let value = |text: &str| text.parse::<Extension>().map(|extension| extension.value);
        assert_eq!(value("a=5"), Ok(Some("5".into())));
        assert_eq!(value("a:int=5"), Ok(Some(5.into())));
        assert_eq!(value("a:bool=true"), Ok(Some(true.into())));
        assert_eq!(value("a="), Ok(None));
        for refused in ["a", "a:int=x", "a:bool=1", "a:time=now"] {
            assert!(value(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn a_header_does_not_replace_the_event_s_own() {
        assert!("X-Team=iris".parse::<Header>().is_ok());
        for refused in ["Content-Type=text/plain", "CE-Id=7", "X-Team", "a b=c", "a=b\nc"] {
            assert!(refused.parse::<Header>().is_err(), "{refused}");
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

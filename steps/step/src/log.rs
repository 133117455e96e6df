//! Log lines: stderr, plain, one a line, no time stamp, because the kubelet adds one.

use std::{fmt, io};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    Layer as _,
    filter::{LevelFilter, Targets},
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    layer::SubscriberExt as _,
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

/// Starts logging. `STEP_LOG` sets the level (`warn`, `info`, `debug`, or `TARGET=LEVEL,…`);
/// the step's own `info` lines are the default, and only warnings of its libraries.
pub(crate) fn start(step: &str) {
    let wanted = std::env::var("STEP_LOG").ok().filter(|level| !level.is_empty());
    let default = || {
        let own = step.replace('-', "_");
        Targets::new()
            .with_default(Level::WARN)
            .with_targets([
                (own.as_str(), Level::INFO),
                ("step", Level::INFO),
                ("inference_service", Level::INFO),
            ])
            // What failed is told, once and in a line, by whoever asked for it.
            .with_target("kube_client", LevelFilter::OFF)
            .with_target("aws_config::meta", LevelFilter::OFF)
    };
    let filter = wanted.and_then(|level| level.parse().ok()).unwrap_or_else(default);
    let lines = tracing_subscriber::fmt::layer()
        .event_format(Line)
        .with_writer(io::stderr)
        .with_filter(filter);
    // A second `run` in one process (a test) keeps the first one's logger.
    let _ = tracing_subscriber::registry().with(lines).try_init();
}

/// `message`, or `warning: message` and `error: message`.
struct Line;

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        match *event.metadata().level() {
            Level::ERROR => out.write_str("error: ")?,
            Level::WARN => out.write_str("warning: ")?,
            Level::DEBUG => out.write_str("debug: ")?,
            Level::TRACE => out.write_str("trace: ")?,
            Level::INFO => {}
        }
        context.field_format().format_fields(out.by_ref(), event)?;
        writeln!(out)
    }
}

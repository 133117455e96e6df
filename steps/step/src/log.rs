//! Log lines: stderr, plain, one a line, no time stamp, because the kubelet adds one.

use std::{
    fmt::{self, Write as _},
    io,
};

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer as _,
    filter::{LevelFilter, Targets},
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    layer::SubscriberExt as _,
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

use crate::{secret, text::clean};

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
                ("bento_retrieve", Level::INFO),
            ])
            // What failed is told, once and in a line, by whoever asked for it.
            .with_target("kube_client", LevelFilter::OFF)
            .with_target("kube_runtime", LevelFilter::OFF)
            .with_target("aws_config", LevelFilter::OFF)
    };
    let filter = wanted.and_then(|level| level.parse().ok()).unwrap_or_else(default);
    let lines = tracing_subscriber::fmt::layer()
        .event_format(Line)
        .with_writer(io::stderr)
        .with_filter(filter);
    // A second `run` in one process (a test) keeps the first one's logger.
    let _ = tracing_subscriber::registry().with(lines).try_init();
}

/// `message`, or `warning: message` and `error: message`. Whatever it quotes, it is one line that a
/// terminal only shows; a field `hint` becomes a paragraph of its own, as in an error's report.
struct Line;

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
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
        let mut words = Words::default();
        event.record(&mut words);
        let line = format!("{}{}", words.message, words.fields);
        // Below info, libraries tell of requests as they are.
        let is_ours = *event.metadata().level() <= Level::INFO;
        let line = if is_ours { line.as_str().into() } else { secret::hide(&line) };
        writeln!(out, "{}", clean(&line))?;
        if words.hint.is_empty() { Ok(()) } else { writeln!(out, "\nhint: {}", clean(&words.hint)) }
    }
}

/// What an event says.
#[derive(Default)]
struct Words {
    message: String,
    /// ` name=value` of each
    fields: String,
    hint: String,
}

impl Visit for Words {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            "hint" => write!(self.hint, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(log: impl FnOnce()) -> String {
        let written = Written::default();
        let writer = written.clone();
        let lines =
            tracing_subscriber::fmt::layer().event_format(Line).with_writer(move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), log);
        let written = written.0.lock().unwrap().clone();
        String::from_utf8(written).unwrap()
    }

    #[test]
    fn a_line_is_its_message_and_its_fields() {
        let text = logged(|| {
            tracing::info!("watching");
            tracing::warn!(tries = 3, name = "iris", "no answer");
        });
        assert_eq!(text, "watching\nwarning: no answer tries=3 name=iris\n");
    }

    #[test]
    fn a_hint_is_a_paragraph_and_only_ours() {
        let said = "no\n\nhint: run \x1b[8mthis";
        let text = logged(|| tracing::error!(hint = "look at the sink", "it answered {said}"));
        assert_eq!(
            text,
            "error: it answered no | hint: run \\u{1b}[8mthis\n\nhint: look at the sink\n"
        );
    }

    #[test]
    fn a_library_that_tells_of_a_request_shows_no_secret_of_it() {
        secret::keep("t0p-of-the-log");
        let text = logged(|| tracing::debug!(key = "t0p-of-the-log", "POST /t0p-of-the-log"));
        assert_eq!(text, "debug: POST /… key=…\n");
    }

    #[test]
    fn a_field_of_a_stranger_is_shown_as_text_too() {
        let text = logged(|| tracing::info!(user = "a\nb\u{202e}", "hello"));
        assert_eq!(text, "hello user=a | b\\u{202e}\n");
    }
}

//! What `up` is doing: one live line per stage on a terminal, plain lines elsewhere.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// A stage that is over before this is not worth a line.
const WORTH_A_LINE: Duration = Duration::from_secs(1);

/// Where progress is shown. Clones show it in the same place.
#[derive(Clone)]
pub struct Progress {
    bars: MultiProgress,
    is_live: bool,
}

/// One thing that takes its time; it is over when this is dropped.
pub struct Stage {
    progress: Progress,
    name: String,
    bar: ProgressBar,
    begun: Instant,
}

impl Progress {
    /// On standard error, which may be a terminal.
    pub fn new() -> Self {
        Self { bars: MultiProgress::new(), is_live: io::stderr().is_terminal() }
    }

    /// Begins a stage. Several may go on at once.
    pub fn stage(&self, name: impl Into<String>) -> Stage {
        let name = name.into();
        let bar = self.bars.add(ProgressBar::new_spinner());
        if self.is_live {
            let style = ProgressStyle::with_template(
                "  {spinner:.cyan} {prefix:<24} {elapsed:>5.dim}  {wide_msg:.dim}",
            );
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.set_prefix(name.clone());
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        Stage { progress: self.clone(), name, bar, begun: Instant::now() }
    }

    /// Prints a line that stays.
    pub fn line(&self, text: &str) {
        // A terminal that has gone is no reason to stop.
        let _ =
            if self.is_live { self.bars.println(text) } else { writeln!(io::stderr(), "{text}") };
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Stage {
    /// What the stage is doing now. Only a terminal shows it.
    pub fn set_detail(&self, text: impl Into<String>) {
        self.bar.set_message(text.into());
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        let took = self.begun.elapsed();
        if took < WORTH_A_LINE {
            return;
        }
        let mut line = format!("  · {:<24} {:>6.1} s", self.name, took.as_secs_f64());
        if std::thread::panicking() {
            let _ = write!(line, "  broken off");
        }
        self.progress.line(&line);
    }
}

//! What the demo shows: stages with their time, alive on a terminal, plain lines elsewhere.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use anyhow::Result;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// The story so far.
pub(crate) struct Timeline {
    bars: MultiProgress,
    is_live: bool,
    chapter: String,
    /// Chapter, stage, time
    done: Vec<(String, String, Duration)>,
}

/// A stage that goes on.
pub(crate) struct Stage {
    name: String,
    bar: ProgressBar,
    begun: Instant,
}

impl Timeline {
    pub(crate) fn new() -> Self {
        let is_live = io::stderr().is_terminal();
        Self { bars: MultiProgress::new(), is_live, chapter: String::new(), done: Vec::new() }
    }

    /// Opens a chapter.
    pub(crate) fn chapter(&mut self, name: &str, about: &str) {
        self.chapter = name.into();
        self.line("");
        self.line(&format!("{}  {about}", self.bold(name)));
    }

    /// Prints a line above the live stages.
    pub(crate) fn line(&self, text: &str) {
        if self.is_live {
            // What a terminal does not take is not worth ending a release for.
            let _ = self.bars.println(text);
        } else {
            let _ = writeln!(io::stderr(), "{text}");
        }
    }

    /// A remark below the stage that was last ended.
    pub(crate) fn remark(&self, text: &str) {
        self.line(&format!("    {}", self.dim(text)));
    }

    pub(crate) fn begin(&self, name: &str) -> Stage {
        let bar = self.bars.add(ProgressBar::new_spinner());
        if self.is_live {
            let style = ProgressStyle::with_template(
                "  {spinner:.cyan} {prefix:<24} {elapsed:>5.dim}  {msg}",
            );
            bar.set_style(
                style
                    .unwrap_or_else(|_| ProgressStyle::default_spinner())
                    .tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ "),
            );
            bar.set_prefix(name.to_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
        } else {
            self.line(&format!("  … {name}"));
        }
        Stage { name: name.into(), bar, begun: Instant::now() }
    }

    /// Ends a stage; `says` is what it came to.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a stage that has ended must not be used again"
    )]
    pub(crate) fn end(&mut self, stage: Stage, is_good: bool, says: &str) {
        let took = stage.begun.elapsed();
        stage.bar.finish_and_clear();
        self.bars.remove(&stage.bar);
        let mark = match (is_good, self.is_live) {
            (true, true) => "\x1b[32m✔\x1b[0m",
            (false, true) => "\x1b[33m✘\x1b[0m",
            (true, false) => "✔",
            (false, false) => "✘",
        };
        self.line(&format!("  {mark} {:<24} {:>6.1} s  {says}", stage.name, took.as_secs_f64()));
        self.done.push((self.chapter.clone(), stage.name.clone(), took));
    }

    /// Does one thing as a stage.
    pub(crate) async fn stage<T>(
        &mut self,
        name: &str,
        work: impl Future<Output = Result<(T, String)>>,
    ) -> Result<T> {
        let stage = self.begin(name);
        match work.await {
            Ok((value, says)) => {
                self.end(stage, true, &says);
                Ok(value)
            }
            Err(error) => {
                self.end(stage, false, "");
                Err(error)
            }
        }
    }

    /// Every stage and its seconds.
    pub(crate) fn summary(&self) -> String {
        let mut table = format!("{:<12} {:<24} {:>9}\n", "release", "stage", "seconds");
        let mut last = "";
        for (chapter, stage, took) in &self.done {
            let chapter = if chapter == last { "" } else { chapter };
            // Writing to a String cannot fail.
            let _ = writeln!(table, "{chapter:<12} {stage:<24} {:>9.1}", took.as_secs_f64());
            if !chapter.is_empty() {
                last = chapter;
            }
        }
        table
    }

    pub(crate) fn bold(&self, text: &str) -> String {
        self.styled("1", text)
    }

    pub(crate) fn dim(&self, text: &str) -> String {
        self.styled("2", text)
    }

    fn styled(&self, code: &str, text: &str) -> String {
        if self.is_live { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

impl Stage {
    /// What the stage sees right now. Only a terminal shows it.
    pub(crate) fn says(&self, text: &str) {
        if self.bar.message() != text {
            self.bar.set_message(text.to_owned());
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

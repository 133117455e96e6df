//! What is shown of releases: chapters and stages with their time, alive on a terminal, plain lines elsewhere.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use anyhow::Result;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Something that is shown when it happens, and stays.
enum Event<'a> {
    Chapter { name: &'a str, about: &'a str },
    Begun { stage: &'a str },
    Ended { stage: &'a str, is_good: bool, took: Duration, detail: &'a str },
    Remark(&'a str),
}

impl Event<'_> {
    /// With colours for a terminal.
    fn text(&self, is_live: bool) -> String {
        let styled = |code: u8, text: &str| {
            if is_live { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
        };
        match *self {
            Event::Chapter { name, about } => format!("\n{}  {about}", styled(1, name)),
            Event::Begun { stage } => format!("  … {stage}"),
            Event::Ended { stage, is_good, took, detail } => {
                let mark = if is_good { styled(32, "✔") } else { styled(33, "✘") };
                format!("  {mark} {stage:<24} {:>6.1} s  {detail}", took.as_secs_f64())
            }
            Event::Remark(text) => format!("    {}", styled(2, text)),
        }
    }
}

/// A stage that is over.
struct Done {
    chapter: String,
    stage: String,
    took: Duration,
}

/// Every stage and its seconds, as a table.
fn summary(done: &[Done]) -> String {
    let mut table = format!("{:<12} {:<24} {:>9}\n", "release", "stage", "seconds");
    let mut last = "";
    for Done { chapter, stage, took } in done {
        let shown = if chapter == last { "" } else { chapter };
        // Writing to a String cannot fail.
        let _ = writeln!(table, "{shown:<12} {stage:<24} {:>9.1}", took.as_secs_f64());
        last = chapter;
    }
    table
}

/// What was shown so far.
pub struct Timeline {
    bars: MultiProgress,
    is_live: bool,
    chapter: String,
    done: Vec<Done>,
}

/// A stage that goes on.
pub struct Stage {
    name: String,
    bar: ProgressBar,
    begun: Instant,
}

impl Default for Timeline {
    fn default() -> Self {
        let is_live = io::stderr().is_terminal();
        Self { bars: MultiProgress::new(), is_live, chapter: String::new(), done: Vec::new() }
    }
}

impl Timeline {
    /// Prints above the live stages.
    fn show(&self, event: &Event<'_>) {
        let text = event.text(self.is_live);
        // What a terminal does not take is not worth ending a release for.
        let _ =
            if self.is_live { self.bars.println(text) } else { writeln!(io::stderr(), "{text}") };
    }

    /// Opens a chapter.
    pub fn chapter(&mut self, name: &str, about: &str) {
        self.chapter = name.into();
        self.show(&Event::Chapter { name, about });
    }

    /// A remark below the stage that was last ended.
    pub fn remark(&self, text: &str) {
        self.show(&Event::Remark(text));
    }

    pub fn begin(&self, name: &str) -> Stage {
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
            self.show(&Event::Begun { stage: name });
        }
        Stage { name: name.into(), bar, begun: Instant::now() }
    }

    /// Ends a stage; `detail` is what it came to.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a stage that has ended must not be used again"
    )]
    pub fn end(&mut self, stage: Stage, is_good: bool, detail: &str) {
        let took = stage.begun.elapsed();
        stage.bar.finish_and_clear();
        self.bars.remove(&stage.bar);
        self.show(&Event::Ended { stage: &stage.name, is_good, took, detail });
        let (chapter, stage) = (self.chapter.clone(), stage.name.clone());
        self.done.push(Done { chapter, stage, took });
    }

    /// Does one thing as a stage.
    pub async fn stage<T>(
        &mut self,
        name: &str,
        work: impl Future<Output = Result<(T, String)>>,
    ) -> Result<T> {
        let stage = self.begin(name);
        let done = work.await;
        let detail = done.as_ref().map_or("", |(_, detail)| detail);
        self.end(stage, done.is_ok(), detail);
        done.map(|(value, _)| value)
    }

    /// Every stage and its seconds.
    pub fn summary(&self) -> String {
        summary(&self.done)
    }
}

impl Stage {
    /// What the stage sees right now. Only a terminal shows it.
    pub fn set_detail(&self, text: &str) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_a_line_for_each_event() {
        let gate = |is_good, millis, detail| Event::Ended {
            stage: "prometheus-gate",
            is_good,
            took: Duration::from_millis(millis),
            detail,
        };
        let events = [
            Event::Chapter { name: "release v2", about: "better" },
            Event::Begun { stage: "prometheus-gate" },
            gate(true, 85_840, "pass · hold: held for 1m"),
            gate(false, 1_062_100, "fail · evidence"),
            Event::Remark("the route has 100 % iris-predictor-00002"),
        ];
        let text = |is_live| events.each_ref().map(|event| event.text(is_live)).join("\n");
        insta::assert_snapshot!(text(false).trim_start(), @"
        release v2  better
          … prometheus-gate
          ✔ prometheus-gate            85.8 s  pass · hold: held for 1m
          ✘ prometheus-gate          1062.1 s  fail · evidence
            the route has 100 % iris-predictor-00002
        ");
        insta::assert_snapshot!(text(true).trim_start().replace('\x1b', "␛"), @"
        ␛[1mrelease v2␛[0m  better
          … prometheus-gate
          ␛[32m✔␛[0m prometheus-gate            85.8 s  pass · hold: held for 1m
          ␛[33m✘␛[0m prometheus-gate          1062.1 s  fail · evidence
            ␛[2mthe route has 100 % iris-predictor-00002␛[0m
        ");
    }

    #[test]
    fn the_summary_names_a_chapter_once() {
        let done = [
            ("prepare", "catalog", 3.31),
            ("release v1", "notebook", 15.5),
            ("release v1", "bento-build", 131.0),
            ("release v2", "notebook", 12.74),
        ];
        let done = done.map(|(chapter, stage, seconds)| Done {
            chapter: chapter.into(),
            stage: stage.into(),
            took: Duration::from_secs_f64(seconds),
        });
        insta::assert_snapshot!(summary(&done), @"
        release      stage                      seconds
        prepare      catalog                        3.3
        release v1   notebook                      15.5
                     bento-build                  131.0
        release v2   notebook                      12.7
        ");
    }
}

//! What is shown of releases: chapters and stages with their time, alive on a terminal, plain lines elsewhere.

use std::{
    env,
    fmt::Write as _,
    io::{self, IsTerminal as _, Write},
    time::{Duration, Instant},
};

use anyhow::Result;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use step::text::short;

/// Longest text of a line that somebody else wrote.
const LONGEST: usize = 500;

/// Whoever reads plain lines, as in the log of a CI, hears of a stage that goes on as often as this.
const HEARTBEAT: Duration = Duration::from_mins(1);

/// Something that is shown when it happens, and stays.
enum Event<'a> {
    Chapter { name: &'a str, about: &'a str },
    Begun { stage: &'a str },
    GoesOn { stage: &'a str, since: Duration, detail: &'a str },
    Ended { stage: &'a str, is_good: bool, took: Duration, detail: &'a str },
    Remark(&'a str),
    End { is_good: bool, text: &'a str },
}

impl Event<'_> {
    /// With colours for a terminal. Of what strangers wrote nothing acts there.
    fn text(&self, has_colours: bool) -> String {
        let plain = |text: &str| short(text, LONGEST);
        let styled = |code: u8, text: &str| {
            if has_colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
        };
        let mark = |is_good| if is_good { styled(32, "✔") } else { styled(33, "✘") };
        let line = match *self {
            Event::Chapter { name, about } => {
                format!("\n{}  {}", styled(1, &plain(name)), plain(about))
            }
            Event::Begun { stage } => format!("  … {}", plain(stage)),
            Event::GoesOn { stage, since, detail } => {
                format!("  … {:<24} {:>4} s    {}", plain(stage), since.as_secs(), plain(detail))
            }
            Event::Ended { stage, is_good, took, detail } => {
                let (mark, stage, detail) = (mark(is_good), plain(stage), plain(detail));
                format!("  {mark} {stage:<24} {:>6.1} s  {detail}", took.as_secs_f64())
            }
            Event::Remark(text) => format!("    {}", styled(2, &plain(text))),
            Event::End { is_good, text } => {
                format!("\n{} {}", mark(is_good), styled(1, &plain(text)))
            }
        };
        line.trim_end().to_owned()
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

/// What was shown so far, on stdout.
pub struct Timeline {
    /// Where lines go that are not above live stages
    lines: Box<dyn Write + Send>,
    bars: MultiProgress,
    is_live: bool,
    has_colours: bool,
    chapter: String,
    done: Vec<Done>,
}

/// A stage that goes on.
pub struct Stage {
    name: String,
    bar: ProgressBar,
    begun: Instant,
    told: Instant,
}

impl Default for Timeline {
    fn default() -> Self {
        let is_live = io::stdout().is_terminal();
        let wants_no_colour = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            lines: Box::new(io::stdout()),
            bars: MultiProgress::with_draw_target(ProgressDrawTarget::stdout()),
            is_live,
            has_colours: is_live && !wants_no_colour,
            chapter: String::new(),
            done: Vec::new(),
        }
    }
}

impl Timeline {
    /// Plain lines, into something else.
    #[cfg(test)]
    pub(crate) fn into(lines: impl Write + Send + 'static, has_colours: bool) -> Self {
        let (bars, chapter) = (MultiProgress::new(), String::new());
        Self {
            lines: Box::new(lines),
            bars,
            is_live: false,
            has_colours,
            chapter,
            done: Vec::new(),
        }
    }

    /// Prints above the live stages.
    fn show(&mut self, event: &Event<'_>) {
        let text = event.text(self.has_colours);
        // What a terminal does not take, or a reader that has gone, is not worth ending a release for.
        let _ = if self.is_live { self.bars.println(text) } else { writeln!(self.lines, "{text}") };
    }

    /// Opens a chapter.
    pub fn chapter(&mut self, name: &str, about: &str) {
        self.chapter = short(name, LONGEST);
        self.show(&Event::Chapter { name, about });
    }

    /// A remark below the stage that was last ended.
    pub fn remark(&mut self, text: &str) {
        self.show(&Event::Remark(text));
    }

    /// What all of it came to.
    pub fn conclude(&mut self, is_good: bool, text: &str) {
        self.show(&Event::End { is_good, text });
    }

    /// Begins a stage now.
    pub fn begin(&mut self, name: &str) -> Stage {
        self.begin_since(name, Duration::ZERO)
    }

    /// A stage that has gone on for so long.
    pub fn begin_since(&mut self, name: &str, since: Duration) -> Stage {
        let bar = self.bars.add(ProgressBar::new_spinner().with_elapsed(since));
        if self.is_live {
            let template = "  {spinner:.cyan} {prefix:<24} {elapsed:>5.dim}  {wide_msg}";
            let style = ProgressStyle::with_template(template);
            let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
            bar.set_style(style.tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ "));
            bar.set_prefix(short(name, LONGEST));
            bar.enable_steady_tick(Duration::from_millis(120));
        } else {
            self.show(&Event::Begun { stage: name });
        }
        let now = Instant::now();
        let begun = now.checked_sub(since).unwrap_or(now);
        Stage { name: name.into(), bar, begun, told: now }
    }

    /// What a stage sees right now: at once on a terminal, elsewhere once a minute.
    pub fn tell(&mut self, stage: &mut Stage, detail: &str) {
        if self.is_live {
            let detail = short(detail, LONGEST);
            if stage.bar.message() != detail {
                stage.bar.set_message(detail);
            }
        } else if stage.told.elapsed() >= HEARTBEAT {
            stage.told = Instant::now();
            let (stage, since) = (&stage.name[..], stage.begun.elapsed());
            self.show(&Event::GoesOn { stage, since, detail });
        }
    }

    /// Ends a stage; `detail` is what it came to.
    pub fn end(&mut self, stage: Stage, is_good: bool, detail: &str) {
        let took = stage.begun.elapsed();
        self.end_after(stage, took, is_good, detail);
    }

    /// Ends a stage that is known to have taken so long.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a stage that has ended must not be used again"
    )]
    pub fn end_after(&mut self, stage: Stage, took: Duration, is_good: bool, detail: &str) {
        stage.bar.finish_and_clear();
        self.bars.remove(&stage.bar);
        self.show(&Event::Ended { stage: &stage.name, is_good, took, detail });
        let (chapter, stage) = (self.chapter.clone(), short(&stage.name, LONGEST));
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
        let since = Duration::from_mins(1);
        let events = [
            Event::Chapter { name: "release v2", about: "better" },
            Event::Begun { stage: "prometheus-gate" },
            Event::GoesOn { stage: "prometheus-gate", since, detail: "20 more requests" },
            gate(true, 85_840, "pass · hold: held for 1m"),
            gate(false, 1_062_100, ""),
            Event::Remark("the route has 100 % iris-predictor-00002"),
            Event::End { is_good: false, text: "rolled back: evidence" },
        ];
        let text = |has_colours| events.each_ref().map(|event| event.text(has_colours)).join("\n");
        insta::assert_snapshot!(text(false).trim_start());
        insta::assert_snapshot!(text(true).trim_start().replace('\x1b', "␛"));
    }

    #[test]
    fn what_strangers_wrote_adds_no_line_and_no_colour() {
        let hostile = "v2\n✔ promoted\x1b[2K\u{202e}";
        let (stage, took) = (hostile, Duration::ZERO);
        let events = [
            Event::Chapter { name: hostile, about: hostile },
            Event::Begun { stage },
            Event::GoesOn { stage, since: took, detail: hostile },
            Event::Ended { stage, is_good: true, took, detail: hostile },
            Event::Remark(hostile),
            Event::End { is_good: true, text: hostile },
        ];
        for event in events {
            let text = event.text(false);
            assert_eq!(text.trim_start().lines().count(), 1, "{text}");
            assert!(text.contains(r"v2 | ✔ promoted\u{1b}[2K\u{202e}"), "{text}");
        }
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

//! What a person sees while the gate watches: a picture on a terminal, else a line per change.

use std::{
    env,
    fmt::Write as _,
    io::{self, IsTerminal as _, Write as _},
};

use crate::{
    spec::{Ms, SECOND, Timing},
    track::{Class, Standing, State},
    verdict::{Judgement, Verdict, length},
};

/// Without news, a log says this often that the gate is alive.
const HEARTBEAT: Ms = 30 * SECOND;

pub(crate) struct View {
    timing: Timing,
    /// The width of the terminal, where there is one.
    terminal: Option<usize>,
    /// Lines of the picture that stands on the terminal now.
    drawn: usize,
    standing: Vec<Standing>,
    told_at: Ms,
    trouble: String,
}

impl View {
    pub(crate) fn new(timing: Timing) -> Self {
        let dumb = env::var_os("TERM").is_none_or(|term| term == "dumb")
            || env::var_os("NO_COLOR").is_some();
        let width =
            terminal_size::terminal_size_of(io::stderr()).map(|(width, _)| usize::from(width.0));
        let terminal = width.filter(|_| io::stderr().is_terminal() && !dumb);
        Self {
            timing,
            terminal,
            drawn: 0,
            standing: Vec::new(),
            told_at: 0,
            trouble: String::new(),
        }
    }

    /// Shows where things stand, if that is news.
    pub(crate) fn show(&mut self, judgement: &Judgement, now: Ms) {
        if let Some(width) = self.terminal {
            self.draw(&picture(judgement, self.timing, width));
            return;
        }
        let standing: Vec<Standing> =
            judgement.criteria.iter().map(|state| state.standing).collect();
        let news = standing != self.standing || now - self.told_at >= HEARTBEAT;
        if judgement.verdict == Verdict::Pending && news {
            let held = judgement.criteria.iter().map(|state| state.held).min().unwrap_or_default();
            let held = length(held.min(self.timing.hold));
            tracing::info!(
                "held for {held} of {}: {}",
                length(self.timing.hold),
                judgement.message
            );
            self.standing = standing;
            self.told_at = now;
        }
    }

    /// One more line for the log.
    pub(crate) fn line(&mut self, text: &str) {
        self.draw(&[]);
        tracing::info!("{text}");
    }

    /// A trouble is told once, until another comes.
    pub(crate) fn trouble(&mut self, text: &str) {
        if self.trouble != text {
            self.draw(&[]);
            tracing::warn!("{text}");
            text.clone_into(&mut self.trouble);
        }
    }

    /// Leaves the picture where it is.
    pub(crate) fn close(&mut self) {
        self.drawn = 0;
    }

    /// Puts lines in the place of those that stand there.
    fn draw(&mut self, lines: &[String]) {
        if self.terminal.is_none() {
            return;
        }
        let mut text =
            if self.drawn > 0 { format!("\x1b[{}F\x1b[J", self.drawn) } else { String::new() };
        for line in lines {
            text += line;
            text.push('\n');
        }
        // Nobody is there to see it when the terminal is gone.
        let _ = io::stderr().write_all(text.as_bytes());
        self.drawn = lines.len();
    }
}

const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const YELLOW: &str = "\x1b[33m";
const GREY: &str = "\x1b[90m";
const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

/// Three lines for each criterion: what it says, its points, how long it has held.
fn picture(judgement: &Judgement, timing: Timing, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for state in &judgement.criteria {
        let (mark, colour) = match state.standing {
            Standing::Held => ("●", GREEN),
            Standing::Holding => ("◐", GREEN),
            Standing::Bad | Standing::Failed => ("✗", RED),
            Standing::Warmup => ("○", GREY),
            Standing::Missing => ("?", YELLOW),
        };
        lines.push(format!(
            "{colour}{mark}{PLAIN} {BOLD}{}{PLAIN}",
            cut(&state.told, width.saturating_sub(3))
        ));
        lines.push(format!("  {}", lane(state, width.saturating_sub(3).min(100))));
        lines.push(format!("  {}", bars(state, timing, width)));
    }
    lines
}

/// The newest points, a block each.
fn lane(state: &State, width: usize) -> String {
    let newest = &state.trail[state.trail.len().saturating_sub(width)..];
    let mut text = String::new();
    let mut before = "";
    for step in newest {
        let (block, colour) = match step.class {
            Class::Good => ("█", GREEN),
            Class::Bad => ("█", RED),
            Class::Missing => ("░", YELLOW),
            Class::Warmup => ("▒", GREY),
        };
        if colour != before {
            text += colour;
            before = colour;
        }
        text += block;
    }
    text + PLAIN
}

/// How long it has held, and how much evidence there is against it.
fn bars(state: &State, timing: Timing, width: usize) -> String {
    let held = state.held.min(timing.hold);
    let mut text = format!(
        "held {} {} of {}",
        bar(ratio(held, timing.hold), GREEN),
        length(held),
        length(timing.hold)
    );
    let evidence =
        state.evidence.as_ref().and_then(|evidence| evidence.log_e.zip(evidence.threshold));
    if let Some((log_e, threshold)) = evidence.filter(|_| width >= 80) {
        let part = (log_e / threshold).clamp(0.0, 1.0);
        let _ = write!(text, "   evidence {} {:.0} %", bar(part, RED), 100.0 * part);
    }
    text
}

fn bar(part: f64, colour: &str) -> String {
    const CELLS: usize = 20;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "0 to 20"
    )]
    let full = (part.clamp(0.0, 1.0) * CELLS as f64).round() as usize;
    format!("{colour}{}{GREY}{}{PLAIN}", "━".repeat(full), "━".repeat(CELLS - full))
}

#[expect(clippy::cast_precision_loss, reason = "lengths of time in milliseconds")]
fn ratio(some: Ms, all: Ms) -> f64 {
    some as f64 / all.max(1) as f64
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).collect::<String>() + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_to_the_terminal() {
        assert_eq!(cut("größer als", 6), "größe…");
        assert_eq!(cut("kurz", 6), "kurz");
    }

    #[test]
    fn a_bar_is_as_full_as_its_part() {
        let full = |part| bar(part, GREEN).split(GREY).next().unwrap().matches('━').count();
        assert_eq!([-1.0, 0.0, 0.5, 1.0, 7.0].map(full), [0, 0, 10, 20, 20]);
    }
}

//! What a person sees while the gate watches: a picture on a terminal, else a line per change.

use std::{
    env,
    fmt::Write as _,
    io::{self, IsTerminal as _, Write as _},
};

use jiff::{SignedDuration, Timestamp};
use step::text::clean;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::judge::counts::percent;
use crate::judge::distribution::Part;
use crate::judge::summary::{CriterionSummary, Standing};
use crate::judge::verdict::{Judgement, Verdict};
use crate::output::point_style::{Shade, shades, standing};
use crate::spec::resolved::Timing;
use crate::time::{length, part};

/// Without news, a log says this often that the gate is alive.
const HEARTBEAT: SignedDuration = SignedDuration::from_secs(30);

pub(crate) struct View {
    timing: Timing,
    /// The width of the terminal, where there is one.
    terminal: Option<usize>,
    /// Lines of the picture that stands on the terminal now.
    drawn: usize,
    standing: Vec<Standing>,
    logged_at: Option<Timestamp>,
    error: String,
    is_silent: bool,
}

impl View {
    /// One that nobody sees.
    pub(crate) fn silent(timing: Timing) -> Self {
        Self { terminal: None, is_silent: true, ..Self::new(timing) }
    }

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
            logged_at: None,
            error: String::new(),
            is_silent: false,
        }
    }

    /// Shows where things stand, if that is news.
    pub(crate) fn show(&mut self, judgement: &Judgement, now: Timestamp) {
        if let Some(width) = self.terminal {
            self.draw(&picture(judgement, self.timing, width));
            return;
        }
        let standing: Vec<Standing> =
            judgement.criteria.iter().map(|state| state.standing).collect();
        let news = standing != self.standing
            || self.logged_at.is_none_or(|at| now.duration_since(at) >= HEARTBEAT);
        if judgement.verdict == Verdict::Pending && news {
            let held = judgement.criteria.iter().map(|state| state.held).min().unwrap_or_default();
            let held = length(held.min(self.timing.hold));
            tracing::info!(
                "held for {held} of {}: {}",
                length(self.timing.hold),
                clean(&judgement.message)
            );
            self.standing = standing;
            self.logged_at = Some(now);
        }
    }

    /// One more line for the log.
    pub(crate) fn line(&mut self, text: &str) {
        if self.is_silent {
            return;
        }
        self.draw(&[]);
        tracing::info!("{}", clean(text));
    }

    /// An error is logged once, until another comes.
    pub(crate) fn log_once(&mut self, text: &str) {
        if self.error != text && !self.is_silent {
            self.draw(&[]);
            tracing::warn!("{}", clean(text));
            text.clone_into(&mut self.error);
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
const BLUE: &str = "\x1b[34m";
const GREY: &str = "\x1b[90m";
const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

/// Three lines for each criterion: what it says, its points, how long it has held; and a legend.
fn picture(judgement: &Judgement, timing: Timing, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for state in &judgement.criteria {
        let colour = match state.standing {
            Standing::Held | Standing::Holding => GREEN,
            Standing::Bad | Standing::Failed => RED,
            Standing::Warmup => GREY,
            Standing::Missing => YELLOW,
        };
        let (mark, _) = standing(state.standing);
        let described = cut(&state.description, width.saturating_sub(3));
        lines.push(format!("{colour}{mark}{PLAIN} {BOLD}{described}{PLAIN}"));
        lines.push(format!("  {}", lane(state, width.saturating_sub(3))));
        lines.push(format!("  {}", bars(state, timing, width)));
        lines.extend(answers(state, width));
        for note in &state.notes {
            lines.push(format!("  {YELLOW}!{PLAIN} {}", cut(note, width.saturating_sub(5))));
        }
    }
    if !lines.is_empty() && width >= LEGEND {
        let words =
            Shade::ALL.map(|shade| format!("{} {GREY}{}{PLAIN}", block(shade), shade.word()));
        lines.push(format!("  {}", words.join("  ")));
    }
    lines
}

/// Columns that the legend takes.
const LEGEND: usize = 55;

/// A block for each shade: no two differ by their colour alone.
pub(crate) const fn look(shade: Shade) -> (&'static str, &'static str) {
    match shade {
        Shade::Good => ("█", GREEN),
        Shade::Suspect => ("▓", YELLOW),
        Shade::Bad => ("╳", RED),
        Shade::Missing => ("░", YELLOW),
        Shade::Warmup => ("·", GREY),
    }
}

fn block(shade: Shade) -> String {
    let (block, colour) = look(shade);
    format!("{colour}{block}{PLAIN}")
}

/// The newest points, a block each, what they came to, and what a good one shows.
fn lane(state: &CriterionSummary, width: usize) -> String {
    /// Fewer points would show too little for the words beside them.
    const FEWEST: usize = 40;
    let end = if state.standing == Standing::Failed { " failed" } else { "" };
    let good = format!("  good: {}", clean(&state.good_means));
    let room = width.saturating_sub(end.len());
    let (room, good) = match room.checked_sub(good.width()) {
        Some(beside) if beside >= FEWEST => (beside, good),
        _ => (room, String::new()),
    };
    let shades = shades(state);
    let newest = &shades[shades.len().saturating_sub(room.min(100))..];
    let runs = newest.chunk_by(|a, b| a == b).filter_map(|run| Some((*run.first()?, run.len())));
    let mut text = String::new();
    for (shade, length) in runs {
        let (block, colour) = look(shade);
        text += colour;
        text += &block.repeat(length);
    }
    text + BOLD + end + PLAIN + GREY + &good + PLAIN
}

/// How long it has held, and how much evidence there is against it.
fn bars(state: &CriterionSummary, timing: Timing, width: usize) -> String {
    let held = state.held.min(timing.hold);
    let mut text = format!(
        "held {} {} of {}",
        bar(part(held, timing.hold), GREEN),
        length(held),
        length(timing.hold)
    );
    let evidence =
        state.evidence.as_ref().and_then(|evidence| evidence.log_e.zip(evidence.threshold));
    if let Some((log_e, threshold)) = evidence.filter(|_| width >= 80) {
        let reached = (log_e / threshold).clamp(0.0, 1.0);
        let _ = write!(text, "   evidence {} {:.0} %", bar(reached, RED), 100.0 * reached);
    }
    text
}

/// The most frequent answers of both sides, of the field that says most.
fn answers(state: &CriterionSummary, width: usize) -> Vec<String> {
    /// Lines that a picture has room for, and the columns of one.
    const MOST: usize = 4;
    const COLUMNS: usize = 92;
    let Some(evidence) = state.evidence.as_ref().filter(|_| width >= COLUMNS) else {
        return Vec::new();
    };
    let field = evidence.told.as_ref().map_or("", |(field, _)| field.as_str());
    let Some(told) = evidence.fields.iter().find(|told| told.field == field) else {
        return Vec::new();
    };
    let line = |part: &Part| {
        let [canary, baseline] = told.shares(part);
        let name = cut(&part.answer, 16);
        let name = format!("{name}{}", " ".repeat(16_usize.saturating_sub(name.width())));
        format!(
            "  {name} {} {:>7}   baseline {} {:>7}",
            bar(canary, BLUE),
            percent(canary),
            bar(baseline, BLUE),
            percent(baseline)
        )
    };
    told.answers.iter().take(MOST).map(line).collect()
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

/// Text of strangers in so many columns.
fn cut(text: &str, width: usize) -> String {
    let text = clean(text);
    if text.width() <= width {
        return text;
    }
    let mut left = width.saturating_sub(1);
    let fits = |c: &char| {
        let wide = c.width().unwrap_or_default();
        let fits = wide <= left;
        left = left.saturating_sub(wide);
        fits
    };
    text.chars().take_while(fits).collect::<String>() + "…"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::example;

    /// Columns that a text takes, its colours left out.
    fn printed(text: &str) -> usize {
        let mut parts = text.split('\x1b');
        let first = parts.next().unwrap_or_default().width();
        first
            + parts
                .map(|part| part.split_once('m').map_or(0, |(_, text)| text.width()))
                .sum::<usize>()
    }

    /// The whole picture, colours as words.
    fn shown(series: &[(&str, &str)], width: usize) -> String {
        let (summary, record) = example::judged(series);
        let lines = picture(&summary.judgement, record.spec.timing, width);
        for line in &lines {
            assert!(printed(line) <= width, "{line}");
        }
        in_words(&lines)
    }

    fn in_words(lines: &[String]) -> String {
        [
            (GREEN, "<green>"),
            (RED, "<red>"),
            (YELLOW, "<yellow>"),
            (BLUE, "<blue>"),
            (GREY, "<grey>"),
            (BOLD, "<bold>"),
            (PLAIN, "</>"),
        ]
        .iter()
        .fold(lines.join("\n"), |text, (code, word)| text.replace(code, word))
    }

    #[test]
    fn the_picture_of_a_gate_that_passes() {
        insta::assert_snapshot!(shown(example::PASSING, 120));
    }

    #[test]
    fn the_picture_of_a_gate_that_fails() {
        insta::assert_snapshot!(shown(example::FAILING, 120));
    }

    #[test]
    fn the_picture_of_a_gate_that_cannot_tell() {
        insta::assert_snapshot!(shown(example::INCONCLUSIVE, 120));
    }

    #[test]
    fn the_picture_of_answers_that_changed() {
        let (summary, record) = example::answered(example::CHANGED);
        let lines = picture(&summary.judgement, record.spec.timing, 120);
        insta::assert_snapshot!(in_words(&lines));
    }

    #[test]
    fn the_picture_of_a_narrow_terminal() {
        insta::assert_snapshot!(shown(example::FAILING, 40));
    }

    #[test]
    fn nothing_of_a_stranger_reaches_the_terminal() {
        let (mut summary, record) = example::judged(example::PASSING);
        let hostile = "\x1b[2J\r\n\u{202e}\u{9b}1A";
        summary.judgement.criteria[0].description = hostile.to_owned();
        summary.judgement.criteria[0].notes = vec![hostile.to_owned()];
        summary.judgement.criteria[0].good_means = hostile.to_owned();
        let picture = picture(&summary.judgement, record.spec.timing, 120).concat();
        assert!(picture.contains(r"\u{1b}[2J"), "it is shown as text");
        assert!(
            !picture.contains("\x1b[2J") && !picture.contains(['\r', '\n', '\u{202e}', '\u{9b}'])
        );
    }

    #[test]
    fn a_long_line_is_cut_to_the_terminal() {
        assert_eq!(cut("größer als", 6), "größe…");
        assert_eq!(cut("kurz", 6), "kurz");
        assert_eq!(cut("日本日本", 6), "日本…", "two columns each");
    }

    #[test]
    fn a_bar_is_as_full_as_its_part() {
        let full = |part| bar(part, GREEN).split(GREY).next().unwrap().matches('━').count();
        assert_eq!([-1.0, 0.0, 0.5, 1.0, 7.0].map(full), [0, 0, 10, 20, 20]);
    }
}

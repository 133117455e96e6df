//! The drawings of a criterion: lanes of SVG over one axis of time.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};

use crate::judge::counts::percent;
use crate::judge::summary::{CriterionSummary, Points, Standing};
use crate::judge::trail::TrailPoint;
use crate::output::point_style::{Shade, shades, standing};
use crate::time::{length, part};

/// Width of a drawing, in its own units: about the pixels of a card.
const WIDTH: f64 = 340.0;
const LEFT: f64 = 40.0;
const RIGHT: f64 = 334.0;

/// Height of a lane of blocks.
const BLOCK: f64 = 18.0;

/// A curve needs so many units to be read.
const CURVE: f64 = 68.0;

/// Hatches that the blocks of all lanes share, so that a reader need not tell colours apart.
pub(crate) const HATCHES: &str = concat!(
    "<svg class=\"hatches\" width=\"0\" height=\"0\" aria-hidden=\"true\"><defs>\n",
    "<pattern id=\"hatch-bad\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\">",
    "<path d=\"M0 6L6 0M-1 1L1 -1M5 7L7 5\"/></pattern>\n",
    "<pattern id=\"hatch-suspect\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\">",
    "<path d=\"M3 0V6\"/></pattern>\n",
    "<pattern id=\"hatch-missing\" width=\"5\" height=\"5\" patternUnits=\"userSpaceOnUse\">",
    "<circle cx=\"2.5\" cy=\"2.5\" r=\"1\"/></pattern>\n",
    "</defs></svg>\n"
);

pub(super) type Curve = Vec<(Timestamp, f64)>;

/// From moments to places.
pub(super) struct Axis {
    from: Timestamp,
    to: Timestamp,
}

impl Axis {
    /// From a start to the end of what is shown, at least a minute.
    pub(super) fn new(from: Timestamp, to: Timestamp) -> Self {
        Self { from, to: to.max(from + SignedDuration::from_secs(60)) }
    }

    fn x(&self, at: Timestamp) -> f64 {
        LEFT + (RIGHT - LEFT)
            * part(at.duration_since(self.from), self.to.duration_since(self.from))
    }

    /// Times since the start, as many as have room.
    fn ticks(&self) -> Vec<SignedDuration> {
        const STEPS: [i64; 12] =
            [5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 4 * 3600, 24 * 3600];
        let shown = self.to.duration_since(self.from).as_secs();
        let step = STEPS.into_iter().find(|step| shown / step <= 4).unwrap_or(shown.max(1));
        (0..=shown / step).map(|at| SignedDuration::from_secs(at * step)).collect()
    }

    /// One lane: what is drawn, over the grid of the axis.
    fn drawing(&self, label: &str, height: f64, body: &str) -> String {
        let mut grid = String::new();
        for tick in self.ticks() {
            let x = self.x(self.from + tick);
            let _ = write!(grid, "<path class=\"grid\" d=\"M{x:.1} 0V{height:.0}\"/>");
        }
        format!(
            "<svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"{label}\">{grid}\n{body}\n</svg>"
        )
    }

    /// The times below the lanes.
    pub(super) fn times(&self) -> String {
        let mut text = String::new();
        for tick in self.ticks() {
            let x = self.x(self.from + tick);
            let label = if tick.is_zero() { "0".to_owned() } else { length(tick) };
            let anchor = if x > RIGHT - 20.0 { "end" } else { "middle" };
            let _ = write!(
                text,
                "<text class=\"time\" text-anchor=\"{anchor}\" x=\"{x:.1}\" y=\"11\">{label}</text>"
            );
        }
        format!("<svg viewBox=\"0 0 {WIDTH} 15\" aria-hidden=\"true\">{text}</svg>\n")
    }
}

/// Neighbouring points of one shade are one block; a cross ends the lane of what has failed.
pub(super) fn points(state: &CriterionSummary, step: SignedDuration, axis: &Axis) -> String {
    let mut text = String::new();
    let place = |point: &TrailPoint| {
        let points = i32::try_from(point.count).unwrap_or(i32::MAX);
        (point.at, point.at + step * points)
    };
    let points: Vec<_> = state.trail.iter().map(place).zip(shades(state)).collect();
    for run in points.chunk_by(|a, b| a.1 == b.1) {
        let (Some(((first, _), shade)), Some(((_, last), _))) = (run.first(), run.last()) else {
            continue;
        };
        let (x, end) = (axis.x(*first), axis.x(*last).min(RIGHT));
        text += &block(*shade, x, (end - x).max(1.0), BLOCK);
    }
    let end = points.last().map_or(RIGHT, |((_, end), _)| axis.x(*end).min(RIGHT));
    if state.standing == Standing::Failed {
        text += &cross((end - BLOCK / 2.0).max(LEFT), BLOCK / 2.0);
    }
    axis.drawing(&label(state), BLOCK, &text)
}

fn label(state: &CriterionSummary) -> String {
    format!("{}; {}", counted(state), standing(state.standing).1)
}

/// How many points there were of each kind. A comparison counts at them, and judges all together.
pub(super) fn counted(state: &CriterionSummary) -> String {
    let Points { good, bad, missing, warmup, unknown } = state.points;
    let unknown = if unknown > 0 { format!(", {unknown} not answered") } else { String::new() };
    if state.evidence.is_none() {
        return format!("{good} good, {bad} bad, {missing} missing, {warmup} warm-up{unknown}");
    }
    let shades = shades(state);
    let of = |wanted: &[Shade]| -> usize {
        let shown = shades.iter().zip(state.trail.iter());
        shown.filter(|(shade, _)| wanted.contains(shade)).map(|(_, point)| point.count).sum()
    };
    let (missing, warmup) = (of(&[Shade::Missing]), of(&[Shade::Warmup]));
    let counted = of(&[Shade::Good, Shade::Suspect, Shade::Bad]);
    format!("{counted} counted, {missing} with nothing to count, {warmup} warm-up{unknown}")
}

/// A block in the colour and with the hatch of its shade.
pub(super) fn block(shade: Shade, x: f64, width: f64, height: f64) -> String {
    let place = format!("x=\"{x:.1}\" y=\"0\" width=\"{width:.1}\" height=\"{height:.0}\"");
    let word = shade.word();
    let hatch = match shade {
        Shade::Bad | Shade::Suspect | Shade::Missing => {
            format!("<rect fill=\"url(#hatch-{word})\" {place}/>")
        }
        Shade::Good | Shade::Warmup => String::new(),
    };
    format!("<rect class=\"{word}\" {place}/>{hatch}")
}

fn cross(x: f64, y: f64) -> String {
    let (left, right, top, bottom) = (x - 3.5, x + 3.5, y - 3.5, y + 3.5);
    format!(
        "<circle class=\"cross\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"8\"/>\
         <path class=\"cross\" d=\"M{left:.1} {top:.1}L{right:.1} {bottom:.1}M{left:.1} {bottom:.1}L{right:.1} {top:.1}\"/>"
    )
}

/// How much of the hold had passed at each point.
pub(super) fn held(trail: &[TrailPoint], hold: SignedDuration, axis: &Axis, label: &str) -> String {
    let mut path = format!("M{LEFT} {BLOCK}");
    for step in trail {
        let part = part(step.held.min(hold), hold);
        let _ = write!(path, "L{:.1} {:.1}", axis.x(step.at), BLOCK * (1.0 - part));
    }
    let end = trail.last().map_or(LEFT, |step| axis.x(step.at));
    let body = format!("{}<path class=\"hold\" d=\"{path}L{end:.1} {BLOCK}Z\"/>", frame(BLOCK));
    axis.drawing(label, BLOCK, &body)
}

fn frame(height: f64) -> String {
    format!(
        "<rect class=\"frame\" x=\"{LEFT}\" y=\"0.5\" width=\"{:.0}\" height=\"{:.0}\"/>",
        RIGHT - LEFT,
        height - 1.0
    )
}

/// Values over time, and what they are held against.
pub(super) struct Chart {
    pub(super) values: Curve,
    /// The same of the baseline.
    pub(super) baseline: Curve,
    /// The line that they must keep to, or reach.
    pub(super) line: Option<f64>,
    /// Shares of requests, not bare numbers.
    pub(super) are_shares: bool,
}

impl Chart {
    pub(super) fn draw(&self, axis: &Axis, label: &str) -> String {
        let (low, high) = self.range();
        let place = |value: f64| 6.0 + (CURVE - 10.0) * (1.0 - (value - low) / (high - low));
        let mut body = frame(CURVE);
        if let Some(line) = self.line {
            let _ =
                write!(body, "<path class=\"limit\" d=\"M{LEFT} {:.1}H{RIGHT}\"/>", place(line));
        }
        for (value, at) in self.numbers(low, &place) {
            let _ = write!(
                body,
                "<text class=\"tick\" x=\"{:.0}\" y=\"{at:.1}\">{value}</text>",
                LEFT - 4.0
            );
        }
        body += &curve("baseline", &self.baseline, axis, &place);
        body += &curve("curve", &self.values, axis, &place);
        axis.drawing(label, CURVE, &body)
    }

    fn range(&self) -> (f64, f64) {
        let all =
            || self.values.iter().chain(&self.baseline).map(|(_, value)| *value).chain(self.line);
        let (low, high) = (all().fold(0.0, f64::min), all().fold(f64::MIN_POSITIVE, f64::max));
        (low, if high - low < 1e-12 { low + 1.0 } else { high })
    }

    /// The numbers beside the axis: the lowest, the line, the highest, as far as none covers another.
    fn numbers(&self, low: f64, place: &dyn Fn(f64) -> f64) -> Vec<(String, f64)> {
        let highest = self.values.iter().map(|(_, value)| *value).fold(f64::NEG_INFINITY, f64::max);
        let mut shown: Vec<(String, f64)> = Vec::new();
        for value in [Some(low), self.line, Some(highest)].into_iter().flatten() {
            // Half of its height below the place, and never above the drawing.
            let at = (place(value) + 3.5).max(9.0);
            if value.is_finite() && shown.iter().all(|(_, other)| (other - at).abs() >= 11.0) {
                shown.push((self.number(value), at));
            }
        }
        shown
    }

    fn number(&self, value: f64) -> String {
        if self.are_shares { percent(value).replace(' ', "\u{a0}") } else { short_number(value) }
    }
}

fn curve(class: &str, values: &Curve, axis: &Axis, place: &dyn Fn(f64) -> f64) -> String {
    let at = |(moment, value): &(Timestamp, f64)| (axis.x(*moment), place(*value));
    match values.as_slice() {
        [] => String::new(),
        [only] => {
            let (x, y) = at(only);
            format!("<circle class=\"{class} dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>")
        }
        some => {
            let places = some.iter().map(at).map(|(x, y)| format!("{x:.1} {y:.1}"));
            let path = places.collect::<Vec<_>>().join("L");
            format!("<path class=\"{class}\" d=\"M{path}\"/>")
        }
    }
}

fn short_number(value: f64) -> String {
    const NAMES: [(f64, &str); 3] = [(1e9, "G"), (1e6, "M"), (1e4, "k")];
    let size = value.abs();
    if size != 0.0 && !(1e-3..1e12).contains(&size) {
        return format!("{value:.1e}");
    }
    let named = NAMES.iter().find(|(from, _)| size >= *from);
    let (scale, name) =
        named.map_or((1.0, ""), |(from, name)| (if *from < 1e6 { 1e3 } else { *from }, *name));
    let scaled = value / scale;
    let digits = match scaled.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{scaled:.digits$}");
    let text =
        if digits > 0 { text.trim_end_matches('0').trim_end_matches('.') } else { text.as_str() };
    format!("{text}{name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::after;

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (0.25, "0.25"),
            (12.0, "12"),
            (1234.5, "1234"),
            (-12.5, "-12.5"),
            (25_300.0, "25.3k"),
            (2e9, "2G"),
            (1_234_567.0, "1.23M"),
            (1e-5, "1.0e-5"),
        ] {
            assert_eq!(short_number(value), text);
        }
    }

    #[test]
    fn numbers_beside_the_axis_do_not_cover_each_other() {
        let chart = |highest: f64| Chart {
            values: vec![(after(0), 0.0), (after(1), highest)],
            baseline: Vec::new(),
            line: Some(1.0),
            are_shares: false,
        };
        let numbers = |highest: f64| {
            let place = |value: f64| 100.0 * (1.0 - value / highest.max(1.0));
            chart(highest)
                .numbers(0.0, &place)
                .into_iter()
                .map(|(text, _)| text)
                .collect::<Vec<_>>()
        };
        assert_eq!(numbers(5.0), ["0", "1", "5"]);
        assert_eq!(numbers(1.05), ["0", "1"]);
        assert_eq!(numbers(50.0), ["0", "50"]);
    }
}

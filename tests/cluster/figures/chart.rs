//! Two releases as bars, in the colours of docs/flow.svg.

use std::fmt::Write as _;

use super::measured::{Measured, STRETCHES};

const WIDTH: f64 = 960.0;
const LEFT: f64 = 110.0;
/// From the start of a bar to the end of the longest one
const LONGEST: f64 = 760.0;

/// The chart, for light and dark pages.
pub(crate) fn draw(layers: &Measured, whole: &Measured) -> String {
    let scale = LONGEST / layers.total().max(whole.total());
    let bars = bar("in layers", layers, 44.0, scale) + &bar("built whole", whole, 100.0, scale);
    let mut legend = String::new();
    for (number, stretch) in (0_u32..).zip(STRETCHES) {
        let x = LEFT + 250.0 * f64::from(number % 3);
        let y = 172.0 + 24.0 * f64::from(number / 3);
        let text = x + 20.0;
        let base = y + 11.0;
        // Writing to a String cannot fail.
        let _ = write!(
            legend,
            "  <rect class=\"s{number}\" x=\"{x:.0}\" y=\"{y:.0}\" width=\"12\" height=\"12\" rx=\"2\"/>\n  \
             <text class=\"d\" x=\"{text:.0}\" y=\"{base:.0}\">{stretch}</text>\n"
        );
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} 230\" role=\"img\" aria-labelledby=\"t\" \
         font-family=\"ui-sans-serif, system-ui, sans-serif\" font-size=\"15\">\n  \
         <title id=\"t\">From the event to a canary with 10 % of the requests: {:.0} s in layers, {:.0} s built whole</title>\n\
         {STYLE}  <rect class=\"bg\" width=\"{WIDTH}\" height=\"230\"/>\n  \
         <text class=\"t\" x=\"{LEFT}\" y=\"26\" font-weight=\"600\">Seconds from the event to 10 % of the requests</text>\n\
         {bars}{legend}</svg>\n",
        layers.total(),
        whole.total()
    )
}

fn bar(name: &str, measured: &Measured, y: f64, scale: f64) -> String {
    let base = y + 25.0;
    let mut bar = format!(
        "  <text class=\"t\" x=\"{:.0}\" y=\"{base:.0}\" text-anchor=\"end\">{name}</text>\n",
        LEFT - 12.0
    );
    let mut x = LEFT;
    for (number, seconds) in measured.stretches.iter().enumerate() {
        let width = seconds * scale;
        let _ = writeln!(
            bar,
            "  <rect class=\"s{number}\" x=\"{x:.1}\" y=\"{y:.0}\" width=\"{width:.1}\" height=\"38\"/>"
        );
        if width >= 26.0 {
            let middle = x + width / 2.0;
            let _ = writeln!(
                bar,
                "  <text class=\"n\" x=\"{middle:.1}\" y=\"{base:.0}\" text-anchor=\"middle\">{seconds:.1}</text>"
            );
        }
        x += width;
    }
    let total = measured.total();
    let end = x + 10.0;
    let _ = writeln!(
        bar,
        "  <text class=\"t\" x=\"{end:.1}\" y=\"{base:.0}\" font-weight=\"600\">{total:.1} s</text>"
    );
    bar
}

const STYLE: &str = "  <style>
    .bg { fill: #fff } .t { fill: #1f2328 } .d { fill: #59636e; font-size: 13px } .n { fill: #fff; font-size: 12px }
    .s0 { fill: #8c959f } .s1 { fill: #0969da } .s2 { fill: #6e7781 } .s3 { fill: #8250df } .s4 { fill: #1a7f37 } .s5 { fill: #9a6700 }
    @media (prefers-color-scheme: dark) {
      .bg { fill: #0d1117 } .t { fill: #e6edf3 } .d { fill: #9198a1 } .n { fill: #0d1117 }
      .s0 { fill: #9198a1 } .s1 { fill: #4493f8 } .s2 { fill: #656c76 } .s3 { fill: #ab7df8 } .s4 { fill: #3fb950 } .s5 { fill: #d29922 }
    }
  </style>
";

#[test]
fn a_bar_is_as_long_as_its_release_and_says_what_fits() {
    let measured = |stretches| Measured { stretches, step: 1.0, idle: 0.5, build: 2.0 };
    let layers = measured([2.0, 1.5, 2.0, 0.5, 3.0, 1.0]);
    let whole = measured([2.0, 21.0, 2.0, 9.0, 3.0, 1.0]);
    let svg = draw(&layers, &whole);
    assert!(svg.contains("10 s in layers, 38 s built whole"), "{svg}");
    assert_eq!(svg.matches("<rect class=\"s").count(), 12 + STRETCHES.len());
    let inside = [">21.0<", ">9.0<", ">38.0 s<", ">10.0 s<"];
    assert!(inside.iter().all(|text| svg.contains(text)), "{svg}");
    assert!(!svg.contains(">0.5<"), "too narrow for a number: {svg}");
    let end = LEFT + LONGEST + 10.0;
    assert!(svg.contains(&format!("x=\"{end:.1}\"")), "the longest fills the chart: {svg}");
}

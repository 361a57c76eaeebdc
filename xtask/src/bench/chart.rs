//! The chart: for each chosen row a panel, with a bar for each peer. SVG by hand, light or dark as the reader likes it.

use super::peers::{PEERS, Peer};
use super::results::{Results, shown};
use super::rows::{ROWS, Row};
use std::fmt::Write as _;

const WIDTH: usize = 860;
const MARGIN: usize = 20;
const PANEL: usize = 400;
const HEAD: usize = 64;
const LINE: usize = 20;
/// A panel's own title of two lines, and the gap below it.
const TITLE: usize = 42;
const GAP: usize = 22;
/// Where bars begin, and how long the longest is.
const LABELS: usize = 84;
const BAR: f64 = 240.0;

const STYLE: &str = "
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .title { font-size: 17px; font-weight: 600; }
  .panel { font-weight: 600; }
  .small, .value { fill: #59636e; }
  .bar { fill: #a9b4c0; }
  .horust { fill: #c2410c; }
  .floor { fill: #dfe4ea; }
  .ours { font-weight: 600; fill: #1f2328; }
  .paper { fill: #ffffff; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; }
    .small, .value { fill: #9198a1; }
    .bar { fill: #656d78; }
    .horust { fill: #fb8b4c; }
    .floor { fill: #343b45; }
    .ours { fill: #f0f6fc; }
    .paper { fill: #0d1117; }
  }
";

/// The whole chart.
pub fn draw(results: &Results) -> String {
    let panels: Vec<(&Row, Vec<(Peer, f64)>)> = ROWS
        .iter()
        .filter(|row| row.charted)
        .map(|row| {
            let values = PEERS.into_iter().filter_map(|peer| Some((peer, results.summary(row, peer)?.value)));
            (row, values.filter(|(_, value)| *value > 0.0).collect())
        })
        .filter(|(_, values): &(&Row, Vec<_>)| !values.is_empty())
        .collect();
    let (mut body, mut told, mut top) = (String::new(), String::new(), HEAD);
    for pair in panels.chunks(2) {
        for (column, (row, values)) in pair.iter().enumerate() {
            panel(&mut body, MARGIN + column * (PANEL + MARGIN), top, row, values);
            let words = values.iter().map(|(peer, value)| format!("{} {}", peer.name(), shown(*value)));
            let _ = write!(
                told,
                "{}, {}: {}. ",
                row.label.replace('`', ""),
                row.unit,
                words.collect::<Vec<_>>().join(", ")
            );
        }
        top += TITLE + pair.iter().map(|(_, values)| values.len()).max().unwrap_or(0) * LINE + GAP;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {top}\" width=\"{WIDTH}\" height=\"{top}\" role=\"img\" \
         aria-labelledby=\"title about\">\n<title id=\"title\">Horust and other supervisors</title>\n\
         <desc id=\"about\">{told}</desc>\n<style>{STYLE}</style>\n\
         <rect class=\"paper\" width=\"{WIDTH}\" height=\"{top}\" rx=\"8\"/>\n\
         <text class=\"title\" x=\"{MARGIN}\" y=\"30\">Horust and other supervisors</text>\n\
         <text class=\"small\" x=\"{MARGIN}\" y=\"50\">Medians; the scale is logarithmic. The floor is a loop in C that only spawns and \
         waits.</text>\n{body}</svg>\n"
    )
}

fn panel(body: &mut String, left: usize, top: usize, row: &Row, values: &[(Peer, f64)]) {
    let good = if row.more_is_better { "more is better" } else { "less is better" };
    let title = capital(row.label).replace('`', "");
    let _ = writeln!(body, "<text class=\"panel\" x=\"{left}\" y=\"{}\">{title}</text>", top + 14);
    let _ = writeln!(body, "<text class=\"small\" x=\"{left}\" y=\"{}\">{}; {good}</text>", top + 14 + LINE, row.unit);
    let least = values.iter().map(|(_, value)| *value).fold(f64::MAX, f64::min);
    let most = values.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    for (at, (peer, value)) in values.iter().enumerate() {
        let y = top + TITLE + at * LINE;
        let (bar, text) = match peer {
            Peer::Horust => ("bar horust", "ours"),
            Peer::Floor => ("bar floor", ""),
            _ => ("bar", ""),
        };
        let length = length(*value, least, most);
        let _ = writeln!(
            body,
            "<text class=\"{text}\" x=\"{left}\" y=\"{}\">{}</text>\
             <rect class=\"{bar}\" x=\"{}\" y=\"{}\" width=\"{length:.1}\" height=\"{}\" rx=\"2\"/>\
             <text class=\"value {text}\" x=\"{:.1}\" y=\"{}\">{}</text>",
            y + 14,
            peer.name(),
            left + LABELS,
            y + 3,
            LINE - 6,
            (left + LABELS) as f64 + length + 6.0,
            y + 14,
            shown(*value),
        );
    }
}

/// How long a bar is: the least has a tenth of the space, and the scale is never less than ten times wide.
fn length(value: f64, least: f64, most: f64) -> f64 {
    let wide = (most / least).max(10.0).ln();
    BAR * (0.1 + 0.9 * (value / least).ln() / wide)
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_logarithmic_and_fit() {
        assert_eq!(length(1.0, 1.0, 100.0), BAR * 0.1);
        assert_eq!(length(100.0, 1.0, 100.0), BAR);
        assert!((length(10.0, 1.0, 100.0) - BAR * 0.55).abs() < 1e-9);
        // Values that are much alike look so.
        assert!(length(1.1, 1.0, 1.1) < BAR * 0.15);
    }

    #[test]
    fn a_chart_tells_its_values_as_text_and_leaves_out_who_has_none() {
        let mut results = Results::default();
        results.add(Peer::Horust, vec![("cold".to_owned(), 0.9)]);
        results.add(Peer::S6, vec![("cold".to_owned(), 2.4)]);
        let svg = draw(&results);
        assert!(svg.contains(
            "<desc id=\"about\">start of one service, from exec to its first instruction, ms: horust 0.90, s6 2.40. "
        ));
        assert_eq!(svg.matches("<rect class=\"bar").count(), 2);
        assert!(!svg.contains("tini"));
    }
}

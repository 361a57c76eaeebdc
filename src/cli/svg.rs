//! A timeline as a picture: one SVG file that needs no script, no font and no other file. Text only.

use super::timeline::{KINDS, chain, end, headline, ready, time, took};
use crate::control::wire::{Course, Timeline};
use std::fmt::Write as _;

/// Pixels: of a row, of the bars' area, of what is above the first row.
const ROW: usize = 22;
const BARS: u16 = 720;
const TOP: usize = 76;
/// A name is cut after so many letters, so that the names' column has an end.
const LETTERS: usize = 40;

/// Of a phase the colour on white and on black.
const COLOURS: [(&str, &str, &str); 7] = [
    ("waiting", "#e4e4e7", "#3f3f46"),
    ("delayed", "#c4b5fd", "#6d28d9"),
    ("preparing", "#93c5fd", "#1d4ed8"),
    ("executing", "#f59e0b", "#d97706"),
    ("starting", "#2563eb", "#60a5fa"),
    ("retrying", "#dc2626", "#f87171"),
    ("ready", "#86efac", "#166534"),
];

/// The whole file.
pub fn chart(timeline: &Timeline) -> String {
    let picture = Picture::of(timeline);
    let (width, height) = (picture.left + usize::from(BARS) + 100, TOP + ROW * timeline.services.len() + 40);
    let mut page = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         role=\"img\" font-family=\"system-ui, sans-serif\" font-size=\"12\">\n"
    );
    let head = escaped(&headline(timeline));
    let _ = writeln!(page, "<title>{head}</title>\n<style>\n{}</style>", style());
    let _ = writeln!(page, "<rect class=\"paper\" width=\"{width}\" height=\"{height}\"/>");
    let _ = writeln!(page, "<text x=\"12\" y=\"22\" font-size=\"14\">{head}</text>");
    legend(&mut page);
    picture.scale(&mut page, height);
    for (row, course) in timeline.services.iter().enumerate() {
        picture.row(&mut page, row, course);
    }
    picture.links(&mut page);
    let chain: Vec<String> = chain(timeline).iter().map(|course| course.name.clone()).collect();
    if !chain.is_empty() {
        let words = format!("bold: the critical chain, {}", chain.join(" → "));
        let _ = writeln!(page, "<text class=\"dim\" x=\"12\" y=\"{}\">{}</text>", height - 12, escaped(&words));
    }
    page + "</svg>\n"
}

fn style() -> String {
    let rules = |dark: bool| {
        let (paper, ink, dim, link) = match dark {
            false => ("#fff", "#18181b", "#71717a", "#be123c"),
            true => ("#18181b", "#f4f4f5", "#a1a1aa", "#fb7185"),
        };
        let base = format!(
            ".paper{{fill:{paper}}}text{{fill:{ink}}}.dim{{fill:{dim}}}.grid{{stroke:{dim};stroke-opacity:.3}}\
             .link{{stroke:{link};fill:none;stroke-width:1.5}}"
        );
        let phases =
            COLOURS.iter().map(|(name, light, night)| format!(".{name}{{fill:{}}}", if dark { night } else { light }));
        phases.fold(base, |all, one| all + &one)
    };
    format!("{}\n@media (prefers-color-scheme: dark){{{}}}\n", rules(false), rules(true))
}

fn legend(page: &mut String) {
    let mut x = 12;
    for kind in &KINDS {
        let _ = writeln!(page, "<rect class=\"{}\" x=\"{x}\" y=\"34\" width=\"12\" height=\"12\"/>", kind.phase);
        let _ = writeln!(page, "<text class=\"dim\" x=\"{}\" y=\"44\">{}</text>", x + 17, kind.means);
        x += 40 + 7 * kind.means.len();
    }
}

/// Where things are.
struct Picture<'a> {
    timeline: &'a Timeline,
    end: f64,
    /// Where the bars begin.
    left: usize,
}

impl Picture<'_> {
    fn of(timeline: &Timeline) -> Picture<'_> {
        let letters = timeline.services.iter().map(|course| course.name.chars().count()).max().unwrap_or(0);
        Picture { timeline, end: end(timeline), left: 24 + 8 * letters.clamp(8, LETTERS) }
    }

    fn x(&self, ms: f64) -> f64 {
        self.left as f64 + (ms / self.end).clamp(0.0, 1.0) * f64::from(BARS)
    }

    /// Four parts of the time.
    fn scale(&self, page: &mut String, height: usize) {
        for part in [0.0, 0.25, 0.5, 0.75, 1.0] {
            let (ms, x) = (part * self.end, self.x(part * self.end));
            let _ = writeln!(page, "<path class=\"grid\" d=\"M{x:.1} {} V{}\"/>", TOP - 6, height - 32);
            let words = if part == 0.0 { "0".to_owned() } else { time(ms) };
            let _ = writeln!(
                page,
                "<text class=\"dim\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{words}</text>",
                TOP - 10
            );
        }
    }

    fn row(&self, page: &mut String, row: usize, course: &Course) {
        let y = TOP + ROW * row;
        let weight = if course.critical { " font-weight=\"bold\"" } else { "" };
        let cut = course.name.chars().count() > LETTERS;
        let name: String = course.name.chars().take(LETTERS - usize::from(cut)).chain(cut.then_some('…')).collect();
        let _ = writeln!(page, "<text x=\"12\" y=\"{}\"{weight}>{}</text>", y + 15, escaped(&name));
        for phase in course.phases.iter().filter(|phase| phase.from_ms <= self.end) {
            let Some(kind) = KINDS.iter().find(|kind| kind.phase == phase.phase) else { continue };
            let (from, to) = (self.x(phase.from_ms), self.x(phase.to_ms.unwrap_or(self.end)));
            let long = phase.to_ms.map_or(String::new(), |to| format!(", {}", time(to - phase.from_ms)));
            let about = format!("{}: {} from {}{long}", course.name, kind.means, time(phase.from_ms));
            let _ = writeln!(
                page,
                "<rect class=\"{}\" x=\"{from:.1}\" y=\"{}\" width=\"{:.1}\" height=\"{}\"><title>{}</title></rect>",
                kind.phase,
                y + 3,
                (to - from).max(1.0),
                ROW - 6,
                escaped(&about)
            );
        }
        let note = match (ready(course), took(course)) {
            (Some(at), _) if at > self.end => format!("ready at {}", time(at)),
            (Some(_), Some(took)) => time(took),
            _ => course.state.clone(),
        };
        let x = self.left as f64 + f64::from(BARS) + 6.0;
        let _ = writeln!(page, "<text class=\"dim\" x=\"{x:.1}\" y=\"{}\">{}</text>", y + 15, escaped(&note));
    }

    /// Lines along the critical chain: from who was waited for to who waited.
    fn links(&self, page: &mut String) {
        let middle = |course: &Course| {
            let row = self.timeline.services.iter().position(|other| other.name == course.name);
            row.map(|row| TOP + ROW * row + ROW / 2)
        };
        let chain = chain(self.timeline);
        for (before, after) in chain.iter().zip(chain.iter().skip(1)) {
            let (Some(from), Some(to), Some(at)) = (middle(before), middle(after), ready(before)) else { continue };
            let _ = writeln!(page, "<path class=\"link\" d=\"M{:.1} {from} V{to}\"/>", self.x(at));
        }
    }
}

/// Names may hold anything.
fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    // XML has no place for these, not even escaped.
    text.replace(|c: char| c.is_control(), "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::timeline::tests::sample;

    #[test]
    fn each_phase_is_a_rectangle_of_its_length() {
        let page = chart(&sample());
        // The names' column is 120 wide (12 letters), 960 ms are 720 pixels: of `db` starting is from 240 to 480 ms.
        assert!(page.contains("<rect class=\"starting\" x=\"300.0\" y=\"101\" width=\"180.0\" height=\"16\"><title>db: gets ready from 240ms, 240ms</title>"), "{page}");
        assert!(page.contains(">rare &amp; &lt;odd&gt;</text>") && !page.contains("<odd"), "{page}");
        assert!(page.contains("font-weight=\"bold\">app<") && !page.contains("font-weight=\"bold\">fails<"), "{page}");
        // Who came after the boot is named, and has no bar.
        assert!(page.contains(">ready at 55.0s<") && !page.contains("<title>late"), "{page}");
        assert!(page.contains("bold: the critical chain, prepare → db → app"), "{page}");
    }

    #[test]
    fn it_needs_no_other_file_and_every_phase_has_a_colour() {
        let page = chart(&sample());
        let outside = ["href", "url(", "<script", "@import", "<image"];
        assert!(outside.iter().all(|word| !page.contains(word)) && page.matches("http").count() == 1, "{page}");
        assert!(KINDS.iter().all(|kind| COLOURS.iter().any(|(name, ..)| *name == kind.phase)));
        for tag in ["text", "title", "svg", "style"] {
            let (open, close) = (page.matches(&format!("<{tag}")).count(), page.matches(&format!("</{tag}>")).count());
            assert_eq!(open, close, "{tag}");
        }
    }

    #[test]
    fn a_long_name_is_cut() {
        let mut timeline = sample();
        timeline.services[0].name = "ä".repeat(100);
        assert!(chart(&timeline).contains(&format!(">{}…</text>", "ä".repeat(39))));
    }
}

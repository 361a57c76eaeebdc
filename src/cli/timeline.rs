//! `horust timeline`: how services came up, as a chart for a terminal, as a picture, or as JSON.

use super::ExitCode;
use super::client::{Client, Failure};
use super::output::answer;
use super::{show, svg};
use crate::control::wire::{Course, Phase, Timeline};
use clap::ValueEnum;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// How a timeline is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Chart {
    /// Bars of letters.
    #[default]
    Text,
    /// A picture that needs nothing else: for a browser or a document.
    Svg,
    /// For programs.
    Json,
}

/// Asks, and draws the answer.
pub fn run(client: &Client, chart: Chart) -> Result<ExitCode, Failure> {
    let timeline: Timeline = client.get("timeline", &[])?;
    answer(&match chart {
        Chart::Text => text(&timeline),
        Chart::Svg => svg::chart(&timeline),
        Chart::Json => show::json(&timeline),
    });
    Ok(ExitCode::Ok)
}

/// A kind of phase, how it is drawn, and its meaning.
pub struct Kind {
    /// As it goes over the wire.
    pub phase: &'static str,
    /// A cell of a bar.
    cell: char,
    /// For a legend.
    pub means: &'static str,
}

/// In the order in which they come.
pub const KINDS: [Kind; 7] = [
    Kind { phase: "waiting", cell: '·', means: "waits for others" },
    Kind { phase: "delayed", cell: '~', means: "start-delay" },
    Kind { phase: "preparing", cell: '▒', means: "before-start" },
    Kind { phase: "executing", cell: '▓', means: "is executed" },
    Kind { phase: "starting", cell: '█', means: "gets ready" },
    Kind { phase: "retrying", cell: '!', means: "failed, again" },
    Kind { phase: "ready", cell: '─', means: "ready" },
];

/// When it was ready.
pub fn ready(course: &Course) -> Option<f64> {
    course.phases.iter().find(|phase| phase.phase == "ready").map(|phase| phase.from_ms)
}

/// How long it took by itself: all but the wait for others.
pub fn took(course: &Course) -> Option<f64> {
    let begin = course.phases.iter().find(|phase| phase.phase != "waiting")?.from_ms;
    Some(ready(course)? - begin)
}

/// The moment up to which a chart goes: all that start with Horust are ready or over then, or it is now.
pub fn end(timeline: &Timeline) -> f64 {
    let from_boot = timeline.services.iter().filter(|course| course.phases.first().is_some_and(|p| p.from_ms <= 0.0));
    let there = |course: &Course| ready(course).or(course.phases.last()?.to_ms);
    let ends = from_boot.map(|course| there(course).unwrap_or(timeline.now_ms));
    ends.fold(0.001, f64::max)
}

/// The services by which it was decided when all were ready: each waited for the one before it.
pub fn chain(timeline: &Timeline) -> Vec<&Course> {
    let critical = || timeline.services.iter().filter(|course| course.critical);
    let mut rest: BTreeMap<&str, &Course> = critical().map(|course| (course.name.as_str(), course)).collect();
    let at = |course: &Course| ready(course).unwrap_or(0.0);
    let last = critical().max_by(|one, other| at(one).total_cmp(&at(other)));
    let mut next = last.and_then(|course| rest.remove(course.name.as_str()));
    let mut chain = Vec::new();
    while let Some(course) = next {
        chain.push(course);
        next = course.waited_for.as_ref().and_then(|name| rest.remove(name.as_str()));
    }
    chain.reverse();
    chain
}

/// When all were ready, in a sentence without a full stop.
pub fn headline(timeline: &Timeline) -> String {
    let boot = &timeline.boot;
    match timeline.ready_ms {
        Some(ms) => format!("all that starts with Horust was ready, or over, {} after {boot}", time(ms)),
        None => format!("not all is ready yet, {} after {boot}", time(timeline.now_ms)),
    }
}

/// A time with three digits.
pub fn time(ms: f64) -> String {
    match ms {
        ..10.0 => format!("{ms:.2}ms"),
        ..100.0 => format!("{ms:.1}ms"),
        ..1_000.0 => format!("{ms:.0}ms"),
        ..10_000.0 => format!("{:.2}s", ms / 1e3),
        ..60_000.0 => format!("{:.1}s", ms / 1e3),
        ..3_600_000.0 => format!("{:.1}min", ms / 6e4),
        _ => format!("{:.1}h", ms / 3.6e6),
    }
}

/// Cells of a bar.
const CELLS: usize = 48;

fn text(timeline: &Timeline) -> String {
    let end = end(timeline);
    let width = timeline.services.iter().map(|course| course.name.chars().count()).max().unwrap_or(0).max(4);
    let scale = time(end);
    let mut page = format!("{}\n\n", headline(timeline));
    let _ = writeln!(page, "  {:width$}  {:>8}  {:>8}  0{scale:>rest$}", "NAME", "READY", "TOOK", rest = CELLS - 1);
    for course in &timeline.services {
        let mark = if course.critical { '*' } else { ' ' };
        let [at, took] = [ready(course), took(course)].map(|ms| ms.map_or_else(|| "-".to_owned(), time));
        let line = format!("{mark} {:width$}  {at:>8}  {took:>8}  {}", course.name, bar(course, end));
        page.push_str(line.trim_end());
        let lost = if ready(course).is_none() { format!("  {}", course.state) } else { String::new() };
        let _ = writeln!(page, "{lost}");
    }
    let legend: Vec<String> = KINDS.iter().map(|kind| format!("{} {}", kind.cell, kind.means)).collect();
    let _ = writeln!(page, "\n{}", legend.join("   "));
    let chain: Vec<String> = chain(timeline).into_iter().map(step).collect();
    if !chain.is_empty() {
        let _ = writeln!(page, "* critical chain: {}", chain.join(" → "));
    }
    page
}

fn step(course: &Course) -> String {
    format!("{} ({})", course.name, time(took(course).unwrap_or(0.0)))
}

/// The phases as cells. What is shorter than a cell is seen all the same, unless what comes after it would not be.
fn bar(course: &Course, end: f64) -> String {
    let mut cells = [' '; CELLS];
    for Phase { phase, from_ms, to_ms } in &course.phases {
        let Some(kind) = KINDS.iter().find(|kind| kind.phase == phase).filter(|_| *from_ms <= end) else { continue };
        let is_ready = phase == "ready";
        let first =
            if is_ready { cell(*from_ms, end, f64::ceil) } else { cell(*from_ms, end, f64::floor).min(CELLS - 1) };
        let last = to_ms.map_or(CELLS, |to| cell(to, end, f64::ceil)).max(first.saturating_add(usize::from(!is_ready)));
        cells.iter_mut().take(last).skip(first).for_each(|cell| *cell = kind.cell);
    }
    cells.iter().collect()
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "0 to CELLS")]
fn cell(ms: f64, end: f64, round: fn(f64) -> f64) -> usize {
    round((ms / end).clamp(0.0, 1.0) * CELLS as f64) as usize
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Three that wait for each other, one that failed, one that nobody wanted, one that came later.
    pub fn sample() -> Timeline {
        let course = |name: &str, waited_for: Option<&str>, critical, phases: &[(&str, f64, Option<f64>)]| Course {
            name: name.into(),
            state: if name == "fails" { "FinishedFailed" } else { "Running" }.into(),
            phases: phases
                .iter()
                .map(|(phase, from_ms, to_ms)| Phase { phase: (*phase).into(), from_ms: *from_ms, to_ms: *to_ms })
                .collect(),
            critical,
            waited_for: waited_for.map(str::to_owned),
        };
        Timeline {
            boot: "2026-01-02T03:04:05.678Z".into(),
            now_ms: 60_000.0,
            ready_ms: Some(960.0),
            services: vec![
                course(
                    "app",
                    Some("db"),
                    true,
                    &[
                        ("waiting", 0.0, Some(480.0)),
                        ("delayed", 480.0, Some(720.0)),
                        ("executing", 720.0, Some(721.0)),
                        ("starting", 721.0, Some(960.0)),
                        ("ready", 960.0, None),
                    ],
                ),
                course(
                    "db",
                    Some("prepare"),
                    true,
                    &[
                        ("waiting", 0.0, Some(20.0)),
                        ("preparing", 20.0, Some(240.0)),
                        ("starting", 240.0, Some(480.0)),
                        ("ready", 480.0, None),
                    ],
                ),
                course(
                    "prepare",
                    None,
                    true,
                    &[
                        ("waiting", 0.0, Some(0.0)),
                        ("executing", 0.0, Some(1.5)),
                        ("starting", 1.5, Some(20.0)),
                        ("ready", 20.0, Some(20.0)),
                    ],
                ),
                course("fails", None, false, &[("waiting", 0.0, Some(0.0)), ("retrying", 5.0, Some(100.0))]),
                course("rare & <odd>", None, false, &[]),
                course(
                    "late",
                    None,
                    false,
                    &[("waiting", 5e4, Some(5e4)), ("starting", 5e4, Some(55e3)), ("ready", 55e3, None)],
                ),
            ],
        }
    }

    #[test]
    fn a_chart_of_letters() {
        let wanted = "\
all that starts with Horust was ready, or over, 960ms after 2026-01-02T03:04:05.678Z

  NAME             READY      TOOK  0                                          960ms
* app              960ms     480ms  ························~~~~~~~~~~~~████████████
* db               480ms     460ms  ·▒▒▒▒▒▒▒▒▒▒▒████████████────────────────────────
* prepare         20.0ms    20.0ms  █
  fails                -         -  !!!!!  FinishedFailed
  rare & <odd>         -         -  Running
  late             55.0s     5.00s

· waits for others   ~ start-delay   ▒ before-start   ▓ is executed   █ gets ready   ! failed, again   ─ ready
* critical chain: prepare (20.0ms) → db (460ms) → app (480ms)
";
        let text = text(&sample());
        assert!(text == wanted, "{text}");
    }

    #[test]
    fn before_anything_has_happened() {
        let page = text(&Timeline { boot: "B".into(), ..Timeline::default() });
        assert!(page.starts_with("not all is ready yet, 0.00ms after B\n\n  NAME"), "{page}");
        assert!(!page.contains("chain"), "{page}");
    }

    #[test]
    fn times_have_three_digits() {
        for (ms, words) in
            [(0.0123, "0.01ms"), (12.34, "12.3ms"), (999.4, "999ms"), (1234.5, "1.23s"), (9e4, "1.5min"), (9e6, "2.5h")]
        {
            assert_eq!(time(ms), words);
        }
    }
}

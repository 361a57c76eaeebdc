//! `reload` and `plan`: what reading the configuration again changes, or what is wrong with it, for people and programs.

use super::ExitCode;
use super::args::Format;
use super::client::{Client, Failure};
use super::output::{answer, colour, complain};
use super::show;
use crate::config;
use crate::control::wire::{Changed, Reload};
use hyper::Method;
use std::fmt::Write as _;

/// Has it done.
pub fn reload(client: &Client, dry_run: bool, format: Format) -> Result<ExitCode, Failure> {
    let query: &[(&str, &str)] = if dry_run { &[("dry_run", "true")] } else { &[] };
    tell(&client.send_or(Method::POST, "reload", query, 422)?, format)
}

/// Only asks.
pub fn plan(client: &Client, format: Format) -> Result<ExitCode, Failure> {
    tell(&client.send_or(Method::GET, "plan", &[], 422)?, format)
}

fn tell(told: &Reload, format: Format) -> Result<ExitCode, Failure> {
    match format {
        Format::Json => answer(&show::json(told)),
        Format::Text => {
            let found = config::from_findings(&told.errors).into_iter().chain(config::from_findings(&told.warnings));
            let found: Vec<_> = found.collect();
            complain(&config::render(&found, colour(&std::io::stderr())));
            if told.errors.is_empty() {
                answer(&page(told, colour(&std::io::stdout())));
            }
        }
    }
    Ok(if told.errors.is_empty() { ExitCode::Ok } else { ExitCode::Configuration })
}

/// The difference, a line for each service.
fn page(told: &Reload, coloured: bool) -> String {
    let paint = |code: &str, text: String| if coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text };
    let mut page = String::new();
    for name in &told.added {
        let _ = writeln!(page, "{}", paint("32", format!("+ {name}")));
    }
    for name in &told.removed {
        let _ = writeln!(page, "{}", paint("31", format!("- {name}")));
    }
    for Changed { name, keys, restart } in &told.changed {
        let again = match (restart, told.applied) {
            (false, _) => "",
            (true, true) => " (runs again)",
            (true, false) => " (would run again)",
        };
        let _ = writeln!(page, "{}{again}", paint("33", format!("~ {name}: {}", keys.join(", "))));
    }
    for key in &told.at_next_start {
        let _ = writeln!(page, "! {key} of horust.toml takes effect at the next start of Horust");
    }
    if page.is_empty() {
        page.push_str("nothing has changed\n");
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_is_a_line_for_each_service() {
        let changed = |name: &str, keys: &[&str], restart| Changed {
            name: name.into(),
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            restart,
        };
        let mut told = Reload {
            added: vec!["cache".into()],
            removed: vec!["old".into()],
            changed: vec![
                changed("web", &["command", "start-after"], true),
                changed("db", &["restart.backoff"], false),
            ],
            at_next_start: vec!["control.socket".into()],
            ..Reload::default()
        };
        let lines = "+ cache\n- old\n~ web: command, start-after (would run again)\n~ db: restart.backoff\n\
                     ! control.socket of horust.toml takes effect at the next start of Horust\n";
        assert_eq!(page(&told, false), lines);
        told.applied = true;
        assert!(page(&told, true).contains("\x1b[33m~ web: command, start-after\x1b[0m (runs again)\n"));
        assert_eq!(page(&Reload::default(), true), "nothing has changed\n");
    }
}

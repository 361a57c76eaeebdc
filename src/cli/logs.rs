//! `horust logs`: the output of services that Horust holds in memory.

use super::ExitCode;
use super::args::Format;
use super::client::{Client, Failure};
use super::output::{colour, complain};
use super::stream::{Screen, follow};
use crate::control::wire;
use crate::control::wire::{LogLine, Note};
use crate::model::unescaped;
use clap::Args;
use std::io;

/// Whose output, which part of it, and how it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Logs {
    /// Names, or patterns such as `web-*` [default: all services that are captured]
    names: Vec<String>,
    /// Go on with what is written from now on, until Horust ends
    #[arg(short, long)]
    follow: bool,
    /// No more than so many of the latest lines
    #[arg(short = 'n', long, value_name = "N")]
    lines: Option<u64>,
    /// Nothing older: 10m, or 2026-01-02T03:04:05Z
    #[arg(long, value_name = "DURATION|TIME", value_parser = since)]
    since: Option<String>,
    /// Show when each line came
    #[arg(short, long)]
    timestamps: bool,
    /// How to show it; as JSON, an object on each line
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

fn since(text: &str) -> Result<String, String> {
    let known = humantime::parse_duration(text).is_ok() || humantime::parse_rfc3339_weak(text).is_ok();
    match known {
        true => Ok(text.to_owned()),
        false => Err("write a duration such as 10m, or a time such as 2026-01-02T03:04:05Z".to_owned()),
    }
}

/// Shows them.
pub fn run(client: &Client, options: &Logs) -> Result<ExitCode, Failure> {
    let words = options.names.join(",");
    let lines = options.lines.map(|lines| lines.to_string());
    let mut query = Vec::new();
    query.extend((!words.is_empty()).then_some(("names", words.as_str())));
    query.extend(lines.as_deref().map(|lines| ("lines", lines)));
    query.extend(options.since.as_deref().map(|since| ("since", since)));
    let mut screen = Screen::new();
    let mut printer = Printer::new(options);
    if !options.follow {
        let logs: wire::Logs = client.get("logs", &query)?;
        let shown = logs.lines.iter().try_for_each(|line| printer.line(&mut screen, line));
        let _ = shown.and_then(|()| screen.flush());
        logs.notes.iter().for_each(tell);
        return Ok(ExitCode::Ok);
    }
    query.push(("follow", "true"));
    follow(client, "logs", &query, &mut screen, |screen, kind, data| {
        match kind {
            "log" => printer.line(screen, &serde_json::from_str(data)?)?,
            "note" => tell(&serde_json::from_str(data)?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(ExitCode::Ok)
}

/// The last lines of one service; none if it is not captured.
pub fn latest(client: &Client, name: &str) -> Vec<LogLine> {
    let logs = client.get::<wire::Logs>("logs", &[("names", name), ("lines", "5")]);
    logs.map_or_else(|_| Vec::new(), |logs| logs.lines)
}

fn tell(note: &Note) {
    let about = note.service.as_ref().map_or(String::new(), |name| format!("{name}: "));
    // A word on who is not captured names it already.
    let about = if note.lost > 0 { about } else { String::new() };
    complain(&format!("horust: {about}{}\n", note.text));
}

/// The colours that tell services apart, as in Horust's own output.
const COLOURS: [u8; 10] = [36, 33, 32, 35, 34, 96, 93, 92, 95, 94];

/// Writes lines as they were asked for.
struct Printer {
    json: bool,
    timestamps: bool,
    /// Several services: each line says whose it is.
    named: bool,
    coloured: bool,
    /// Services in the order of their first lines, which gives them their colours.
    seen: Vec<String>,
    /// Whose line has not ended yet.
    open: Option<(String, String)>,
}

impl Printer {
    fn new(options: &Logs) -> Printer {
        let single = matches!(options.names.as_slice(), [name] if !name.contains(['*', '?', ',']));
        Printer {
            json: options.format == Format::Json,
            timestamps: options.timestamps,
            named: !single,
            coloured: colour(&io::stdout()),
            seen: Vec::new(),
            open: None,
        }
    }

    fn line(&mut self, screen: &mut Screen, line: &LogLine) -> io::Result<()> {
        if self.json {
            screen.write(serde_json::to_string(line)?.as_bytes())?;
            return screen.write(b"\n");
        }
        let whose = (line.service.clone(), line.stream.clone());
        let goes_on = self.open.as_ref() == Some(&whose);
        if self.open.is_some() && !goes_on {
            screen.write(b"\n")?;
        }
        if !goes_on {
            let prefix = self.prefix(line);
            screen.write(prefix.as_bytes())?;
        }
        match line.escaped {
            true => screen.write(&unescaped(&line.text))?,
            false => screen.write(line.text.as_bytes())?,
        }
        self.open = line.partial.then_some(whose);
        if line.partial { Ok(()) } else { screen.write(b"\n") }
    }

    fn prefix(&mut self, line: &LogLine) -> String {
        let time = if self.timestamps { format!("{} ", line.ts) } else { String::new() };
        if !self.named {
            return time;
        }
        let name = &line.service;
        let known = self.seen.iter().position(|seen| seen == name);
        let number = known.unwrap_or(self.seen.len());
        if known.is_none() {
            self.seen.push(name.clone());
        }
        let colour = COLOURS.iter().cycle().nth(number % COLOURS.len()).unwrap_or(&36);
        match self.coloured {
            true => format!("\x1b[{colour}m{name} |\x1b[0m {time}"),
            false => format!("{name} | {time}"),
        }
    }
}

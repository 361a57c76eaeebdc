//! `horust events`: what has happened to services.

use super::ExitCode;
use super::args::Format;
use super::client::{Client, Failure};
use super::output::complain;
use super::stream::{Screen, follow};
use crate::control::wire;
use crate::control::wire::{Event, Note};
use clap::Args;
use std::io;

/// Which events, and how they are shown.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Events {
    /// Those of these: names, or patterns such as `web-*` [default: all, and those of Horust itself]
    names: Vec<String>,
    /// Go on with what happens from now on, until Horust ends
    #[arg(short, long)]
    follow: bool,
    /// No more than so many of the latest
    #[arg(short = 'n', long, value_name = "N")]
    lines: Option<u64>,
    /// Those after the event with this number
    #[arg(long, value_name = "NUMBER")]
    since: Option<u64>,
    /// How to show them; as JSON, an object on each line
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Shows them.
pub fn run(client: &Client, options: &Events) -> Result<ExitCode, Failure> {
    let words = options.names.join(",");
    let (last, since) = (options.lines.map(|n| n.to_string()), options.since.map(|n| n.to_string()));
    let mut query = Vec::new();
    query.extend((!words.is_empty()).then_some(("names", words.as_str())));
    query.extend(last.as_deref().map(|last| ("last", last)));
    query.extend(since.as_deref().map(|since| ("since", since)));
    let mut screen = Screen::new();
    if !options.follow {
        let events: wire::Events = client.get("events", &query)?;
        if events.lost > 0 {
            complain(&format!("horust: {} older events are not kept any more\n", events.lost));
        }
        let shown = events.events.iter().try_for_each(|event| show(&mut screen, event, options.format));
        let _ = shown.and_then(|()| screen.flush());
        return Ok(ExitCode::Ok);
    }
    query.push(("follow", "true"));
    follow(client, "events", &query, &mut screen, |screen, kind, data| {
        match kind {
            "event" => show(screen, &serde_json::from_str(data)?, options.format)?,
            "note" => complain(&format!("horust: {}\n", serde_json::from_str::<Note>(data)?.text)),
            _ => {}
        }
        Ok(())
    })?;
    Ok(ExitCode::Ok)
}

fn show(screen: &mut Screen, event: &Event, format: Format) -> io::Result<()> {
    let line = match format {
        Format::Json => serde_json::to_string(event)?,
        Format::Text => {
            let service = event.service.as_deref().unwrap_or("horust");
            format!("{:>5}  {}  {service}: {}", event.seq, event.ts, event.text)
        }
    };
    screen.write(line.as_bytes())?;
    screen.write(b"\n")
}

//! Lives the journal of a supervisor again: `horust debug journal` of a running Horust, what one that has failed has logged, and
//! those of the simulation.

use horust::supervisor::{First, Step, Story};
use std::fmt::Write;

/// Lives these steps again. Each must lead to the same actions, and the last one to the same memory; else this tells which does not.
pub fn live_again(story: &Story) -> Result<(), String> {
    let mut supervisor = story.start.clone();
    for (nth, Step { now, event, actions }) in story.steps.iter().enumerate() {
        let mut led_to = Vec::new();
        supervisor.step(*now, event.clone(), &mut led_to);
        if actions.as_ref() != Some(&led_to) {
            return Err(format!("step {nth}, {event:?} at {}: {actions:?}, and now {led_to:?}", now.0));
        }
    }
    let mut end = supervisor.checkpoint();
    end.services.iter_mut().for_each(|service| service.first = First::default());
    match end == story.end {
        true => Ok(()),
        false => Err(format!("in the end {:#?}, and now {end:#?}", story.end)),
    }
}

/// Reads a journal as Horust prints it, or what it has logged, with a journal in it.
pub fn parse(text: &str) -> Option<Story> {
    let part = |line| str::rsplit_once(line, "journal: ").map_or(line, |(_, part)| part);
    let hex: String = text.lines().map(part).filter(|part| part.bytes().all(|c| c.is_ascii_hexdigit())).collect();
    let bytes = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok());
    Story::read(&bytes.collect::<Option<Vec<u8>>>()?)
}

/// All of it, one line for each event and action.
pub fn tell(story: &Story) -> String {
    let mut text = String::new();
    for (id, spec) in story.plan.iter() {
        let _ = writeln!(text, "{:>3} is {}", id.0, spec.name);
    }
    for Step { now, event, actions } in &story.steps {
        let _ = writeln!(text, "{:>10.3} s  {event:?}", now.0 as f64 / 1e9);
        match actions {
            Some(actions) => {
                for action in actions {
                    let _ = writeln!(text, "{:16}{action:?}", "");
                }
            }
            None => text.push_str("                Horust has failed here\n"),
        }
    }
    text
}

//! The diagram of the public states in DEVELOPMENT.md is what the random lives have shown.

use crate::docs;
use crate::random;
use std::fmt::Write;

#[test]
fn the_state_diagram_shows_what_happens() {
    let mut diagram = "```mermaid\nstateDiagram-v2\n    [*] --> Initial\n".to_owned();
    for (from, to) in &random::lives().transitions {
        writeln!(diagram, "    {from} --> {to}").unwrap();
    }
    for end in ["Finished", "FinishedFailed"] {
        writeln!(diagram, "    {end} --> [*]").unwrap();
    }
    docs::section("DEVELOPMENT.md", "states", &(diagram + "```\n"));
}
